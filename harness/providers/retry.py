"""When a failed call is sent again, and after how long.

Invariant: what is sent again is byte-identical; a wait is never shorter than the vendor asked for, and its jitter is
only ever added.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import ProviderError, Temporary


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`retries`: sends after the first. `patience`: seconds; a vendor that asks for longer ends the attempt at once."""

    retries: int = 5
    first: float = 0.5
    longest: float = 30.0
    patience: float = 300.0

    def wait(self, attempt: int, error: ProviderError, random: float) -> float | None:
        """Seconds to wait before attempt number `attempt` + 1, or None where it is not sent again.

        Args:
            attempt: sends so far, from 1.
            random: uniform in [0, 1).
        """
        if not isinstance(error, Temporary) or attempt > self.retries:
            return None
        asked = error.retry_after
        if asked is not None and asked > self.patience:
            return None
        # a vendor that asks for no wait at all is not hammered
        base = asked or min(self.longest, self.first * 2 ** (attempt - 1))
        return base + random * max(0.1, 0.25 * base)
