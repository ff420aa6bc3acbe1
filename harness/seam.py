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

    def boot(self) -> str:
        """What names this start of the machine's kernel, containers included; "" where the system does not tell."""
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            return ""

    def process(self, pid: int) -> str:
        """What tells a running process from a later one of the same number; "" where there is none (any more)."""
        if Path("/proc/self/stat").exists():
            try:
                line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                return ""
            state, *numbers = line.rpartition(")")[2].split()
            return "" if state in "ZX" else numbers[18]  # clock ticks from boot to its start
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except PermissionError:
            pass  # somebody else's, so it is there
        return "running"
