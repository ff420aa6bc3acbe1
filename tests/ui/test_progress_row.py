from __future__ import annotations

from harness.conversation.events import Event, Notice, Progress, ToolFinished
from harness.ui.plain import PlainProgress
from harness.ui.progress_row import ProgressRow


def written(columns: int, *events: Event) -> list[str]:
    """What events write on a terminal of that width; 0: on none."""
    out: list[str] = []
    row = ProgressRow(out.append, lambda: columns)
    lines = PlainProgress(row.line)
    for event in events:
        lines.show(event)
        row.take(event)
    row.end()
    return out


EVENTS = (
    Progress("1", "turn 1\x1b[2J" + "漢" * 20),
    Notice("one"),
    Progress("2", "saving"),
    Progress("2", ""),
    ToolFinished("1", "x", "", is_error=False, seconds=1.0),
    Notice("two"),
)


def test_the_row_is_below_every_line_and_goes_when_it_is_over() -> None:
    erase, long = "\r\x1b[K", "… turn 1\\x1b[2J漢漢漢…"
    assert written(24, *EVENTS) == [
        *(long, erase, "! one\n", long),
        *(erase, "… saving", erase, long),
        *(erase, "· x\n"),
        *(long, erase),
        "! two\n",
    ]
    assert written(24, EVENTS[0])[-1] == erase


def test_without_a_terminal_there_are_lines_alone() -> None:
    assert written(0, *EVENTS) == ["! one\n", "· x\n", "! two\n"]
