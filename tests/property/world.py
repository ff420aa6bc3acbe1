"""One person, one project and one pretend vendor, in any order of events; and what must hold after each of them.

Invariant: the session is the real one, wired by `App`, and speaks real HTTP; only the model's words, the clock and the
environment are given. Client and vendor share one clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import shutil
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.agent.turn import side_request
from harness.app import App, Options
from harness.conversation.events import Event, Question
from harness.conversation.request import Refresh
from harness.errors import ProviderError
from harness.providers.retry import RetryPolicy
from harness.seam import Seam
from harness.simulator import MODELS, Clock, Fault, Received, Simulator
from tests.prefix_check import first_moved, identity

PLANNED = "planned by the test"
CONTEXT = "[Session context:"
START = dt.datetime(2026, 5, 13, 9, 0, tzinfo=dt.UTC).timestamp()
DAY = 86_400.0

Item = dict[str, Any]


class SharedClock(Seam):
    """The machine as the test gives it: the vendor's clock, no jitter, ids that count."""

    def __init__(self, clock: Clock, environment: Mapping[str, str]) -> None:
        self._clock = clock
        self._environment = environment
        self._ids = 0

    def now(self) -> float:
        return START + self._clock.now()

    def today(self) -> dt.date:
        return dt.datetime.fromtimestamp(self.now(), dt.UTC).date()

    def new_id(self) -> str:
        self._ids += 1
        return f"s{self._ids:04d}"

    def random(self) -> float:
        return 0.0

    def environment(self) -> Mapping[str, str]:
        return self._environment

    def os_name(self) -> str:
        return "Linux"


@dataclass
class Branch:
    """What a session should have told and sent so far, as the test counts it."""

    told: tuple[Any, ...] = ()
    contexts: int = 0
    frozen: tuple[Any, ...] = ()
    last: dict[str, Received] = field(default_factory=dict)
    """The last mainline request of each line."""
    journal: bytes = b""
    parsed: int = 0
    """Bytes of the journal whose responses were judged."""

    def forked(self) -> Branch:
        return Branch(self.told, self.contexts, self.frozen, dict(self.last))


class Model:
    """The scripted model: the answers planned for this turn, the same again for the same request."""

    def __init__(self) -> None:
        self.plan: list[Any] = []
        self._given: dict[int, Any] = {}

    def __call__(self, request: dict[str, Any]) -> Any:
        key = len(request["messages"])
        if key not in self._given:
            self._given[key] = self.plan.pop(0) if self.plan else [{"text": "Done."}]
        answer = self._given[key]
        thinks = "thinking" in request or MODELS[request["model"]].always_thinks
        return answer if thinks else [item for item in answer if "thinking" not in item] or [{"text": "Done."}]

    def turn(self, plan: Sequence[Any]) -> None:
        self.plan, self._given = list(plan), {}


