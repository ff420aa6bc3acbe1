"""The progress of a one-shot run: one row at the end of its lines, drawn over itself and gone when it is over.

Invariant: where there is no terminal, lines are all that is written.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.conversation.events import Event, Progress, ToolFinished
from harness.ui.plain import Write, one_line
from harness.ui.status import cut

_ERASE = "\r\x1b[K"


class ProgressRow:
    """The row. write: takes text at once. columns: of the terminal now; 0 where there is none."""

    def __init__(self, write: Write, columns: Callable[[], int]) -> None:
        self._write = write
        self._columns = columns
        self._calls: dict[str, str] = {}
        self._drawn = False

    def line(self, text: str) -> None:
        """Write a whole line above the row."""
        self._erase()
        self._write(text)
        self._draw()

    def take(self, event: Event) -> None:
        """One event of the turn."""
        before = self._calls.copy()
        match event:
            case Progress(call_id, text) if text:
                self._calls[call_id] = text
            case Progress(call_id) | ToolFinished(call_id):
                self._calls.pop(call_id, None)
            case _:
                pass
        if self._calls != before:
            self._erase()
            self._draw()

    def end(self) -> None:
        """The turn is over."""
        self._calls.clear()
        self._erase()

    def _draw(self) -> None:
        # a row that is full would be wrapped by some terminals
        if self._calls and (width := self._columns() - 1) > 0:
            self._write(cut(one_line(f"… {[*self._calls.values()][-1]}"), width))
            self._drawn = True

    def _erase(self) -> None:
        if self._drawn:
            self._write(_ERASE)
            self._drawn = False
