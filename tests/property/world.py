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
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.agent import rewind
from harness.agent.cut_turn import cut_turn
from harness.agent.effort_change import on_its_line
from harness.agent.model_call import Channel, ModelCall
from harness.agent.resumption import resume_turn
from harness.agent.session import Session
from harness.app import App
from harness.audit.shared_ledger import AGENTS
from harness.config import config_dir
from harness.conversation.blocks import Message, Text
from harness.conversation.events import Event, Question
from harness.conversation.request import Refresh
from harness.errors import CompactionFailed, ProviderError, UsageError
from harness.options import Options
from harness.providers.catalog import Catalog
from harness.providers.retry import RetryPolicy
from harness.replay import wording
from harness.replay.verify import verify
from harness.seam import Seam
from harness.simulator import MODELS, Clock, Fault, Received, Simulator, said
from tests.prefix_check import first_moved, identity
from tests.property import delegates, reading, versions
from tests.property.delegates import Context, Delegate
from tests.property.reference import Facts, Frozen, Reference, State
from tests.vendors import reach, server_of

PLANNED = "planned by the test"
START = dt.datetime(2026, 5, 13, 9, 0, tzinfo=dt.UTC).timestamp()
DAY = 86_400.0

SUMMARY = "# Task\nWhat the person wants.\n# Next\nGo on."

Item = dict[str, Any]
Place = tuple[str, str, str]
"""Server, wire, and model or line there."""


async def side_request(session: Session, channel: Channel, instruction: str) -> str:
    """Ask beside the line: reads its cache, leaves no entry and no message behind. The text of the answer."""
    session.heal()
    call = ModelCall(session, channel, (Message("system_injected", (Text(instruction),)),))
    async with aclosing(call.run()) as events:
        async for _ in events:
            pass
    return call.answer.message.text if call.answer.message else ""


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

    reference: Reference = field(default_factory=Reference)
    summary: str = ""
    """The archive that the summary of the last request named."""
    contexts: int = 0
    system: Frozen = (0, 0)
    """Which tools and system text the last request carried."""
    frozen: dict[tuple[Frozen, Place], tuple[Any, ...]] = field(default_factory=dict)
    """Them as each model was sent them."""
    words: dict[Frozen, tuple[list[str], str]] = field(default_factory=dict)
    """Tool names and system text, which every model is sent alike."""
    last: dict[Place, Received] = field(default_factory=dict)
    """The last mainline request of each line."""
    standing: set[Place] = field(default_factory=set)
    """The lines that sent one in this epoch: their next one extends it."""
    replaced: bool = False
    """Whether the conversation ever was: then more can be read than ends of requests."""
    journal: bytes = b""
    parsed: int = 0
    """Bytes of the journal whose responses were judged."""

    def forked(self) -> Branch:
        return replace(
            self,
            reference=self.reference.copy(),
            frozen=dict(self.frozen),
            words=dict(self.words),
            last=dict(self.last),
            standing=set(self.standing),
            journal=b"",
            parsed=0,
        )

    def begin_epoch(self) -> None:
        """From now on the conversation is another."""
        self.standing, self.replaced = set(), True