@dataclass
class World:
    """See the module. `folder` is the example's own and is removed by `close`."""

    simulator: Simulator
    model: Model
    folder: Path
    environment: dict[str, str]
    refresh: Refresh
    runner: asyncio.Runner
    options: Options = field(init=False)
    branches: dict[str, Branch] = field(default_factory=dict)
    skills: dict[str, str] = field(default_factory=dict)
    rules: str = "Use four spaces.\n"
    checked: int = 0

    def __post_init__(self) -> None:
        self.project = self.folder / "project"
        self.project.mkdir(parents=True)
        (self.project / "AGENTS.md").write_text(self.rules)
        (self.project / "notes.txt").write_text("".join(f"note {number}\n" for number in range(30)))
        self.environment = self.environment | {
            "HOME": str(self.folder / "home"),
            "ANTHROPIC_BASE_URL": self.simulator.url,
            "ANTHROPIC_API_KEY": "k",
        }
        self.seam = SharedClock(self.simulator.clock, self.environment)

    # ------------------------------------------------------------------------------------------- the session

    def begin(self, model: str, ttl: str) -> None:
        """A new session."""
        config = self.folder / "home" / ".config" / "harness"
        config.mkdir(parents=True)
        (config / "config.toml").write_text(f'[cache]\nttl = "{ttl}"\n')
        self.options = Options(cwd=self.project, model=model, strict_prefix=True)
        self.app = self._open(self.options)
        self.branches[self.app.session.journal.id] = Branch()

    def _open(self, options: Options) -> App:
        app = App(options, self.seam, _nobody)
        channel = app.agent.channel
        known = replace(channel.model, rules=replace(channel.model.rules, refresh=self.refresh))
        app.agent.channel = replace(channel, model=known, retry=RetryPolicy(retries=2, first=0.0))
        return app

    @property
    def branch(self) -> Branch:
        return self.branches[self.app.session.journal.id]

    def reopen(self, session: str | None = None, *, fork: bool = False, **changes: Any) -> None:
        """Leave the session and open one again from its journal, everything rebuilt."""
        left = self.app.session.journal.id
        self.runner.run(self.app.close())
        # the model and the effort are given once: a resumed session keeps both by itself
        options = replace(self.options, resume=session or left, fork=fork, model=None, effort=None)
        self.app = self._open(replace(options, **changes))
        if fork:
            self.branches[self.app.session.journal.id] = self.branches[left].forked()

    def close(self) -> None:
        self.runner.run(self.app.close())
        shutil.rmtree(self.folder)

    # ------------------------------------------------------------------------------------------------- turns

    def turn(
        self,
        words: str,
        plan: Sequence[Sequence[Item]] = (),
        stop: Callable[[Event], bool] | None = None,
        style: str = "cancel",
        steering: Sequence[str] = (),
    ) -> None:
        """A person's turn. `stop`: the event at which the person interrupts, by cancelling or by closing the turn."""
        self.model.turn(plan)
        self._tell()
        left = [list(steering)]
        self.app.agent.steering = lambda: left.pop() if left else ()
        self.runner.run(self._turn(words, stop, style))

    async def _turn(self, words: str, stop: Callable[[Event], bool] | None, style: str) -> None:
        task = asyncio.ensure_future(self._events(words, stop, style))
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, ProviderError):
            raise error

    async def _events(self, words: str, stop: Callable[[Event], bool] | None, style: str) -> None:
        task = asyncio.current_task()
        async for _ in self.app.before_turn():
            pass
        async with aclosing(self.app.agent.turn(words)) as events:
            async for event in events:
                if stop is not None and stop(event):
                    if style == "close":
                        return
                    assert task is not None
                    task.cancel()
                    stop = None

    def side(self) -> None:
        """A request beside the line."""
        instruction = "[Side request] Sum up what was done."
        self.model.turn([[{"text": "A summary."}]])
        with contextlib.suppress(ProviderError):  # a fault that was planned for a turn may be left
            self.runner.run(side_request(self.app.session, self.app.agent.channel, instruction))

    def fault(self, fault: Fault) -> None:
        self.simulator.fault(replace(fault, message=PLANNED))

    def _tell(self) -> None:
        """Count the context message that this turn must bring."""
        facts = (self.seam.today(), self.app.model.name, self.rules, tuple(sorted(self.skills.items())))
        if facts != self.branch.told:
            self.branch.told = facts
            self.branch.contexts += 1

    # ------------------------------------------------------------------------------------------- the project

    def write_rules(self, text: str) -> None:
        self.rules = text
        (self.project / "AGENTS.md").write_text(text)

    def write_skill(self, name: str, text: str | None) -> None:
        """Add or change a skill, or remove it."""
        folder = self.project / ".harness" / "skills" / name
        if text is None:
            shutil.rmtree(folder, ignore_errors=True)
            self.skills.pop(name, None)
            return
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "SKILL.md").write_text(f"---\nname: {name}\ndescription: {text}\n---\nDo it.\n")
        self.skills[name] = text

    # ------------------------------------------------------------------------------------------------- facts

    def check(self) -> None:
        """Every fact, for what is new since the last time."""
        refused = [refusal for refusal in self.simulator.refused if PLANNED not in refusal.error]
        assert not refused, refused[0].error
        requests = self.simulator.requests
        for request in requests[self.checked :]:
            self._check_request(request)
        self.checked = len(requests)
        self._check_journal(requests)

    def _check_request(self, request: Received) -> None:
        branch = self.branch
        before = branch.last.get(request.line)
        if before is not None:
            moved = first_moved(before, request)
            assert moved is None, str(moved)
        frozen = tuple(identity(block) for block in request.blocks if block.level != "messages")
        assert branch.frozen in ((), frozen), "tools or system changed within the session"
        branch.frozen = frozen
        check_markers(request)
        check_messages(request, branch.contexts)
        if request.kind == "mainline":
            branch.last[request.line] = request
            # more than perfect: where nothing was alive, a request marks the message before its last one too, and a
            # branch that parts from it behind that message reads what no tail of a request holds
            assert request.read >= request.perfect_read, (
                f"request {request.index}: read {request.read}, perfect {request.perfect_read}: {request.explain}"
            )
        else:
            # tools and system may be written, nothing behind them
            ends = [place for place in request.markers if request.blocks[place].level == "messages"]
            assert len(ends) <= 1
            written = request.written + request.read
            assert not ends or written <= sum(block.tokens for block in request.blocks[: ends[0] + 1])

    def _check_journal(self, requests: Sequence[Received]) -> None:
        branch = self.branch
        raw = (self.app.session.journal.folder / "journal.jsonl").read_bytes()
        assert raw.startswith(branch.journal), "the journal changed something that was recorded"
        branch.journal = raw
        received = {request.message_id: request for request in requests}
        bodies = [request.body for request in requests]
        for line in raw[branch.parsed :].splitlines():
            record = json.loads(line)
            if record["kind"] == "response":
                request = received[record["data"]["message_id"]]
                # an attempt that broke before its first event has written, and could not tell
                resent = bodies.index(request.body) < requests.index(request)
                check_verdict(record["data"], request, resent=resent)
        branch.parsed = len(raw)


