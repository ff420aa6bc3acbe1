"""Bytes under a key in a folder: what both caches of our own are built on.

Invariant: an entry is whole or absent, whoever reads, writes, prunes or dies at the same time: a file is written beside
its name, synced, and renamed. Nothing but a regular file of bounded size is read. What is in a file is its cache's to
judge; one that is no entry is damaged, and said to be so.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.conversation.private_files import write_whole
from harness.errors import StorageFull, storage_error
from harness.seam import Seam

KEY = 64
"""Characters of a key: SHA-256 in hex."""
ORPHAN = 3600.0
"""Seconds after which a file that was being written is known to be a killed process's."""

DAY = 86_400.0


class Damaged(ValueError):
    """A file that is no entry; says why."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bytes of one entry; bytes and number of all; seconds that one stays without being used."""

    entry: int
    total: int
    count: int
    unused: float


@dataclass(frozen=True, slots=True)
class File:
    """The file of an entry. place: its path. size: bytes. used: last read or written, seconds since the epoch."""

    place: str
    size: int
    used: float

    @property
    def path(self) -> Path:
        """Its path; made when it is asked for, for there are many files."""
        return Path(self.place)

    @property
    def key(self) -> str:
        """Of its entry."""
        return self.path.stem


@dataclass(frozen=True, slots=True)
class About:
    """What a person is told of an entry.

    what: was asked, one line. at: when, seconds since the epoch. session, call: whose it was: id of the session; id of
    the call, or number of the request's record.
    """

    what: str
    at: float
    session: str
    call: str


