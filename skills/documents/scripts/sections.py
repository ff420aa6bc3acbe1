"""What the four scripts share: text with section lines, table rows, and how a script is run.

A script is `python SCRIPT INPUT OUTPUT [FIRST-LAST]`. It writes UTF-8 to OUTPUT; a line that begins with MARK starts a
section of the outline. To refuse a document, with one line that says why, it calls `sys.exit("…")`.
"""

import re
import sys

MARK = "\x1e"
LIMIT = 16_000_000  # characters of one text
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class _Full(Exception):
    """The text has reached its limit."""


class Text:
    """The text that is being written."""

    def __init__(self, file):
        self._file = file
        self._room = LIMIT

    def section(self, line):
        """Begin a section: `--- page 3 ---`, `## Heading`."""
        self._write("\n" + MARK + _flat(line) + "\n")

    def line(self, text=""):
        """Write one line, or several where the text has line ends."""
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0b", "\n")
        self._write(_CONTROL.sub(" ", text.replace("\t", "    ")) + "\n")

    def row(self, cells):
        """Write one row of a table, as Markdown."""
        self._write("| " + " | ".join(_flat(cell).replace("|", "\\|") for cell in cells) + " |\n")

    def table(self, rows):
        """Write a table whose first row is its header."""
        rows = list(rows)
        self._write("\n")
        width = max((len(row) for row in rows), default=0)
        for number, row in enumerate(rows):
            self.row([*row, *[""] * (width - len(row))])
            if number == 0:
                self.row(["---"] * width)
        self._write("\n")

    def _write(self, text):
        self._room -= len(text)
        if self._room < 0:
            raise _Full
        self._file.write(text)


def _flat(text):
    """One line: what had several becomes `a / b`."""
    lines = [" ".join(_CONTROL.sub(" ", line).split()) for line in re.split(r"[\r\n\x0b]+", str(text))]
    return " / ".join(line for line in lines if line)


def run(convert):
    """Call `convert(input, text, first, last)` for the command line."""
    source, target, *rest = sys.argv[1:]
    first, _, last = (rest[0] if rest else "1-2000").partition("-")
    with open(target, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        try:
            convert(source, Text(file), int(first), int(last))
        except _Full:
            file.write(f"\n(the rest is left out: the text has {LIMIT:,} characters so far)\n")
