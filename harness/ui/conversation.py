"""What a screen needs of a session: one protocol, given by the wiring.

Invariant: a screen reaches the agent through this and through nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from harness.audit.totals import Totals
from harness.conversation.events import Event


class Conversation(Protocol):
    """One session, as a screen sees it. No method but `run` may block; names need no escaping."""

    @property
    def session_id(self) -> str:
        """The id with which the session can be resumed."""

    @property
    def model(self) -> str:
        """`provider/model` of the next request."""

    @property
    def mode(self) -> str:
        """The permission mode."""

    @property
    def totals(self) -> Totals:
        """What the session was billed so far, earlier runs of it included."""

    @property
    def resumable(self) -> bool:
        """Whether the last turn was cut off, so that `/continue` goes on with it."""

    def run(self, text: str) -> AsyncGenerator[Event]:
        """One turn; its last event is `TurnEnded`. Cancelling the task that iterates it stops the turn.

        Raises:
            HarnessError: a call failed; the conversation stays valid and can go on.
        """

    def steer(self, text: str) -> None:
        """Words for the running turn: delivered after its next tool results."""

    def queued(self) -> Sequence[str]:
        """What `steer` was given and the turn has not taken yet, oldest first."""

    def take_queued(self) -> Sequence[str]:
        """`queued`, which is empty from then on. The loop takes them so, and at a turn's end the screen."""

    def idle_delay(self) -> float | None:
        """After how many seconds without a turn `idle` should run; None: not at all."""

    def idle(self) -> AsyncGenerator[Event]:
        """What is done while nobody is there. Cancelling it changes nothing."""
