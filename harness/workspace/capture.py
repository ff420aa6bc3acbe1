"""The output of a process: its head and tail in memory, the whole of it in a file.

Invariant: memory stays flat whatever is fed; a full disk loses the file, never the head and the tail.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from harness.conversation.private_files import unnamed
from harness.workspace import files

HEAD = 16 * 1024
TAIL = 32 * 1024

FILE = 64 * 1024 * 1024
"""Bytes kept in the file; what follows is counted only, so that no command can fill the disk."""


@dataclass(frozen=True, slots=True)
class Captured:
    """What was caught.

    head, tail: the first and last bytes; they do not overlap, and together are everything when `total` is
    their sum.
    total: bytes that came. path: the file with the first `kept` bytes, or None when none was needed or
    possible.
    problem: why there is no complete file, or "".
    """

    head: bytes
    tail: bytes
    total: int
    path: Path | None
    kept: int
    problem: str


class Capture:
    """Takes output piece by piece; `finish` once, or `drop`. Not for use from two threads at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0
        self._kept = 0
        self._hash = hashlib.sha256()
        self._fd: int | None = None
        self._part: Path | None = None
        self._problem = ""

    def feed(self, piece: bytes) -> None:
        """Takes the next bytes; may write to disk."""
        self._total += len(piece)
        room = HEAD - len(self._head)
        self._head += piece[:room] if room > 0 else b""
        rest = piece[max(room, 0) :]
        if not rest:
            return
        if self._fd is None and not self._problem and self._total > HEAD + TAIL:
            self._start()
            self._keep(bytes(self._head) + bytes(self._tail))
        if self._fd is not None:
            self._keep(rest)
        self._tail += rest
        if len(self._tail) > TAIL:
            del self._tail[:-TAIL]

    def _start(self) -> None:
        try:
            files.private_folder(self._folder)
            self._fd, self._part = unnamed(self._folder)
        except OSError as error:
            self._problem = f"the whole output could not be kept: {files.reason(error)}"

    def _keep(self, piece: bytes) -> None:
        piece = piece[: FILE - self._kept]
        view = memoryview(piece)
        while view and self._fd is not None:
            try:
                count = os.write(self._fd, view)
            except OSError as error:
                # half of it helps less than the room that it takes from the session's journal
                self._problem = f"the whole output could not be kept: {files.reason(error)}"
                self.drop()
                self._part, self._kept = None, 0
                return
            self._hash.update(view[:count])
            self._kept += count
            view = view[count:]
        if self._kept >= FILE and not self._problem:
            self._problem = f"only the first {FILE:,} bytes are kept"

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def finish(self) -> Captured:
        """Names the file after its content and gives the result."""
        self._close()
        path = None
        if self._part is not None and self._kept:
            path = self._folder / f"{self._hash.hexdigest()[:16]}.txt"
            try:
                self._part.replace(path)
            except OSError as error:
                path, self._problem = None, f"the whole output could not be kept: {files.reason(error)}"
        return Captured(bytes(self._head), bytes(self._tail), self._total, path, self._kept, self._problem)

    def drop(self) -> None:
        """Gives up: the file goes."""
        self._close()
        if self._part is not None:
            with contextlib.suppress(OSError):
                self._part.unlink(missing_ok=True)
