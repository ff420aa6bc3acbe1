"""Private files: written whole or not at all, on the disk when that is asked for.

Invariant: under a name there is only ever a whole content; what is being written has a name of its own, which begins
with a dot and ends in `.part`, so that two processes at once do not disturb each other.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

PRIVATE = 0o600


def private(path: str, flags: int) -> int:
    """An opener whose new files only their owner can read."""
    return os.open(path, flags, PRIVATE)


def unnamed(folder: Path, mode: int = PRIVATE) -> tuple[int, Path]:
    """A new file in `folder` that has no name of its own yet: descriptor and path.

    Raises:
        OSError: no room, no right.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    for number in range(10_000):
        path = folder / f".{number}.part"
        with contextlib.suppress(FileExistsError):
            return os.open(path, flags, mode), path
    raise FileExistsError(errno.EEXIST, "too many left-over .part files", str(folder))


def write_whole(path: Path, raw: bytes, mode: int = PRIVATE, *, synced: bool = True) -> None:
    """Give a file a new content, whole or not at all. Blocks.

    Args:
        mode: of the file, less what the umask takes.
        synced: the content is on the disk before it has its name.

    Raises:
        OSError: no room, no right; what was there is still there.
    """
    fd, temporary = unnamed(path.parent, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(raw)
            file.flush()
            if synced:
                os.fsync(fd)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def sync_path(path: Path) -> None:
    """A file or folder is on the disk when this returns. Blocks."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
