"""Waiting for what must happen, and commands that wait: sleepers that outlive any test.

Invariant: how fast the machine is decides nothing. PATIENCE only ends a test that has failed already, and a sleeper is
told from every other process of the machine by its argument.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds after which something counts as never happening."""

_NUMBERS = itertools.count()


def wait_for(happened: Callable[[], object]) -> None:
    """Return once it has."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def nap() -> str:
    """A number of seconds for `sleep`, some ten minutes, that no other process has among its arguments."""
    return f"600.{os.getpid():08d}{next(_NUMBERS):04d}"


def assert_gone(*naps: str) -> None:
    """No process with one of them among its arguments is left; one that was killed is given time to be gone."""
    wait_for(lambda: not _running(naps))


def _running(naps: tuple[str, ...]) -> bool:
    listed = subprocess.run(["ps", "-eo", "stat,args"], capture_output=True, text=True, check=True).stdout
    return any(line[0] != "Z" and any(one in line for one in naps) for line in listed.splitlines())
