"""An open session as the screen sees it.

Invariant: adds nothing to the app but the queue of what was typed, and remembers what this run was told; a slash
command is an entry of `slash_table`, not a method here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from harness.app import App
from harness.audit.report import Summary
from harness.conversation.events import Event, ResponseDone


class AppConversation:
    """An app, as `harness.ui.conversation.Conversation`."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._queue: list[str] = []
        self.responses: list[ResponseDone] = []
        app.agent.steering = self.take_queued

    @property
    def session_id(self) -> str:
        """See `Conversation`."""
        return self.app.session.journal.id

    @property
    def model(self) -> str:
        """See `Conversation`."""
        return self.app.model.id

    @property
    def mode(self) -> str:
        """See `Conversation`."""
        return self.app.config.permission_mode

    @property
    def summary(self) -> Summary:
        """See `Conversation`."""
        totals = self.app.session.totals
        return Summary(totals.requests, totals.usage, totals.cost)

    async def run(self, text: str) -> AsyncGenerator[Event]:
        """See `Conversation`."""
        async with aclosing(self.app.agent.turn(text)) as events:
            async for event in events:
                if isinstance(event, ResponseDone):
                    self.responses.append(event)
                yield event

    def steer(self, text: str) -> None:
        """See `Conversation`."""
        self._queue.append(text)

    def queued(self) -> Sequence[str]:
        """See `Conversation`."""
        return tuple(self._queue)

    def take_queued(self) -> Sequence[str]:
        """See `Conversation`."""
        taken, self._queue = tuple(self._queue), []
        return taken
