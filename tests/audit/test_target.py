"""A cache target is missed by what is ours, and by nothing else."""

from __future__ import annotations

from typing import get_args

import pytest

from harness.audit.target import missed, warm_rate
from harness.audit.verdict import Kind
from harness.conversation.blocks import Usage
from harness.conversation.events import ResponseDone


def done(number: int, verdict: str, read: int, lost: int = 0, cause: str = "why") -> ResponseDone:
    usage = Usage(read=read, written_short=100)
    return ResponseDone(number, "m", usage, 0.01, verdict, cause, "end_turn", lost, lost * 1e-5)


def test_the_rate_is_of_what_was_there() -> None:
    assert warm_rate([]) is None
    assert warm_rate([done(1, "first", 0)]) is None
    assert warm_rate([done(1, "first", 0), done(2, "hit", 500)]) == 1
    assert warm_rate([done(2, "hit", 500), done(3, "ours", 100, 400)]) == pytest.approx(0.6)


@pytest.mark.parametrize("kind", [kind for kind in get_args(Kind) if kind != "ours"])
def test_what_is_not_ours_never_misses(kind: str) -> None:
    assert missed([done(1, "hit", 10), done(2, kind, 0, 100_000)], 1.0) == ""


def test_it_says_which_request_why_and_at_what_price() -> None:
    ran = [done(1, "hit", 900), done(2, "ours", 0, 50, "small"), done(3, "ours", 0, 5000, "tool x: moved")]

    assert missed(ran, 0.9) == (
        "cache target missed: warm requests read 15.1 % of what was there, below 90 %; "
        "request 3 lost 5,000 tokens ($0.0500): tool x: moved; 1 more"
    )
    assert missed(ran, 0.1) == ""
    assert missed(ran, None) == ""
