"""One model call: request, stream, answer.

Invariant: the request is on the disk before it is sent, and the answer before anyone acts on it. What was shown to the
person is never sent for again: a stream that breaks before anything was shown is sent again byte for byte, one that
breaks later ends as a partial answer that keeps what is complete.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from harness.agent import request_record
from harness.agent.firewall import comparable, expected, warning
from harness.agent.model_facts import note
from harness.agent.session import Session
from harness.agent.stream import Stream
from harness.audit.cached_response import said_of, told, verdict_of
from harness.audit.cost import cost, price_of_miss
from harness.audit.judgement import judged, write_verdict
from harness.audit.lookups import Lookups
from harness.audit.verdict import Expectation, Verdict
from harness.conversation.answers import checked, left_out, sent_back
from harness.conversation.blocks import Message, Text, Usage
from harness.conversation.canonical import Json, digest
from harness.conversation.events import Event, Notice, RequestSent, ResponseDone, Retrying, TextDelta, ThinkingDelta
from harness.conversation.request import Line, Request, Ttl
from harness.conversation.stored import write_block, write_usage
from harness.errors import PrefixMoved, ProviderError, StreamBroken
from harness.prompt.markers import place
from harness.providers.base import (
    Began,
    BlockBroken,
    BlockDone,
    Finished,
    FromCache,
    NotFromCache,
    Provider,
    TextPart,
    ThinkingPart,
)
from harness.providers.facts import Model
from harness.providers.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class Channel:
    """How model calls of a session are made. diagnostics: whether the vendor is asked what it says of a miss."""

    provider: Provider
    model: Model
    line: Line
    max_tokens: int
    retry: RetryPolicy
    cache: bool = True
    ttl: Ttl = "5m"
    strict_prefix: bool = False
    diagnostics: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call gave.

    message: None where nothing of it can be kept. error: why it is partial. text: all that was shown, kept or not.
    dropped: the tools of calls in it that are not run. why: what the vendor says of the stop.
    """

    message: Message | None
    stop: str
    error: ProviderError | None = None
    text: str = ""
    dropped: tuple[str, ...] = ()
    message_id: str = ""
    why: str = ""


