"""Another model that stands in where the person's own fails for good, and the way back.

Invariant: at most one change of models in a turn, and never between a call and its result: a model call fails when
all results are there. Both changes are journaled and told, to the person and to the model. The line that is left stays
as it is, so its whole prefix is read again on the way back.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass

from harness.agent.effort_change import settled
from harness.agent.loop import GO_ON, Agent, Call
from harness.agent.model_call import Answer, ModelCall
from harness.conversation.blocks import Message, Text
from harness.conversation.events import Event, Notice
from harness.errors import ProviderError, QuotaExhausted, Temporary, UsageError

COOL_OFF = 30 * 60.0
"""Seconds for which a model that failed is left alone; then the next turn of the person goes to it again."""

_HOW_LONG = f"for {COOL_OFF / 60:.0f} min"

CURED = (Temporary, QuotaExhausted)
"""What another vendor cures: overload, rate limits, no way to it, broken answers, after every retry; spent credits.

Not a wrong key, name, address or certificate, which are the person's to mend, and not what is wrong with our request.
"""


def model_call(agent: Agent) -> Call:
    """A call to the agent's model, with the settings that it has by now."""
    agent.channel = settled(agent.session, agent.channel)
    return ModelCall(agent.session, agent.channel)


@dataclass(slots=True)
class Fallback:
    """The stand-in of one session.

    to: "provider/name" of it; "" for none. use: goes on with a model of that name; raises UsageError where there is no
    way to it. make: a call to the model in use. how_long: what is told of its time.
    """

    agent: Agent
    to: str
    use: Callable[[str], None]
    make: Callable[[Agent], Call] = model_call
    how_long: str = _HOW_LONG
    _moved: bool = False

    @property
    def model(self) -> str:
        """The model in use."""
        return self.agent.channel.model.id

    def begin_turn(self) -> Iterator[str]:
        """Before a turn of the person: back to their model once its time has come. Gives lines for them."""
        self._moved = False
        if (state := self.agent.session.fallback) is None:
            return
        home, left = state["model"], state["until"] - self.agent.session.seam.now()
        over = not 0 < left <= COOL_OFF  # a clock may have been set back
        if over or state["to"] != self.to:
            self.end("its time is over" if over else "there is another fallback model now, or none")
            self.use(home)
            yield f"back to {home}"
        elif self.model != self.to:
            self.use(self.to)
            yield f"{home} failed ({state['reason']}): {self.to} stands in for {_minutes(left)} more"

    def end(self, why: str) -> None:
        """The person's model is again the one in use, or the person chose one."""
        if self.agent.session.fallback is not None:
            self.agent.session.record("fallback_over", {"why": why})

    def other(self) -> str:
        """The model to go on with where the one in use failed; "" where there is none, or it had its turn."""
        if self._moved or not self.to:
            return ""
        state = self.agent.session.fallback
        home = state["model"] if state else self.model
        return self.to if self.model == home != self.to else home if self.model == self.to != home else ""

    def move(self, other: str, error: ProviderError) -> str:
        """Go on with the other model; one line that says so. Raises UsageError where there is no way to it."""
        session, left = self.agent.session, self.model
        self.use(other)
        self._moved = True
        if other != self.to:
            self.end(f"the fallback failed: {error}")
            return f"{left} failed: {error}; back to {other}"
        until = session.seam.now() + COOL_OFF
        session.record("fallback", {"model": left, "to": other, "reason": str(error), "until": until})
        return f"{left} failed: {error}; {other} stands in, {self.how_long}"

    def both_failed(self, home: str) -> None:
        """Neither answered: the next turn begins with the person's model."""
        self.end("both failed")
        self.use(home)

    def call(self, agent: Agent) -> FallbackCall:
        """The agent's next call."""
        return FallbackCall(agent, self)


def _minutes(seconds: float) -> str:
    return f"{max(1, round(seconds / 60))} min"


class FallbackCall:
    """One model call, made with the other model where the first one fails for good."""

    def __init__(self, agent: Agent, fallback: Fallback) -> None:
        self._agent = agent
        self._fallback = fallback
        self._call = fallback.make(agent)

    @property
    def answer(self) -> Answer:
        """See `Call`."""
        return self._call.answer

    async def run(self) -> AsyncGenerator[Event]:
        """See `Call`."""
        try:
            async with aclosing(self._call.run()) as events:
                async for event in events:
                    yield event
        except CURED as error:
            other = self._fallback.other()
            if not other:
                raise
            first = error
        else:
            return
        async with aclosing(self._again(other, first)) as events:
            async for event in events:
                yield event

    async def _again(self, other: str, first: ProviderError) -> AsyncGenerator[Event]:
        agent, left = self._agent, self._agent.channel.model.id
        home = left if other == self._fallback.to else other
        try:
            yield Notice(self._fallback.move(other, first))
        except UsageError as error:  # no key, no address
            raise type(first)(f"{first}; {other} cannot stand in: {error}") from error
        if agent.tell_changes():
            # a context stands before somebody's words, and the last message is the one that carries the marker
            agent.session.add(Message("program", (Text(GO_ON),)))
        self._call = self._fallback.make(agent)
        try:
            async with aclosing(self._call.run()) as events:
                async for event in events:
                    yield event
        except ProviderError as error:
            self._fallback.both_failed(home)
            # worth another try later where one of them is
            kind = type(error if isinstance(error, Temporary) else first)
            raise kind(f"{left} failed: {first}; {other} failed too: {error}") from error
