"""Who goes first: of requests that begin with the same bytes, one, until what it writes can be read by the others.

Invariant: nobody waits for an entry that is alive, nor for a leader that is gone. A vendor offers an entry once the
answer to the request that wrote it has begun (platform.claude.com, prompt-caching: "a cache entry only becomes
available after the first response begins").
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from harness.agent.loop import Agent
from harness.agent.model_call import Answer, ModelCall
from harness.conversation.events import Event

Key = tuple[str, str]
"""A line, and the digest of what its requests begin with."""


@dataclass(slots=True)
class Turn:
    """Somebody's turn to send. Tell it when the answer has begun, or that it will not."""

    free: Callable[[], None]
    has_begun: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def begun(self) -> None:
        """The answer has begun: the others may send."""
        self.has_begun = self.has_begun or not self.over.is_set()
        self.end()

    def end(self) -> None:
        """It is over, begun or not: where it never began, the next one goes first."""
        if not self.over.is_set():
            self.free()
            self.over.set()


@dataclass(slots=True)
class Warming:
    """The turns of those who went first and have not begun."""

    _first: dict[Key, Turn] = field(default_factory=dict)

    async def turn(self, key: Key, alive: Callable[[], bool]) -> Turn:
        """Wait until a request may be sent that begins with those bytes.

        Args:
            alive: whether the ledger shows them cached now.
        """
        while not alive():
            first = self._first.get(key)
            if first is None:
                self._first[key] = mine = Turn(lambda: self._free(key))
                return mine
            await first.over.wait()
            if first.has_begun:
                break
        return Turn(lambda: None)

    def _free(self, key: Key) -> None:
        del self._first[key]


class FirstCall:
    """The first model call of an agent, after whoever goes first. shared: what others begin with, too."""

    def __init__(self, agent: Agent, warming: Warming, shared: Key) -> None:
        self._agent = agent
        self._warming = warming
        self._shared = shared
        self._turn: Turn | None = None
        self.call = ModelCall(agent.session, agent.channel, began=self._began)

    @property
    def answer(self) -> Answer:
        """See `Call`."""
        return self.call.answer

    async def run(self) -> AsyncGenerator[Event]:
        """See `Call`."""
        self._turn = await self._warming.turn(self._shared, self._alive)
        try:
            async with aclosing(self.call.run()) as events:
                async for event in events:
                    yield event
        finally:
            self._turn.end()

    def _began(self) -> None:
        if self._turn is not None:
            self._turn.begun()

    def _alive(self) -> bool:
        session, channel = self._agent.session, self._agent.channel
        now, (line, digest) = session.seam.now(), self._shared
        if session.requests.ledger.alive(line, now)(digest) is not None:
            return True
        # a server that caches by itself has all that any request of this line began with
        return channel.model.rules.by_itself and session.requests.ledger.held(line, now) != 0
