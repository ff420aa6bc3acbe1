"""The only place where the parts are wired together.

Invariant: nothing below this file reaches for a part by itself; everything is given here.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from harness import __version__
from harness.agent import settings, subagent_sessions
from harness.agent.auto_compaction import Compaction
from harness.agent.checkpoints import Checkpoints, SnapshotStore, open_store
from harness.agent.compaction import Compactor
from harness.agent.compaction_rules import CompactionConfig, most_output
from harness.agent.delegation import of_skill
from harness.agent.fallback import Fallback
from harness.agent.gate import Gate
from harness.agent.loop import ContextSource
from harness.agent.policies import MaxCost, MaxTurns, Policy, Repetition
from harness.agent.session import Session
from harness.agent.skill_calls import SkillCalls, SkilledAgent
from harness.agent.subagents import TURNS, Caller, Delegating, Kit, SubAgents
from harness.agent.tool_runner import ToolRunner
from harness.agent.turn import Channel
from harness.agent.web_access import search_variable, web_tools
from harness.agent.workspace_tools import workspace_tools
from harness.audit.book import Book, read_book
from harness.caches.run import Caches
from harness.config import config_dir, load, state_dir
from harness.conversation.blocks import Message
from harness.conversation.canonical import Json, digest
from harness.conversation.events import Ask, AskPermission, Event, Notice, Question
from harness.conversation.request import FrozenPrefix, Line
from harness.errors import SkillError, StorageFull, UsageError
from harness.knowledge import memory, project, skills
from harness.knowledge.run_memory import RunMemory
from harness.prompt.context import Facts, context_message
from harness.prompt.layers import static_text
from harness.prompt.prefix import assemble
from harness.prompt.sources import session_layers
from harness.providers import connect
from harness.providers.base import Access
from harness.providers.catalog import Catalog, Model
from harness.providers.keys import variables_to_hide
from harness.providers.retry import RetryPolicy
from harness.seam import Seam
from harness.sessions.store import Store
from harness.tools import ask_user, checkpoint, invoke_skill
from harness.tools.base import Effect, NothingSeen, Seen, Tool, definition
from harness.tools.output import Spill
from harness.workspace.paths import Workspace
from harness.workspace.permissions import Mode, parse_rules


def room(model: Model, used: int) -> int:
    """Bytes that the results of one answer may add where that many tokens of a model's window are used."""
    return 2 * (model.window - used)