def check_verdict(response: Mapping[str, Any], received: Received, *, resent: bool) -> None:
    """What the client made of its bill, against what the vendor knows."""
    verdict = response["verdict"]
    kind, expected, read = verdict["kind"], verdict["expected"], verdict["read"]
    note = f"request {received.index}: {verdict}; {received.explain}"
    assert kind not in ("ours", "evicted", "vendor stripped"), note
    if kind == "hit":
        assert read >= max(expected, 1), note
        assert verdict["lost"] == 0, note
    elif kind == "expired":
        assert resent or read < received.prompt_tokens, note
        assert resent or "written by" not in received.explain or read <= system_tokens(received), note
    elif kind in ("first", "declared"):
        assert resent or read <= system_tokens(received), note
    else:
        assert kind == "too short", note
        assert read == 0, note


def system_tokens(request: Received) -> int:
    return sum(block.tokens for block in request.blocks if block.level != "messages")


def check_markers(request: Received) -> None:
    """At most four, none on what may not be marked, TTLs never increasing."""
    marked = [request.blocks[place] for place in request.markers]
    assert 1 <= len(marked) <= 4
    ttls = [3600 if block.marker == "1h" else 300 for block in marked]
    assert ttls == sorted(ttls, reverse=True)
    for block in marked:
        assert block.kind not in ("thinking", "redacted_thinking")
        assert CONTEXT.encode() not in block.canonical[:60], "a session context carries a marker"
    if request.kind == "mainline":
        last = next(message for message in reversed(request.json["messages"]) if message["role"] != "system")
        assert "cache_control" in last["content"][-1], "the last block of a mainline request is its write"


def check_messages(request: Received, contexts: int) -> None:
    """Content is lists of blocks; contexts stand before a person's words; results come first, in call order."""
    messages = request.json["messages"]
    told = 0
    for place, message in enumerate(messages):
        content = message["content"]
        assert isinstance(content, list)
        for block in content:
            if block["type"] == "tool_result":
                assert isinstance(block["content"], list)
                size = sum(len(part.get("text", "").encode()) for part in block["content"])
                assert 0 < size < 400_000
        if is_context(message):
            told += 1
            following = messages[place + 1]
            assert following["role"] == "user", "a context is followed by no person's words"
            assert following["content"][0]["type"] == "text"
            assert not is_context(following)
        calls = [block["id"] for block in content if block["type"] == "tool_use"]
        if calls:
            following = messages[place + 1]["content"]
            results = [block.get("tool_use_id") for block in following]
            assert results == calls, "results are not the calls' own, in their order"
    assert told == contexts, f"{told} session contexts, {contexts} changes of the facts"


def is_context(message: Mapping[str, Any]) -> bool:
    first = message["content"][0] if message["role"] == "user" else {}
    return str(first.get("text", "")).startswith(CONTEXT)


async def _nobody(_question: Question) -> None:
    """Nobody is there."""


def small_trust_store(folder: Path) -> Path:
    """A CA file with one certificate: a client that speaks plain HTTP need not parse a hundred to be made."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ca.pem"
    first = next(iter(_certificates()))
    path.write_text(first)
    return path


def _certificates() -> Iterator[str]:
    import certifi  # noqa: PLC0415 - comes with the SDK's transport

    text = Path(certifi.where()).read_text()
    end = "-----END CERTIFICATE-----\n"
    for part in text.split(end):
        start = part.find("-----BEGIN CERTIFICATE-----")
        if start >= 0:
            pem = part[start:] + end
            ssl.PEM_cert_to_DER_cert(pem)
            yield pem
