"""What tells the content of files apart without reading it: the state that the file system keeps of each.

Invariant: two states are the same only where nothing was written in between, as far as the file system tells: a change
of content changes the time of change (ctime), which no program can set back.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

SETTLED = 2.0
"""Seconds after a change from which another one is sure to show: file systems count time in ticks of up to two seconds,
so a second change within one leaves the same state (git calls such a file racy)."""


@dataclass(frozen=True, slots=True)
class FileState:
    """digest: SHA-256 over the states of all files, in the order given. changed: when one of them changed last."""

    digest: str
    changed: float


def state_of(paths: Iterable[bytes]) -> FileState | None:
    """The state of files, symlinks followed; None where one is not there, or is no regular file. Blocks."""
    total, changed = hashlib.sha256(), 0.0
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 - bytes: a name need not be text
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        numbers = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
        # a name ends with NUL, which it cannot contain
        total.update(b"%b\0%d %d %d %d %d\n" % (path, *numbers))
        changed = max(changed, status.st_mtime, status.st_ctime)
    return FileState(total.hexdigest(), changed)


def name_of(path: os.PathLike[str]) -> str:
    """A path as text that JSON can carry, also where it is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
