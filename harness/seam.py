"""The one seam: clocks, ids, randomness and facts of the machine enter the program here and nowhere else.

Invariant: no other module reads a clock, draws a random number or asks the operating system who and where it is, so
that what the seam gave can be journaled and given again by a replay. `tests/test_architecture.py` keeps it.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path


class Seam:
    """The real machine. A replay or a test gives a subclass with other answers."""

    def now(self) -> float:
        """Wall clock, seconds since the epoch, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """A clock that never goes back, seconds; for durations only."""
        return time.monotonic()

    def today(self) -> dt.date:
        """The local calendar day of `now()`."""
        return dt.datetime.fromtimestamp(self.now()).astimezone().date()

    def new_id(self) -> str:
        """A session id: sortable by time, unique without coordination, safe as a file name."""
        stamp = dt.datetime.fromtimestamp(self.now(), dt.UTC)
        return f"{stamp:%Y%m%d-%H%M%S}-{os.urandom(4).hex()}"

    def random(self) -> float:
        """Uniform in [0, 1): jitter only, never anything sent."""
        return int.from_bytes(os.urandom(6)) / 2**48

    def environment(self) -> Mapping[str, str]:
        """The process environment."""
        return os.environ

    def home(self) -> Path:
        """The person's home directory."""
        return Path(self.environment().get("HOME") or Path.home())

    def cwd(self) -> Path:
        """The working directory, symlinks resolved."""
        return Path.cwd()

    def os_name(self) -> str:
        """The operating system as the model is told it: "Linux", "macOS"."""
        return "macOS" if sys.platform == "darwin" else os.uname().sysname

    def host(self) -> str:
        """This machine's name; for locks, never for a prompt."""
        return os.uname().nodename

    def pid(self) -> int:
        """This process."""
        return os.getpid()
