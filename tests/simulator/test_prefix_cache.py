"""A2: every row on cache_control semantics (platform.claude.com/docs/en/build-with-claude/prompt-caching)."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest


def test_a2_lookback_worked_example_one_marker_misses(start: Any, row: Any) -> None:
    call = start()
    call(row(15, {15: "5m"}))
    read, written, _ = call(row(35, {35: "5m"})).usage
    assert (read, written > 0) == (0, True)
    assert "outside the look-back" in call.sim.requests[1].explain


def test_a2_lookback_worked_example_second_marker_hits(start: Any, row: Any) -> None:
    call = start()
    first = call(row(15, {15: "5m"})).usage
    second = call(row(35, {15: "5m", 35: "5m"})).usage
    assert second[0] == first[1] > 0
    assert sum(second) == call.sim.requests[1].prompt_tokens


@pytest.mark.parametrize(("last", "hits"), [(34, True), (35, False)])
def test_a2_lookback_counts_the_breakpoint_as_first_of_20(start: Any, row: Any, last: int, hits: bool) -> None:
    call = start()
    call(row(15, {15: "5m"}))
    assert (call(row(last, {last: "5m"})).usage[0] > 0) is hits


@pytest.mark.parametrize("collapse", [False, True])
def test_a2_lookback_run_collapsing_is_an_option(start: Any, text: Any, collapse: bool) -> None:
    call = start(collapse_tool_runs=collapse)
    calls = [{"type": "tool_use", "id": f"c{n}", "name": "look", "input": {}} for n in range(24)]
    results: list[dict[str, Any]] = [{"type": "tool_result", "tool_use_id": f"c{n}", "content": "r"} for n in range(24)]
    call([{"role": "user", "content": [text("go", "5m")]}])
    results[-1]["cache_control"] = {"type": "ephemeral"}
    reply = call(
        [
            {"role": "user", "content": [text("go")]},
            {"role": "assistant", "content": calls},
            {"role": "user", "content": results},
        ]
    )
    assert (reply.usage[0] > 0) is collapse


def test_a2_writes_happen_only_at_breakpoints(start: Any, row: Any) -> None:
    call = start()
    call(row(10, {10: "5m"}))
    assert call(row(9, {9: "5m"})).usage[0] == 0
    assert call(row(3)).usage[:2] == (0, 0)


def test_a2_four_markers_at_most(start: Any, row: Any) -> None:
    call = start()
    assert call(row(9, dict.fromkeys((1, 2, 3, 4), "5m"))).status == 200
    reply = call(row(9, dict.fromkeys((1, 2, 3, 4, 5), "5m")))
    assert reply.status == 400
    assert reply.error == "A maximum of 4 blocks with cache_control may be provided. Found 5."


def test_a2_markers_inside_a_result_count_too(start: Any, text: Any) -> None:
    call = start()
    result = {"type": "tool_result", "tool_use_id": "c"}
    made = {"type": "tool_use", "id": "c", "name": "look", "input": {}}

    def ask(parts: list[Any], **own: Any) -> Any:
        return call(
            [
                {"role": "user", "content": [text("go")]},
                {"role": "assistant", "content": [made]},
                {"role": "user", "content": [{**result, "content": parts, **own}]},
            ]
        )

    assert ask([text("a"), text("b", "5m")]).usage[2] == 0
    assert ask([text(str(at), "5m") for at in range(4)]).status == 200
    assert "Found 5." in ask([text(str(at), "5m") for at in range(5)]).error
    assert "Found 5." in ask([text(str(at), "5m") for at in range(4)], cache_control={"type": "ephemeral"}).error
    assert "must not come after" in ask([text("a", "5m")], cache_control={"type": "ephemeral", "ttl": "1h"}).error


def test_a2_automatic_marks_the_last_cacheable_block_and_takes_a_slot(start: Any, row: Any) -> None:
    call = start()
    auto = {"type": "ephemeral"}
    assert call(row(5), cache_control=auto).usage[1] > 0
    assert call.sim.requests[0].markers == (4,)
    assert call(row(6), cache_control=auto).usage[0] > 0
    assert "Found 5." in call(row(9, dict.fromkeys((1, 2, 3, 4), "5m")), cache_control=auto).error


def test_a2_automatic_beside_an_explicit_marker_on_the_last_block(start: Any, row: Any) -> None:
    call = start()
    assert call(row(5, {5: "5m"}), cache_control={"type": "ephemeral"}).status == 200
    assert call(row(5, {5: "5m"}), cache_control={"type": "ephemeral", "ttl": "1h"}).status == 400


@pytest.mark.parametrize(("ttl", "seconds"), [("5m", 300), ("1h", 3600)])
def test_a2_ttl_ends_exactly(start: Any, row: Any, ttl: str, seconds: int) -> None:
    call = start()
    written = call(row(5, {5: ttl})).usage[1]
    call.sim.clock.advance(seconds - 1)
    assert call(row(5, {5: ttl})).usage == (written, 0, 0)
    call.sim.clock.advance(seconds)
    assert call(row(5, {5: ttl})).usage == (0, written, 0)
    assert "expired" in call.sim.requests[-1].explain


def test_a2_ttl_counts_from_the_start_of_the_request(start: Any, row: Any) -> None:
    def slow(_: dict[str, Any]) -> str:
        call.sim.clock.advance(200)
        return "ok"

    call = start(slow)
    call(row(5, {5: "5m"}))
    call.sim.clock.advance(100)
    assert call(row(5, {5: "5m"})).usage[0] == 0


@pytest.mark.parametrize(
    ("refresh", "then"), [("hit", "miss"), ("marked", "hit at block 1,"), ("all", "hit at block 3,")]
)
def test_a2_ttl_what_a_read_refreshes_is_an_option(start: Any, row: Any, refresh: str, then: str) -> None:
    """Entries behind 2, 4 and 6 blocks; 6 is read with a marker at 2 as well; then who is alive?"""
    call = start(refresh=refresh)
    call(row(6, {2: "5m", 4: "5m", 6: "5m"}))
    call.sim.clock.advance(200)
    call(row(6, {2: "5m", 6: "5m"}))
    call.sim.clock.advance(200)
    call(row(4, {4: "5m"}))
    assert call.sim.requests[-1].explain.startswith(then)


def test_a2_readable_only_once_the_first_response_began(start: Any, row: Any) -> None:
    together = threading.Barrier(3)

    def brain(_: dict[str, Any]) -> str:
        together.wait(5)
        return "ok"

    call = start(brain)
    replies: list[Any] = []
    threads = [threading.Thread(target=lambda: replies.append(call(row(5, {5: "5m"})))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply.usage[0] for reply in replies] == [0, 0, 0]
    assert [request.index for request in call.sim.requests] == [0, 1, 2]
    assert "which has not begun" in call.sim.requests[2].explain
    call.sim.brain = lambda _: "ok"
    assert call(row(5, {5: "5m"})).usage[0] > 0


def test_a2_readable_at_once_as_an_option(start: Any, row: Any) -> None:
    def brain(_: dict[str, Any]) -> str:
        if not inner:
            inner.append(None)
            inner.append(call(row(5, {5: "5m"})))
        return "ok"

    inner: list[Any] = []
    call = start(brain, readable_after_start=False)
    call(row(5, {5: "5m"}))
    assert inner[1].usage[0] > 0


def test_a2_isolation_by_key(start: Any, row: Any) -> None:
    call = start()
    call(row(5, {5: "5m"}))
    call.key = "another"
    assert call(row(5, {5: "5m"})).usage[0] == 0
    shared = start(isolation="none")
    shared(row(5, {5: "5m"}))
    shared.key = "another"
    assert shared(row(5, {5: "5m"})).usage[0] > 0


def test_a2_match_is_on_identical_segments_key_order_included(start: Any, text: Any) -> None:
    def ask(arguments: str) -> Any:
        body = json.dumps(
            {
                "model": "claude-opus-4-8",
                "max_tokens": 9,
                "messages": [
                    {"role": "user", "content": [text("go")]},
                    {
                        "role": "assistant",
                        "content": [{"type": "tool_use", "id": "c", "name": "look", "input": 0}],
                    },
                    {
                        "role": "user",
                        "content": [{"type": "tool_result", "tool_use_id": "c", "content": "r"}],
                    },
                ],
                "cache_control": {"type": "ephemeral"},
            }
        )
        return call.send("/v1/messages", body.replace('"input": 0', f'"input": {arguments}').encode())

    call = start()
    assert ask('{"a": 1, "b": 2}').usage[0] == 0
    assert ask('{"a":1,"b":2}').usage[0] > 0
    assert ask('{"b": 2, "a": 1}').usage[0] == 0


def test_a2_match_a_string_is_not_a_list_of_one_text(start: Any, text: Any) -> None:
    call = start()
    assert call([{"role": "user", "content": "go"}], cache_control={"type": "ephemeral"}).usage[0] == 0
    assert call([{"role": "user", "content": [text("go")]}], cache_control={"type": "ephemeral"}).usage[0] == 0


def test_a2_markers_are_not_part_of_the_prefix(start: Any, row: Any) -> None:
    call = start()
    call(row(8, {3: "5m", 8: "5m"}))
    assert call(row(8, {5: "5m", 8: "5m"})).usage[1:] == (0, 0)
    assert call.sim.requests[1].extends(call.sim.requests[0])


def test_a2_mixed_ttls_longer_first_and_the_split_of_the_bill(start: Any, row: Any) -> None:
    call = start()
    assert call(row(9, {3: "5m", 6: "1h"})).status == 400
    call(row(3, {3: "5m"}))
    reply = call(row(9, {3: "1h", 6: "1h", 8: "5m"}))
    tokens = [block.tokens for block in call.sim.requests[-1].blocks]
    usage = reply.json["usage"]
    assert usage["cache_read_input_tokens"] == sum(tokens[:3])
    assert usage["cache_creation"] == {
        "ephemeral_1h_input_tokens": sum(tokens[3:6]),
        "ephemeral_5m_input_tokens": sum(tokens[6:8]),
    }
    assert usage["input_tokens"] == tokens[8]


@pytest.mark.parametrize(
    ("model", "minimum"),
    [
        ("claude-opus-5-5", 512),
        ("claude-haiku-5-5", 512),
        ("claude-opus-4-8", 1024),
        ("claude-opus-4-7", 2048),
        ("claude-opus-4-6", 4096),
        ("claude-haiku-4-5-20251001", 4096),
    ],
)
def test_a2_minimum_cacheable_tokens(start: Any, text: Any, model: str, minimum: int) -> None:
    call = start(minimum=None)
    overhead = len(b'{"type":"text","text":""}')
    for tokens in (minimum - 1, minimum):
        reply = call([{"role": "user", "content": [text("x" * (tokens * 4 - overhead), "5m")]}], model=model)
        read, written, uncached = reply.usage
        assert read + written + uncached == tokens
        assert (written > 0) is (tokens >= minimum)
    assert call(
        [{"role": "user", "content": [text("x" * ((minimum - 1) * 4 - overhead), "5m")]}], model=model
    ).usage == (0, 0, minimum - 1)


def test_a2_not_markable_thinking_and_empty_text(start: Any, text: Any) -> None:
    call = start()
    empty = [{"role": "user", "content": [text("a"), text("", "5m")]}]
    assert call(empty).error == "messages.0.content.1.text: cache_control cannot be set for empty text blocks"
    thought = {"type": "thinking", "thinking": "t", "signature": "s", "cache_control": {"type": "ephemeral"}}
    said = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [thought, text("b")]},
        {"role": "user", "content": "c"},
    ]
    assert call(said).error == "messages.1.content.0.thinking.cache_control: Extra inputs are not permitted"


def test_a2_tools_system_and_results_are_markable(start: Any, text: Any, tool: Any) -> None:
    call = start()
    mark = {"cache_control": {"type": "ephemeral"}}
    reply = call(
        [
            {"role": "user", "content": [text("go")]},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c", "name": "look", "input": {}, **mark}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c", "content": "r", **mark}],
            },
        ],
        tools=[tool | mark],
        system=[text("be kind", "5m")],
    )
    assert reply.status == 200
    assert [block.level for block in call.sim.requests[0].blocks if block.marker] == [
        "tools",
        "system",
        "messages",
        "messages",
    ]


def test_evictions_on_demand(start: Any, row: Any) -> None:
    call = start()
    call(row(5, {5: "5m"}))
    assert call.sim.evict("all") == 1
    assert call(row(5, {5: "5m"})).usage[0] == 0
    assert "was evicted" in call.sim.requests[-1].explain
    assert call.sim.requests[-1].perfect_read == 0
