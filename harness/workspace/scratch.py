"""A private folder in which something is made before it gets its name; it is gone at the end.

Invariant: one that a killed process left is removed when the next is made beside it. Whether its process lives is told
by a lock, which the kernel lets go of when it dies; what cannot be locked is left alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NEW = 60.0
"""Seconds for which one without a lock is left alone: its process may be about to take it."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def scratch(parent: Path, prefix: str, suffix: str = "") -> Iterator[Path]:
    """A new folder beside what it is for, with a random name between the two parts.

    Raises:
        OSError: it cannot be made.
    """
    made = Path(tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=parent))
    try:
        handle = os.open(made, _FOLDER)
        try:
            with contextlib.suppress(OSError):  # a file system without locks; nobody will remove it either
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_left(made, prefix, suffix)
            yield made
        finally:
            os.close(handle)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _remove_left(made: Path, prefix: str, suffix: str) -> None:
    """Remove those of the same form that no process owns."""
    own = made.stat()
    for path in made.parent.iterdir():
        name = path.name
        if path != made and len(name) == len(made.name) and name.startswith(prefix) and name.endswith(suffix):
            with contextlib.suppress(OSError):  # in use, no folder, or not ours to remove
                _remove(path, own)


def _remove(path: Path, own: os.stat_result) -> None:
    handle = os.open(path, _FOLDER)
    try:
        found = os.fstat(handle)
        ours = found.st_uid == own.st_uid and stat.S_IMODE(found.st_mode) == stat.S_IMODE(own.st_mode)
        if ours and found.st_mtime < own.st_mtime - _NEW:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
    finally:
        os.close(handle)
