"""`harness doctor --probe`: real requests that show whether caching works on the way to this model.

Invariant: the price is said before anything is sent, and what it really was afterwards. The requests are those of a
session: same tools, same system blocks, same markers, same wire; only the words are the probe's. Nothing of it is kept.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from harness.agent.model_call import Channel, ModelCall
from harness.app import App
from harness.audit.cost import cost
from harness.audit.report import money, tokens
from harness.commands.doctor_findings import Finding
from harness.commands.doctor_verdict import Asked, judge
from harness.conversation.blocks import Usage
from harness.conversation.events import ResponseDone, Retrying, nobody
from harness.errors import BadRequest, HarnessError
from harness.options import Options
from harness.providers.facts import Model
from harness.providers.reach import shown
from harness.seam import Seam
from harness.ui.plain import one_line

ANSWER = 512
"""Output tokens asked for: room for a model that thinks before it says one word."""

CONTEXT = 100
"""Tokens of the session context, about."""

PAUSE = 2.0
"""Seconds between requests where a server caches by itself: some write a while after they answered."""

_LINE = "This line only makes the request long enough for a prompt cache to keep it; nothing is to be done about it.\n"
_ASK = "Answer with the one word: ready. Use no tool."


class Probe:
    """One probe. `run` it, then read it as JSON. asked: the person agreed beforehand; quiet: prints nothing."""

    def __init__(self, seam: Seam, model: str | None, requests: int, *, quiet: bool, asked: bool) -> None:
        self._seam = seam
        self._model = model
        self._requests = requests
        self._quiet = quiet
        self._asked = asked
        self._responses: list[ResponseDone] = []
        self._findings: list[Finding] = []
        self._about: dict[str, Any] = {}

    async def run(self) -> int:
        """Send it; gives the exit code."""
        try:
            app = App(Options(cwd=self._seam.cwd(), no_session=True, model=self._model), self._seam, nobody)
        except HarnessError as error:
            self._find(Finding("bad", "probe", f"not sent: {error}"))
            return error.exit_code
        try:
            return await self._probe(app)
        finally:
            await app.close()

    async def _probe(self, app: App) -> int:
        channel = replace(app.agent.channel, max_tokens=min(ANSWER, app.agent.channel.max_tokens))
        marked = channel.model.rules.max_markers > 0
        if marked and not channel.cache:
            self._find(Finding("note", "probe", "not sent: cache.enabled is false, so there is nothing to look at"))
            return 0
        words = _words(app, channel.model, self._seam.new_id())
        self._say_price(app, channel, words)
        if not self._asked and not await asyncio.to_thread(_agreed):
            self._find(Finding("note", "probe", "nothing was sent"))
            return 0
        code = 0
        try:
            await self._send(app, channel, words)
            findings = judge(Asked(channel.model, marked, channel.ttl), [one.usage for one in self._responses])
        except HarnessError as error:
            findings, code = (_failed(error),), error.exit_code
        for finding in findings:
            self._find(finding)
        self._say_cost(app)
        return code or int(any(finding.status == "bad" for finding in findings))

    def _say_price(self, app: App, channel: Channel, words: str) -> None:
        prompt = _tokens(app, words)
        best, worst = (_estimate(channel, prompt, self._requests, hits=hits) for hits in (True, False))
        self._about = {
            "model": channel.model.id,
            "address": shown(channel.line.base_url),
            "estimate": {"requests": self._requests, "prompt_tokens": prompt, "usd": best, "usd_at_most": worst},
        }
        price = "the price of this model is unknown"
        if best is not None:
            price = f"about {money(best)} if caching works, {money(worst)} if nothing is read and answers are long"
        self._print(
            f"\nProbe of {channel.model.id} at {shown(channel.line.base_url)}: {self._requests} requests of about "
            f"{tokens(prompt)} tokens (bytes / 4), answers of up to {channel.max_tokens}: {price}.",
            aloud=not self._asked,
        )

    async def _send(self, app: App, channel: Channel, words: str) -> None:
        for number in range(self._requests):
            if number and channel.model.rules.max_markers == 0:
                await asyncio.sleep(PAUSE)
            app.agent.begin(f"{words}{_ASK}" if number == 0 else f"Once more, number {number + 1}. {_ASK}")
            call = ModelCall(app.session, channel)
            done = None
            async with aclosing(call.run()) as events:
                async for event in events:
                    if isinstance(event, ResponseDone):
                        done = event
                    elif isinstance(event, Retrying):
                        self._print(f"  again in {event.wait:.1f} s: {one_line(event.reason)}")
            if done is None or not done.usage.prompt:
                raise BadRequest("the answer came without any usage: nothing can be said of caching on this route")
            self._responses.append(done)
            self._print(f"  request {number + 1}: {_bill(done.usage)} · {money(done.cost)}")

    def _say_cost(self, app: App) -> None:
        totals = app.session.totals
        usage = totals.usage
        self._about["usd"] = totals.cost
        self._print(f"It cost {money(totals.cost)} ({tokens(usage.prompt)} tokens in, {tokens(usage.output)} out).")

    def _find(self, finding: Finding) -> None:
        self._findings.append(finding)
        self._print(finding.line(sys.stdout.encoding))

    def _print(self, text: str, *, aloud: bool = False) -> None:
        if not self._quiet:
            print(text, flush=True)
        elif aloud:
            # who is asked has to know the price, whatever form the result has
            sys.stderr.write(f"{text}\n")

    def to_json(self) -> dict[str, Any]:
        """Everything it found."""
        requests = [
            {
                "read": done.usage.read,
                "written_short": done.usage.written_short,
                "written_long": done.usage.written_long,
                "uncached": done.usage.uncached,
                "output": done.usage.output,
                "usd": done.cost,
                "verdict": done.verdict,
            }
            for done in self._responses
        ]
        return {**self._about, "requests": requests, "findings": [finding.to_json() for finding in self._findings]}


def _agreed() -> bool:
    sys.stderr.write("Send it? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _words(app: App, model: Model, name: str) -> str:
    """The first message: new, so that it must be written, and long enough to be."""
    begin = f"[cache probe {name}]\n"
    least = 1.25 * model.rules.minimum - _tokens(app, begin)
    # where reads come in steps, what is new has to be longer than one
    own = max(least, 3 * max(model.caching.granularity, 128))
    return begin + _LINE * (int(own * 4 / len(_LINE)) + 1)


def _tokens(app: App, words: str) -> int:
    """The first prompt, by its bytes."""
    prefix = app.session.prefix
    size = sum(map(len, prefix.tools)) + len(prefix.static) + len(prefix.session)
    return (size + len(words.encode())) // 4 + CONTEXT


def _estimate(channel: Channel, prompt: int, requests: int, *, hits: bool) -> float | None:
    """USD of all requests. hits: the later ones read, and answers are a few words."""
    output = 20 if hits else channel.max_tokens
    long = channel.ttl == "1h"
    written = Usage(written_long=prompt, output=output) if long else Usage(written_short=prompt, output=output)
    later = Usage(read=prompt, output=output) if hits else written
    costs = [cost(channel.model, usage) for usage in (written, *[later] * (requests - 1))]
    return _sum(costs)


def _sum(costs: Sequence[float | None]) -> float | None:
    return None if None in costs else sum(one for one in costs if one is not None)


def _bill(usage: Usage) -> str:
    written = tokens(usage.written) + (
        f" ({tokens(usage.written_long)} of it long-lived)" if usage.written_long else ""
    )
    return (
        f"{tokens(usage.prompt)} tokens in: {tokens(usage.read)} read, {written} written, "
        f"{tokens(usage.uncached)} at full price; {tokens(usage.output)} out"
    )


def _failed(error: HarnessError) -> Finding:
    text = str(error)
    if isinstance(error, BadRequest) and "cache" in text:
        return Finding("bad", "verdict", f"markers are refused on this route: {text}", "set cache.enabled = false")
    return Finding("bad", "probe", text)
