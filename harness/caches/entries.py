"""The entries of a cache in a folder: one JSON file each, private, bounded in number and size.

Invariant: an entry is whole or not there, whoever else writes at the same time; what is not a sound entry of that
key is as if it were not there. JSON only: reading one runs nothing.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from harness.conversation.canonical import Json, decode, encode
from harness.workspace import files

ENTRY = 8_000_000
"""Bytes of one entry."""

TOTAL = 200_000_000
"""Bytes of all; beyond it the oldest go, until a tenth is free."""

_NAME = 64
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """What was answered.

    at: when, seconds since the epoch. ttl: seconds it was meant to be served. session, call: for whom.
    """

    key: str
    tool: str
    shown: str
    at: float
    ttl: float
    session: str
    call: str
    value: Json


@dataclass(frozen=True, slots=True)
class Entries:
    """Those of one folder, which is made when the first one comes."""

    folder: Path
    total: int = TOTAL

    def get(self, key: str) -> Entry | None:
        """The entry of that key; None where there is none that is sound."""
        entry = _read(self._path(key))
        return entry if entry is not None and entry.key == key else None

    def put(self, entry: Entry) -> str:
        """Keep an entry instead of an older one of its key; why it could not be kept, or ""."""
        raw = encode({"format": _FORMAT, **asdict(entry)})
        if len(raw) > ENTRY:
            return "it is too large to be kept"
        path = self._path(entry.key)
        try:
            for folder in (self.folder, path.parent):
                files.private_folder(folder)
            fd, temporary = files.unnamed(path.parent)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(raw)
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        except OSError as error:
            return f"it could not be kept: {files.reason(error)}"
        self._bound()
        return ""

    def all(self) -> Iterator[Entry]:
        """Every sound one, in the order of their keys."""
        for path in self._paths():
            if (entry := _read(path)) is not None and entry.key == path.stem:
                yield entry

    def prune(self, before: float | None, now: float, grace: float) -> tuple[int, int]:
        """Remove what is past its time and `grace` seconds; with `before`, all that is older than that.

        What is not sound goes too. Gives how many went and how many stay.
        """
        gone = stay = 0
        for path in self.folder.glob("??/.*.part"):
            # left by a process that was killed; one that writes just now keeps its entry to itself
            path.unlink(missing_ok=True)
        for path in self._paths():
            entry = _read(path)
            old = entry is None or (entry.at < before if before is not None else now - entry.at > max(entry.ttl, grace))
            gone, stay = gone + old, stay + (not old)
            if old:
                path.unlink(missing_ok=True)
        return gone, stay

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def _paths(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("??/*.json") if len(path.stem) == _NAME)

    def _bound(self) -> None:
        """Let the oldest go where there is more than `total`. Another process may do the same: that harms nothing."""
        sized: list[tuple[float, int, Path]] = []
        for path in self._paths():
            with contextlib.suppress(OSError):
                status = path.stat()
                sized.append((status.st_mtime, status.st_size, path))
        held = sum(size for _, size, _ in sized)
        if held <= self.total:
            return
        for _, size, path in sorted(sized):
            path.unlink(missing_ok=True)
            held -= size
            if held <= self.total * 0.9:
                return


def _read(path: Path) -> Entry | None:
    try:
        with files.opened(path) as file:
            if not stat.S_ISREG(file.status.st_mode) or file.status.st_size > ENTRY:
                return None
            found = decode(files.load(file, ENTRY))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.pop("format", None) != _FORMAT:
        return None
    types = {
        "key": str,
        "tool": str,
        "shown": str,
        "at": (int, float),
        "ttl": (int, float),
        "session": str,
        "call": str,
    }
    names = {one.name for one in fields(Entry)}
    if set(found) != names or not all(isinstance(found[name], kind) for name, kind in types.items()):  # type: ignore[arg-type]
        return None
    return Entry(**found)
