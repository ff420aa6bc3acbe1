"""Model calls that compact first where it is due, and again where a call finds that the window is full.

Invariant: it never compacts twice without progress: after a compaction the conversation must have grown by half before
the next one is due, and an overflow that a compaction did not cure is an error.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing

from harness.agent.compaction import Compactor
from harness.agent.compaction_rules import AFTER, CompactionConfig, cost_due, idle_delay, idle_pays, window_limit
from harness.agent.loop import Agent, Call
from harness.agent.model_call import Answer
from harness.agent.requests import Requests
from harness.conversation.blocks import Message, Text
from harness.conversation.events import Event, Notice
from harness.errors import CompactionFailed, ContextOverflow, HarnessError, ProviderError

MakeCall = Callable[[Agent], Call]
Steps = Generator[AsyncGenerator[Event], None, None]
"""What is done one after the other; the failure of a step is raised where it was given."""
GO_ON = "Your answer was cut off, because the window was full. It was compacted; go on."


class Compaction:
    """When the agent's conversation is compacted. Give its `call` to the agent."""

    def __init__(self, agent: Agent, compactor: Compactor, config: CompactionConfig, inner: MakeCall) -> None:
        self._agent = agent
        self._config = config
        self.inner = inner
        self.compactor = compactor
        self._idle_after = -1.0
        """Start of the request after which an idle compaction was tried: once is enough."""

    def call(self, agent: Agent) -> Call:
        """See `Agent.call`."""
        return _Compacting(self, agent) if self._config.enabled else self.inner(agent)

    def due(self) -> str:
        """Why a compaction is due before the next call; "" where none is."""
        session, channel = self._agent.session, self._agent.channel
        prompt = session.requests.last_prompt
        if not _has_grown(session.requests):
            return ""
        if prompt >= window_limit(channel.model.window, self._config.share, channel.max_tokens):
            return f"window: {prompt:,} of {channel.model.window:,} tokens"
        beyond = sum(max(0, one - AFTER) for one in session.requests.prompts)
        if 0 < self._config.cost_from <= prompt and cost_due(channel.model.price_for(prompt), beyond, prompt):
            return f"cost: reading {prompt:,} tokens again and again has cost what a compaction does"
        return ""

    def idle_delay(self) -> float | None:
        """Seconds until an idle compaction should begin; None where none should."""
        session, channel = self._agent.session, self._agent.channel
        config = self._config
        if not (config.enabled and config.idle and channel.cache and _has_grown(session.requests)):
            return None
        prompt = session.requests.last_prompt
        if prompt < config.idle_from:
            return None
        ttl = channel.ttl if channel.model.rules.max_markers else channel.model.rules.default_ttl
        if not idle_pays(channel.model.price_for(prompt), prompt, config.returns, ttl):
            return None
        started = session.requests.last.get("started", 0.0)
        return None if started == self._idle_after else idle_delay(ttl, session.seam.now() - started, config.margin)

    async def idle(self) -> AsyncGenerator[Event]:
        """Compact because nobody is there; one that fails is said and changes nothing."""
        self._idle_after = self._agent.session.requests.last.get("started", 0.0)
        try:
            async with aclosing(self.compactor.run("idle: before the cache expires")) as events:
                async for event in events:
                    yield event
        except (CompactionFailed, ProviderError) as error:
            yield Notice(f"idle compaction left out: {error}")


def _has_grown(requests: Requests) -> bool:
    """Whether there is anything that the last compaction did not deal with already."""
    if not requests.replaced.startswith("compaction"):
        return requests.last_prompt > 0
    return bool(requests.prompts) and requests.last_prompt > requests.prompts[0] * 3 // 2


class _Compacting:
    """One model call, with a compaction before it where one is due."""

    def __init__(self, compaction: Compaction, agent: Agent) -> None:
        self._compaction = compaction
        self._agent = agent
        self._call: Call | None = None

    @property
    def answer(self) -> Answer:
        """See `Call`."""
        return self._call.answer if self._call else Answer(None, "")

    async def run(self) -> AsyncGenerator[Event]:
        """See `Call`."""
        steps, failure = self._steps(), None
        while True:
            try:
                step = next(steps) if failure is None else steps.throw(failure)
            except StopIteration:
                return
            failure = None
            try:
                async with aclosing(step) as events:
                    async for event in events:
                        yield event
            except HarnessError as error:
                failure = error

    def _steps(self) -> Steps:
        if why := self._compaction.due():
            try:
                yield self._compaction.compactor.run(why)
            except (CompactionFailed, ProviderError) as error:
                yield _notice(f"compaction left out: {error}")
        try:
            yield self._made()
        except ContextOverflow as error:
            try:
                yield from self._again(str(error))
            except CompactionFailed as failed:
                # what a person can act on is what the vendor said
                raise ContextOverflow(f"{error}; {failed}") from failed
        if self.answer.stop == "model_context_window_exceeded":
            try:
                yield from self._again("the answer did not fit")
            except CompactionFailed as failed:
                # what came was shown: the turn ends with it
                yield _notice(f"compaction left out: {failed}")

    def _again(self, why: str) -> Steps:
        """Compact, then call once more; what does not fit then is an error."""
        yield _notice(f"{why}; compacting")
        answered = self.answer.message is not None
        yield self._compaction.compactor.run("overflow", full=True)
        if answered:
            self._agent.session.add(Message("program", (Text(GO_ON),)))
        yield self._made()

    def _made(self) -> AsyncGenerator[Event]:
        """The call itself; made only now, because making it settles what it is made with."""
        self._call = self._compaction.inner(self._agent)
        return self._call.run()


async def _notice(text: str) -> AsyncGenerator[Event]:
    yield Notice(text)
