"""Streaming text with light Markdown: rows for the terminal as soon as they are full.

Invariant: a row that was given is final; nothing is drawn twice. Styles are added and no character is taken away, so
what stands on the screen can be copied as the model wrote it (white space at a wrap aside, and what `visible` escapes).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import accumulate

from rich.cells import cell_len
from rich.text import Text

from harness.tools.output import visible

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_MAYBE_FENCE = re.compile(r" {0,3}[`~]{0,2}\Z| {0,3}(`{3,}|~{3,})[^`]*\Z")
_HEADING = re.compile(r" {0,3}#{1,6}\s")
_LIST = re.compile(r"(\s*)([-*+]|\d{1,4}[.)]) +")
_QUOTE = re.compile(r" {0,3}> ?")
_INLINE = re.compile(r"`+|(?<![\w*])\*\*(?=[^\s*])|(?<=[^\s*])\*\*(?![\w*])")

_LONGEST = 8_000
"""Characters of one line of code that are held back for its end."""

_TAB = "    "

_HALF = "\r\ufe0f\u200c\u200d"
"""What cannot be told before the next character has come."""


class MarkdownRows:
    """Turns pieces of a text into rows. `width`: columns of the terminal now."""

    def __init__(self, width: Callable[[], int]) -> None:
        self._width = width
        self._rest = ""
        self._fence = ""
        self._begun = False
        """Whether rows of the unfinished line were given already."""
        self._indent = 0
        self._base = ""
        self._code = ""
        self._bold = False
        self._silent = True
        """Nothing but empty lines so far: those at the beginning are not shown."""

    def feed(self, text: str) -> Iterator[Text]:
        """The rows that this piece completes."""
        *lines, rest = (self._rest + text).split("\n")
        self._rest = rest
        for line in lines:
            yield from self._line(line.removesuffix("\r"))
        if self._fence:
            while len(self._rest) > _LONGEST:
                yield self._code_row(visible(self._rest[:_LONGEST]))
                self._rest = self._rest[_LONGEST:]
        elif not _MAYBE_FENCE.match(self._rest) or self._begun:
            yield from self._full_rows()

    def end(self) -> Iterator[Text]:
        """What is left; the next piece begins a new text."""
        if self._rest.strip() or self._begun:
            yield from self._line(self._rest.removesuffix("\r"))
        self._rest, self._fence, self._silent = "", "", True

    def _line(self, line: str) -> Iterator[Text]:
        """A line that is complete, or what is left of it."""
        if self._silent and not line.strip() and not self._begun:
            return
        self._silent = False
        fence = None if self._begun else _FENCE.match(line)
        if self._fence:
            closes = fence and fence[1].startswith(self._fence) and not fence[2].strip()
            yield Text(_shown(line), "dim") if closes else self._code_row(_shown(line))
            self._fence = "" if closes else self._fence
        elif fence and ("`" not in fence[2] or fence[1][0] == "~"):
            self._fence = fence[1]
            yield Text(_shown(line), "dim")
        else:
            shown = _shown(line)
            self._begin(shown)
            yield from self._wrapped(shown, last=True)
            self._begun = False

    def _full_rows(self) -> Iterator[Text]:
        """Rows of a line whose end has not come yet. The last characters may be half of its end, or of an emoji."""
        whole = self._rest.rstrip(_HALF)
        held = self._rest[len(whole) :]
        shown = _shown(whole)
        if cell_len(shown) <= self._width():
            return
        self._begin(shown)
        rows = list(self._wrapped(shown, last=False))
        self._rest += held
        yield from rows

    def _begin(self, line: str) -> None:
        """How a new line is shown: its base style, and the indent of its further rows."""
        if self._begun:
            return
        item = _LIST.match(line)
        self._indent = min(len(item[0]) if item else 0, self._width() // 2)
        self._base = "bold" if _HEADING.match(line) else "dim" if _QUOTE.match(line) else ""
        self._code, self._bold = "", False

    def _wrapped(self, text: str, *, last: bool) -> Iterator[Text]:
        """`text` in rows; what does not fill a row is kept in `_rest`, or given too when it is the `last`."""
        while True:
            text = text.lstrip(" ") if self._begun else text
            room = max(8, self._width() - (self._indent if self._begun else 0))
            if cell_len(text[: 4 * room]) <= room and len(text) <= 4 * room:
                break
            row, text = _split(text, room)
            yield self._row(row)
            self._begun, self._silent = True, False
        if last:
            if text or not self._begun:
                yield self._row(text)
        else:
            self._rest = text

    def _row(self, text: str) -> Text:
        row = Text(" " * self._indent if self._begun else "")
        if not self._begun and (item := _LIST.match(text)):
            row.append(item[0], "cyan")
            text = text[item.end() :]
        at = 0
        for mark in _INLINE.finditer(text):
            row.append(text[at : mark.start()], self._style())
            at = mark.end()
            if mark[0] == "**" and not self._code:
                row.append(mark[0], "dim")
                self._bold = not self._bold
            elif mark[0] == "**" or self._code not in ("", mark[0]):
                row.append(mark[0], self._style())
            else:
                row.append(mark[0], "dim")
                self._code = "" if self._code else mark[0]
        row.append(text[at:], self._style())
        return row

    def _style(self) -> str:
        if self._code:
            return "cyan"
        return f"{self._base} bold".strip() if self._bold else self._base

    def _code_row(self, text: str) -> Text:
        return Text(text, "cyan")


def _shown(line: str) -> str:
    return visible(line).replace("\t", _TAB)


def _split(text: str, room: int) -> tuple[str, str]:
    """The first row of `text` and the rest; between words where a row has two, else between characters."""
    used = accumulate(map(cell_len, text))
    end = next((at for at, width in enumerate(used) if width > room), len(text))
    if end == len(text):
        return text, ""
    blank = end if text[end] == " " else text.rfind(" ", 0, end)
    if blank > 0 and text[:blank].strip():
        return text[:blank].rstrip(" "), text[blank:].lstrip(" ")
    return text[:end], text[end:]
