"""One person, one project and pretend vendors, in any order of events; and what must hold after each of them.

Invariant: the session is the real one, wired by `App`, and speaks real HTTP; only the model's words, the clock and the
environment are given. Client and vendors share one clock.
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
from tests.property import reading
from tests.vendors import reach, server_of

PLANNED = "planned by the test"
START = dt.datetime(2026, 5, 13, 9, 0, tzinfo=dt.UTC).timestamp()
DAY = 86_400.0

Item = dict[str, Any]
Place = tuple[str, str, str]
"""Server, wire, and model or line there."""


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
    frozen: dict[Place, tuple[Any, ...]] = field(default_factory=dict)
    """Tools and system blocks as each model was sent them."""
    words: tuple[list[str], str] | None = None
    """Tool names and system text, which every model is sent alike."""
    last: dict[Place, Received] = field(default_factory=dict)
    """The last mainline request of each line."""
    journal: bytes = b""
    parsed: int = 0
    """Bytes of the journal whose responses were judged."""

    def forked(self) -> Branch:
        return Branch(self.told, self.contexts, dict(self.frozen), self.words, dict(self.last))


class Model:
    """The scripted model: the answers planned for this turn, the same again for the same request."""

    def __init__(self) -> None:
        self.plan: list[Any] = []
        self._given: dict[int, Any] = {}

    def __call__(self, request: dict[str, Any]) -> Any:
        key = len(request["messages"] if "messages" in request else request["input"])
        if key not in self._given:
            self._given[key] = self.plan.pop(0) if self.plan else [{"text": "Done."}]
        answer = self._given[key]
        facts = MODELS.get(request["model"])  # on the other wires all may think
        thinks = facts is None or "thinking" in request or facts.always_thinks
        return answer if thinks else [item for item in answer if "thinking" not in item] or [{"text": "Done."}]

    def turn(self, plan: Sequence[Any]) -> None:
        self.plan, self._given = list(plan), {}


@dataclass
class World:
    """See the module. `folder` is the example's own and is removed by `close`.

    Args:
        vendors: by the name of their server, "" for Anthropic's.
        refresh: what Anthropic's refreshes, told to the client too; None: as the catalog says.
    """

    vendors: Mapping[str, Simulator]
    model: Model
    folder: Path
    environment: dict[str, str]
    refresh: Refresh | None
    runner: asyncio.Runner
    options: Options = field(init=False)
    branches: dict[str, Branch] = field(default_factory=dict)
    skills: dict[str, str] = field(default_factory=dict)
    rules: str = "Use four spaces.\n"
    checked: dict[str, int] = field(default_factory=dict)
    billed: set[str] = field(default_factory=set)
    """Ids of the answers whose bill was told."""

    def __post_init__(self) -> None:
        self.project = self.folder / "project"
        self.project.mkdir(parents=True)
        (self.project / "AGENTS.md").write_text(self.rules)
        (self.project / "notes.txt").write_text("".join(f"note {number}\n" for number in range(30)))
        self.clock = self.vendors[""].clock
        self.began_at = self.clock.now()
        addresses, self.catalog = reach(self.vendors[""], self.vendors)
        self.environment = self.environment | addresses | {"HOME": str(self.folder / "home")}
        self.seam = SharedClock(self.clock, self.environment)

    # ------------------------------------------------------------------------------------------- the session

    def begin(self, model: str, ttl: str) -> None:
        """A new session."""
        config = self.folder / "home" / ".config" / "harness"
        config.mkdir(parents=True)
        (config / "config.toml").write_text(f'[cache]\nttl = "{ttl}"\n')
        (config / "catalog.toml").write_text(self.catalog)
        self.options = Options(cwd=self.project, model=model, strict_prefix=True)
        self.app = self._open(self.options)
        self.branches[self.app.session.journal.id] = Branch()

    def _open(self, options: Options) -> App:
        app = App(options, self.seam, _nobody)
        self._prepare(app)
        return app

    def _prepare(self, app: App) -> None:
        """No waiting before a retry, and the vendor's refresh rule."""
        channel = app.agent.channel
        known = channel.model
        if self.refresh is not None:
            known = replace(known, rules=replace(known.rules, refresh=self.refresh))
        app.agent.channel = replace(channel, model=known, retry=RetryPolicy(retries=2, first=0.0))

    def switch(self, model: str) -> None:
        """Go on with another model in the same run."""
        self.app.switch(model)
        self._prepare(self.app)

    @property
    def vendor(self) -> Simulator:
        """The vendor of the model in use."""
        return self.vendors[server_of(self.app.model)]

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
        self.vendor.fault(replace(fault, message=PLANNED))

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
        self._check_journal()
        for server, vendor in self.vendors.items():
            refused = [refusal for refusal in vendor.refused if PLANNED not in refusal.error]
            assert not refused, refused[0].error
            requests = vendor.requests
            for number in range(self.checked.get(server, 0), len(requests)):
                self._check_request(server, requests[number], requests[number - 1] if number else None)
            self.checked[server] = len(requests)

    def _check_request(self, server: str, request: Received, earlier: Received | None) -> None:
        """`earlier`: the request before it at its vendor, of whatever branch and line."""
        branch = self.branch
        line, model = (server, request.wire, request.line), (server, request.wire, request.model)
        before = branch.last.get(line)
        if before is not None:
            moved = first_moved(before, request)
            assert moved is None, str(moved)
        frozen = tuple(identity(block) for block in request.blocks if block.level != "messages")
        assert branch.frozen.setdefault(model, frozen) == frozen, "tools or system changed within the session"
        branch.words = branch.words or reading.frozen_words(request)
        assert branch.words == reading.frozen_words(request), "models are sent other tools or another system text"
        reading.check_markers(request)
        reading.check_conversation(request, branch.contexts)
        # an engine holds the last prompt that it worked on, and nothing older
        held = earlier if request.contract == "slots" else before
        if held is not None and request.at - self.began_at < DAY:
            reading.check_nothing_is_read_twice(held, request)
        if request.kind == "mainline":
            branch.last[line] = request
            # an expired line is marked at the end of the message before, too: another branch may read that, though no
            # request ended there
            note = f"request {request.index}: read {request.read}, perfect {request.perfect_read}: {request.explain}"
            if not reading.beyond_reach(request) and not self._never_told(server, request):
                assert request.read >= request.perfect_read, note
            assert request.read <= request.perfect_read or len(self.branches) > 1, note
        else:
            reading.check_side(request)

    def _never_told(self, server: str, request: Received) -> bool:
        """Whether nobody could know of what the perfect cache reads: its answer broke before a word of it came.

        Where only marked places are read, and not those before them, it is then not found.
        """
        tails = (
            one
            for one in self.vendors[server].requests[: request.index]
            if one.line == request.line and one.prompt_tokens == request.perfect_read and request.extends(one)
        )
        return request.contract == "breakpoints" and any(one.message_id not in self.billed for one in tails)

    def _check_journal(self) -> None:
        branch = self.branch
        raw = (self.app.session.journal.folder / "journal.jsonl").read_bytes()
        assert raw.startswith(branch.journal), "the journal changed something that was recorded"
        branch.journal = raw
        everything = [vendor.requests for vendor in self.vendors.values()]
        received = {request.message_id: (request, requests) for requests in everything for request in requests}
        for line in raw[branch.parsed :].splitlines():
            record = json.loads(line)
            if record["kind"] == "response":
                self.billed.add(record["data"]["message_id"])
                request, requests = received[record["data"]["message_id"]]
                reading.check_verdict(record["data"], request, requests[: requests.index(request)], self.billed)
        branch.parsed = len(raw)


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
