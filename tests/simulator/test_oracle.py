"""The perfect cache: tails of the line and system ends of anybody, wherever the markers stood."""

from __future__ import annotations

from typing import Any

import pytest


def tokens(call: Any, upto: int) -> int:
    return sum(block.tokens for block in call.sim.requests[-1].blocks[:upto])


def test_the_tail_of_an_earlier_mainline_request(start: Any, row: Any) -> None:
    call = start()
    call(row(10))
    call(row(70))
    assert call.sim.requests[0].perfect_read == 0
    assert call.sim.requests[1].perfect_read == tokens(call, 10)
    assert call.sim.requests[1].read == 0
    call(row(69))
    assert call.sim.requests[2].perfect_read == tokens(call, 10)


def test_side_requests_read_and_are_never_continued(start: Any, row: Any) -> None:
    call = start()
    call(row(10))
    call.headers = {"x-sim-kind": "side"}
    call(row(12))
    assert call.sim.requests[1].perfect_read == tokens(call, 10)
    call.headers = {}
    call(row(14))
    assert call.sim.requests[2].perfect_read == tokens(call, 10)


def test_system_ends_are_shared_between_sessions_and_lines(start: Any, row: Any, text: Any, tool: Any) -> None:
    call = start()
    call(row(3), system=[text("static"), text("project a")], tools=[tool])
    call([{"role": "user", "content": "x"}], system=[text("static"), text("project b")], tools=[tool])
    assert call.sim.requests[1].perfect_read == tokens(call, 2)
    call(row(4), system=[text("static"), text("project b")], tools=[tool], thinking={"type": "adaptive"})
    assert call.sim.requests[2].perfect_read == tokens(call, 3)
    call.key = "other"
    call(row(4), system=[text("static"), text("project b")], tools=[tool])
    assert call.sim.requests[3].perfect_read == 0


def test_another_line_cannot_read_the_messages(start: Any, row: Any) -> None:
    call = start()
    call(row(5))
    call(row(6), output_config={"effort": "low"})
    assert call.sim.requests[1].perfect_read == 0


def test_lifetimes_and_refresh(start: Any, row: Any) -> None:
    call = start()
    call(row(5, {5: "5m"}))
    for count, wait, alive in ((6, 299, 5), (7, 299, 6), (8, 300, 0)):
        call.sim.clock.advance(wait)
        call(row(count, {count: "5m"}))
        assert call.sim.requests[-1].perfect_read == tokens(call, alive)
    call(row(20, {20: "1h"}))
    call.sim.clock.advance(3599)
    call(row(21, {21: "5m"}))
    assert call.sim.requests[-1].perfect_read == tokens(call, 20)


@pytest.mark.parametrize(("refresh", "alive"), [("hit", 0), ("marked", 1), ("all", 3)])
def test_refresh_follows_the_rule(start: Any, row: Any, text: Any, refresh: str, alive: int) -> None:
    """Tails at 3 and 5 messages; the later is read at 200 s; what lives at 400 s?"""
    call = start(refresh=refresh)
    system = [text("static")]
    for count in (2, 4):
        call(row(count), system=system)
    call.sim.clock.advance(200)
    call(row(5), system=system)
    call.sim.clock.advance(200)
    call(row(3), system=system)
    assert call.sim.requests[-1].perfect_read == tokens(call, alive)


def test_below_the_minimum_nothing_can_be_read(start: Any, row: Any) -> None:
    call = start(minimum=1000)
    call(row(5))
    call(row(6))
    assert call.sim.requests[1].perfect_read == 0


def test_a_request_that_never_began_does_not_count(start: Any, row: Any) -> None:
    call = start(lambda _: {"answer": [{"text": "x"}], "fault": {"kind": "status"}})
    assert call(row(5)).status == 529
    call.sim.brain = lambda _: "ok"
    call(row(6))
    assert call.sim.requests[0].perfect_read == 0


def test_rolling_markers_read_what_the_perfect_cache_reads(start: Any, text: Any) -> None:
    """The rule of two: one marker on the last write, one on the new end, however wide the step."""
    call = start()
    content: list[Any] = []
    last = -1
    for step in (1, 3, 40, 2, 200, 1):
        content = [{"type": "text", "text": part["text"]} for part in content]
        content += [text(f"{step}/{at}") for at in range(step)]
        if last >= 0:
            content[last] = text(content[last]["text"], "5m")
        content[-1] = text(content[-1]["text"], "5m")
        last = len(content) - 1
        call([{"role": "user", "content": content}])
    assert [item.read for item in call.sim.requests] == [item.perfect_read for item in call.sim.requests]
    assert all(item.read > 0 for item in call.sim.requests[1:])
