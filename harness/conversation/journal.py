"""The journal of one session: an append-only file of facts, owned by one process.

Invariant: a record that `append` returned for is whole in the file, and after `sync` it is on the disk; no byte that
was written whole is ever changed. A line is ASCII JSON with its sequence number, the digest of the line before it and
a CRC-32 of itself; it is written by one `write`. What a crash left behind the last whole line is set aside on open, so
that nothing is ever appended to a torn line (which would lose the next record too).
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.conversation.canonical import Json, digest
from harness.errors import JournalBusy, JournalError, StorageFull
from harness.seam import Seam

FORMAT = 1
_TAIL = b',"crc":"00000000"}'
BLOB_FROM = 32 * 1024
"""Payloads from this size, in bytes, live beside the journal as content-addressed files."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line: `at` in seconds since the epoch, `data` a JSON object whose form depends on `kind`."""

    seq: int
    kind: str
    at: float
    data: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Damage:
    """A line that could not be read, by its number in the file; the rest of the file still was."""

    line: int
    reason: str


class Blobs:
    """Content-addressed files: `put` is idempotent, whole or absent, and never overwrites; on the disk after `sync`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unsynced: list[Path] = []

    def put(self, raw: bytes) -> str:
        """Keep the bytes; returns their SHA-256.

        Raises:
            StorageFull: no room, or no right to write.
        """
        name = digest(raw)
        path = self._folder / name[:2] / name
        # by size too: a power loss can leave a renamed file empty
        if path.exists() and path.stat().st_size == len(raw):
            return name
        temporary = path.with_name(f".{name}.part")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(temporary, "wb", opener=_private) as file:
                file.write(raw)
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise storage_error(error, path) from error
        self._unsynced.append(path)
        return name

    def sync(self) -> None:
        """Every blob put so far is on the disk when this returns. Blocks."""
        while self._unsynced:
            with self._unsynced[0].open("rb") as file:
                os.fsync(file.fileno())
            self._unsynced.pop(0)

    def get(self, name: str) -> bytes:
        """The bytes of a blob.

        Raises:
            JournalError: it is missing, or its content is not what its name says.
        """
        try:
            raw = (self._folder / name[:2] / name).read_bytes()
        except OSError as error:
            raise JournalError(f"session data is missing: {name[:12]} ({error.strerror})") from error
        if digest(raw) != name:
            raise JournalError(f"session data is damaged: {name[:12]} does not have the content that its name says")
        return raw


class Journal:
    """The open journal of one session; holds the session's lock until `close`."""

    def __init__(self, folder: Path, seam: Seam, lock: int) -> None:
        self.folder = folder
        self.blobs = Blobs(folder / "blobs")
        self.damage: tuple[Damage, ...] = ()
        self._seam = seam
        self._lock = lock
        self._path = folder / "journal.jsonl"
        self._previous = ""
        self._next = 0
        self._end = 0
        self._synced = 0
        self._file = -1

    @property
    def id(self) -> str:
        """The session's id."""
        return self.folder.name

    @property
    def owned(self) -> bool:
        """Whether it is still open, and this process its owner."""
        return self._lock >= 0

    @classmethod
    def create(cls, folder: Path, seam: Seam) -> Journal:
        """Make a new, empty session folder (0700) and own it.

        Raises:
            StorageFull: the state folder cannot be written.
        """
        try:
            folder.mkdir(mode=0o700, parents=True)
            journal = cls(folder, seam, _lock(folder, seam))
            journal._file = os.open(journal._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
            _sync_folder(folder)
        except OSError as error:
            raise storage_error(error, folder) from error
        return journal

    @classmethod
    def open(cls, folder: Path, seam: Seam) -> tuple[Journal, list[Record]]:
        """Own an existing session and read it all; a torn tail is moved to `torn-<offset>` first.

        Raises:
            JournalBusy: another process owns it.
            JournalError: it cannot be read.
        """
        try:
            journal = cls(folder, seam, _lock(folder, seam))
        except OSError as error:
            raise storage_error(error, folder) from error
        try:
            journal._file = os.open(journal._path, os.O_RDWR | os.O_APPEND)
            records = journal._load()
        except OSError as error:
            journal.close()
            raise storage_error(error, folder) from error
        return journal, records

    def _load(self) -> list[Record]:
        raw = self._path.read_bytes()
        whole = _end_of_last_whole_line(raw)
        if whole < len(raw):
            aside = self.folder / f"torn-{whole}"
            aside.write_bytes(raw[whole:])
            aside.chmod(0o600)
            os.ftruncate(self._file, whole)
            os.fsync(self._file)
        records, damage = [], []
        for number, line in enumerate(raw[:whole].split(b"\n")[:-1], 1):
            parsed = _parse(line)
            if isinstance(parsed, str):
                damage.append(Damage(number, parsed))
                continue
            record, previous = parsed
            if previous != self._previous and not damage:
                damage.append(Damage(number, "it does not follow the line before it"))
            self._previous = digest(line)[:16]
            self._next = record.seq + 1
            records.append(record)
        self.damage = tuple(damage)
        self._end = self._synced = whole
        return records

    def append(self, kind: str, data: Mapping[str, Json]) -> Record:
        """Write one record whole. Not yet on the disk: `sync` before anything that must not be forgotten.

        Raises:
            StorageFull: no room; the file is as it was before.
        """
        record = Record(self._next, kind, round(self._seam.now(), 3), data)
        self._write(record)
        return record

    def copy(self, record: Record) -> None:
        """Write a record of another journal, under its own number and time; numbers may leave gaps, never go back.

        Raises:
            StorageFull: as `append`.
        """
        if record.seq < self._next:
            raise JournalError(f"record {record.seq} comes before record {self._next}")
        self._write(record)

    def _write(self, record: Record) -> None:
        line = _format(record, self._previous)
        try:
            written = _write_whole(self._file, line + b"\n")
        except OSError as error:
            os.ftruncate(self._file, self._end)
            raise storage_error(error, self._path) from error
        self._end += written
        self._previous = digest(line)[:16]
        self._next = record.seq + 1

    async def sync(self) -> None:
        """Everything appended so far is on the disk when this returns. Does not block the event loop.

        Raises:
            StorageFull: the disk refused.
        """
        end = self._end
        if end == self._synced:
            return
        try:
            await asyncio.to_thread(self._sync)
        except OSError as error:
            raise storage_error(error, self._path) from error
        self._synced = max(self._synced, end)

    def _sync(self) -> None:
        self.blobs.sync()  # first: a record on the disk never names a blob that is not
        getattr(os, "fdatasync", os.fsync)(self._file)

    def records(self) -> Iterator[Record]:
        """All records, from the file."""
        return read_records(self._path)

    def close(self) -> None:
        """Let go of the session."""
        for handle in (self._file, self._lock):
            if handle >= 0:
                os.close(handle)
        self._file = self._lock = -1


def read_records(path: Path) -> Iterator[Record]:
    """The readable records of a journal file, without owning it: for listings."""
    with path.open("rb") as file:
        for line in file:
            parsed = _parse(line.rstrip(b"\n"))
            if not isinstance(parsed, str):
                yield parsed[0]


def _format(record: Record, previous: str) -> bytes:
    value = {"at": record.at, "data": record.data, "kind": record.kind, "prev": previous, "seq": record.seq}
    # ASCII only: a raw U+2028 or newline inside a record has cut other agents' logs in two
    body = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    return body[:-1] + b',"crc":"%08x"}' % zlib.crc32(body)


def _write_whole(handle: int, raw: bytes) -> int:
    """Write by one call; gives the number of bytes. A full disk gives a short write first, and only then its error."""
    written = os.write(handle, raw)
    if written != len(raw):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return written


def _parse(line: bytes) -> tuple[Record, str] | str:
    """The record and the digest it names, or why the line is none."""
    body, crc = line[: -len(_TAIL)] + b"}", line[-len(_TAIL) :]
    if not crc.startswith(b',"crc":"') or crc != b',"crc":"%08x"}' % zlib.crc32(body):
        return "its checksum is wrong"
    value = json.loads(body)
    return Record(value["seq"], value["kind"], value["at"], value["data"]), value["prev"]


def _end_of_last_whole_line(raw: bytes) -> int:
    """Where the last line ends that is whole and passes its checksum; what follows it is a torn tail."""
    end = raw.rfind(b"\n") + 1
    while end > 0:
        start = raw.rfind(b"\n", 0, end - 1) + 1
        if not isinstance(_parse(raw[start : end - 1]), str):
            return end
        end = start
    return 0


def _lock(folder: Path, seam: Seam) -> int:
    """Take the session's lock for life; the kernel lets go of it when the process dies, however it dies."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.read(handle, 4096).decode("utf-8", "replace").strip() or "unknown"
        os.close(handle)
        raise JournalBusy(f"session {folder.name} is in use by process {owner}; end that one first") from error
    os.ftruncate(handle, 0)
    os.write(handle, f"{seam.pid()} on {seam.host()}\n".encode())
    return handle


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    for path in (folder, folder.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def storage_error(error: OSError, path: Path) -> StorageFull:
    """What the person is told when the state folder cannot be written."""
    return StorageFull(
        f"cannot write {path}: {error.strerror}; free space or set XDG_STATE_HOME to a folder that can be written"
    )
