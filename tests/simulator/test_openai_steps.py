"""OpenAI before 5.6: automatic, longest cached prefix in steps of 128 from 1,024 on, free writes (section B)."""

from __future__ import annotations

from typing import Any

import pytest

OLD = {"model": "gpt-5.4"}


@pytest.mark.parametrize(
    ("first", "second", "read"),
    [(40, 60, 0), (41, 60, 1024), (46, 60, 1024), (47, 60, 1152), (60, 47, 1152), (60, 60, 1408), (80, 40, 0)],
)
def test_the_longest_prefix_in_steps(start: Any, items: Any, first: int, second: int, read: int) -> None:
    call = start(minimum=None)
    assert call.respond(items(first), **OLD).bill == (0, 0, 25 * first)
    assert call.respond(items(second), **OLD).bill == (read, 0, 25 * second)
    assert call.sim.requests[1].perfect_read == read


def test_it_matches_inside_a_block(start: Any, part: Any) -> None:
    call = start(minimum=None)
    words = "word " * 2000
    call.respond([{"role": "user", "content": [part(words + "one")]}], **OLD)
    assert call.respond([{"role": "user", "content": [part(words + "two")]}], **OLD).bill[0] == 2432
    assert call.respond([{"role": "developer", "content": [part(words + "one")]}], **OLD).bill[0] == 0


def test_55_has_steps_of_2048(start: Any, items: Any) -> None:
    call = start(minimum=None)
    assert [call.respond(items(count), model="gpt-5.5").bill[0] for count in (81, 82, 170, 171)] == [0, 0, 2048, 4096]


def test_54_mini_is_as_54_with_a_smaller_window(start: Any, items: Any, part: Any) -> None:
    call = start(minimum=None)
    mini = {"model": "gpt-5.4-mini", "prompt_cache_retention": "in_memory"}
    assert [call.respond(items(count), **mini).bill[0] for count in (47, 60)] == [0, 1152]
    big = [{"role": "user", "content": [part("x" * 4 * 272_000)]}]
    assert call.respond(big, **mini).failure[3] == "context_length_exceeded"


def test_key_settings_and_tools_separate(start: Any, items: Any, function: Any) -> None:
    call = start(minimum=None)
    call.respond(items(60), **OLD)
    for change in ({"prompt_cache_key": "a"}, {"reasoning": {"effort": "low"}}, {"tools": [function]}):
        assert call.respond(items(60), **OLD, **change).bill[0] == 0
    assert call.respond(items(60), **OLD).bill[0] == 1408


@pytest.mark.parametrize(
    ("rules", "fields", "waits"),
    [
        ({"retention": "in_memory"}, {}, [(299, True), (299, True), (300, False)]),
        ({"idle_seconds": 600}, {"prompt_cache_retention": "in_memory"}, [(599, True), (600, False)]),
        ({"idle_seconds": 600}, {"prompt_cache_retention": "in_memory"}, [*[(590, True)] * 6, (70, False)]),
        ({}, {}, [(86_399, True), (1, False)]),
        ({"retention": "in_memory"}, {"prompt_cache_retention": "24h"}, [(86_399, True)]),
    ],
)
def test_retention(start: Any, items: Any, rules: Any, fields: Any, waits: Any) -> None:
    call = start(minimum=None, **rules)
    call.respond(items(60), **OLD, **fields)
    for seconds, alive in waits:
        call.sim.clock.advance(seconds)
        assert call.respond(items(60), **OLD, **fields).bill[0] == (1408 if alive else 0)


def test_eviction(start: Any, items: Any) -> None:
    call = start(minimum=None)
    call.respond(items(60), **OLD)
    assert call.sim.evict() == 4
    assert call.respond(items(60), **OLD).bill[0] == 0
    assert "evicted" in call.sim.requests[1].explain


def test_dropped_reasoning_moves_the_prefix(start: Any, items: Any) -> None:
    """B Stateless: current_turn, the default before 5.6, leaves out the reasoning of earlier turns."""
    call = start(lambda _: [{"thinking": "t" * 900}, {"call": "look", "input": {}}], minimum=None)
    output = call.respond(items(50), **OLD).json["output"]
    turn = [*items(50), *output, {"type": "function_call_output", "call_id": output[1]["call_id"], "output": "x" * 900}]
    assert call.respond(turn, **OLD).bill[0] == 1152
    inside = call.respond(turn, **OLD).bill
    later = call.respond([*turn, *items(51, start=51)], **OLD).bill
    assert inside[0] > 1500
    assert later[0] == 1152
    assert later[2] < inside[2]
