from __future__ import annotations

from dataclasses import replace
from typing import cast

from rich.cells import cell_len

from harness.audit.book import Book, Row
from harness.audit.totals import Totals
from harness.conversation.blocks import Usage
from harness.conversation.events import Progress, ThinkingDelta, ToolFinished, ToolStarted
from harness.ui.cache_lines import cache_lines, cost_lines
from harness.ui.conversation import Conversation
from harness.ui.status import Status


class Facts:
    model, mode = "anthropic/claude-test", "ask"
    totals = Totals(3, Usage(uncached=100, read=900, output=200), 0.5)


def conversation(**changes: object) -> Conversation:
    facts = Facts()
    for name, value in changes.items():
        setattr(facts, name, value)
    return cast("Conversation", facts)


def test_idle_it_says_what_the_session_is() -> None:
    assert Status(lambda: 0.0).lines(conversation(), 80) == [
        "anthropic/claude-test · ask · 1,200 tokens · hit 90.0 % · $0.5000"
    ]
    assert Status(lambda: 0.0).lines(conversation(totals=Totals(0, Usage(), 0.0)), 80) == [
        "anthropic/claude-test · ask"
    ]


def test_it_fits_any_width() -> None:
    status = Status(lambda: 0.0)
    status.begin()
    status.take(ToolStarted("1", "shell", "漢字\x1b" * 50))

    for width in range(1, 90):
        assert max(map(cell_len, status.lines(conversation(), width))) <= width
    assert status.lines(conversation(), 45)[1] == "anthropic/claude-test · ask · $0.5000"


def test_a_turn_shows_what_it_does_and_for_how_long() -> None:
    now = 10.0
    status = Status(lambda: now)
    status.begin()
    now = 17.4

    assert status.lines(conversation(), 80)[0] == "● 7 s · waiting for the model"
    status.take(ThinkingDelta("x"))
    assert status.lines(conversation(), 80, waiting=2)[0] == "● 7 s · 2 queued · thinking"
    status.take(ToolStarted("1", "shell", "ls"))
    status.take(ToolStarted("2", "read", "x"))
    assert status.lines(conversation(), 80)[0] == "● 7 s · shell ls (+1)"
    status.take(ToolFinished("1", "shell", "", is_error=False, seconds=1))
    assert status.lines(conversation(), 80)[0] == "● 7 s · read x"
    assert status.lines(conversation(), 80, "look")[0] == "look"
    status.end()
    assert len(status.lines(conversation(), 80)) == 1


def test_cost_and_cache_in_words() -> None:
    totals = Totals(2, Usage(uncached=10, read=900, written_short=90, output=5), None)

    assert cost_lines(totals) == [
        "2 requests, unknown",
        "in   1,000 tokens",
        "     900 read from cache, 90 written, 10 neither",
        "out  5 tokens",
    ]


def test_the_cache_in_short_is_what_the_command_tells() -> None:
    usage = Usage(uncached=10, read=900, written_short=90, output=5)
    first = Row(1, 0.0, "m", False, 1, usage, 0.5, "hit", "", "end_turn", perfect=900, bill=0.4, perfect_bill=0.4)
    late = replace(first, number=2, verdict="expired", cause="too late\x1b[2J", lost=40, lost_usd=0.25, side=True)
    book = Book((replace(first, uncached_bill=1.0), replace(late, uncached_bill=1.0)), ())

    assert cache_lines(book, "s1") == [
        "2 requests, 1 side request among them · 2,000 tokens in · $1.0000",
        "hit rate          90.0 % of all prompt tokens (1,800)",
        "a perfect cache   90.0 % (1,800)",
        "input bill        $0.8000; with a perfect cache $0.8000",
        "caching           $1.2000 less than without it",
        "lost              $0.2500 in 1 request: expired",
        "verdicts          1 hit, 1 expired",
        "    1  hit       900 of 1,000 read",
        "    2 side  expired   900 of 1,000 read: too late\\x1b[2J (40 tokens, $0.2500)",
        "all of it: harness cache s1",
    ]
    assert cache_lines(Book((), ()), "s1") == ["0 requests · 0 tokens in · $0.0000"]


def test_each_sub_agent_has_a_row_that_is_drawn_anew() -> None:
    status = Status(lambda: 0.0)
    status.begin()
    for number in range(6):
        status.take(ToolStarted(str(number), "invoke_skill", "explore"))
        status.take(Progress(str(number), f"explore: turn {number}, 10 tokens, grep \x1b"))
    status.take(Progress("0", "explore: turn 7, 20 tokens, read a"))

    rows = status.lines(conversation(), 60)
    assert rows[1] == "  ↳ explore: turn 7, 20 tokens, read a" or rows[1] == "↳ explore: turn 7, 20 tokens, read a"
    assert rows[5].strip() == "↳ and 2 more"
    assert len(rows) == 7
    assert "\x1b" not in "".join(rows)
    for number in range(6):
        status.take(ToolFinished(str(number), "invoke_skill", "", False, 1.0))
    assert len(status.lines(conversation(), 60)) == 2
