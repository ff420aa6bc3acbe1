"""Who goes first: of requests that begin with the same bytes, one, until what it writes can be read by the others.

Invariant: nobody waits for an entry that is alive, nor for a leader that is gone. A vendor offers an entry once the
answer to the request that wrote it has begun (platform.claude.com, prompt-caching: "a cache entry only becomes
available after the first response begins").
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

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
