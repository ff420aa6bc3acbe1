"""The journal of one session: an append-only file of facts, owned by one process.

Invariant: a record that `append` returned for is whole in the file, and after `sync` it is on the disk; no byte that
was written whole is ever changed. A record is written by one `write`. What a crash left behind the last whole line is
set aside on load, so that nothing is ever appended to a torn line (which would lose the next record too).
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.conversation.blobs import Blobs
from harness.conversation.canonical import Json
from harness.conversation.lines import (
    MAX_LINE,
    Damage,
    Reader,
    Record,
    format_line,
    line_digest,
    parse_line,
    read_records,
)
from harness.conversation.lock import Lock
from harness.conversation.private_files import sync_path
from harness.errors import JournalError, storage_error
from harness.seam import Seam

FORMAT = 1
_PIECE = 1 << 20


class Journal:
    """The open journal of one session; holds the session's lock until `close`.

    After `open`, `load` comes before anything else.
    """

    def __init__(self, folder: Path, seam: Seam, lock: Lock) -> None:
        self.folder = folder
        self.blobs = Blobs(folder / "blobs")
        self.damage: tuple[Damage, ...] = ()
        """Where records are missing, in the order of the file."""
        self.torn = 0
        """Bytes at the end that were no whole record when it was loaded."""
        self._seam = seam
        self._lock = lock
        self._path = folder / "journal.jsonl"
        self._previous = ""
        self._next = 0
        self._end = 0
        self._synced = 0
        self._file = -1
        self._loaded = False
        self._half = False
        self._aside = folder
        self._seqs = array("Q")
        self._places = array("Q")

    @property
    def id(self) -> str:
        """The session's id."""
        return self.folder.name

    @property
    def owned(self) -> bool:
        """Whether it is still open, and this process its owner."""
        return self._lock.held

    @classmethod
    def create(cls, folder: Path, seam: Seam) -> Journal:
        """Make a new, empty session folder (0700) and own it.

        Raises:
            StorageFull: the state folder cannot be written; nothing of it is left.
        """
        journal: Journal | None = None
        try:
            folder.mkdir(mode=0o700, parents=True)
            try:
                journal = cls(folder, seam, Lock.take(folder, seam))
                journal._file = os.open(journal._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
                for path in (folder, folder.parent):
                    sync_path(path)
            except BaseException:
                if journal is not None:
                    journal.close()
                shutil.rmtree(folder, ignore_errors=True)
                raise
        except OSError as error:
            raise storage_error(error, folder) from error
        journal._loaded = True
        return journal

    @classmethod
    def open(cls, folder: Path, seam: Seam, *, from_elsewhere: bool = False) -> Journal:
        """Own an existing session.

        Args:
            from_elsewhere: a person said that its owner on another machine is gone.

        Raises:
            JournalBusy: another process owns it.
            JournalError: it cannot be opened.
        """
        try:
            journal = cls(folder, seam, Lock.take(folder, seam, from_elsewhere=from_elsewhere))
        except OSError as error:
            raise storage_error(error, folder) from error
        try:
            journal._file = os.open(journal._path, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            journal.close()
            raise storage_error(error, folder) from error
        return journal

    def move(self, folder: Path) -> None:
        """Give a session that was made elsewhere its place: all of it, on the disk, or nothing. Blocks.

        Raises:
            StorageFull: it cannot be written there.
        """
        try:
            self._sync()
            self._synced = self._end
            self.folder.rename(folder)
            # before anything can fail: `remove` is of what is there
            self.folder, self._path = folder, folder / self._path.name
            self.blobs.moved(folder / "blobs")
            sync_path(folder.parent)
        except OSError as error:
            raise storage_error(error, folder) from error

    def load(self) -> Iterator[Record]:
        """All records, once, one at a time; after the last, a torn tail is moved to `torn-<offset>`.

        Where one was torn off there before, it goes to `torn-<offset>.2`, and so on.

        Raises:
            JournalError: it cannot be read, or nothing in it is a record; it is left as it is then.
        """
        reader = Reader(self._path)
        try:
            for record in reader:
                self._seqs.append(record.seq)
                self._places.append(reader.place)
                self._end = reader.end
                yield record
            if reader.size and not reader.end:
                raise JournalError(
                    f"nothing in {self._path} is a record of a session ({reader.size:,} bytes, left as they are); "
                    "go on with another session, or start a new one"
                )
            if reader.end < reader.size:
                self._set_aside(reader.end)
        except OSError as error:
            raise storage_error(error, self._path) from error
        self.damage = tuple(sorted((*self.damage, *reader.damage), key=lambda damage: damage.after))
        self.torn = reader.size - reader.end
        self._previous, self._next = reader.previous, reader.next
        self._end = self._synced = reader.end
        self._loaded = True

    def _set_aside(self, end: int) -> None:
        """Move what is behind `end` to a file of its own, which is on the disk before the bytes go."""
        number = 1
        while (aside := self.folder / f"torn-{end}{f'.{number}' if number > 1 else ''}").exists():
            number += 1
        target = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            place = end
            while piece := os.pread(self._file, _PIECE, place):
                _write_whole(target, piece)
                place += len(piece)
            os.fsync(target)
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        finally:
            os.close(target)
        sync_path(self.folder)
        self._aside = aside
        os.ftruncate(self._file, end)
        os.fsync(self._file)

    def lose(self, after: int, reason: str) -> None:
        """Count what follows a record as damaged: its line can be read, and still it cannot be used."""
        self.damage += (Damage(0, reason, after),)

    def whole(self, first: int, last: int) -> bool:
        """Whether every record from one number to another is there and follows the one before it."""
        return not any(first <= damage.after < last for damage in self.damage)

    def warnings(self) -> list[str]:
        """What a person must know of the file's state, one line each; none where all is well."""
        found = []
        if self.damage:
            first = self.damage[0]
            more = f" (the first of {len(self.damage)} such places)" if len(self.damage) > 1 else ""
            found.append(f"{first.where} of the session is damaged{more}: {first.reason}; it is left out")
        if self.torn:
            found.append(
                f"the last {self.torn:,} bytes of the session were no whole record; they are set aside in {self._aside}"
            )
        return found

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
        if not self._loaded:
            raise JournalError(f"session {self.id} was not read to its end; nothing can be added to it")
        line = format_line(record, self._previous)
        if len(line) >= MAX_LINE:
            raise JournalError(f"a record of {len(line):,} bytes is too large for the session; it is not kept")
        try:
            if self._half:
                os.ftruncate(self._file, self._end)
            self._half = True  # until it is known that all of it is there
            try:
                _write_whole(self._file, line)
            except OSError:
                os.ftruncate(self._file, self._end)
                self._half = False
                raise
        except OSError as error:
            raise storage_error(error, self._path) from error
        self._half = False
        self._seqs.append(record.seq)
        self._places.append(self._end)
        self._end += len(line)
        self._previous = line_digest(line[:-1])
        self._next = record.seq + 1

    async def sync(self) -> None:
        """Everything appended so far is on the disk when this returns. Does not block the event loop.

        Raises:
            StorageFull: the disk refused.
            JournalError: the file is no longer where the session is looked for.
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
        try:
            there = os.path.samestat(self._path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            there = False
        if not there:
            raise JournalError(
                f"{self._path} was moved, removed or replaced while its session was open: what is said now would be "
                "lost; put it back, or leave and start a new session"
            )

    def read(self, seq: int) -> Record:
        """One record again, by its number: memory holds where each is, not what it says.

        Raises:
            JournalError: there is none, or it cannot be read any more.
        """
        at = bisect_left(self._seqs, seq)
        if at == len(self._seqs) or self._seqs[at] != seq:
            raise JournalError(f"record {seq} of session {self.id} is lost")
        place = self._places[at]
        end = self._places[at + 1] if at + 1 < len(self._places) else self._end
        try:
            # damaged lines may lie between two records
            line = os.pread(self._file, end - place, place).partition(b"\n")[0]
        except OSError as error:
            raise storage_error(error, self._path) from error
        parsed = parse_line(line)
        if isinstance(parsed, str):
            raise JournalError(f"record {seq} of session {self.id} cannot be read any more: {parsed}")
        return parsed[0]

    def records(self) -> Iterator[Record]:
        """All records, from the file."""
        return read_records(self._path)

    def close(self) -> None:
        """Let go of the session."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
        self._lock.release()

    @property
    def length(self) -> int:
        """How many records can be read."""
        return len(self._seqs)

    def remove(self) -> None:
        """Let go of a session that was not wanted, and leave nothing of it."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _write_whole(handle: int, raw: bytes) -> None:
    """Write by one call. A full disk gives a short write first, and only then its error."""
    if os.write(handle, raw) != len(raw):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
