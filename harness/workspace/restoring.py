"""Putting files of a snapshot back into a workspace.

Invariant: nothing outside the root is reached: every folder on the way is opened without following symlinks, and a
file that has a second name elsewhere is exchanged, not written into. Each file is old or new, never half; what is in
the way and was not saved stays, and is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from harness.workspace import files
from harness.workspace.listing import LeftOut
from harness.workspace.shadow import Git, Reader

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class Entry:
    """A saved file. name: the hash of its content. mode: its permissions; None for a symlink."""

    name: str
    mode: int | None

    @classmethod
    def of(cls, mode: bytes, name: bytes, permissions: int | None) -> Entry | None:
        """What git's mode says, more exactly where `permissions` are known; None where there is no file."""
        if mode == b"000000":
            return None
        if mode == b"120000":
            return cls(name.decode(), None)
        return cls(name.decode(), permissions if permissions is not None else int(mode, 8) & 0o777)


@dataclass(slots=True)
class Plan:
    """What has to be done, and what cannot."""

    write: dict[bytes, Entry] = field(default_factory=dict)
    remove: list[bytes] = field(default_factory=list)
    left: list[LeftOut] = field(default_factory=list)


def plan(root: bytes, now: Mapping[bytes, Entry], wanted: Mapping[bytes, Entry | None]) -> Plan:
    """From what was just saved to what is wanted. Blocks."""
    found = Plan()
    for path, entry in sorted(wanted.items()):
        if now.get(path) == entry:
            continue
        if path not in now and _holds_a_file(root, path):
            found.left.append(LeftOut(path, "it is there and is not saved (ignored, too large, or no plain file)"))
        elif entry is None:
            found.remove.append(path)
        else:
            found.write[path] = entry
    return found


def _holds_a_file(root: bytes, path: bytes) -> bool:
    """Whether something is there; not a folder, whose files are looked at one by one, nor behind a symlink."""
    full = root
    for part in path.split(b"/"):
        full += b"/" + part
        try:
            mode = os.lstat(full).st_mode
        except OSError:
            return False
        if not stat.S_ISDIR(mode):
            return full == root + b"/" + path
    return False


async def carry_out(git: Git, root: bytes, todo: Plan) -> tuple[list[bytes], list[LeftOut]]:
    """Do it; gives the paths that are now as wanted, and those that are not. It can be done again after any failure."""
    done: list[bytes] = []
    left: list[LeftOut] = []
    base = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        rules = [path for path in todo.write if path.rpartition(b"/")[2] == b".gitignore"]
        async with git.reader() as reader:
            # The rules first: what they exclude was never saved by who had them, and is not removed.
            await _write_all(base, reader, {path: todo.write[path] for path in rules}, done, left)
            excluded = await _ignored(git, todo.remove)
            left += [LeftOut(path, "a .gitignore excludes it now") for path in todo.remove if path in excluded]
            removals = [path for path in todo.remove if path not in excluded]
            await asyncio.to_thread(_remove_all, base, removals, done, left)
            rest = {path: entry for path, entry in todo.write.items() if path not in rules}
            await _write_all(base, reader, rest, done, left)
    finally:
        os.close(base)
    return sorted(done), left


async def _ignored(git: Git, paths: Iterable[bytes]) -> set[bytes]:
    # "./": else a name like ":(top)" would be read as a pattern.
    given = b"".join(b"./" + path + b"\0" for path in paths)
    if not given:
        return set()
    told = await git.run("check-ignore", "--no-index", "-z", "--stdin", given=given, codes=(0, 1))
    return {path.removeprefix(b"./") for path in told.out.split(b"\0")}


async def _write_all(
    base: int, reader: Reader, entries: Mapping[bytes, Entry], done: list[bytes], left: list[LeftOut]
) -> None:
    for path, entry in entries.items():
        content = await reader.content(entry.name)
        try:
            await asyncio.to_thread(_write, base, path, content, entry.mode)
        except OSError as error:
            left.append(LeftOut(path, f"cannot be written: {files.reason(error)}"))
        else:
            done.append(path)


def _remove_all(base: int, paths: Iterable[bytes], done: list[bytes], left: list[LeftOut]) -> None:
    for path in paths:
        try:
            _remove(base, path)
        except OSError as error:
            left.append(LeftOut(path, f"cannot be removed: {files.reason(error)}"))
        else:
            done.append(path)


@contextlib.contextmanager
def _folder(base: int, path: bytes, *, make: bool) -> Iterator[tuple[int, bytes]]:
    """The folder of a path, reached part by part from the root, and the last name."""
    *parts, name = path.split(b"/")
    fd = os.dup(base)
    try:
        for part in parts:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=fd)
            below = os.open(part, _FOLDER, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd, name
    finally:
        os.close(fd)


def _write(base: int, path: bytes, content: bytes, mode: int | None) -> None:
    with _folder(base, path, make=True) as (folder, name):
        try:
            old: os.stat_result | None = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            old = None
        if old is not None and not (stat.S_ISREG(old.st_mode) or stat.S_ISLNK(old.st_mode)):
            raise files.NotRegular(errno.EEXIST, "something that is not saved is in its place")
        temporary = _put(folder, content, mode, old)
        try:
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(temporary, dir_fd=folder)
            raise


def _put(folder: int, content: bytes, mode: int | None, old: os.stat_result | None) -> bytes:
    """The file under a name of its own; not synced: the store has it as well."""
    for number in range(10_000):
        temporary = b".harness-%d.part" % number
        with contextlib.suppress(FileExistsError):
            if mode is None:
                os.symlink(content, temporary, dir_fd=folder)
                return temporary
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open(temporary, flags, 0o600, dir_fd=folder)
            break
    else:
        raise FileExistsError(errno.EEXIST, "too many left-over .harness-*.part files in the folder")
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        if old is not None and (old.st_uid, old.st_gid) != (os.fstat(fd).st_uid, os.fstat(fd).st_gid):
            with contextlib.suppress(PermissionError):
                os.fchown(fd, old.st_uid, old.st_gid)
        os.fchmod(fd, mode)
    except BaseException:
        os.unlink(temporary, dir_fd=folder)
        raise
    finally:
        os.close(fd)
    return temporary


def _remove(base: int, path: bytes) -> None:
    try:
        with _folder(base, path, make=False) as (folder, name):
            os.unlink(name, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        with _folder(base, path, make=False) as (folder, name):
            try:
                os.rmdir(name, dir_fd=folder)
            except OSError:
                return  # it holds something else
