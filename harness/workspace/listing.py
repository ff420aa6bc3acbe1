"""What of a workspace is saved: every file that git would list, less what is too large, unreadable or not ours.

Invariant: pure but for `lstat`; nothing is opened, no symlink is followed, and whatever is left out says why.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

LARGEST = 10 * 1024 * 1024
"""Bytes of one file; a larger one is left out."""

MOST_FILES = 200_000
"""Files of one snapshot."""

MOST_BYTES = 1024 * 1024 * 1024
"""Bytes that a store may take: what is in it, and what a snapshot adds."""

PLAIN = (0o644, 0o755)
"""The permissions that git itself keeps; others are kept beside them."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A path that is not saved, relative to the root, and why."""

    path: bytes
    why: str

    @property
    def shown(self) -> str:
        """Text that JSON can carry, also where the name is not UTF-8."""
        return f"{self.path.decode('utf-8', 'backslashreplace')} ({self.why})"


@dataclass(frozen=True, slots=True)
class Listed:
    """Paths by what git says of them. known: in the last snapshot. changed: known, and not as they were."""

    known: Collection[bytes]
    changed: Collection[bytes]
    new: Collection[bytes]
    ignored: Collection[bytes]

    @classmethod
    def parse(cls, listing: bytes, ignored: bytes) -> Listed:
        """Of `ls-files -z -t -c -o -m -d` and `ls-files -z -i -c`."""
        found: dict[bytes, set[bytes]] = {tag: set() for tag in (b"H", b"C", b"R", b"?")}
        for record in listing.split(b"\0"):
            if record[:1] in found:
                found[record[:1]].add(record[2:])
        return cls(found[b"H"], found[b"C"] | found[b"R"], found[b"?"], set(filter(None, ignored.split(b"\0"))))


@dataclass(slots=True)
class Selection:
    """What a snapshot takes. modes: permissions that git does not keep, of all files that are saved."""

    take: list[bytes] = field(default_factory=list)
    drop: list[bytes] = field(default_factory=list)
    modes: dict[bytes, int] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)


def select(root: bytes, listed: Listed, room: int) -> Selection:
    """Look at every path once. Blocks.

    room: bytes that may be added.
    """
    selection, folders, sizes = Selection(), _Folders(root), {}
    left_out: dict[bytes, str] = {}
    for path in sorted({*listed.known, *listed.new}):
        fresh = path not in listed.known or path in listed.changed
        if path in listed.ignored:
            selection.drop.append(path)
        elif (repository := folders.left_out(path)) is not None:
            left_out[repository] = NESTED if repository.endswith(b"/") else "not a file of the project"
            selection.drop += [path] if path in listed.known else []
        else:
            why, status = ("", None) if folders.gone(path) else _look(root, path, opened=fresh)
            if why:
                left_out[path] = why
            if why or status is None:
                # What cannot be looked at is still there, as far as anybody knows.
                selection.drop += [path] if path in listed.known and why != UNREADABLE else []
                continue
            if fresh:
                sizes[path] = status.st_size
            if stat.S_ISREG(status.st_mode) and (mode := status.st_mode & 0o777) not in PLAIN:
                selection.modes[path] = mode
    selection.left_out = [LeftOut(path, why) for path, why in left_out.items()]
    _limit(selection, sizes, listed, room)
    return selection


NESTED = "a repository of its own"
UNREADABLE = "its folder cannot be entered"


def _look(root: bytes, path: bytes, *, opened: bool) -> tuple[str, os.stat_result | None]:
    """Why a path cannot be saved, and its status; ("", None) where it is gone."""
    full = root + b"/" + path
    try:
        status = os.lstat(full)
    except (FileNotFoundError, NotADirectoryError):
        return "", None
    except OSError:
        return UNREADABLE, None
    if stat.S_ISLNK(status.st_mode):
        return "", status
    if not stat.S_ISREG(status.st_mode):
        return "", None
    if status.st_size > LARGEST:
        return f"larger than {LARGEST // 1024 // 1024} MB", status
    if opened and not os.access(full, os.R_OK):
        return "cannot be read", status
    return "", status


def _is_link(full: bytes) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(full).st_mode)
    except OSError:
        return False


class _Folders:
    """What the folders on the way to a path say of it; each is looked at once."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._repositories: dict[bytes, bytes] = {b"": b""}
        self._links: dict[bytes, bool] = {b"": False}

    def gone(self, path: bytes) -> bool:
        """Whether a folder of it has become a symlink: what lies behind is another file."""
        folder = path.rpartition(b"/")[0]
        known = self._links.get(folder)
        if known is None:
            known = self._links[folder] = self.gone(folder) or _is_link(self._root + b"/" + folder)
        return known

    def left_out(self, path: bytes) -> bytes | None:
        """What a path is left out with: the repository it lies in ("sub/"), or itself where it is nobody's work."""
        if path.endswith(b"/"):  # git lists a repository as a folder
            return path
        folder, _, name = path.rpartition(b"/")
        if name.lower() == b".git" or (name.startswith(b".harness-") and name.endswith(b".part")):
            return path
        found = self._above(folder)
        return found + b"/" if found else None

    def _above(self, folder: bytes) -> bytes:
        """The outermost repository that a folder is, or lies in; empty in the workspace's own."""
        known = self._repositories.get(folder)
        if known is None:
            above, _, name = folder.rpartition(b"/")
            known = self._above(above)
            full = self._root + b"/" + folder + b"/.git"
            if not known and (name.lower() == b".git" or os.path.lexists(full)):
                known = folder
            self._repositories[folder] = known
        return known


def _limit(selection: Selection, sizes: dict[bytes, int], listed: Listed, room: int) -> None:
    """Take what there is room for, the smallest first: so what is left out is little."""
    gone = set(selection.drop)
    places = MOST_FILES - sum(path not in gone for path in listed.known)
    for path in sorted(sizes, key=lambda one: (sizes[one], one)):
        known = path in listed.known
        room -= sizes[path]
        places -= not known
        if room < 0 or places < 0:
            selection.left_out.append(LeftOut(path, "the saved files of this folder take all their room"))
            selection.modes.pop(path, None)
            selection.drop += [path] if known else []
        else:
            selection.take.append(path)


def told(left_out: Iterable[LeftOut], most: int = 50) -> list[str]:
    """Bounded texts of what was left out."""
    every = [one.shown for one in left_out]
    return every if len(every) <= most else [*every[:most], f"and {len(every) - most:,} more"]
