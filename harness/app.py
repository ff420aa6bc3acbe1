"""The only place where the parts are wired together.

Invariant: nothing below this file reaches for a part by itself; everything is given here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from harness.agent import effort_change
from harness.agent.auto_compaction import Compaction
from harness.agent.checkpoints import Checkpoints, SnapshotStore, open_store
from harness.agent.compaction import Compactor
from harness.agent.compaction_rules import CompactionConfig
from harness.agent.delegation import of_skill
from harness.agent.fallback import Fallback
from harness.agent.gate import Gate
from harness.agent.main_agent import MainAgent
from harness.agent.model_call import Channel
from harness.agent.model_channels import ModelChannels
from harness.agent.policies import MaxCost, MaxTurns, Policy, Repetition
from harness.agent.session import Session
from harness.agent.session_facts import SessionFacts
from harness.agent.session_opening import SessionOpening
from harness.agent.skill_calls import SkillCalls
from harness.agent.subagents import TURNS, Caller, Delegating, Kit, SubAgents
from harness.agent.tool_runner import ToolRunner
from harness.agent.web_access import web_tools
from harness.agent.workspace_tools import workspace_tools
from harness.audit.book import Book, read_book
from harness.caches.run import Caches
from harness.config import config_dir, load, state_dir
from harness.conversation.events import Ask, AskPermission, Event, Notice, Question
from harness.conversation.request import FrozenPrefix
from harness.errors import SkillError, UsageError
from harness.knowledge import project, skills
from harness.knowledge.run_memory import RunMemory
from harness.options import Options
from harness.prompt.layers import static_text
from harness.prompt.prefix import assemble
from harness.prompt.sources import session_layers
from harness.providers.facts import Model
from harness.seam import Seam
from harness.sessions.store import Store
from harness.tools import ask_user, checkpoint, invoke_skill
from harness.tools.base import Effect, NothingSeen, Seen, Tool, definition
from harness.tools.output import Spill
from harness.workspace.paths import Workspace
from harness.workspace.permissions import parse_rules


def room(model: Model, used: int) -> int:
    """Bytes that the results of one answer may add where that many tokens of a model's window are used.

    They fit: every known tokenizer needs more than two bytes a token (`agent.compaction_tail`).
    """
    return 2 * (model.window - used)


class App:
    """One run of the program: settings, session and agent. `close` it.

    Raises:
        HarnessError: a setting, the key, the model or the state folder is wrong; each says what to do.
    """

    def __init__(self, options: Options, seam: Seam, ask: Ask, ask_permission: AskPermission | None = None) -> None:
        self._options = options
        self._seam = seam
        environment = seam.environment()
        self.root = project.find_root(options.cwd)
        default_mode = "ask" if ask_permission else "edit"
        self.config = load(environment, options.cwd, self.root, options.settings, default_mode)
        self._config_dir = config_dir(environment)
        self.home, self.state = seam.home(), state_dir(environment)
        self.store = Store(self.state)
        self.memory = RunMemory(self.root, self._config_dir)
        self.skills = skills.Skills(
            self.root, self._config_dir, self.home, lambda skill: self.memory.filled(skill, self.session.journal.id)
        )
        self._workspace = Workspace(
            self.root, options.add_dirs, options.cwd, self.home, self.memory.personal(self.home)
        )
        self._gate = Gate(self.config.permission_mode, parse_rules(self.config.allow), self._workspace, ask_permission)
        self.ask = ask
        self._person = ask_permission is not None
        self._asking = asyncio.Lock()
        mode = self.config.permission_mode
        self._facts = SessionFacts(options, mode, self.root, self._config_dir, seam, self.skills, self.memory)
        # what needs no session first: a wrong model or a missing key leaves no trace
        self._caches = Caches(self.config, seam, self.state, lambda: self.session.journal.folder, fresh=options.fresh)
        self._channels = ModelChannels(options, self.config, self._config_dir, seam, self._caches)
        self._opening = SessionOpening(options, self.config, self.root, self.store, seam, self._channels, self._freeze)
        self.session, self.model = self._opening.open()
        self._effort_asked = options.effort if self.session.requests.last_model else None
        try:
            self.checkpoints = Checkpoints(self.session, self._snapshots(), self._caches.outputs.drop)
            self._caller = Caller(self.checkpoints.guard(self._gate.permit))
            self.agent = self._caller.agent = self._agent()
            self.sub_agents = SubAgents(self._kit(), self.session)
            self._fallback = Fallback(self.agent, self._stand_in, self._use)
            compactor = Compactor(self.agent, self._freeze)
            self.compaction = Compaction(self.agent, compactor, CompactionConfig.of(self.config), self._fallback.call)
            self.agent.call = self.compaction.call
            self._begin()
        except BaseException:
            self._let_go()
            raise

    @property
    def unknown_models(self) -> Iterator[str]:
        """What to know of the model in use and of its fallback, where the catalog does not have them."""
        return self._channels.unknown(self.model)

    @property
    def _stand_in(self) -> str:
        """The id of the fallback model; "" for none."""
        return self._channels.fallback.id if self._channels.fallback else ""

    def _freeze(self) -> FrozenPrefix:
        tools = [definition(tool.spec) for tool in self._tools(NothingSeen(), Spill(Path()), Caller(self._gate.permit))]
        where = (self.root, self._options.cwd, self._config_dir)
        layers = session_layers(*where, self.skills.discover(), self.memory.read())
        return assemble(tools, static_text(), layers)

    def _begin(self) -> None:
        """What the flags change in a session that goes on, and what is wrong with them before anything is sent."""
        if self._channels.fallback is not None:
            self._channels.reach(self._channels.fallback)
        if self._options.model is not None:
            self._fallback.end("--model was given")
        if self._effort_asked is not None:
            effort_change.check(self.model, self._effort_asked)

    async def before_turn(self) -> AsyncIterator[Event]:
        """What comes before a turn of the person: a change that waits for their word, a model that stood in."""
        for line in self._fallback.begin_turn():
            yield Notice(line)
        if self._effort_asked is not None:
            level, self._effort_asked = self._effort_asked, None
            try:
                line = await self.change_effort(level)
            except UsageError as unknown:
                line = str(unknown)  # the model was switched since the flag was checked; the words are not lost for it
            if line:
                yield Notice(line)

    async def change_effort(self, level: str) -> str:
        """Go on with another effort, in the way that costs least; what is paid for is asked first, where a person is.

        Gives one line that says what was done; "" where there was nothing to do.

        Raises:
            UsageError: the model in use does not have it.
        """
        # without a person, the flag is their word
        return await effort_change.change(self.session, self.agent.channel, level, self.ask if self._person else None)

    @property
    def effort(self) -> str:
        """The effort of the model in use, and what is wanted besides."""
        found, wanted = effort_change.in_force(self.session, self.model), self.session.efforts.wanted
        waits = f"; {wanted} from the next compaction on" if wanted not in (None, found) else ""
        return (found or "the model's default") + waits

    def switch(self, name: str) -> None:
        """Go on with another model, between two turns; the model left behind keeps its line, and its cache lives on.

        Raises:
            HarnessError: the model, its provider or its key is not there; nothing has changed then.
        """
        self._use(name)
        self._fallback.end("the person chose a model")

    def book(self) -> Book:
        """What the session read and what it cost so far, from its journal."""
        return read_book(self.session.journal.records(), self._channels.catalog.find)

    def _use(self, name: str) -> None:
        model = self._channels.catalog.find(name)
        self._channels.keep(self.agent.channel)
        channel = self._channels.to(model, self.session)
        self.model = model
        self.agent.channel, self.agent.context = channel, self._facts.of(model)
        self.agent.runner = self._runner()  # another key to hide from its tools

    def _snapshots(self) -> SnapshotStore:
        """Where the files of this workspace are saved; nowhere where the person wants none."""
        if self._options.no_session or not self.config.snapshots_enabled:
            off = "--no-session was given" if self._options.no_session else "the setting snapshots.enabled is false"
            return SnapshotStore(None, self.state, off, quiet=True)
        return open_store(self.root, self.home, self.state, self._seam.environment().get("PATH", ""))

    def _agent(self) -> MainAgent:
        session = self.session
        channel = self._channels.to(self.model, self.session)
        spill = Spill(session.journal.folder / "outputs")
        calls = SkillCalls(self.skills, self.ask, lambda: room(self.model, session.requests.last_prompt), spill)
        given = (session, channel, self._runner(), self._facts.of(self.model), self._policies())
        return MainAgent(*given, checkpoints=self.checkpoints, skill_calls=calls)

    def clear(self) -> None:
        """Begin again with an empty conversation in the same session; rules, skills and version as they are today.

        What was said stays in the journal.
        """
        self.session.heal()
        self.session.begin_epoch("clear", [], self._freeze())

    def _runner(self) -> ToolRunner:
        return self._runner_of(self.session, self._caller, self.model)

    def _runner_of(self, session: Session, caller: Caller, model: Model) -> ToolRunner:
        """The tools of the session, or of a sub-agent."""
        spill = Spill(session.journal.folder / "outputs")
        tools = self._tools(session.seen, spill, caller)
        return ToolRunner(session, tools, caller.permit, spill, lambda used: room(model, used))

    def _kit(self) -> Kit:
        """What sub-agents are made of."""
        return Kit(
            workspace=self._workspace,
            channel=self._channel_to,
            runner=self._runner_of,
            context=self._facts.of,
            compaction=CompactionConfig.of(self.config),
            max_turns=min(TURNS, self._options.max_turns or TURNS),
            max_cost=self._options.max_cost,
            fallback=self._stand_in,
        )

    def _channel_to(self, name: str) -> Channel:
        """The channel to a model for a sub-agent."""
        model, own = self._channels.catalog.find(name), self.agent.channel
        return own if model.id == own.model.id else self._channels.to(model, self.session)

    def _policies(self) -> Sequence[Policy]:
        policies: list[Policy] = [Repetition()]
        if self._options.max_turns is not None:
            policies.append(MaxTurns(self._options.max_turns))
        if self._options.max_cost is not None:
            policies.append(MaxCost(self._options.max_cost, self.session.totals.cost or 0.0))
        return policies

    def _tools(self, seen: Seen, spill: Spill, caller: Caller) -> list[Tool]:
        workspace, environment, outputs = self._workspace, self._seam.environment(), self._caches.outputs
        timeout, vet = self.config.shell_timeout, self.memory.vet
        given = (workspace, environment, seen, spill)
        here = workspace_tools(*given, secrets=self._channels.secrets, shell_timeout=timeout, vet=vet, outputs=outputs)
        return [
            *here,
            ask_user.make(self._question(caller.skill)),
            checkpoint.make(workspace, lambda: self.checkpoints),
            invoke_skill.make(self._skill, Delegating(lambda: self.sub_agents, caller), self._effect_of),
            *web_tools(self.config, environment, spill, outputs),
        ]

    async def _skill(self, name: str) -> skills.SkillText:
        return await self.agent.skill_calls.by_model(name)

    def _effect_of(self, name: str) -> Effect:
        """What a call of a skill may change."""
        try:
            delegation = of_skill(self.skills.load(name), "")
        except SkillError:
            return "none"
        effect = delegation.effect if delegation else "none"
        return "agent" if effect == "process" and self.config.permission_mode == "plan" else effect

    def _question(self, skill: str) -> ask_user.Ask:
        """Asks the person, one question at a time. skill: of the sub-agent that asks; "": the model does."""
        title = f"The sub-agent {skill} asks:" if skill else Question("").title

        async def ask(text: str, options: tuple[str, ...]) -> str | None:
            async with self._asking:
                return await self.ask(Question(text, options, title))

        return ask

    async def close(self) -> None:
        """Let go of connections and of the session; a session that was not wanted is removed."""
        try:
            await self.checkpoints.close()
            self._channels.keep(self.agent.channel)
            await self._channels.close()
            await self.session.sync()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._caches.close()
        self._opening.let_go(self.session)
