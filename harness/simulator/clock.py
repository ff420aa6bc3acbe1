"""The vendor's clock: seconds since start, which a test can move forward.

Invariant: time never goes backwards, and every lifetime in the simulator is measured on this clock alone.
"""

from __future__ import annotations

import threading
import time


class Clock:
    """Elapsed real seconds plus whatever was added by `advance`.

    With `ticking=False` only `advance` moves it, so that a test may stand exactly on a boundary.
    """

    def __init__(self, *, ticking: bool = True) -> None:
        self._lock = threading.Lock()
        self._ticking = ticking
        self._start = time.monotonic()
        self._added = 0.0

    def now(self) -> float:
        """Seconds since this clock was made."""
        with self._lock:
            elapsed = time.monotonic() - self._start if self._ticking else 0.0
            return elapsed + self._added

    def advance(self, seconds: float) -> float:
        """Add `seconds` (never negative: ValueError) and return the new time."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        with self._lock:
            self._added += seconds
        return self.now()