class ModelCall:
    """One call. Iterate `run`; then read `answer`.

    Args:
        tail: messages of a side request, which reads the line's cache and is not continued.
        until: for a side request: how many messages of the conversation it follows; None: all.
        began: called when the answer begins: from then on others can read what the request writes.
    """

    def __init__(
        self,
        session: Session,
        channel: Channel,
        tail: Sequence[Message] = (),
        until: int | None = None,
        began: Callable[[], None] = lambda: None,
    ) -> None:
        self._session = session
        self._channel = channel
        self._tail = tuple(tail)
        self._until = until
        self._began = began
        self._stream = Stream()
        self._request_seq = -1
        self._started = 0.0
        self._expected = Expectation("first")
        self._again: dict[str, Json] = {}
        self._done: ResponseDone | None = None
        self.answer: Answer = Answer(None, "")
        self.request: Request | None = None

    @property
    def expected(self) -> int | None:
        """Tokens that the request should read, by earlier bills; None where none tells."""
        return self._expected.tokens

    async def run(self) -> AsyncGenerator[Event]:
        """Make the call.

        Raises:
            ProviderError: it failed before anything was shown, and sending it again did not help.
            PrefixMoved: it would not extend its line, and the person asked that it then be refused.
        """
        session, channel = self._session, self._channel
        request, body = self._prepare()
        await session.sync()
        yield RequestSent(session.totals.own + 1, channel.model.id, side=request.side)
        if self._expected.reason == "ours":
            yield Notice(warning(self._expected, channel.model, channel.ttl))
        try:
            async with aclosing(self._attempts(request, body)) as events:
                async for event in events:
                    yield event
        except (asyncio.CancelledError, GeneratorExit):
            # cancelled, or closed by a screen that stopped listening
            self._keep("interrupted")
            raise
        except ProviderError as error:
            self._keep("broken", error)
            if not self._stream.shown:
                raise
        else:
            self._keep(self._stream.finished.stop if self._stream.finished else "")
        await session.sync()
        if self._done is not None:
            yield self._done
        if self._stream.unknown and not self._tail:
            what = f"a part of the answer is of a kind that this version does not know ({self._stream.unknown})"
            yield Notice(f"{what}; it is kept in the session and not sent back")

    def _prepare(self) -> tuple[Request, bytes]:
        """The request, journaled, and its body."""
        session = self._session
        self._started = session.seam.now()
        # the price is that of the day, and journaled before anything is billed by it
        self._channel = channel = replace(self._channel, model=self._channel.model.on(self._started))
        note(session, channel.model, (channel.ttl, channel.cache))
        projection = session.project(channel.model.id, channel.provider)
        if self._until is not None:
            projection = projection.first(self._until)
        fragments = channel.provider.render(self._tail, projection.after) if self._tail else ()
        tail = [projection.render(-1, message, f) for message, f in zip(self._tail, fragments, strict=True)]
        messages = projection.with_tail(tail)
        looks = self._looks()
        rules = channel.model.rules if channel.cache else replace(channel.model.rules, max_markers=0)
        side = bool(tail)
        markers = place(projection.prefix, messages, looks.alive, rules, channel.ttl, side=side)
        compare = comparable(session, channel.line) if channel.diagnostics else None
        request = Request(channel.line, projection.prefix, messages, markers, channel.max_tokens, side, compare)
        self._expected = self._expect(request, looks)
        if self._expected.reason == "ours" and channel.strict_prefix:
            raise PrefixMoved(f"not sent: {self._expected.cause}; run without --strict-prefix to pay for it")
        body = channel.provider.body(request)
        model, epoch = channel.model, len(session.epochs) - 1
        record = request_record.form(request, model, self._tail, epoch=epoch, started=self._started)
        record |= request_record.ends(request, model.rules, looks)
        record |= request_record.rests_on(self._expected, looks)  # last: it tells what was looked for
        self._request_seq = session.record("request", record | {"body": digest(body)}).seq
        self.request = request
        return request, body

    def _looks(self) -> Lookups:
        """Into the ledger, as an attempt that starts now."""
        session = self._session
        return Lookups(session.requests.ledger, session.requests.own, self._channel.line.key, self._started)

    def _expect(self, request: Request, looks: Lookups) -> Expectation:
        """What an attempt should read."""
        channel, shorter = self._channel, self._until is not None
        return expected(self._session, channel.model, channel.provider.envelope, request, looks, shorter=shorter)

    async def _attempts(self, request: Request, body: bytes) -> AsyncGenerator[Event]:
        """Send until it works or may not be sent again."""
        attempt = 0
        while True:
            attempt += 1
            self._stream = Stream()
            if attempt > 1:
                # a TTL counts from the start of each attempt, and one that began has written what this one reads
                self._started = self._session.seam.now()
                looks = self._looks()
                self._expected = self._expect(request, looks)
                self._again = {"again": request_record.rests_on(self._expected, looks)}
            try:
                async with aclosing(self._once(body)) as events:
                    async for event in events:
                        yield event
            except ProviderError as error:
                if self._stream.shown:
                    raise error if isinstance(error, StreamBroken) else StreamBroken(str(error)) from error
                wait = self._channel.retry.wait(attempt, error, self._session.seam.random())
                if wait is None:
                    raise
                self._session.record("retry", self._retried(attempt, wait, error))
                yield Retrying(attempt, wait, str(error))
                await asyncio.sleep(wait)
            else:
                return

    async def _once(self, body: bytes) -> AsyncGenerator[Event]:
        stream, begun = self._stream, self._session.seam.monotonic()

        def record(chunk: bytes) -> None:
            at = round((self._session.seam.monotonic() - begun) * 1000)
            stream.chunks.append([at, chunk.decode("latin-1")])

        origin = (self._session.journal.id, self._request_seq)
        async with aclosing(self._channel.provider.stream(body, record, origin)) as parts:
            async for part in parts:
                match part:
                    case Began():
                        stream.began = part
                        self._began()
                    case TextPart(text):
                        stream.shown = True
                        stream.text.append(text)
                        yield TextDelta(text)
                    case ThinkingPart(text):
                        stream.shown = True
                        yield ThinkingDelta(text)
                    case BlockDone(block):
                        knows = self._session.history.knows_call
                        stream.blocks.append(checked(block, stream.blocks, knows, self._request_seq))
                        stream.text.clear()
                    case BlockBroken(kind, raw, name):
                        stream.unsent.append({"is": kind, "raw": raw} | ({"name": name} if name else {}))
                    case Finished():
                        stream.finished = part
                    case FromCache() | NotFromCache():
                        stream.cache = part

    def _retried(self, attempt: int, wait: float, error: ProviderError) -> dict[str, Json]:
        """The record of an attempt that is sent again; what it was billed is billed all the same."""
        about = {"request": self._request_seq, "attempt": attempt, "error": str(error), "wait": round(wait, 3)}
        if (began := self._stream.began) is None:
            return about
        if began.usage is None:
            return about | {"began": True, "started": self._started}
        bill = {"usage": write_usage(began.usage), "cost": cost(self._channel.model, began.usage)}
        return about | bill | {"started": self._started}

    def _keep(self, stop: str, error: ProviderError | None = None) -> None:
        """Journal what came, whole or partial; `answer` is then set.

        An answer that began was billed, and its cache entries exist, however it ended.
        """
        stream, model = self._stream, self._channel.model
        began = stream.began.usage if stream.began else None
        usage = stream.finished.usage if stream.finished else began
        if usage is None:
            failed: dict[str, Json] = {"request": self._request_seq, "error": str(error or stop)}
            asked = stream.began and not stream.served
            begun: dict[str, Json] = {"began": True, "started": self._started} if asked else {}
            self._session.record("failed", failed | begun)
        else:
            usage = Usage() if stream.served else usage
            verdict = verdict_of(stream.served) if stream.served else self._judged(usage)
            price = 0.0 if stream.served else cost(model, usage)
            kept = self._response(stop, usage, verdict, price, error)
            self._session.record("response", kept)
            number, lost = self._session.totals.own, (verdict.lost, kept["verdict"]["price"])
            about = (verdict.kind, verdict.cause, stop, *lost, told(kept))
            self._done = ResponseDone(number, model.id, usage, price, *about)
        message_id = stream.began.message_id if stream.began else ""
        message = self._message(stop, partial=stream.finished is None)
        text = "".join(block.text for block in stream.kept() if isinstance(block, Text))
        why = stream.finished.why if stream.finished else ""
        self.answer = Answer(message, stop, error, text, self._session.history.dropped, message_id, why)

    def _judged(self, usage: Usage) -> Verdict:
        """The verdict of an answer that a vendor gave."""
        previous, _ = self._session.declared(self._channel.line)
        carried = [entry.message for entry in self._session.history.entries], previous.messages if previous else 0
        compared = bool(self.request and self.request.compare)
        finished = self._stream.finished
        return judged(self._expected, usage, self._channel.model, finished, carried, compared=compared)

    def _response(
        self, stop: str, usage: Usage, verdict: Verdict, price: float | None, error: ProviderError | None
    ) -> dict[str, Json]:
        stream, model = self._stream, self._channel.model
        raw = "\n".join(json.dumps(chunk) for chunk in stream.chunks).encode("ascii")
        return {
            "request": self._request_seq,
            "stop": stop,
            "error": str(error) if error else "",
            "started": self._started,
            "usage": write_usage(usage),
            "cost": price,
            "verdict": write_verdict(verdict, price_of_miss(model, verdict.lost, usage) if verdict.lost else 0.0),
            "message_id": stream.began.message_id if stream.began else "",
            "request_id": stream.began.request_id if stream.began else "",
            "stream": self._session.journal.blobs.put(raw) if raw else "",
            "seconds": round(self._session.seam.now() - self._started, 3),
            "extra": dict(stream.finished.extra) if stream.finished else {},
            **self._again,
        } | said_of(stream.cache, model)

    def _message(self, stop: str, *, partial: bool) -> Message | None:
        """The answer as it is kept; a side request's is not part of the conversation."""
        stream = self._stream
        message = sent_back(stream.kept(), stop, partial=partial)
        if self._tail:
            return message
        dropped = left_out(stream.kept(), message)
        unsent = [*stream.unsent, *(write_block(block, self._session.journal.blobs) for block in dropped)]
        if message is not None:
            self._session.add(message, unsent=unsent)
        elif unsent:
            self._session.record("unsent", {"request": self._request_seq, "stop": stop, "blocks": unsent})
        return message
