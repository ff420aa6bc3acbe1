"""What a session was billed, added up.

Invariant: an unknown price stays unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.conversation.blocks import Usage


@dataclass(slots=True)
class Totals:
    """What the session was billed. `cost` in USD; None as soon as one price was unknown."""

    requests: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: float | None = 0.0
    delegated: int = 0
    """Of the requests, those of sub-agents."""
    served: int = 0
    """Of the requests, those that a kept answer met."""

    @property
    def own(self) -> int:
        """Of the requests, those of the session itself."""
        return self.requests - self.delegated

    def add(self, usage: Usage, cost: float | None, requests: int = 1) -> None:
        """Take one response in, or all those of a sub-agent."""
        old = self.usage
        self.requests += requests
        self.cost = None if self.cost is None or cost is None else self.cost + cost
        self.usage = Usage(
            old.uncached + usage.uncached,
            old.read + usage.read,
            old.written_5m + usage.written_5m,
            old.written_1h + usage.written_1h,
            old.output + usage.output,
        )