@dataclass(frozen=True, slots=True)
class Options:
    """What one run was asked for on the command line. None: not given.

    from_elsewhere: a person said that the session's owner on another machine is gone.
    """

    cwd: Path
    add_dirs: tuple[Path, ...] = ()
    resume: str | None = None
    continue_last: bool = False
    fork: bool = False
    from_elsewhere: bool = False
    no_session: bool = False
    model: str | None = None
    fallback_model: str | None = None
    effort: str | None = None
    permission_mode: str | None = None
    allow: tuple[str, ...] = ()
    max_turns: int | None = None
    max_cost: float | None = None
    strict_prefix: bool = False
    min_cache_hit: float | None = None
    response_cache: str | None = None
    fresh: bool = False


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
        flags = {
            "model": options.model,
            "fallback_model": options.fallback_model,
            "effort": options.effort,
            "permission_mode": options.permission_mode,
            "allow": options.allow or None,
            "min_cache_hit": options.min_cache_hit,
            "caches_responses": options.response_cache,
        }
        default_mode = "ask" if ask_permission else "edit"
        self.config = load(environment, options.cwd, self.root, flags, default_mode)
        self._config_dir = config_dir(environment)
        self.home, self.state = seam.home(), state_dir(environment)
        self.store = Store(self.state)
        self.kept = RunMemory(self.root, self._config_dir)
        self.skills = skills.Skills(
            self.root, self._config_dir, self.home, lambda skill: self.kept.filled(skill, self.session.journal.id)
        )
        self._workspace = Workspace(self.root, options.add_dirs, options.cwd, self.home, self.kept.personal(self.home))
        mode = cast("Mode", self.config.permission_mode)
        self._gate = Gate(mode, parse_rules(self.config.allow), self._workspace, ask_permission)
        self._temporary: Path | None = None
        self._channels: dict[str, Channel] = {}
        self.ask = ask
        self._person = ask_permission is not None
        # what needs no session first: a wrong model or a missing key leaves no trace
        self._caches = Caches(self.config, seam, self.state, lambda: self.session.journal.folder, fresh=options.fresh)
        self._catalog = Catalog.load(self._config_dir)
        self.model = self._catalog.find(self.config.model)
        self._secrets: set[str] = set(self._key_variables())
        self._fallback_model = self._catalog.find(self.config.fallback_model) if self.config.fallback_model else None
        self.session = self._open()
        self.checkpoints = Checkpoints(self.session, self._snapshots(), self._caches.outputs.drop)
        self._caller = Caller(self.checkpoints.guard(self._gate.permit))
        self._asking = asyncio.Lock()
        try:
            self.agent = self._caller.agent = self._agent()
            self.sub_agents = SubAgents(self._kit(), self.session)
            self._fallback = Fallback(self.agent, self._fallback_model.id if self._fallback_model else "", self._use)
            compactor = Compactor(self.agent, self._freeze)
            self.compaction = Compaction(self.agent, compactor, CompactionConfig.of(self.config), self._fallback.call)
            self.agent.call = self.compaction.call
            self._begin()
        except BaseException:
            self._let_go()
            raise

    def _reach(self, model: Model) -> Access:
        """Address and key of a model's vendor; the key is hidden from tools from now on."""
        environment = self._seam.environment()
        reached = connect.access(model, self.config.providers, environment)
        self._secrets.update(variables_to_hide(reached.key, (), environment))
        return reached

    def _key_variables(self) -> list[str]:
        """The variables that are said to hold a key, whatever their names look like."""
        settings = [vendor.api_key_env for vendor in self.config.providers.values() if vendor.api_key_env]
        settings += [search_variable(self.config)] if search_variable(self.config) else []
        return settings + [self._catalog.profile(name).key_env for name in self._catalog.profiles()]

    def _open(self) -> Session:
        options, seam, store = self._options, self._seam, self.store
        if not options.continue_last and options.resume is None:
            self._check_price()
            self._reach(self.model)
            return Session.create(self._new_folder(store), seam, self._freeze(), self._about())
        folder = store.latest(self.root) if options.resume is None else store.to_go_on(options.resume)
        if options.fork:
            # never owned: it may be in use
            session = Session.fork_of(folder, store.folder(seam.new_id()), seam)
        else:
            session = Session.resume(folder, seam, from_elsewhere=options.from_elsewhere)
        try:
            subagent_sessions.recover(session)
            # without the flag, a session keeps the person's model, whatever stood in for it
            if session.last_model and options.model is None:
                last = session.fallback["model"] if session.fallback else session.last_model
                self.model = self._catalog.find(last)
            self._check_price()
            self._reach(self.model)
        except BaseException:
            session.close()
            if options.fork:
                session.journal.remove()
            raise
        return session

    def _new_folder(self, store: Store) -> Path:
        if not self._options.no_session:
            return store.folder(self._seam.new_id())
        try:
            self._temporary = Path(tempfile.mkdtemp(prefix="harness-"))
        except OSError as error:
            raise StorageFull(f"cannot make a temporary folder: {error.strerror}; set TMPDIR") from error
        return self._temporary / self._seam.new_id()

    def _about(self) -> dict[str, Json]:
        """What is frozen with the session besides its prefix."""
        return {
            "version": __version__,
            "cwd": str(self._options.cwd),
            "root": str(self.root),
            "cache": {"enabled": self.config.cache_enabled, "ttl": self.config.cache_ttl},
            "effort": self.config.effort,
            # shared by the sessions of one workspace, whose opening is the same; a digest, for it is sent
            "cache_key": "harness-" + digest(str(self.root).encode("utf-8", "surrogateescape"))[:24],
        }

    def _freeze(self) -> FrozenPrefix:
        tools = [definition(tool.spec) for tool in self._tools(NothingSeen(), Spill(Path()), Caller(self._gate.permit))]
        where = (self.root, self._options.cwd, self._config_dir)
        layers = session_layers(*where, self.skills.discover(), self.kept.read())
        return assemble(tools, static_text(), layers)

    def _check_price(self) -> None:
        for model in (self.model, self._fallback_model):
            if self._options.max_cost is not None and model is not None and model.price is None:
                raise UsageError(
                    f"--max-cost cannot be kept: the price of {model.id} is unknown; choose another --model"
                )

    def _begin(self) -> None:
        """What the flags change in a session that goes on, and what is wrong with them before anything is sent."""
        if self._fallback_model is not None:
            self._reach(self._fallback_model)
        if self._options.model is not None:
            self._fallback.end("--model was given")
        self._effort_asked = self._options.effort if self.session.last_model else None
        if self._effort_asked is not None:
            settings.check(self.model, self._effort_asked)

    async def before_turn(self) -> AsyncIterator[Event]:
        """What comes before a turn of the person: a change that waits for their word, a model that stood in."""
        for line in self._fallback.begin_turn():
            yield Notice(line)
        if self._effort_asked is not None:
            level, self._effort_asked = self._effort_asked, None
            if line := await self.change_effort(level):
                yield Notice(line)

    async def change_effort(self, level: str) -> str:
        """Go on with another effort, in the way that costs least; what is paid for is asked first, where a person is.

        Gives one line that says what was done; "" where there was nothing to do.

        Raises:
            UsageError: the model in use does not have it.
        """
        # without a person, the flag is their word
        return await settings.change(self.session, self.agent.channel, level, self.ask if self._person else None)

    @property
    def effort(self) -> str:
        """The effort of the model in use, and what is wanted besides."""
        found, wanted = settings.in_force(self.session, self.model), self.session.efforts.wanted
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
        return read_book(self.session.journal.records(), self._catalog.find)

    def _use(self, name: str) -> None:
        model = self._catalog.find(name)
        self._channels[self.agent.channel.model.id] = self.agent.channel  # or a second client for it is never closed
        channel = self._channels.get(model.id) or self._channel(model)
        self._channels[model.id] = channel
        self.model = model
        self.agent.channel = channel
        self.agent.runner = self._runner()  # another key to hide from its tools

    def _channel(self, model: Model) -> Channel:
        config, about = self.config, self.session.about
        cache, cache_key = about["cache"], about.get("cache_key", "")
        provider = connect.provider(model, self._reach(model), cache_key, self._seam, config.idle_timeout)
        ttl = connect.ttl_for(model, cache["ttl"])
        born_with = connect.settings(model, self.session.efforts.of_line(model.id), cache_key, ttl)
        return Channel(
            provider=self._caches.around(provider, model),
            model=model,
            line=Line(model.wire, provider.base_url, model.name, born_with),
            max_tokens=min(model.max_output, config.max_output_tokens or most_output(model.window)),
            retry=RetryPolicy(retries=config.max_retries),
            cache=cache["enabled"],
            ttl=ttl,
            strict_prefix=self._options.strict_prefix,
            diagnostics=connect.diagnoses(model, provider.base_url),
        )

    def _snapshots(self) -> SnapshotStore:
        """Where the files of this workspace are saved; nowhere where the person wants none."""
        environment, state = self._seam.environment(), state_dir(self._seam.environment())
        if self._options.no_session or not self.config.snapshots_enabled:
            off = "--no-session was given" if self._options.no_session else "the setting snapshots.enabled is false"
            return SnapshotStore(None, state, off, quiet=True)
        return open_store(self.root, self._seam.home(), state, environment.get("PATH", ""))

    def _agent(self) -> SkilledAgent:
        session = self.session
        channel = self._channel(self.model)
        runner, policies = self._runner(), self._policies()
        spill = Spill(session.journal.folder / "outputs")
        calls = SkillCalls(self.skills, self.ask, lambda: room(self.model, session.last_prompt), spill)
        return SkilledAgent(
            session, channel, runner, self._context, policies, checkpoints=self.checkpoints, skill_calls=calls
        )

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
            context=self._context_of,
            compaction=CompactionConfig.of(self.config),
            max_turns=min(TURNS, self._options.max_turns or TURNS),
            max_cost=self._options.max_cost,
            fallback=self._fallback_model.id if self._fallback_model else "",
        )

    def _channel_to(self, name: str) -> Channel:
        """The channel to a model for a sub-agent."""
        model, own = self._catalog.find(name), self.agent.channel
        if model.id == own.model.id:
            return own
        return self._channels.setdefault(model.id, self._channels.get(model.id) or self._channel(model))

    def _policies(self) -> Sequence[Policy]:
        policies: list[Policy] = [Repetition()]
        if self._options.max_turns is not None:
            policies.append(MaxTurns(self._options.max_turns))
        if self._options.max_cost is not None:
            policies.append(MaxCost(self._options.max_cost, self.session.totals.cost or 0.0))
        return policies

    def _tools(self, seen: Seen, spill: Spill, caller: Caller) -> list[Tool]:
        workspace, environment, outputs = self._workspace, self._seam.environment(), self._caches.outputs
        timeout, vet = self.config.shell_timeout, self.kept.vet
        given = (workspace, environment, seen, spill)
        here = workspace_tools(*given, secrets=self._secrets, shell_timeout=timeout, vet=vet, outputs=outputs)
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

    def _context(self, told: Mapping[str, Json]) -> tuple[Message, Mapping[str, Json]] | None:
        return self._context_of(self.model)(told)

    def _context_of(self, model: Model) -> ContextSource:
        """The facts that change, as a model is told them."""
        return lambda told: self._facts(model, told)

    def _facts(self, model: Model, told: Mapping[str, Json]) -> tuple[Message, Mapping[str, Json]] | None:
        index = self.skills.discover()
        rules = project.rule_files(self.root, self._options.cwd)
        kept, titles = memory.known(self.kept.read())
        facts = Facts(
            today=self._seam.today(),
            model=model.name,
            os=self._seam.os_name(),
            cwd=str(self._options.cwd),
            mode=self.config.permission_mode,
            dirs=tuple(str(path) for path in self._options.add_dirs),
            rules={rule.path: rule.sha256 for rule in rules},
            skills=skills.digests(index),
            memory=kept,
        )
        message = context_message(facts, told, {skill.name: skill.description for skill in index.listed} | titles)
        return None if message is None else (message, facts.to_json())

    async def close(self) -> None:
        """Let go of connections and of the session; a session that was not wanted is removed."""
        try:
            await self.checkpoints.close()
            for channel in {**self._channels, self.model.id: self.agent.channel}.values():
                await channel.provider.close()
            await self.session.sync()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._caches.close()
        if self.session.untouched:
            self.session.journal.remove()
        self.session.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
