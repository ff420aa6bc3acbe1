"""Events as lines of the terminal: the answer as it streams, a line for each call, a dim one for each request.

Invariant: what was printed is never drawn again, and all that a model, a tool or a file said is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.console import Console
from rich.text import Text

from harness.audit.report import hit_rate, money, percent
from harness.conversation.events import (
    Event,
    RequestSent,
    ResponseDone,
    TextDelta,
    ThinkingDelta,
    ToolStarted,
    TurnEnd,
    TurnEnded,
)
from harness.tools.output import visible
from harness.ui.markdown import MarkdownRows
from harness.ui.plain import Line, Wording, one_line

_MARKS = {"done": ("✓", "green"), "failed": ("✗", "red"), "warning": ("!", "yellow")}

ENDS: dict[TurnEnd, str] = {
    "done": "",
    "limit": "a limit was reached",
    "refused": "refused",
    "partial": "incomplete",
    "failed": "failed",
    "interrupted": "stopped",
}
"""How a turn ended, in words."""

_ECHO_ROWS = 20
"""Lines of the person's own words that are repeated above the answer."""


class EventLines:
    """Prints events on a console. `clock`: seconds, for durations."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._rows = MarkdownRows(lambda: self._console.width)
        self._wording = Wording()
        self._thinking: float | None = None

    def show(self, event: Event) -> None:
        """One event."""
        if not isinstance(event, ThinkingDelta):
            self._end_thinking()
        if not isinstance(event, TextDelta):
            self._print_all(self._rows.end())
        match event:
            case TextDelta(text):
                self._print_all(self._rows.feed(text))
            case ThinkingDelta():
                self._thinking = self._clock() if self._thinking is None else self._thinking
            case ResponseDone():
                self._print(usage_line(event))
            case TurnEnded(reason, _, detail):
                self._wording.forget()
                if words := ENDS[reason]:
                    self._marked(Line("failed", one_line(f"{words}: {detail}" if detail else words)))
                self._print(Text())
            case RequestSent() | ToolStarted():
                self._wording.line(event)
            case _:
                if (line := self._wording.line(event)) is not None:
                    self._marked(line)

    def echo(self, text: str, note: str = "") -> None:
        """What the person said, so that it stands above its answer. `note`: what happens to it."""
        lines = visible(text).split("\n")
        more = len(lines) - _ECHO_ROWS
        for number, line in enumerate(lines[:_ECHO_ROWS]):
            row = Text("  " if number else "> ", "bold blue")
            row.append(line, "bold")
            if number == 0 and note:
                row.append(f"  ({note})", "dim")
            self._print(row)
        if more > 0:
            self._print(Text(f"  … {more} more lines", "dim"))

    def say(self, lines: Sequence[str], style: str = "") -> None:
        """Lines of the program; whatever they quote is escaped here."""
        for line in lines:
            self._console.print(Text(visible(line), style), highlight=False)

    def error(self, text: str) -> None:
        """One line that says what went wrong."""
        self._end_thinking()
        self._print_all(self._rows.end())
        self._marked(Line("failed", one_line(text)))

    def _end_thinking(self) -> None:
        if self._thinking is not None:
            self._print(Text(f"thinking … {self._clock() - self._thinking:.0f} s", "dim italic"))
            self._thinking = None

    def _marked(self, line: Line) -> None:
        mark, style = _MARKS[line.kind]
        self._print(Text.assemble((mark, style), " ", line.text))

    def _print_all(self, rows: Iterable[Text]) -> None:
        for row in rows:
            self._print(row)

    def _print(self, row: Text) -> None:
        # the terminal wraps: what is copied from it has no line ends that nobody wrote
        self._console.print(row, soft_wrap=True, highlight=False)


def usage_line(event: ResponseDone) -> Text:
    """What a request read and cost; and why it did not read more, where it could have."""
    row = Text().append(f"  read {percent(hit_rate(event.usage))} · {money(event.cost)}", "dim")
    if event.verdict not in ("hit", "first"):
        cause = f": {one_line(event.cause, 200)}" if event.cause else ""
        row.append(f" · {event.verdict}{cause}", "bold red" if event.verdict == "ours" else "yellow")
    return row
