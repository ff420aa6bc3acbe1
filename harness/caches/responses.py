"""Kept answers: one JSON file per key in a folder, found by key alone.

Invariant: an entry is whole or absent. What cannot be read, is too old or does not match its own name and digest is no
entry, and it is said why; nothing in a file is ever executed or believed beyond its form. Several processes may read,
write and prune one folder at once: a file is written beside its name, synced, and renamed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.caches.response_key import FORMAT, Components, difference, likeness, read_components
from harness.conversation.blobs import sync_path
from harness.conversation.blocks import Usage
from harness.conversation.canonical import Json, decode, digest, encode
from harness.conversation.stored import read_usage, write_usage
from harness.errors import storage_error
from harness.seam import Seam

COMPLETE = frozenset({"end_turn", "tool_use", "stop_sequence"})
"""The stop reasons of an answer that is kept: it said all that it had to say."""

LONGEST_ENTRY = 64 * 1024 * 1024
LONGEST_TEXT = 64 * 1024
"""Characters from which a message is not kept to show later how another differs from it."""
MOST_BYTES = 1024 * 1024 * 1024
MOST_ENTRIES = 50_000
COMPARED = 500
"""Entries, the last used first, among which the nearest to a miss is sought."""
ORPHAN = 3600.0
"""Seconds after which a file that was being written is known to be a killed process's."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A kept answer.

    chunks: the raw stream: milliseconds from the request, bytes. session, request: whose it was: id, record number.
    at: seconds since the epoch. request_id: the vendor's. model: "provider/name".
    """

    key: str
    parts: Components
    chunks: tuple[tuple[int, bytes], ...]
    usage: Usage
    stop: str
    request_id: str
    model: str
    session: str
    request: int
    at: float

    @property
    def texts(self) -> Mapping[str, str]:
        """The messages that were new in its request, by digest."""
        return self.parts.texts


class _Damaged(ValueError):
    """A file that is no entry."""


def _write(entry: Entry) -> bytes:
    chunks = [[at, chunk.decode("latin-1")] for at, chunk in entry.chunks]
    return encode(
        {
            "at": entry.at,
            "chunks": chunks,
            "components": entry.parts.to_json(),
            "format": FORMAT,
            "model": entry.model,
            "request": entry.request,
            "request_id": entry.request_id,
            "session": entry.session,
            "stop": entry.stop,
            "sum": digest(encode(chunks)),
            "texts": {name: text for name, text in entry.texts.items() if len(text) <= LONGEST_TEXT},
            "usage": write_usage(entry.usage),
        }
    )


def _read(key: str, raw: bytes) -> Entry:
    """An entry of its bytes. Raises _Damaged."""
    try:
        data = decode(raw)
        parts = read_components(data["components"], data["texts"])
        chunks = tuple((_whole(at), text.encode("latin-1")) for at, text in data["chunks"])
        usage = {name: _whole(count) for name, count in data["usage"].items()}
        stop, request_id, model, session = (str(data[name]) for name in ("stop", "request_id", "model", "session"))
        request, at = _whole(data["request"]), float(data["at"])
        entry = Entry(key, parts, chunks, read_usage(usage), stop, request_id, model, session, request, at)
        same = data["format"] == FORMAT and data["sum"] == digest(encode(data["chunks"]))
    except _Damaged:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise _Damaged(f"{type(error).__name__}: {str(error)[:80]}") from error
    if not same or entry.parts.key != key:
        raise _Damaged("its content is not what its name and digest say")
    if entry.stop not in COMPLETE:
        raise _Damaged(f"its answer ended with {entry.stop!r:.40}")
    return entry


def _whole(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _Damaged(f"{value!r:.20} is no count")
    return value


@dataclass(frozen=True, slots=True)
class File:
    """A file of the folder. used: last read or written, seconds since the epoch. entry: None where it is damaged."""

    path: Path
    size: int
    used: float
    entry: Entry | None
    problem: str = ""


class Responses:
    """The kept answers of one folder, which need not exist yet.

    Args:
        lives: seconds for which an answer is given again; counted from when the vendor gave it.
        shared: for everyone who may read the folder: rights are those of the person's umask, else theirs alone.
    """

    def __init__(self, folder: Path, seam: Seam, lives: float, *, shared: bool = False) -> None:
        self.folder = folder
        self._seam = seam
        self._lives = lives
        self._modes = (0o777, 0o666) if shared else (0o700, 0o600)
        self._known: dict[tuple[str, int], tuple[Components, str]] = {}
        self._written = 0

    def find(self, parts: Components) -> Entry | str:
        """The kept answer to a request, or why there is none: one line that names what differs. Blocks."""
        key = parts.key
        path = self._path(key)
        try:
            entry = _read(key, _content(path))
        except FileNotFoundError:
            return self._nearest(parts)
        except _Damaged as problem:
            return f"the entry {key[:12]} is damaged: {problem}"
        except OSError as error:
            return f"the entry {key[:12]} cannot be read: {error.strerror}"
        age = self._seam.now() - entry.at
        if not 0 <= age <= self._lives:
            return f"the entry {key[:12]} is {'too old' if age > 0 else 'from the future'} ({_age(abs(age))})"
        with suppress(OSError):
            os.utime(path)  # what is used is pruned last; a folder that is only read is used all the same
        return entry

    def keep(self, entry: Entry) -> None:
        """Keep an answer in place of what was there under its key. Blocks until it is on the disk.

        Raises:
            StorageFull: no room, or no right to write.
        """
        path = self._path(entry.key)
        temporary = path.with_name(f".{self._seam.new_id()}.part")
        folder_mode, file_mode = self._modes
        try:
            # `parents` makes those above with the rights of the umask
            self.folder.mkdir(mode=folder_mode, parents=True, exist_ok=True)
            path.parent.mkdir(mode=folder_mode, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with open(temporary, "wb", opener=lambda name, _: os.open(name, flags, file_mode)) as file:
                file.write(_write(entry))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_path(path.parent)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise storage_error(error, path) from error
        if self._written % 200 == 0:
            self.prune()
        self._written += 1

    def files(self) -> Iterator[File]:
        """Every file that has the name of an entry, the last used first; one that vanishes meanwhile is left out."""
        for path, size, used in self._listed():
            try:
                yield File(path, size, used, _read(path.stem, _content(path)))
            except FileNotFoundError:
                continue
            except (_Damaged, OSError) as problem:
                yield File(path, size, used, None, str(problem))

    def prune(self, *, bytes_at_most: int = MOST_BYTES, entries_at_most: int = MOST_ENTRIES) -> tuple[int, int]:
        """Remove what is older than it lives, then what was used least lately; gives files and bytes removed. Blocks.

        By the time of last use, so nothing is opened: what was read since it grew too old goes with a later prune.
        """
        now, kept, left, removed, freed = self._seam.now(), 0, 0, 0, 0
        for path, size, used in self._listed():
            if now - used <= self._lives and kept < entries_at_most and left + size <= bytes_at_most:
                kept, left = kept + 1, left + size
            else:
                removed, freed = removed + self._remove(path), freed + size
        for path in self._glob("??/.*.part"):
            with suppress(OSError):
                if now - path.stat().st_mtime > ORPHAN:
                    removed += self._remove(path)
        return removed, freed

    def clear(self) -> tuple[int, int]:
        """Remove every entry; gives files and bytes removed. Blocks."""
        found = list(self._listed())
        return sum(self._remove(path) for path, _, _ in found), sum(size for _, size, _ in found)

    def _remove(self, path: Path) -> int:
        try:
            path.unlink()
        except FileNotFoundError:
            return 0  # another process did
        except OSError as error:
            raise storage_error(error, path) from error
        return 1

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def _glob(self, pattern: str) -> Iterator[Path]:
        with suppress(OSError):
            yield from self.folder.glob(pattern)

    def _listed(self) -> list[tuple[Path, int, float]]:
        """Path, size, last use of each entry's file, the last used first."""
        found = []
        for path in self._glob("??/*.json"):
            with suppress(OSError):
                about = path.lstat()
                found.append((path, about.st_size, about.st_mtime))
        return sorted(found, key=lambda item: (-item[2], item[0].name))

    def _nearest(self, parts: Components) -> str:
        """How a request differs from the kept one that is most like it."""
        texts, best, best_session = dict(parts.texts), None, ""
        for path, _, used in self._listed()[:COMPARED]:
            name = (path.stem, int(used))
            if name not in self._known:
                try:
                    entry = _read(path.stem, _content(path))
                except (_Damaged, OSError):
                    continue  # `harness cache responses` lists it as damaged
                self._known[name] = (entry.parts, entry.session)
            other, session = self._known[name]
            texts.update(other.texts)
            if best is None or likeness(parts, other) > likeness(parts, best):
                best, best_session = other, session
        if best is None:
            return "nothing is kept yet"
        return f"{difference(parts, best, texts)} (nearest: {best.key[:12]}, of session {best_session[:40]})"


def _content(path: Path) -> bytes:
    """The bytes of a regular file. Raises OSError, _Damaged."""
    # a pipe must not be waited for, nor a link be followed out of the folder
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise _Damaged("it is not a regular file")
        if about.st_size > LONGEST_ENTRY:
            raise _Damaged(f"it is larger than {LONGEST_ENTRY} bytes")
        return file.read(LONGEST_ENTRY)


def _age(seconds: float) -> str:
    return f"{seconds / 86400:.1f} days" if seconds >= 86400 else f"{seconds / 3600:.1f} h"
