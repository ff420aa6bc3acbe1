"""Files on disk: opened only when they are regular, replaced whole or not at all, known by their content.

Invariant: nothing here blocks for ever on what a path turns out to be (the type of the opened file decides,
not its name), and after any failure the old content is still there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.conversation.private_files import write_whole

KEPT = 2 * 1024 * 1024
"""Bytes up to which a content is kept beside the journal."""

HASHED = 64 * 1024 * 1024
"""Bytes up to which a file is known by its content; beyond, by its size and time of change."""

_CHUNK = 1 << 16

_TYPES = (
    (stat.S_ISREG, "a regular file"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO (named pipe)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


class NotRegular(OSError):
    """The path is no regular file; `str(error)` says what it is."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An open regular file: its descriptor and what `fstat` said."""

    fd: int
    status: os.stat_result


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Opens a regular file for reading.

    Raises:
        NotRegular: a directory, FIFO, socket, device, or a kernel file (procfs, whose content has no end or
        is secret). OSError: missing, no right.
    """
    _check(os.stat(path), path)  # noqa: PTH116 - before opening: opening a device can have effects
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        status = os.fstat(fd)
        _check(status, path)  # again: it may have been exchanged in between
        yield Opened(fd, status)
    finally:
        os.close(fd)


def _check(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotRegular(errno.EINVAL, f"is {_type(status)}", str(path))
    if status.st_dev in _kernel_devices():
        raise NotRegular(errno.EINVAL, "is a kernel file (/proc, /sys), which is not read this way", str(path))


def _type(status: os.stat_result) -> str:
    return next((name for is_type, name in _TYPES if is_type(status.st_mode)), "no regular file")


def kind(path: Path) -> str:
    """What is at `path`, symlinks followed: "a directory", "a regular file", "a socket"; "" for nothing."""
    try:
        return _type(path.stat())
    except (OSError, ValueError):
        return ""


def _kernel_devices() -> set[int]:
    found = set()
    for place in ("/proc", "/sys"):
        with contextlib.suppress(OSError):
            found.add(os.stat(place).st_dev)  # noqa: PTH116 - no Path needed
    # Where /proc is an ordinary folder (macOS, some containers) it shares the root's device.
    with contextlib.suppress(OSError):
        found.discard(os.stat("/").st_dev)  # noqa: PTH116 - as above
    return found


def chunks(file: Opened, limit: int | None = None) -> Iterator[bytes]:
    """The content from the start, in pieces of at most 64 KiB, at most `limit` bytes."""
    place = 0
    while limit is None or place < limit:
        piece = os.pread(file.fd, _CHUNK if limit is None else min(_CHUNK, limit - place), place)
        if not piece:
            return
        place += len(piece)
        yield piece


def load(file: Opened, limit: int) -> bytes:
    """The whole content, cut at `limit` bytes."""
    return b"".join(chunks(file, limit))


def load_last(file: Opened) -> bytes:
    """The last byte; empty for an empty file."""
    return os.pread(file.fd, 1, max(0, file.status.st_size - 1))


def identity(file: Opened) -> str:
    """What tells this content from another: SHA-256 in hex, or "stat:SIZE:MTIME_NS" beyond `HASHED`."""
    if file.status.st_size > HASHED:
        return f"stat:{file.status.st_size}:{file.status.st_mtime_ns}"
    state = hashlib.sha256()
    for piece in chunks(file, HASHED):
        state.update(piece)
    return state.hexdigest()


def replace(path: Path, data: bytes) -> None:
    """Gives the file at `path` (symlinks already resolved) a new content; makes it and its folders if needed.

    A new file appears whole. An existing one keeps mode, owner, extended attributes and hard links; it is
    exchanged by a rename, or, where a rename would break a link or change the owner, written in place with
    the old content put back on failure.

    Raises:
        NotRegular: something else than a regular file is there.
        OSError: no right, no room, a symlink on the way; the old content is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = _folder(path.parent)
    try:
        try:
            old = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            old = None
        if old is not None:
            if stat.S_ISLNK(old.st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            _check(old, path)
        if old is not None and (old.st_nlink > 1 or not os.access(".", os.W_OK | os.X_OK, dir_fd=folder)):
            _in_place(folder, path, data)
        else:
            _exchange(folder, path, data, old)
    finally:
        os.close(folder)


def _folder(path: Path) -> int:
    """A descriptor of a resolved folder, reached part by part: a symlink put on the way meanwhile fails."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(path.anchor, flags)
    for part in path.parts[1:]:
        try:
            below = os.open(part, flags, dir_fd=fd)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
        finally:
            os.close(fd)
        fd = below
    return fd


def _exchange(folder: int, path: Path, data: bytes, old: os.stat_result | None) -> None:
    fd, temporary = _temporary(folder, old)
    try:
        try:
            if old is not None:
                _keep(fd, old, path)
            _write(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
    except _NotOurs:
        os.unlink(temporary, dir_fd=folder)
        _in_place(folder, path, data)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    with contextlib.suppress(OSError):  # some file systems cannot sync a folder
        os.fsync(folder)


class _NotOurs(Exception):
    """The owner cannot be kept through a rename."""


def _temporary(folder: int, old: os.stat_result | None) -> tuple[int, str]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    # A new file gets what the umask leaves; a copy of an existing one starts private.
    mode = 0o666 if old is None else 0o600
    for number in range(1000):
        name = f".harness-{number}.part"
        with contextlib.suppress(FileExistsError):
            return os.open(name, flags, mode, dir_fd=folder), name
    raise FileExistsError(errno.EEXIST, "too many left-over .harness-*.part files in the folder")


def _keep(fd: int, old: os.stat_result, path: Path) -> None:
    mine = os.fstat(fd)
    if (mine.st_uid, mine.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.fchown(fd, old.st_uid, old.st_gid)
        except OSError:
            raise _NotOurs from None
    os.fchmod(fd, stat.S_IMODE(old.st_mode))
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):
            for name in os.listxattr(path):
                with contextlib.suppress(OSError):
                    os.setxattr(fd, name, os.getxattr(path, name))


def _in_place(folder: int, path: Path, data: bytes) -> None:
    fd = os.open(path.name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        status = os.fstat(fd)
        _check(status, path)
        old = load(Opened(fd, status), status.st_size)
        try:
            _write(fd, data)
            os.ftruncate(fd, len(data))
            os.fsync(fd)
        except OSError:
            # The old blocks are still the file's own: putting them back needs no new room.
            with contextlib.suppress(OSError):
                os.lseek(fd, 0, os.SEEK_SET)
                _write(fd, old)
                os.ftruncate(fd, len(old))
            raise
    finally:
        os.close(fd)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view[: 1 << 20]) :]


def private_folder(folder: Path) -> None:
    """Makes a folder only its owner can enter; an existing one is left as it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def store(folder: Path, data: bytes) -> Path:
    """Keeps `data` in a private folder under the name of its content; the same content gives the same file.

    Raises:
        OSError: no room, no right.
    """
    private_folder(folder)
    path = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.txt"
    if not path.exists():
        write_whole(path, data, synced=False)
    return path


def reason(error: OSError) -> str:
    """What the operating system said, in words: "Permission denied"."""
    return error.strerror or str(error)
