from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.conversation.blocks import Usage
from harness.conversation.events import (
    Event,
    Notice,
    RequestSent,
    ResponseDone,
    Retrying,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
    TurnEnded,
)
from harness.ui.plain import PlainProgress
from harness.ui.render import EventLines


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(*events: Event | float, width: int = 80) -> str:
    """What events print; a number lets that many seconds pass."""
    clock, out = Clock(), io.StringIO()
    lines = EventLines(Console(file=out, width=width), clock)
    for event in events:
        if isinstance(event, float):
            clock.now += event
        else:
            lines.show(event)
    return out.getvalue()


def done(verdict: str = "hit", cause: str = "", cost: float | None = 0.0123) -> ResponseDone:
    return ResponseDone(1, "m", Usage(uncached=27, read=973), cost, verdict, cause, "end_turn")


def test_a_turn() -> None:
    events: list[Event | float] = [
        RequestSent(1, "m"),
        ThinkingDelta("secret"),
        4.0,
        ThinkingDelta(" thoughts"),
        TextDelta("Look"),
        TextDelta("ing."),
        done("first"),
        ToolStarted("1", "shell", "ls"),
        ToolFinished("1", "shell", "exit 0", False, 1.0),
        ToolStarted("2", "read", "x"),
        ToolFinished("2", "read", "no such file", True, 1.0),
        TurnEnded("done", "Looking."),
    ]

    assert shown(*events) == (
        "thinking … 4 s\nLooking.\n  read 97.3 % · $0.0123\n✓ shell ls — exit 0\n✗ read x — no such file\n\n"
    )


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Retrying(2, 1.5, "overloaded"), "! attempt 2 failed (overloaded); again in 1.5 s"),
        (Notice("so it is"), "! so it is"),
        (done("hit"), "  read 97.3 % · $0.0123"),
        (done("expired", "not read in time"), "  read 97.3 % · $0.0123 · expired: not read in time"),
        (done("too short"), "  read 97.3 % · $0.0123 · too short"),
        (done("hit", cost=None), "  read 97.3 % · unknown"),
        (TurnEnded("limit", "", "5 model calls"), "✗ a limit was reached: 5 model calls\n"),
        (TurnEnded("interrupted", ""), "✗ stopped\n"),
    ],
)
def test_a_line_for_each(event: Event, line: str) -> None:
    assert shown(event) == line + "\n"


def test_our_own_miss_stands_out() -> None:
    console = Console(file=io.StringIO(), width=80, record=True, force_terminal=True, color_system="standard")

    EventLines(console, Clock()).show(done("ours", "block 3 moved"))

    assert "\x1b[1;31m · ours: block 3 moved" in console.export_text(styles=True)


HOSTILE = "a\x1b[2J\x1b]52;c;aGk=\x07\u202eb\x9bc"
ESCAPED = "a\\x1b[2J\\x1b]52;c;aGk=\\x07\\u202eb\\x9bc"


@pytest.mark.parametrize(
    "events",
    [
        [TextDelta(HOSTILE)],
        [TextDelta("```\n" + HOSTILE + "\n")],
        [ToolStarted("1", "shell", HOSTILE), ToolFinished("1", "shell", "", False, 0)],
        [ToolFinished("1", HOSTILE, "", False, 0)],
        [ToolFinished("1", "shell", HOSTILE, True, 0)],
        [Retrying(1, 1, HOSTILE)],
        [Notice(HOSTILE)],
        [done("evicted", HOSTILE)],
        [TurnEnded("failed", "", HOSTILE)],
    ],
)
def test_nothing_acts_on_the_terminal(events: list[Event]) -> None:
    text = shown(*events, TurnEnded("done", ""), width=200)

    assert ESCAPED in text
    assert not set(text) & set("\x1b\x07\u202e\x9b")


def test_markup_of_the_library_is_text() -> None:
    assert shown(TextDelta("[bold red]x[/] :smile:\n")) == "[bold red]x[/] :smile:\n"
    assert shown(Notice("[link=http://x]y[/link]")) == "! [link=http://x]y[/link]\n"


def test_words_are_repeated_escaped_and_in_part() -> None:
    out = io.StringIO()
    lines = EventLines(Console(file=out, width=80), Clock())

    lines.echo("one\x1b[2J\ntwo", "queued")
    lines.echo("\n".join(str(number) for number in range(30)))

    assert out.getvalue().startswith("> one\\x1b[2J  (queued)\n  two\n> 0\n  1\n")
    assert out.getvalue().endswith("  19\n  … 10 more lines\n")


def test_the_plain_screen_says_the_same() -> None:
    written: list[str] = []
    progress = PlainProgress(written.append)
    for event in (
        ToolStarted("1", "shell", "ls"),
        ToolFinished("1", "shell", "exit 0", False, 1.0),
        ToolFinished("2", "read", HOSTILE, True, 1.0),
        TextDelta("x"),
        Notice("n"),
    ):
        progress.show(event)

    assert written == ["· shell ls — exit 0\n", f"✗ read — {ESCAPED}\n", "! n\n"]
