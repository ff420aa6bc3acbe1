"""An agent whose turns can be undone in the files too.

Invariant: the loop is the same; only what is around a turn differs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from harness.agent.checkpoints import Checkpoints
from harness.agent.loop import Agent
from harness.conversation.blocks import Tag
from harness.conversation.events import Event


@dataclass(slots=True, kw_only=True)
class UndoableAgent(Agent):
    """See `Agent`."""

    checkpoints: Checkpoints

    async def turn(self, text: str, tag: Tag = "person", injected: Sequence[str] = ()) -> AsyncGenerator[Event]:
        """See `Agent`."""
        async with aclosing(self.checkpoints.around(Agent.turn(self, text, tag, injected))) as events:
            async for event in events:
                yield event
