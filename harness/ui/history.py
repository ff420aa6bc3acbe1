"""What the person typed, across runs: one JSON text a line, private.

Invariant: only its owner can read the file, and a line that cannot be read or kept never disturbs the input.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import History

_REMEMBERED = 1_000
_READ_BYTES = 1 << 20


class InputHistory(History):
    """The history in a file. It is made, with its folder, when the first line is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__()

    def load_history_strings(self) -> Iterable[str]:
        """The latest entries, newest first."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _READ_BYTES))
                lines = file.read().splitlines()
        except OSError:
            return []
        found = []
        for line in reversed(lines):
            with contextlib.suppress(ValueError, UnicodeDecodeError):
                text = json.loads(line)
                if isinstance(text, str) and text:
                    found.append(text)
        return found[:_REMEMBERED]

    def store_string(self, string: str) -> None:
        """Add one entry. ASCII: whatever was pasted, a line stays one line."""
        line = json.dumps(string, ensure_ascii=True).encode("ascii") + b"\n"
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.fchmod(handle, 0o600)
                os.write(handle, line)
            finally:
                os.close(handle)
