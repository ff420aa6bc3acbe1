"""Where documents' scripts, libraries and texts are kept, and the lock on each of these places.

Invariant: both folders can be entered by their owner only; a lock is let go of by the kernel when its process dies, so
nothing that a dead process left ever blocks.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.config import cache_dir, data_dir
from harness.errors import DocumentError, remedy
from harness.workspace import files


@dataclass(frozen=True, slots=True)
class Folders:
    """data: scripts and environments, the person's own. cache: texts, which can all be made again."""

    data: Path
    cache: Path

    @property
    def scripts(self) -> Path:
        """The person's copies of the scripts."""
        return self.data / "scripts"


def folders(environment: Mapping[str, str]) -> Folders:
    """The person's two folders, made if they are not there.

    Raises:
        DocumentError: they cannot be made.
    """
    found = Folders(data_dir(environment) / "documents", cache_dir(environment) / "documents")
    for folder, variable in ((found.data, "XDG_DATA_HOME"), (found.cache, "XDG_CACHE_HOME")):
        try:
            files.private_folder(folder)
        except OSError as error:
            raise unwritable(error, folder, variable) from None
    return found


def unwritable(error: OSError, folder: Path, variable: str) -> DocumentError:
    """What the person is told when one of the folders cannot be written."""
    return DocumentError(f"cannot write {folder}: {files.reason(error)}; {remedy(error, variable)}")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder; waits for the process that has it.

    Raises:
        OSError: the file system refused.
    """
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
