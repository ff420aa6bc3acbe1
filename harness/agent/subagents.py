"""Sub-agents: skills that are carried out in a session of their own, for one call of another.

Invariant: they share their caller's tools, system blocks, line and ledger, and never its rights beyond what its skill
names. Whatever becomes of one is a result of its call; the others go on. The caller's conversation gets the report and
nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from harness.agent import subagent_sessions
from harness.agent.auto_compaction import Compaction
from harness.agent.cache_warming import FirstCall, Key, Warming
from harness.agent.compaction import Compactor
from harness.agent.compaction_rules import CompactionConfig
from harness.agent.cut_turn import last_said
from harness.agent.delegation import LAST_WORDS, Delegation, briefing, of_skill, report, taken_over
from harness.agent.effort_change import settled
from harness.agent.fallback import Fallback
from harness.agent.loop import Agent, Call, ContextSource
from harness.agent.model_call import Channel, ModelCall
from harness.agent.policies import Repetition
from harness.agent.restriction import restricted
from harness.agent.resumption import rest_of_turn
from harness.agent.session import Session
from harness.agent.subagent_progress import Progressing
from harness.agent.tool_runner import Permit, ToolRunner
from harness.audit.report import as_typed, counted
from harness.audit.shared_ledger import AGENTS
from harness.audit.totals import Totals, read_totals, write_totals
from harness.conversation.blocks import Message, Text
from harness.conversation.events import (
    Event,
    SubAgentDone,
    Tell,
    TurnEnded,
)
from harness.errors import HarnessError, JournalError, UsageError
from harness.knowledge.skills import SkillText
from harness.providers.facts import Model
from harness.tools.base import Outcome, error
from harness.tools.output import Spill
from harness.workspace.paths import Workspace

DEPTH = 2
"""How deep sub-agents may call sub-agents: those of the session, and theirs."""
TOGETHER = 8
"""How many work at the same time."""
TURNS = 40
"""Model calls of one."""


@dataclass(slots=True)
class Caller:
    """Who calls sub-agents: a session's agent, or a sub-agent. depth: 0 for the session's own."""

    permit: Permit
    depth: int = 0
    skill: str = ""
    agent: Agent = field(init=False)

    @property
    def spill(self) -> Spill:
        """Where its whole outputs are kept."""
        return Spill(self.agent.session.journal.folder / "outputs")


@dataclass(frozen=True, slots=True)
class Kit:
    """What the program makes sub-agents of.

    channel: to a model by its name. runner: the tools of a session, for a model that is called by them. context: the
    facts that change, as a model is told them. max_turns: model calls of one. max_cost: USD of all of this run.
    fallback: the model that stands in where one fails for good; "" for none.
    """

    workspace: Workspace
    channel: Callable[[str], Channel]
    runner: Callable[[Session, Caller, Model], ToolRunner]
    context: Callable[[Model], ContextSource]
    compaction: CompactionConfig
    max_turns: int = TURNS
    max_cost: float | None = None
    fallback: str = ""


class SubAgents:
    """The sub-agents of one session, theirs included. `root`: the session."""

    def __init__(self, kit: Kit, root: Session) -> None:
        self.kit = kit
        self._root = root
        self._already = root.totals.cost
        self.warming = Warming()
        self._free = [asyncio.Semaphore(TOGETHER) for _ in range(DEPTH)]
        self.working: dict[str, tuple[Session, Totals]] = {}
        self.cut: dict[str, Path] = {}
        """By the id of its call, the folder of each that was cut off and is to go on."""

    def goes_on(self, caller: Caller, call_id: str) -> bool:
        """Whether a call that was cut off has a sub-agent; when it is run again, that one goes on where it was."""
        folder = subagent_sessions.of_call(caller.agent.session, call_id)
        if folder is not None:
            self.cut[call_id] = folder
        return folder is not None

    async def run(self, caller: Caller, call_id: str, delegation: Delegation, tell: Tell) -> Outcome:
        """Carry out a skill for one call; gives its report, or why there is none."""
        if caller.depth >= DEPTH:
            return error(f"refused: sub-agents call each other {DEPTH} deep at most; do it yourself, or report it")
        try:
            channel = self._channel(caller, delegation)
        except HarnessError as problem:
            return error(f"the skill {delegation.skill} was not run: {problem}")
        # one limit for each depth: who waits for its own sub-agents must not keep them waiting
        async with self._free[caller.depth]:
            work = _Work(self, caller, call_id, delegation, channel, tell)
            return await work.run()

    def _channel(self, caller: Caller, delegation: Delegation) -> Channel:
        """How its model is called: as its caller's, unless a fresh one names another."""
        own = caller.agent.channel
        if not delegation.model:
            return own
        if delegation.context == "fork":
            raise UsageError("`context: fork` goes on with the caller's model and cannot name another; use fresh")
        channel = self.kit.channel(delegation.model)
        if self.kit.max_cost is not None and channel.model.price is None:
            raise UsageError(f"--max-cost cannot be kept: the price of {channel.model.id} is unknown")
        return own if channel.model.id == own.model.id else channel

    def over(self) -> str:
        """Why no more money may be spent; "" where it may."""
        limit = self.kit.max_cost
        if limit is None:
            return ""
        parts = [spent.cost for spent in self._all_spent()]
        if self._already is None or any(part is None for part in parts):
            return "--max-cost cannot be checked: a price is unknown"
        spent = sum(part or 0.0 for part in parts) - self._already
        return f"--max-cost {as_typed(limit)} is reached, ${spent:.4f} spent" if spent >= limit else ""

    def _all_spent(self) -> list[Totals]:
        """Of the session, and of those at work, which it has not counted in yet."""
        working = [session.totals.since(before) for session, before in self.working.values()]
        return [self._root.totals, *working]