class Store:
    """The entries of one folder, which is made when the first one comes.

    Args:
        shared: for everyone who may read the folder: rights are those of the person's umask, else theirs alone.
    """

    def __init__(self, folder: Path, seam: Seam, bounds: Bounds, *, shared: bool = False) -> None:
        self.folder = folder
        self._seam = seam
        self._bounds = bounds
        self._modes = (0o777, 0o666) if shared else (0o700, 0o600)
        self._named_by = "folder under [caches]" if shared else "XDG_STATE_HOME"
        self._unchecked: int | None = None
        """Bytes written since the bounds were looked at; None: they never were."""

    def get(self, key: str) -> bytes:
        """The bytes under a key. Blocks.

        Raises:
            FileNotFoundError: there are none. OSError: they cannot be read. Damaged: they can be no entry.
        """
        # a pipe must not be waited for, nor a link be followed out of the folder
        handle = os.open(self._path(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            about = os.fstat(handle)
            if not stat.S_ISREG(about.st_mode):
                raise Damaged("it is not a regular file")
            if about.st_size > self._bounds.entry:
                raise Damaged(f"it is larger than {self._bounds.entry:,} bytes")
            return file.read(self._bounds.entry)

    def used(self, key: str) -> None:
        """The entry is of use: it is pruned last. A folder that can only be read is used all the same."""
        with suppress(OSError):
            os.utime(self._path(key))

    def put(self, key: str, raw: bytes) -> str:
        """Keep bytes in place of what was there; why they could not be kept, or "". Blocks until they are on disk.

        A folder is not synced, which not every shared file system can: its entry is whole, or it is not there.
        """
        if len(raw) > self._bounds.entry:
            return f"it is larger than {self._bounds.entry:,} bytes"
        path = self._path(key)
        folder_mode, file_mode = self._modes
        try:
            # `parents` makes those above with the rights of the umask
            self.folder.mkdir(mode=folder_mode, parents=True, exist_ok=True)
            path.parent.mkdir(mode=folder_mode, exist_ok=True)
            write_whole(path, raw, file_mode)
        except OSError as error:
            # the folder, not the file: its name would push the reason out of every table
            return str(storage_error(error, self.folder, self._named_by))
        self._bound(len(raw))
        return ""

    def files(self, begins: str = "") -> list[File]:
        """Those that have the name of an entry, the last used first. begins: as their keys do."""
        found = []
        for entry in self._entries(begins[:2]):
            name = entry.name
            if len(name) == KEY + len(".json") and name.startswith(begins) and name.endswith(".json"):
                with suppress(OSError):
                    about = entry.stat(follow_symlinks=False)
                    found.append(File(entry.path, about.st_size, about.st_mtime))
        return sorted(found, key=lambda one: (-one.used, one.place))

    def told(self, about: Callable[[str, bytes], About]) -> Iterator[tuple[File, About | str]]:
        """Each file with what is known of its entry, or why it is none; one that vanishes meanwhile is left out.

        Args:
            about: tells an entry by key and bytes; raises Damaged.
        """
        for file in self.files():
            try:
                yield file, about(file.key, self.get(file.key))
            except FileNotFoundError:
                continue
            except Damaged as problem:
                yield file, str(problem)
            except OSError as problem:
                yield file, problem.strerror or str(problem)

    def prune(self, unused: float | None = None) -> tuple[int, int]:
        """Remove what was not used for that many seconds, and of the rest what was used longest ago, to the bounds.

        By the time of last use, so nothing is opened. Gives files and bytes removed. Blocks.

        Raises:
            StorageFull: a file cannot be removed; all others are.
        """
        bounds, now = self._bounds, self._seam.now()
        longest = bounds.unused if unused is None else unused
        kept, left, gone = 0, 0, []
        for file in self.files():
            if now - file.used <= longest and kept < bounds.count and left + file.size <= bounds.total:
                kept, left = kept + 1, left + file.size
            else:
                gone.append(file)
        return _remove([*gone, *self._left_behind()]), sum(file.size for file in gone)

    def clear(self, prefix: str = "") -> tuple[int, int]:
        """Remove every entry, or those whose keys begin so (with two characters or more); as `prune`."""
        gone = self.files(prefix)
        return _remove([*gone, *([] if prefix else self._left_behind())]), sum(file.size for file in gone)

    def _left_behind(self) -> Iterator[File]:
        """What killed processes were writing."""
        for entry in self._entries():
            if entry.name.startswith(".") and entry.name.endswith(".part"):
                with suppress(OSError):
                    about = entry.stat(follow_symlinks=False)
                    if self._seam.now() - about.st_mtime > ORPHAN:
                        yield File(entry.path, about.st_size, about.st_mtime)

    def _bound(self, size: int) -> None:
        """Look at the bounds with the first entry, and whenever a tenth of what they allow was written."""
        # a small one counts as what its share of the number would be
        weight = max(size, self._bounds.total // self._bounds.count)
        if self._unchecked is not None and self._unchecked + weight <= self._bounds.total // 10:
            self._unchecked += weight
            return
        self._unchecked = 0
        with suppress(StorageFull):  # what cannot be removed now is found by the next, or by `harness cache prune`
            self.prune()

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def _entries(self, begins: str = "") -> Iterator[os.DirEntry[str]]:
        """What is in the folders of keys that begin so; a link is none: it would lead out of the store."""
        with suppress(OSError), os.scandir(self.folder) as folders:
            for folder in folders:
                if len(folder.name) == 2 and folder.name.startswith(begins) and folder.is_dir(follow_symlinks=False):
                    with suppress(OSError), os.scandir(folder) as entries:
                        yield from list(entries)  # whole: some are removed while they are looked at


def too_old(at: float, now: float, lives: float) -> str:
    """Why an entry of that time is not served, or "". One from the future is as little to be believed as an old one."""
    age = now - at
    if 0 <= age <= lives:
        return ""
    return f"is {'too old' if age > 0 else 'from the future'} ({spoken(abs(age))})"


def spoken(seconds: float) -> str:
    """An age in words: "40 s", "5 min", "3 h", "2 d"."""
    for unit, size in (("d", DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}" if seconds < 100 * size else f"{seconds // size:,.0f} {unit}"
    return f"{seconds:.0f} s"


def _remove(files: Iterable[File]) -> int:
    """How many were removed. Raises StorageFull where one cannot be, when all others are."""
    removed, failed = 0, None
    for file in files:
        try:
            file.path.unlink()
            removed += 1
        except FileNotFoundError:
            continue  # another process did
        except OSError as error:
            what = f"cannot remove {file.place}: {error.strerror}; remove it as who may write to its folder"
            failed = failed or StorageFull(what)
    if failed is not None:
        raise failed
    return removed
