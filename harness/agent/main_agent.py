"""The agent that a person talks to: its turns can be undone in the files too, and begin with the skills they call.

Invariant: the loop is the same; only what is around a turn differs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from harness.agent.checkpoints import Checkpoints
from harness.agent.loop import Agent
from harness.agent.skill_calls import SkillCalls
from harness.conversation.blocks import Tag
from harness.conversation.events import Event


@dataclass(slots=True, kw_only=True)
class MainAgent(Agent):
    """See `Agent`."""

    checkpoints: Checkpoints
    skill_calls: SkillCalls

    async def turn(self, text: str, tag: Tag = "person", injected: Sequence[str] = ()) -> AsyncGenerator[Event]:
        """See `Agent`.

        Raises:
            SkillError: see `SkillCalls.by_person`; nothing was said then.
        """
        if tag == "person":
            injected = (*injected, *await self.skill_calls.by_person(text))
        async with aclosing(self.checkpoints.around(Agent.turn(self, text, tag, injected))) as events:
            async for event in events:
                yield event