@dataclass(frozen=True, slots=True)
class Delegating:
    """How a caller has skills carried out; see `Delegate`. pool: of the session, which may not be there yet."""

    pool: Callable[[], SubAgents]
    caller: Caller

    def __call__(self, skill: SkillText, text: str, call_id: str, tell: Tell) -> Awaitable[Outcome] | None:
        """See `Delegate`."""
        delegation = of_skill(skill, text)
        return None if delegation is None else self.pool().run(self.caller, call_id, delegation, tell)

    def goes_on(self, call_id: str) -> bool:
        """See `Delegate`."""
        return self.pool().goes_on(self.caller, call_id)


@dataclass(slots=True)
class _Limits:
    """Ends a sub-agent at its turns, or where the money ends."""

    pool: SubAgents
    turns: int
    at_turns: bool = False

    def stop(self, session: Session, calls_made: int) -> str:  # noqa: ARG002 - the protocol's
        """See `Policy`."""
        self.at_turns = calls_made >= self.turns
        return f"its {self.turns} turns are over" if self.at_turns else self.pool.over()


class _Work:
    """One sub-agent, from its birth to its end."""

    def __init__(
        self, pool: SubAgents, caller: Caller, call_id: str, delegation: Delegation, channel: Channel, tell: Tell
    ) -> None:
        self._pool = pool
        self._kit = pool.kit
        self._caller = caller
        self._call_id = call_id
        self._delegation = delegation
        self._channel = channel
        self._tell = tell
        self._end: str = "failed"
        self._before = Totals()
        self._went_on = False
        self._first: ModelCall | None = None
        self._progress = Progressing(call_id, delegation.skill, tell)

    async def run(self) -> Outcome:
        """Work, and tell the caller's journal how it ended, however it did."""
        session: Session | None = None
        born, caller = False, self._caller.agent.session
        try:
            session = await self._opened()
            self._before = replace(session.totals)
            if self._went_on:
                # the skill may have changed meanwhile
                self._delegation = replace(self._delegation, context=session.born["context"])
            else:
                self._record_birth(session)
            born = True
            self._pool.working[session.journal.id] = (session, self._before)
            end = await self._worked(session)
            self._end = end.reason
            text, is_error = report(end, self._caller.spill)
            return Outcome((Text(text),), is_error, self._shown(session))
        except asyncio.CancelledError:
            self._end = "interrupted"
            raise
        except HarnessError as failure:
            return error(f"the sub-agent of {self._delegation.skill} failed: {failure}")
        except Exception as crash:  # noqa: BLE001 - a crash of one is a result of its call, and the others go on
            return error(f"the sub-agent of {self._delegation.skill} crashed: {self._keep_crash(crash)}")
        finally:
            if session is not None:
                self._pool.working.pop(session.journal.id, None)
                self._let_go(session, born=born)
                if born and caller.journal.owned:
                    self._ended(caller, session)

    async def _opened(self) -> Session:
        """Its session: where it was cut off, the one that it has."""
        folder = self._pool.cut.pop(self._call_id, None)
        self._went_on = folder is not None
        caller = self._caller.agent.session
        make = self._birth() if folder is None else partial(subagent_sessions.again, caller, folder)
        opening = asyncio.ensure_future(asyncio.to_thread(make))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            # a thread goes on to its end, and what it opened would stay locked
            with contextlib.suppress(HarnessError):
                self._let_go(await opening, born=self._went_on)
            raise

    def _let_go(self, session: Session, *, born: bool) -> None:
        """Close its session; one that was not born has nothing of its own."""
        session.close() if born else session.journal.remove()

    def _birth(self) -> Callable[[], Session]:
        """What makes a new session. Not on the disk yet: it is before its first request."""
        caller, channel = self._caller.agent.session, self._caller.agent.channel
        folder = caller.journal.folder / AGENTS / caller.seam.new_id()
        try:
            folder.parent.mkdir(mode=0o700, exist_ok=True)
        except OSError as problem:
            raise JournalError(f"cannot write {folder.parent}: {problem.strerror}") from problem
        if self._delegation.context == "fork":
            return partial(subagent_sessions.fork, caller, folder)
        effort = caller.efforts.of_line(channel.model.id) if channel.model is self._channel.model else None
        return partial(subagent_sessions.fresh, caller, folder, effort)

    def _record_birth(self, session: Session) -> None:
        skill, context = self._delegation.skill, self._delegation.context
        about = {"caller": self._caller.agent.session.journal.id, "call_id": self._call_id, "skill": skill}
        session.record("born", about | {"context": context, "before": write_totals(self._before)})
        own, state = self._caller.agent, self._caller.agent.session.fallback
        if state is not None and session.fallback is None and self._channel is own.channel:
            # it begins with the model that stands in; where that one fails, it goes back as its caller would
            session.record("fallback", state)

    async def _worked(self, session: Session) -> TurnEnded:
        """Let it work to its end."""
        delegation, kit = self._delegation, self._kit
        permit = restricted(self._caller.permit, delegation.skill, delegation.allowed, kit.workspace)
        me = Caller(permit, self._caller.depth + 1, delegation.skill)
        had = session.totals.since(read_totals(session.born["before"])).own
        limits = _Limits(self._pool, max(1, kit.max_turns - had))
        runner = kit.runner(session, me, self._channel.model)
        agent = Agent(session, self._channel, runner, kit.context(self._channel.model), (Repetition(), limits))
        me.agent = agent
        words = briefing(delegation, me.spill)
        standing = words if delegation.context == "fork" else ""
        compactor = Compactor(agent, lambda: session.prefix, standing)
        fallback = Fallback(agent, kit.fallback, lambda name: self._use(me, name), self._call, "until it ends")
        agent.call = Compaction(agent, compactor, kit.compaction, fallback.call).call
        if self._went_on and session.fallback is not None and session.requests.last_model == kit.fallback:
            self._use(me, kit.fallback)  # it was told that model, and no other
        end = await self._progress.watched(self._begun(agent, words))
        if end.reason == "limit" and limits.at_turns:
            return replace(end, text=await self._last_words(agent, fallback) or end.text)
        return end

    def _begun(self, agent: Agent, words: str) -> AsyncGenerator[Event]:
        calls = agent.session.history.open_calls()
        fork = self._delegation.context == "fork"
        # facts may have been told before the kill, and the task not
        briefed = all(call.id != self._call_id for call in calls) if fork else last_said(agent.session) is not None
        if self._went_on and briefed:
            return rest_of_turn(agent)
        if not fork:
            return agent.turn(words)
        agent.session.add(taken_over(calls, self._call_id, words))
        return agent.go_on()

    async def _last_words(self, agent: Agent, fallback: Fallback) -> str:
        """A report, asked of one that has no turns left."""
        agent.session.add(Message("program", (Text(LAST_WORDS),)))
        call = fallback.call(agent)
        await self._progress.watched(call.run())
        return call.answer.text

    def _use(self, me: Caller, name: str) -> None:
        """Go on with another model."""
        agent, kit = me.agent, self._kit
        agent.channel = self._channel = kit.channel(name)
        agent.runner, agent.context = (
            kit.runner(agent.session, me, self._channel.model),
            kit.context(self._channel.model),
        )
        if self._progress.first_read is None:
            # its first answer is still to come: on that line, too, one goes first
            self._first = None

    def _call(self, agent: Agent) -> Call:
        """Its next model call; the first one waits for who warms what it reads."""
        agent.channel = settled(agent.session, agent.channel)
        if self._first is not None:
            return ModelCall(agent.session, agent.channel)
        first = FirstCall(agent, self._pool.warming, self._shared(agent))
        self._first = first.call
        return first

    def _shared(self, agent: Agent) -> Key:
        """What its first request has in common with those of others, and the caller's."""
        session, channel = agent.session, agent.channel
        line = channel.line.key
        if self._delegation.context == "fork":
            sent, _ = session.declared(channel.line)
            if sent is not None:
                return line, sent.head
        return line, session.project(channel.model.id, channel.provider).prefix.session_digest

    def _shown(self, session: Session) -> str:
        return f"{self._end} after {counted(session.totals.since(self._before).requests, 'request')}"

    def _ended(self, caller: Session, session: Session) -> None:
        """Count it in with its caller, and say so."""
        spent = subagent_sessions.uncounted(caller, session)
        expected = self._first.expected if self._first else None
        delegation, model = self._delegation, self._channel.model.id
        first = {"read": self._progress.first_read, "expected": expected}
        about = {"child": session.journal.id, "call_id": self._call_id, "skill": delegation.skill}
        how = {"context": delegation.context, "model": model, "end": self._end, "first": first}
        caller.record("subagent", about | how | write_totals(spent))
        ends = (self._end, spent.requests, spent.usage, spent.cost, self._progress.first_read, expected)
        self._tell(SubAgentDone(self._call_id, session.journal.id, delegation.skill, delegation.context, model, *ends))

    def _keep_crash(self, crash: Exception) -> str:
        """What went wrong, and where all of it is."""
        text = "".join(traceback.format_exception(crash))
        try:
            return f"{crash!r:.300}; see {self._caller.spill.keep(text.encode('utf-8', 'replace'))}"
        except OSError as problem:
            return f"{crash!r:.300} (and that could not be kept: {problem.strerror})"
