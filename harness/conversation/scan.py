"""Reading on in a journal file: from a place, only the kinds that are asked for, and what is damaged.

Invariant: looks only. A line counts once it is whole; what a crash left behind the last whole line is no damage, and
is read when it has become whole.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from harness.conversation.lines import MAX_LINE, Damage, Record, line_digest, parse_line
from harness.conversation.regular import open_regular

# keys are sorted, so what a line is about stands at its end, behind data of any size
_END = re.compile(rb'"kind":"([^"\\]+)","prev":"([0-9a-f]*)","seq":(\d+),"crc":"([0-9a-f]{8})"\}\Z')
_LONGEST_END = 300


@dataclass(frozen=True, slots=True)
class Place:
    """Between two lines of a journal.

    offset: in bytes. lines: how many are before it. last, digest: where the whole line before it begins, and how the
    next one names it. next: the least number that the next record can have.
    """

    offset: int = 0
    lines: int = 0
    last: int = 0
    digest: str = ""
    next: int = 0


START = Place()


class Scan:
    """Iterate it for the records of `kinds` and the damage behind `place`, in order; then `place` is the end.

    torn: bytes behind the last whole line, once it was iterated.
    """

    def __init__(self, path: Path, kinds: Collection[str], place: Place = START) -> None:
        self.place = place
        self.torn = 0
        self._path = path
        self._kinds = {kind.encode("ascii") for kind in kinds}

    def stands(self) -> bool:
        """Whether the journal still has before `place` what it had when that was its end.

        Raises:
            OSError: the file cannot be read.
        """
        place = self.place
        with open_regular(self._path) as file:
            if file.seek(0, 2) < place.offset:
                return False
            file.seek(place.last)
            line = file.read(place.offset - place.last)
        return place == START or line_digest(line[:-1]) == place.digest

    def __iter__(self) -> Iterator[Record | Damage]:
        """Read on.

        Raises:
            OSError: the file cannot be read.
        """
        broken: list[Damage] = []
        with open_regular(self._path) as file:
            file.seek(self.place.offset)
            end, lines = self.place.offset, self.place.lines
            for line, length in _lines(file):
                begin, end, lines = end, end + length, lines + 1
                before, after = self.place, self.place.next - 1
                found = _END.search(line[-_LONGEST_END:])
                if found is None or not _whole(line, found[4]):
                    # in the middle or at the end: only a line that follows can tell
                    broken.append(Damage(lines, "its checksum is wrong", after))
                    continue
                yield from broken
                seq, follows = int(found[3]), bool(broken) or found[2].decode("ascii") == before.digest
                broken.clear()
                if seq < before.next:
                    self.place = Place(end, lines, begin, before.digest, before.next)
                    yield Damage(lines, "its number was used before; another process may have written it", after)
                    continue
                self.place = Place(end, lines, begin, line_digest(line), seq + 1)
                if not follows:
                    yield Damage(lines, "it does not follow the line before it", after)
                if found[1] in self._kinds:
                    parsed = parse_line(line)
                    yield Damage(lines, parsed, after) if isinstance(parsed, str) else parsed[0]
            self.torn = end - self.place.offset


def _lines(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Lines without their newline, and their bytes with it; of one that is too long or has no end nothing is given."""
    while line := file.readline(MAX_LINE):
        length = len(line)
        if not line.endswith(b"\n"):
            while length >= MAX_LINE and (piece := file.readline(MAX_LINE)):
                length += len(piece)
                if piece.endswith(b"\n"):
                    break
            line = b"\n"
        yield line[:-1], length


def _whole(line: bytes, crc: bytes) -> bool:
    return b"%08x" % zlib.crc32(b"}", zlib.crc32(memoryview(line)[: -len(b',"crc":"00000000"}')])) == crc