class Model:
    """The scripted model: the answers planned for this turn, the same again for the same request.

    summaries: what it answers to the next compactions, a good summary after those. jobs: what sub-agents answer, by
    the name of their task.
    """

    def __init__(self) -> None:
        self.plan: list[Any] = []
        self.summaries: list[Any] = []
        self.jobs: dict[str, Sequence[Any]] = {}
        self._given: dict[int, Any] = {}

    def __call__(self, request: dict[str, Any]) -> Any:
        spoken = said(request)
        if spoken[-1].texts and "[Side request, compaction" in spoken[-1].texts[-1]:
            self._given = {}
            return self.summaries.pop(0) if self.summaries else [{"text": SUMMARY}]
        task, turns = delegates.task_of(request) if self.jobs else ("", 0)
        answer = self._reported(task, turns) if task else self._planned(request)
        facts = MODELS.get(request["model"])  # on the other wires all may think
        thinks = facts is None or "thinking" in request or facts.always_thinks
        return answer if thinks else [item for item in answer if "thinking" not in item] or [{"text": "Done."}]

    def _reported(self, task: str, turns: int) -> Any:
        job = self.jobs[task]
        return job[turns] if turns < len(job) else [{"text": f"Report of {task}."}]

    def _planned(self, request: dict[str, Any]) -> Any:
        key = len(request["messages"] if "messages" in request else request["input"])
        if key not in self._given:
            self._given[key] = self.plan.pop(0) if self.plan else [{"text": "Done."}]
        return self._given[key]

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
    rule: int = 0
    window: int | None = None
    """Tokens that the client believes every model has room for; None: as the catalog says."""
    checked: dict[str, int] = field(default_factory=dict)
    billed: Counter[str] = field(default_factory=Counter)
    """Ids of the answers whose bill was told, and how often."""
    served: int = 0
    """Answers that were kept ones."""
    delegates: dict[str, Delegate] = field(default_factory=dict)
    """Sub-agents by their task."""
    read_to: dict[Path, int] = field(default_factory=dict)
    """Bytes of the journals of sub-agents that were judged."""

    def __post_init__(self) -> None:
        self.model.jobs = {}
        self.project = self.folder / "project"
        self.project.mkdir(parents=True)
        self.write_rules("Use four spaces.")
        (self.project / "notes.txt").write_text("".join(f"note {number}\n" for number in range(30)))
        self.clock = self.vendors[""].clock
        self.began_at = self.clock.now()
        addresses, self.catalog = reach(self.vendors[""], self.vendors)
        self.environment = self.environment | addresses | {"HOME": str(self.folder / "home")}
        self.seam = SharedClock(self.clock, self.environment)

    # ------------------------------------------------------------------------------------------- the session

    def begin(
        self, model: str, ttl: str, window: int | None = None, *, snapshots: bool = True, keeps: str | None = None
    ) -> None:
        """A new session. keeps: the scope of the response cache."""
        self.window = window
        config = self.folder / "home" / ".config" / "harness"
        config.mkdir(parents=True)
        (config / "config.toml").write_text(
            f'[cache]\nttl = "{ttl}"\n[snapshots]\nenabled = {str(snapshots).lower()}\n'
        )
        (config / "catalog.toml").write_text(self.catalog)
        for context, name in delegates.SKILLS.items():
            self.write_skill(name, "Looks.", delegates.FRONT.format(context))
        self.options = Options(cwd=self.project, model=model, strict_prefix=True, response_cache=keeps)
        self._begin(self.options)

    def _begin(self, options: Options) -> None:
        self.app = self._open(options)
        self.branches[self.app.session.journal.id] = Branch(Reference(frozen=(0, self.rule)))

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
        if self.window is not None:
            known = replace(known, window=self.window)
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

    def reopen(
        self, session: str | None = None, *, fork: bool = False, other_version: bool = False, **changes: Any
    ) -> None:
        """Leave the session and open one again from its journal, everything rebuilt.

        other_version: what the journal holds was written by another version of the program.
        """
        if other_version and self.app.session.untouched:
            self.clear()  # so that there is a session at all
        left, known = self.app.session.journal.id, self._known()
        self.runner.run(self.app.close())
        if not self.app.session.journal.folder.is_dir():
            # nothing had been said in it
            del self.branches[left]
            if session in (None, left):
                self._begin(replace(self.options, **changes))
                return
        if other_version:
            self.branch.journal = versions.rewrite(self.app.session.journal.folder)
            self.branch.parsed = len(self.branch.journal)
            known = ()
        # the model and the effort are given once: a resumed session keeps both by itself
        options = replace(self.options, resume=session or left, fork=fork, model=None, effort=None)
        self.app = self._open(replace(options, **changes))
        if fork:
            self.branches[self.app.session.journal.id] = self.branches[left].forked()
        elif session in (None, left) and known:
            assert self._known() == known, "the session that was resumed is not the one that was left"

    def _known(self) -> tuple[Any, ...]:
        """What a session knows of itself; of the ledger, only where no other writes into it."""
        session = self.app.session
        history = session.history
        requests = session.requests
        ledger = requests.ledger if len(self.branches) == 1 and not self.delegates else None
        bills = (session.totals, requests.last_prompt, requests.prompts, requests.replaced, session.epochs)
        return (
            history.seqs,
            history.context,
            history.undone,
            history.dropped,
            requests.sent,
            session.efforts,
            bills,
            ledger,
        )

    def close(self) -> None:
        self.runner.run(self.app.close())

    def prove(self) -> None:
        """When all is closed: every request that was made is made again from the journals, as `harness replay` does."""
        catalog = Catalog.load(config_dir(self.environment))
        for path in sorted(self.folder.rglob("journal.jsonl")):
            if path.parent.parent.name == AGENTS and delegates.born(path) < 0:
                continue  # killed while a thread was making it: it asked nothing, and may not even have a beginning
            report = verify(path.parent, catalog)
            assert report.equal, f"{path.parent.name}: {'; '.join(wording.lines(report))}"
            asked = path.read_bytes().count(b'"kind":"request"')
            assert report.requests == report.bodies == asked, f"{path.parent.name}: {asked} requests, {report}"
            assert not report.checked or versions.OTHER.encode() in path.read_bytes(), f"{path.parent.name}: {report}"

    def remove(self) -> None:
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
        self._say(words, plan, stop, style, steering)
        self.check(self.facts)

    def _say(
        self,
        words: str,
        plan: Sequence[Sequence[Item]],
        stop: Callable[[Event], bool] | None = None,
        style: str = "cancel",
        steering: Sequence[str] = (),
    ) -> None:
        self.model.turn(plan)
        left = [list(steering)]
        self.app.agent.steering = lambda: left.pop() if left else ()
        self.runner.run(self._carried(self._spoken(words), stop, style))

    def delegation(self, jobs: Sequence[tuple[Context, Sequence[Any]]]) -> list[Item]:
        """Calls of skills that sub-agents carry out. jobs: how each is called; what it answers before its report."""
        calls: list[Item] = []
        for context, answers in jobs:
            task = f"job{len(self.delegates) + 1}"
            self.delegates[task] = Delegate(context)
            self.model.jobs[task] = answers
            calls.append({"call": "invoke_skill", "input": {"name": delegates.SKILLS[context], "task": task}})
        return calls

    def say_again(self, words: str, plan: Sequence[Sequence[Item]]) -> int:
        """A turn, undone, and said once more; gives how many kept answers it got then."""
        self.turn(words, plan)
        served = self.served
        self.undo()
        self.turn(words, plan)
        return self.served - served

    def cut_off(self, words: str, plan: Sequence[Sequence[Item]], at: Callable[[Event], bool], style: str) -> None:
        """A turn in which sub-agents may be asking when it is interrupted; the person leaves then, and comes back."""
        self._say(words, plan, at, style)
        self._leave()
        self._come_back()
        self.check(self.facts)

    def go_on(self, plan: Sequence[Sequence[Item]]) -> bool:
        """The rest of a turn that was cut off; gives whether one was."""
        if cut_turn(self.app.session) is None:
            return False
        for delegate in self.delegates.values():
            delegate.continued += 1
        self.model.turn(plan)
        self.runner.run(self._carried(self._rest(), None, "cancel"))
        self.check(self.facts)
        assert self.branch.reference.told == self.facts, "what changed while it was cut off was not told"
        return True

    async def _rest(self) -> AsyncGenerator[Event]:
        async for _ in self.app.before_turn():
            pass
        async with aclosing(resume_turn(self.app.agent)) as events:
            async for event in events:
                yield event

    def killed(self, words: str, plan: Sequence[Sequence[Item]], at: Callable[[Event], bool]) -> bool:
        """The process is killed at an event of a turn: what it had written by then is all that the next one finds.

        Gives whether it came to that event.
        """
        folder, left = self.app.session.journal.folder, self.folder / "left"

        def stop(event: Event) -> bool:
            if not left.exists() and at(event):
                delegates.leave(folder, left)
            return left.exists()

        self._say(words, plan, stop)
        self._leave()
        if killed := left.exists():
            shutil.rmtree(folder)
            left.rename(folder)
        self._come_back()
        self.check(self.facts)
        return killed

    def _leave(self) -> None:
        """Close it; what was still being asked has reached its vendor then, and what was not never will."""
        self.runner.run(self.app.close())
        time.sleep(0.005)  # a connection that was made is taken at once, but not by this thread
        for _ in range(10_000):
            if not any(vendor.connections[1] for vendor in self.vendors.values()):
                return
            time.sleep(0.001)
        raise AssertionError("a connection is open that nobody closes")

    def _come_back(self) -> None:
        left = self.app.session.journal.id
        self.app = self._open(replace(self.options, resume=left, model=None, effort=None))

    async def _carried(self, events: AsyncGenerator[Event], stop: Callable[[Event], bool] | None, style: str) -> None:
        task = asyncio.ensure_future(self._events(events, stop, style))
        await asyncio.wait([task])
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ProviderError | CompactionFailed):
            raise error

    async def _spoken(self, words: str) -> AsyncGenerator[Event]:
        async for _ in self.app.before_turn():
            pass
        async with aclosing(self.app.agent.turn(words)) as events:
            async for event in events:
                yield event

    async def _events(self, spoken: AsyncGenerator[Event], stop: Callable[[Event], bool] | None, style: str) -> None:
        task = asyncio.current_task()
        async with aclosing(spoken) as events:
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
            channel = on_its_line(self.app.session, self.app.agent.channel)
            self.runner.run(side_request(self.app.session, channel, instruction))

    def fault(self, fault: Fault) -> None:
        self.vendor.fault(replace(fault, message=PLANNED))

    @property
    def facts(self) -> Facts:
        """What the model must know."""
        return (self.seam.today(), self.app.model.name, self.rule, tuple(sorted(self.skills.items())))

    # ------------------------------------------------------------------------------------------------- epochs

    def compact(
        self, summaries: Sequence[Any] = (), stop: Callable[[Event], bool] | None = None, style: str = "cancel"
    ) -> int:
        """A person's `/compact`; gives how many compactions came of it. summaries: the model's answers."""
        self.model.summaries = list(summaries)
        self.runner.run(self._carried(self.app.compaction.compactor.run("asked for"), stop, style))
        return self.check(self.facts)

    def clear(self) -> None:
        self.app.session.heal()
        self.check()  # calls that were left open have got their results
        self.branch.reference.clear(self.rule)
        self.branch.begin_epoch()
        self.app.clear()
        self.check()

    def rewind(self, place: int) -> None:
        """To before any turn that there ever was. place: counted from the last one, round and round."""
        reference = self.branch.reference
        if (known := reference.known) != []:
            number = known[-1 - place % len(known)]
            reference.rewind(number)
            self.branch.begin_epoch()
            rewind.rewind(self.app.session, number)
        self.check()

    def undo(self) -> None:
        branch = self.branch
        if branch.reference.last is None:
            with contextlib.suppress(UsageError):
                raise AssertionError(f"undid {rewind.undo(self.app.session)}")
            return
        last = branch.reference.last
        branch.reference.undo(branch.standing)
        branch.begin_epoch()
        assert rewind.undo(self.app.session).seq == last
        self.check()

    def redo(self) -> None:
        branch = self.branch
        if not branch.reference.undone:
            with contextlib.suppress(UsageError):
                raise AssertionError(f"there again: {rewind.redo(self.app.session)}")
            return
        standing = branch.reference.redo()
        branch.begin_epoch()
        branch.standing = standing  # what was sent before the undo is sent again
        assert rewind.redo(self.app.session).seq == branch.reference.last
        self.check()

    # ------------------------------------------------------------------------------------------- the project

    def write_rules(self, text: str) -> None:
        self.rule += 1
        (self.project / "AGENTS.md").write_text(f"{text}\n{self._rule(self.rule)}\n")

    @staticmethod
    def _rule(number: int) -> str:
        return f"Rule number {number}."

    def write_skill(self, name: str, text: str | None, front: str = "") -> None:
        """Add or change a skill, or remove it."""
        folder = self.project / ".harness" / "skills" / name
        if text is None:
            shutil.rmtree(folder, ignore_errors=True)
            self.skills.pop(name, None)
            return
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "SKILL.md").write_text(f"---\nname: {name}\ndescription: {text}\n{front}---\nDo it.\n")
        self.skills[name] = text

    # ------------------------------------------------------------------------------------------------- facts

    def check(self, facts: Facts | None = None) -> int:
        """Every fact, for what is new since the last time; gives how many compactions there were.

        Args:
            facts: what a turn or a compaction had to tell; None where there can have been neither.
        """
        branch = self.branch
        records = self._check_journal()
        compactions = branch.reference.fold(records, facts, self.rule)
        assert list(self.app.session.history.seqs) == branch.reference.seqs
        ahead = branch.reference.states
        branch.summary, branch.contexts, branch.system = ahead.pop(0)
        for server, vendor in self.vendors.items():
            refused = [refusal for refusal in vendor.refused if PLANNED not in refusal.error]
            assert not refused, refused[0].error
            requests = vendor.requests
            for number in range(self.checked.get(server, 0), len(requests)):
                request, earlier = requests[number], requests[number - 1] if number else None
                if (delegate := self._asked_by(request)) is not None:
                    self._check_delegate(delegate, server, request)
                    continue
                self._settle(request, ahead)
                self._check_request(server, request, earlier)
            self.checked[server] = len(requests)
        for state in ahead:
            self._compacted(state)  # nothing was sent since
        agents = self.app.session.journal.folder / "agents"
        for record in records:
            if record["kind"] == "subagent" and (task := delegates.task_in(agents / record["data"]["child"])):
                delegates.check_counted(record["data"], self.delegates[task], self.billed)
        return compactions

    def _asked_by(self, request: Received) -> Delegate | None:
        """The sub-agent whose request it is; None where it is the session's own."""
        task = delegates.task_of(request.json)[0] if self.delegates else ""
        return self.delegates.get(task)

    def _settle(self, request: Received, ahead: list[State]) -> None:
        """Each request belongs to the conversation that its summary tells of."""
        summary = reading.summary(request)
        while summary != self.branch.summary and ahead:
            self._compacted(ahead.pop(0))
            reading.check_without_thinking(request)
        assert summary == self.branch.summary

    def _compacted(self, state: State) -> None:
        branch = self.branch
        branch.summary, branch.contexts, branch.system = state
        branch.begin_epoch()

    def _check_delegate(self, delegate: Delegate, server: str, request: Received) -> None:
        """Of a sub-agent: it goes on with what its caller sent, or begins behind the very same system blocks."""
        branch, line = self.branch, (server, request.wire, request.line)
        if not delegate.requests and delegate.context == "fork":
            delegate.summary, delegate.contexts = branch.summary, branch.contexts
            delegate.base = {line: branch.last[line]}
        before = delegate.take(line, request)
        self._check_frozen((server, request.wire, request.model), request)
        reading.check_markers(request)
        told = sum(one.kind == "context" for one in reading.read(request))
        assert delegate.contexts <= told <= delegate.contexts + delegate.continued, f"told {told} times: {delegate}"
        reading.check_conversation(request, told)
        # several that ask at once: nobody can tell which of them an engine worked on last
        held = None if request.contract == "slots" else before
        if held is not None and request.at - self.began_at < DAY:
            reading.check_nothing_is_read_twice(held, request)
        if request.kind == "side":
            reading.check_side(request)
        elif not reading.beyond_reach(request) and not self._never_told(server, request):
            assert request.read >= request.perfect_read, f"a sub-agent's request {request.index}: {request.explain}"

    def _check_frozen(self, model: Place, request: Received) -> None:
        branch = self.branch
        frozen = tuple(identity(block) for block in request.blocks if block.level != "messages")
        assert branch.frozen.setdefault((branch.system, model), frozen) == frozen, (
            "tools or system changed within the session"
        )
        words = reading.frozen_words(request)
        assert branch.words.setdefault(branch.system, words) == words, "models are sent other tools or system texts"
        assert self._rule(branch.system[1]) in words[1], "the system text is not of when it was frozen"

    def _check_request(self, server: str, request: Received, earlier: Received | None) -> None:
        """`earlier`: the request before it at its vendor, of whatever branch and line."""
        branch = self.branch
        line, model = (server, request.wire, request.line), (server, request.wire, request.model)
        before = branch.last.get(line)
        if before is not None and line in branch.standing:
            moved = first_moved(before, request)
            assert moved is None, str(moved)
        self._check_frozen(model, request)
        reading.check_markers(request)
        reading.check_conversation(request, branch.contexts)
        # an engine holds the last prompt that it worked on, and nothing older
        held = before
        if request.contract == "slots":
            # nobody can tell which of several that asked at once it worked on last
            held = None if earlier is not None and self._asked_by(earlier) else earlier
        # units may end where others do not: behind a parting there is no telling which
        told = line in branch.standing or request.contract != "units"
        if held is not None and told and request.at - self.began_at < DAY:
            reading.check_nothing_is_read_twice(held, request)
        if request.kind == "mainline":
            branch.last[line] = request
            branch.standing.add(line)
            # an expired line is marked at the end of the message before, too: another branch may read that, though no
            # request ended there
            note = f"request {request.index}: read {request.read}, perfect {request.perfect_read}: {request.explain}"
            if not reading.beyond_reach(request) and not self._never_told(server, request):
                assert request.read >= request.perfect_read, note
            alone = len(self.branches) == 1 and not self.delegates
            assert request.read <= request.perfect_read or not alone or branch.replaced, note
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

    def _check_journal(self) -> list[dict[str, Any]]:
        """What is new in it."""
        branch = self.branch
        raw = (self.app.session.journal.folder / "journal.jsonl").read_bytes()
        assert raw.startswith(branch.journal), "the journal changed something that was recorded"
        branch.journal = raw
        everything = [vendor.requests for vendor in self.vendors.values()]
        received = {request.message_id: (request, requests) for requests in everything for request in requests}
        self._check_journals_of_delegates(received)
        records = [json.loads(line) for line in raw[branch.parsed :].splitlines()]
        for record in records:
            self._judge(record, received)
        branch.parsed = len(raw)
        return records

    def _judge(
        self,
        record: dict[str, Any],
        received: Mapping[str, tuple[Received, Sequence[Received]]],
        *,
        at_once: bool = False,
    ) -> None:
        """What a record says of a bill. at_once: others may have asked at the same time."""
        data = record["data"]
        if record["kind"] != "response":
            return
        if "cached" in data:
            # no vendor saw it: nothing was read, written or paid
            assert (data["verdict"]["kind"], data["cost"], {*data["usage"].values()}) == ("response cache", 0.0, {0})
            self.served += 1
            return
        self.billed[data["message_id"]] += 1
        request, requests = received[data["message_id"]]
        reading.check_verdict(data, request, requests[: requests.index(request)], self.billed, at_once=at_once)

    def _check_journals_of_delegates(self, received: Mapping[str, tuple[Received, Sequence[Received]]]) -> None:
        for path in (self.app.session.journal.folder / "agents").glob("*/journal.jsonl"):
            begin = self.read_to[path] if path in self.read_to else delegates.born(path)
            if begin >= 0:
                for record in delegates.records(path, begin):
                    self._judge(record, received, at_once=True)
                self.read_to[path] = path.stat().st_size


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
