"""The session on the screen: what `harness.ui.conversation.Conversation` asks for, over an app.

Invariant: adds nothing to the app but the queue of what was typed; a slash command is an entry of `slash_table`, not a
method here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from harness.agent.cut_turn import cut_turn
from harness.agent.resumption import resume_turn
from harness.app import App
from harness.audit.report import as_typed
from harness.audit.totals import Totals
from harness.commands.memory_proposal import MemoryProposal
from harness.conversation.events import Event
from harness.errors import LimitReached
from harness.options import Options

NEVER_PROPOSE = "no-memory-proposals"
"""In the state folder: the projects where the person does not want to be asked."""


class OpenSession:
    """See `Conversation`. Another app may take the place of its own: /resume and /fork.

    Args:
        open_app: opens the app of other options, on the same screen.
    """

    def __init__(self, options: Options, app: App, open_app: Callable[[Options], App]) -> None:
        self.options = options
        self.app = app
        self._open_app = open_app
        self._queue: list[str] = []
        self._enter(app)

    def _enter(self, app: App) -> None:
        self.app = app
        self._cost_before = app.session.totals.cost
        app.agent.steering = self.take_queued

    async def go_on_with(self, session_id: str, *, fork: bool = False) -> None:
        """Leave this session for another one; where that cannot be opened, this one goes on.

        fork: for a copy of that one, which stays as it is.

        It keeps its own model and effort, a copy the model chosen here; what is left of --max-cost is left for it.

        Raises:
            HarnessError: it cannot be opened, or this one cannot be closed.
        """
        # one that was chosen and not spoken to yet is not in the journal
        chosen = self.app.model.id if fork and self.app.session.fallback is None else None
        options = replace(
            self.options,
            resume=session_id,
            continue_last=False,
            fork=fork,
            no_session=False,
            model=chosen,
            effort=None,
            max_cost=self._left_to_spend(),
        )
        opened, left = self._open_app(options), self.app
        self.options = options
        self._enter(opened)
        await left.close()

    def _left_to_spend(self) -> float | None:
        if self.options.max_cost is None:
            return None
        spent, before = self.app.session.totals.cost, self._cost_before
        if spent is None or before is None or (left := self.options.max_cost - spent + before) <= 0:
            raise LimitReached(f"nothing of --max-cost {as_typed(self.options.max_cost)} is left for another session")
        return left

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
    def totals(self) -> Totals:
        """See `Conversation`."""
        return self.app.session.totals

    @property
    def resumable(self) -> bool:
        """See `Conversation`."""
        return cut_turn(self.app.session) is not None

    async def run(self, text: str) -> AsyncGenerator[Event]:
        """See `Conversation`."""
        async for event in self.app.before_turn():
            yield event
        async with aclosing(self._turn(text)) as events:
            async for event in events:
                yield event

    async def resume_turn(self) -> AsyncGenerator[Event]:
        """The rest of a turn that was cut off; as `run`."""
        async for event in self.app.before_turn():
            yield event
        async with aclosing(resume_turn(self.app.agent)) as events:
            async for event in events:
                yield event

    def _turn(self, text: str) -> AsyncGenerator[Event]:
        app = self.app
        if not app.config.memory_propose:
            return app.agent.turn(text)
        never = app.state / NEVER_PROPOSE
        return MemoryProposal(app.ask, app.root, never, app.agent.turn, app.memory.read, self.queued).after(text)

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

    def idle_delay(self) -> float | None:
        """See `Conversation`."""
        return self.app.compaction.idle_delay()

    def idle(self) -> AsyncGenerator[Event]:
        """See `Conversation`."""
        return self.app.compaction.idle()
