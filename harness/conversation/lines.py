"""The lines of a journal: how a record is written as one, and how a file of them is read.

Invariant: reading holds one line at a time, however large the file; a line that is no record is never mistaken for one,
never hides those after it, and is always told. A line is ASCII JSON with its sequence number, the digest of the line
before it and a CRC-32 of itself.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.conversation.canonical import Json, digest
from harness.conversation.regular import open_regular

MAX_LINE = 64 * 1024 * 1024
"""Bytes of the longest line that is written or read; what is longer is no record."""

_NUMBERS = 1 << 53
"""Records are numbered below it."""

MOST_TOLD = 20
"""Lines behind one record that are told one by one where they are no records."""

_TAIL = b',"crc":"00000000"}'


@dataclass(frozen=True, slots=True)
class Record:
    """One line: `at` in seconds since the epoch, `data` a JSON object whose form depends on `kind`."""

    seq: int
    kind: str
    at: float
    data: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Damage:
    """A place where records are missing or wrong: the line's number in the file (0: the line itself is whole), and why.

    after: number of the last record that was read before it; -1 where there is none.
    """

    line: int
    reason: str
    after: int = -1

    @property
    def where(self) -> str:
        """The place, in words."""
        return f"line {self.line}" if self.line else f"what follows record {self.after}"


def format_line(record: Record, previous: str) -> bytes:
    """The line of a record, its newline included. `previous`: what `line_digest` gave for the line before."""
    value = {"at": record.at, "data": record.data, "kind": record.kind, "prev": previous, "seq": record.seq}
    # ASCII only: a raw U+2028 or newline inside a record has cut other agents' logs in two
    body = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    return body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body)


def line_digest(line: bytes) -> str:
    """What the next line names this one by; without its newline."""
    return digest(line)[:16]


def parse_line(line: bytes) -> tuple[Record, str] | str:
    """The record and the digest it names, or why the line (without its newline) is none."""
    body, crc = line[: -len(_TAIL)] + b"}", line[-len(_TAIL) :]
    if not crc.startswith(b',"crc":"') or crc != b',"crc":"%08x"}' % zlib.crc32(body):
        return "its checksum is wrong"
    try:
        value = json.loads(body)
        seq, data = int(value["seq"]), value["data"]
        if not (isinstance(data, dict) and 0 <= seq < _NUMBERS):
            return "it is no record"
        return Record(seq, str(value["kind"]), float(value["at"]), data), str(value["prev"])
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return "it is no record"


class Reader:
    """One pass over a journal file; iterate it once. What it found besides records is told after the last one.

    damage: places in the middle where records are missing. end: offset behind the last line that is a record. size:
    bytes that were read; what lies between both is a torn tail. previous, next: digest and number to go on with. place:
    offset of the record that was given last.

    Args:
        limit: bytes from the start beyond which nothing is read.
    """

    def __init__(self, path: Path, limit: int | None = None) -> None:
        self._path = path
        self._limit = limit
        self.damage: list[Damage] = []
        self.end = 0
        self.size = 0
        self.previous = ""
        self.next = 0
        self.place = 0
        self._last = -1

    def __iter__(self) -> Iterator[Record]:
        bad: list[Damage] = []
        more = 0
        for number, line in enumerate(self._lines(), 1):
            parsed = parse_line(line[:-1]) if line.endswith(b"\n") else "it has no end"
            if isinstance(parsed, str):
                # in the middle or at the end: only a record that follows can tell
                more += len(bad) == MOST_TOLD
                bad += [Damage(number, parsed, self._last)] if len(bad) < MOST_TOLD else []
                continue
            record, previous = parsed
            gap = bool(bad)
            if more:
                bad[-1] = replace(
                    bad[-1], reason=f"{bad[-1].reason}, and {more:,} lines behind it are no records either"
                )
            self.damage += bad
            bad, more = [], 0
            self.end = self.size
            self.place = self.end - len(line)
            if record.seq < self.next:
                reason = "its number was used before; another process may have written it"
                self.damage.append(Damage(number, reason, self._last))
                continue
            if previous != self.previous and not gap:
                self.damage.append(Damage(number, "it does not follow the line before it", self._last))
            self.previous = line_digest(line[:-1])
            self.next = record.seq + 1
            self._last = record.seq
            yield record

    def _lines(self) -> Iterator[bytes]:
        """The lines, each with its newline; of one that is too long only the last piece, without a newline."""
        with open_regular(self._path) as file:
            while line := file.readline(MAX_LINE):
                self.size += len(line)
                if self._limit is not None and self.size > self._limit:
                    return
                if len(line) == MAX_LINE and not line.endswith(b"\n"):
                    while (piece := file.readline(MAX_LINE)) and not piece.endswith(b"\n"):
                        self.size += len(piece)
                    self.size += len(piece)
                    line = b""
                yield line


def read_records(path: Path) -> Iterator[Record]:
    """The readable records of a journal file, without owning it: for listings."""
    return iter(Reader(path))
