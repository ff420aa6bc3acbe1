"""Limits and habits that the loop asks before each model call, without knowing them.

Invariant: a policy looks and decides; it changes nothing. New behaviour is a new class here, not a branch in the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.agent.session import Session
from harness.audit.report import as_typed
from harness.conversation.blocks import ToolCall
from harness.conversation.canonical import encode


class Policy(Protocol):
    """Asked before each model call of a turn."""

    def stop(self, session: Session, calls_made: int) -> str:
        """Why no further call may be made, naming the flag that would allow it; "" to go on.

        Args:
            calls_made: model calls of this turn so far.
        """
        ...


@dataclass(frozen=True, slots=True)
class MaxTurns:
    """At most that many model calls in one turn."""

    limit: int

    def stop(self, session: Session, calls_made: int) -> str:  # noqa: ARG002 - the protocol's
        """See `Policy`."""
        return f"--max-turns {self.limit} reached" if calls_made >= self.limit else ""


@dataclass(frozen=True, slots=True)
class MaxCost:
    """At most that many USD, counted from `already` on."""

    limit: float
    already: float

    def stop(self, session: Session, calls_made: int) -> str:  # noqa: ARG002 - the protocol's
        """See `Policy`. A price that became unknown stops too: a limit that cannot be checked is not one."""
        cost = session.totals.cost
        if cost is None:
            return "--max-cost cannot be checked: the price of this model is unknown"
        spent = cost - self.already
        return f"--max-cost {as_typed(self.limit)} reached: ${spent:.4f} spent" if spent >= self.limit else ""


@dataclass(frozen=True, slots=True)
class Repetition:
    """Stops a model that makes the very same calls over and over."""

    limit: int = 8

    def stop(self, session: Session, calls_made: int) -> str:
        """See `Policy`."""
        answers = [entry.message for entry in session.history.entries[-3 * self.limit :] if entry.message.calls]
        last = [_fingerprint(message.calls) for message in answers[-self.limit :]]
        if calls_made >= self.limit and len(last) == self.limit and len(set(last)) == 1:
            return f"the model made the same call {self.limit} times in a row"
        return ""


def _fingerprint(calls: Sequence[ToolCall]) -> bytes:
    return encode([[call.name, call.arguments] for call in calls])
