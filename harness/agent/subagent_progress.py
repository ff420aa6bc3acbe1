"""How far a sub-agent is, for whoever waits for its caller.

Invariant: it only listens; what of a sub-agent's events is told is one line, and who tells it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from harness.conversation.events import (
    Event,
    Notice,
    Progress,
    RequestSent,
    ResponseDone,
    Tell,
    ToolStarted,
    TurnEnded,
)


class Progressing:
    """The progress of one sub-agent.

    Args:
        call_id: of its caller's call. skill: that it carries out. tell: its caller.
    """

    def __init__(self, call_id: str, skill: str, tell: Tell) -> None:
        self._call_id = call_id
        self._skill = skill
        self._tell = tell
        self._turns = 0
        self._tokens = 0
        self._doing = ""
        self.first_read: int | None = None
        """Tokens that its first answer read from cache; None where none came yet."""

    async def watched(self, events: AsyncGenerator[Event]) -> TurnEnded:
        """Take all of them in, and tell how far it is; gives how the turn ended."""
        end = TurnEnded("failed", "", "it gave no answer")
        async with aclosing(events):
            async for event in events:
                self._take(event)
                if isinstance(event, TurnEnded):
                    end = event
        return end

    def _take(self, event: Event) -> None:
        match event:
            case RequestSent():
                self._turns, self._doing = self._turns + 1, "waiting for the model"
            case ToolStarted(_, name, summary):
                self._doing = f"{name} {summary}".strip()
            case ResponseDone():
                self._tokens += event.usage.prompt + event.usage.output
                if self.first_read is None:
                    self.first_read = event.usage.read
                return
            case Progress(_, text):
                self._doing = text or "working"
            case Notice(text):
                self._tell(Notice(f"sub-agent {self._skill}: {text}"))
                return
            case _:
                return
        told = f"{self._skill}: turn {self._turns}, {self._tokens:,} tokens, {self._doing}"
        self._tell(Progress(self._call_id, told))
