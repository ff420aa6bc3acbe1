"""A terminal for tests: a program on a real PTY, and what a person in front of it would see.

Invariant: only what the program wrote is on the glass; a sequence that the reader does not know is kept in `unknown`.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from rich.cells import cell_len

from tests.e2e.lab import Forks, Seated
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]

_SEQUENCE = re.compile(
    r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\].*?(?:\x07|\x1b\\)|\x1b[P^_X].*?\x1b\\|\x1b[^\[\]P]", re.DOTALL
)
_END = b"\0"
"""No program writes it; on the glass it takes no room."""


class Glass:
    """Rows of text, as a terminal shows them; those that left at the top are kept in `past`."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.past: list[str] = []
        self.unknown: list[str] = []
        self._lines = [""] * rows
        self._row = self._column = 0
        self._rest = ""

    @property
    def lines(self) -> list[str]:
        """What is visible."""
        return [line.rstrip() for line in self._lines]

    @property
    def text(self) -> str:
        """All that was ever there and was not erased."""
        return "\n".join([*self.past, *self.lines]).rstrip()

    def feed(self, text: str) -> int:
        """Take output in; how often it asked for the cursor's place."""
        text, asked = self._rest + text, 0
        self._rest = ""
        while text:
            if text[0] != "\x1b":
                self._put(text[0])
                text = text[1:]
            elif (found := _SEQUENCE.match(text)) is not None:
                asked += found[0] == "\x1b[6n"
                self._act(found[0], found[1], found[2])
                text = text[found.end() :]
            else:
                self._rest, text = text, ""
        return asked

    @property
    def place(self) -> str:
        """The answer to a question for the cursor's place."""
        return f"\x1b[{self._row + 1};{min(self._column, self.columns - 1) + 1}R"

    def _put(self, character: str) -> None:
        match character:
            case "\n":
                self._down()
            case "\r":
                self._column = 0
            case "\b":
                self._column = max(0, self._column - 1)
            case "\0":
                pass
            case "\x07":
                self.unknown.append(character)
            case _:
                if self._column + cell_len(character) > self.columns:
                    self._column = 0
                    self._down()
                line = self._lines[self._row].ljust(self._column)
                self._lines[self._row] = line[: self._column] + character + line[self._column + 1 :]
                self._column += cell_len(character)

    def _down(self) -> None:
        if self._row < self.rows - 1:
            self._row += 1
            return
        self.past.append(self._lines.pop(0).rstrip())
        self._lines.append("")

    def _act(self, sequence: str, parameters: str | None, final: str | None) -> None:
        count = int(parameters) if parameters and parameters.isdigit() else 1
        line = self._lines[self._row]
        match final:
            case "A":
                self._row = max(0, self._row - count)
            case "B":
                self._row = min(self.rows - 1, self._row + count)
            case "C":
                self._column = min(self.columns - 1, self._column + count)
            case "D":
                self._column = max(0, min(self._column, self.columns - 1) - count)
            case "J" if parameters in ("", "0"):
                self._lines[self._row :] = [line[: self._column], *[""] * (self.rows - self._row - 1)]
            case "K" if parameters in ("", "0"):
                self._lines[self._row] = line[: self._column]
            case "h" | "l" | "m" | "n":
                pass
            case _:
                self.unknown.append(sequence)


class Sitting:
    """A program on a PTY, and who types there. Use as a context; what still runs at its end is killed.

    Args:
        arguments: of `python`.
        forked: begins it from there, without its second of imports.
        answers: where the cursor is, when it is asked.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        columns: int = 80,
        rows: int = 24,
        forked: Forks | None = None,
        *,
        answers: bool = True,
    ) -> None:
        self._answers = answers
        self.glass = Glass(columns, rows)
        self.raw = b""
        self._master, self._slave = pty.openpty()
        self.resize(columns, rows)
        self.modes = termios.tcgetattr(self._slave)
        env = {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "LANG": "C.UTF-8", **env}
        self.process: subprocess.Popen[bytes] | Seated
        if forked is None:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "ui" / "on_terminal.py"), sys.executable, *arguments],
                stdin=self._slave,
                stdout=self._slave,
                stderr=self._slave,
                start_new_session=True,
                cwd=cwd,
                env=env,
            )
        else:
            self.process = forked.sit(arguments, os.ttyname(self._slave), env, cwd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self.hang_up()
        os.close(self._slave)

    def hang_up(self) -> None:
        """The terminal goes away."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def resize(self, columns: int, rows: int) -> None:
        """Another size. What is on the glass is not laid out anew."""
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Press keys: `\r` is Enter."""
        os.write(self._master, text.encode())

    def listen(self, seconds: float) -> None:
        """Take in what comes within that time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._read(left)

    def _read(self, seconds: float) -> None:
        if self._master < 0 or not select.select([self._master], [], [], max(0.0, seconds))[0]:
            return
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:
            return
        self.raw += data
        for _ in range(self.glass.feed(data.decode("utf-8", "replace"))):
            if self._answers:
                os.write(self._master, self.glass.place.encode())

    def until(self, wanted: str | Callable[[Sitting], Any], patience: float = PATIENCE) -> None:
        """Wait until a text has appeared or something holds."""
        begun = time.monotonic()
        while not (wanted in self.glass.text if isinstance(wanted, str) else wanted(self)):
            waited = time.monotonic() - begun
            assert waited < patience, f"{wanted!r} did not come:\n{self.glass.text}"
            self._read(min(0.1, patience - waited))

    def shown(self, text: str) -> bool:
        """Whether it is visible now."""
        return text in "\n".join(self.glass.lines)

    def ready(self, patience: float = PATIENCE) -> None:
        """Wait for the input line of a program that just started."""
        self.until(lambda it: any(line.rstrip() == ">" for line in it.glass.lines), patience)

    def end(self) -> int:
        """Wait for the program's end; its exit code. The terminal must be as it was."""
        begun = time.monotonic()
        while self.process.poll() is None:
            assert time.monotonic() - begun < PATIENCE, f"still running:\n{self.glass.text}"
            self._read(0.05)
        # a mark behind all that it wrote, which may still be on its way through the terminal
        os.write(self._slave, _END)
        self.until(lambda it: it.raw.endswith(_END))
        assert termios.tcgetattr(self._slave) == self.modes
        assert self.process.returncode is not None
        return self.process.returncode
