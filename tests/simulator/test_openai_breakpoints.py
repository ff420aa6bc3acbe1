"""GPT-5.6 and later: exact breakpoints, four paid writes, no shorter prefix (section B). A part is 25 tokens."""

from __future__ import annotations

from typing import Any

import pytest

EXPLICIT = {"prompt_cache_options": {"mode": "explicit"}}


def test_the_implicit_breakpoint_is_read_at_an_earlier_message_ending(start: Any, items: Any) -> None:
    call = start()
    assert call.respond(items(3)).bill == (0, 75, 75)
    assert call.respond(items(5)).bill == (75, 50, 125)
    assert call.respond(items(5)).bill == (125, 0, 125)
    assert [request.perfect_read for request in call.sim.requests] == [0, 75, 125]
    assert (call.sim.requests[1].read, call.sim.requests[1].written) == (75, 50)
    assert call.sim.requests[1].contract == "breakpoints"


def test_explicit_mode_reads_and_writes_only_at_breakpoints(start: Any, items: Any) -> None:
    call = start()
    assert call.respond(items(4, {2}), **EXPLICIT).bill == (0, 50, 100)
    assert call.respond(items(4), **EXPLICIT).bill == (0, 0, 100)
    assert "caching is off" in call.sim.requests[1].explain
    assert call.respond(items(6, {2, 5}), **EXPLICIT).bill == (50, 75, 150)
    assert call.respond(items(7, {5, 7}), **EXPLICIT).bill == (125, 50, 175)


def test_there_is_no_fallback_to_a_shorter_unmarked_prefix(start: Any, items: Any) -> None:
    call = start()
    call.respond(items(5, {5}), **EXPLICIT)
    assert call.respond(items(9, {9}), **EXPLICIT).bill == (0, 225, 225)
    assert "no fallback" in call.sim.requests[1].explain
    # The perfect cache does not care where the breakpoints stood.
    assert call.sim.requests[1].perfect_read == 125
    # Four of five messages: the entry at five is no prefix of it, and nobody wrote at four.
    assert call.respond(items(4, {4}), **EXPLICIT).bill == (0, 100, 100)


def test_at_most_four_writes(start: Any, items: Any) -> None:
    call = start()
    call.respond(items(8, {1, 2, 3, 4, 5}), **EXPLICIT)
    assert [call.respond(items(8, {at}), **EXPLICIT).bill[0] for at in range(1, 6)] == [0, 50, 75, 100, 125]
    call.sim.reset()
    call.respond(items(8, {1, 2, 3, 4, 5}))
    assert [call.respond(items(9, {at}), **EXPLICIT).bill[0] for at in (2, 3, 4, 5, 8)] == [0, 75, 100, 125, 200]


@pytest.mark.parametrize(
    ("rule", "entry", "marked", "read"),
    [
        ("latest80", 1, 81, 0),
        ("latest80", 1, 80, 25),
        ("first2_latest50", 1, 81, 25),
        ("first2_latest50", 2, 81, 50),
        ("first2_latest50", 31, 81, 0),
        ("first2_latest50", 32, 81, 800),
    ],
)
def test_f1_lookback_of_explicit_breakpoints(
    start: Any, items: Any, rule: str, entry: int, marked: int, read: int
) -> None:
    """One entry; then a breakpoint at every message up to `marked`."""
    call = start(breakpoint_lookback=rule)
    call.respond(items(entry, {entry}), **EXPLICIT)
    assert call.respond(items(82, range(1, marked + 1)), **EXPLICIT).bill[0] == read


@pytest.mark.parametrize(("rule", "messages", "read"), [("first2_latest50", 21, 25), ("first2_latest50", 22, 0)])
def test_f1_lookback_of_message_endings(start: Any, items: Any, rule: str, messages: int, read: int) -> None:
    call = start(breakpoint_lookback=rule)
    call.respond(items(1))
    assert call.respond(items(messages)).bill[0] == read


def test_f1_message_endings_count_among_the_latest_80(start: Any, items: Any) -> None:
    for messages, read in ((80, 25), (81, 0)):
        call = start()
        call.respond(items(1))
        assert call.respond(items(messages)).bill[0] == read


def test_f1_the_end_of_the_initial_developer_block(start: Any, items: Any, part: Any) -> None:
    static = {"role": "developer", "content": [part("static".ljust(68))]}
    for rule, read in (("latest80", 0), ("first2_latest50", 25)):
        call = start(breakpoint_lookback=rule)
        call.respond([static], prompt_cache_options={"mode": "implicit"})
        assert call.respond([static, *items(90)]).bill[0] == read
        assert call.sim.requests[1].perfect_read == 25


def test_the_key_separates_and_may_be_required(start: Any, items: Any) -> None:
    call = start()
    assert [call.respond(items(3), prompt_cache_key=key).bill[0] for key in ("a", "b", "a", ...)] == [0, 0, 75, 0]
    assert call.sim.requests[1].perfect_read == 0
    call = start(cache_key="required")
    assert [call.respond(items(count)).bill[0] for count in (3, 4, 5)] == [0, 0, 0]
    assert [call.respond(items(count), prompt_cache_key="a").bill[0] for count in (3, 4)] == [0, 75]


@pytest.mark.parametrize(("ttl", "seconds"), [(None, 1800), ("12h", 43200)])
def test_lifetimes_refreshed_by_reading(start: Any, items: Any, ttl: str | None, seconds: int) -> None:
    call = start()
    options: dict[str, Any] = {"prompt_cache_options": {"ttl": ttl}} if ttl else {}
    call.respond(items(3), **options)
    for wait, read in ((seconds - 1, 75), (seconds - 1, 75), (seconds, 0)):
        call.sim.clock.advance(wait)
        assert call.respond(items(3), **options).bill[0] == read
        assert call.sim.requests[-1].perfect_read == read
    assert "expired" in call.sim.requests[-1].explain


def test_each_write_is_billed_by_its_own_lifetime(start: Any, items: Any) -> None:
    call = start()
    given = items(4, {2, 4})
    given[1]["content"][0]["prompt_cache_breakpoint"] = {"mode": "explicit", "ttl": "12h"}
    details = call.respond(given, **EXPLICIT).json["usage"]["input_tokens_details"]
    assert details == {
        "cached_tokens": 0,
        "cache_write_tokens": 100,
        "cache_write_tokens_details": {"ttl_30m_tokens": 50, "ttl_12h_tokens": 50},
    }
    call.sim.clock.advance(1800)
    assert call.respond(given, **EXPLICIT).bill[:2] == (50, 50)


def test_the_minimum_is_strict(start: Any, items: Any) -> None:
    call = start(minimum=None)
    assert call.respond(items(40)).bill == (0, 0, 1000)
    assert call.respond(items(41)).bill == (0, 1025, 1025)
    assert call.respond(items(42, {40}), **EXPLICIT).bill[:2] == (0, 0)
    assert call.respond(items(42)).bill == (1025, 25, 1050)


def test_outputs_and_images_carry_breakpoints_and_what_the_model_said_ends_nothing(
    start: Any, items: Any, part: Any
) -> None:
    call = start()
    made = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
    done = {"type": "function_call_output", "call_id": "c", "output": [part("one"), part("two", {"mode": "explicit"})]}
    call.respond([*items(2), made, done], **EXPLICIT)
    blocks = call.sim.requests[0].blocks
    assert [(block.role, block.kind) for block in blocks[2:]] == [
        ("assistant", "function_call"),
        ("tool", "input_text"),
        ("tool", "input_text"),
    ]
    total = sum(block.tokens for block in blocks)
    said = {"role": "assistant", "content": [{"type": "output_text", "text": "x", "annotations": []}]}
    reply = call.respond([*items(2), made, done, said], **EXPLICIT)
    assert reply.bill[0] == total
    # In implicit mode the breakpoint stands at the output, not behind the model's own words.
    assert call.respond([*items(2), made, done, said]).bill[:2] == (total, 0)


def test_readable_only_once_the_response_began(start: Any, items: Any) -> None:
    call = start(lambda _: {"answer": [{"text": "x"}], "fault": {"kind": "status", "status": 503}})
    assert call.respond(items(3)).status == 503
    assert call.respond(items(3)).bill[0] == 0
    assert [request.index for request in call.sim.requests] == [0]


@pytest.mark.parametrize(("refresh", "read"), [("hit", 0), ("marked", 50), ("all", 50)])
def test_what_a_read_refreshes_is_a_rule(start: Any, items: Any, refresh: str, read: int) -> None:
    call = start(refresh=refresh)
    call.respond(items(4, {2, 4}), **EXPLICIT)
    call.sim.clock.advance(1000)
    call.respond(items(4, {2, 4}), **EXPLICIT)
    call.sim.clock.advance(1000)
    assert call.respond(items(3, {2}), **EXPLICIT).bill[0] == read


def test_eviction_and_isolation(start: Any, items: Any) -> None:
    call = start()
    call.respond(items(3))
    call.key = "other"
    assert call.respond(items(3)).bill[0] == 0
    assert call.sim.evict() == 2
    assert call.respond(items(3)).bill[0] == 0
    assert "was evicted" in call.sim.requests[-1].explain


def test_the_perfect_cache_knows_tails_and_ends_of_developer_blocks(start: Any, items: Any, part: Any) -> None:
    call = start()
    static = {"role": "developer", "content": [part("static".ljust(68)), part("session".ljust(68))]}
    call.respond([static, *items(5)], **EXPLICIT)
    call.headers = {"x-sim-kind": "side"}
    call.respond([static, *items(8)], **EXPLICIT)
    call.headers = {}
    call.respond([static, *items(9)], **EXPLICIT)
    call.respond([static, *items(9, start=2)], **EXPLICIT)
    assert [request.perfect_read for request in call.sim.requests] == [0, 175, 175, 50]
    assert [block.level for block in call.sim.requests[0].blocks][:3] == ["system", "system", "messages"]
    assert call.sim.requests[2].extends(call.sim.requests[0])


FORMAT = {"format": {"type": "json_schema", "name": "a", "schema": {}}}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"reasoning": {"effort": "low"}}, "reasoning_effort_changed"),
        ({"text": {"verbosity": "high"}}, "verbosity_changed"),
        ({"text": FORMAT}, "text_format_changed"),
        ({"service_tier": "flex"}, "service_tier_changed"),
        ({"prompt_cache_key": "k"}, "prompt_cache_key_changed"),
        ({"model": "gpt-6-sol"}, "model_changed"),
        ({"tools": []}, "tools_changed"),
        ({"input": "other"}, "input_changed"),
    ],
)
def test_b_prefix_breakers_and_their_diagnostics(
    start: Any, items: Any, function: Any, change: Any, reason: str
) -> None:
    call = start()
    first = call.respond(items(3), tools=[function])
    asked = {"prompt_cache_options": {"comparison_response_id": first.json["id"]}}
    fields = {"items": items(4), "tools": [function], **asked, **change}
    given = fields.pop("input", fields.pop("items"))
    fields.pop("items", None)
    reply = call.respond(given, **fields)
    found = reply.json["prompt_cache_diagnostics"]
    assert (found["type"], found["reason"], found["cache_missed_tokens"] > 0) == ("cache_miss", reason, True)
    assert reply.bill[0] == 0
    same = call.respond(items(4), tools=[function], **asked)
    assert same.json["prompt_cache_diagnostics"] == {"type": "cache_hit"}
    asked["prompt_cache_options"]["comparison_response_id"] = "resp_none"
    gone = call.respond(items(4), tools=[function], **asked)
    assert gone.json["prompt_cache_diagnostics"] == {"type": "comparison_response_not_found"}


@pytest.mark.parametrize(
    "change",
    [
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]}},
        {"tool_choice": "none"},
        {"reasoning": {"effort": "medium", "summary": "auto", "context": "all_turns"}},
        {"text": {"verbosity": "medium", "format": {"type": "text"}}},
        {"service_tier": "auto"},
        {"max_output_tokens": 99, "parallel_tool_calls": False, "metadata": {"a": "b"}, "store": True},
    ],
)
def test_b_cache_safe_changes_and_written_defaults(start: Any, items: Any, function: Any, change: Any) -> None:
    call = start()
    call.respond(items(3), tools=[function])
    assert call.respond(items(4), tools=[function], **change).bill[0] > 75
    assert len({request.line for request in call.sim.requests}) == 1


def test_b_changes_inside_the_conversation_keep_the_prefix(start: Any, items: Any, function: Any) -> None:
    call = start()
    call.respond(items(3), tools=[function])
    update = {"type": "configuration_update", "reasoning": {"effort": "low"}}
    late = {"type": "additional_tools", "role": "developer", "tools": [{**function, "name": "late"}]}
    assert call.respond([*items(3), update, late, *items(4, start=4)], tools=[function]).bill[0] > 75


def test_instructions_and_strings_count_as_sent(start: Any) -> None:
    call = start()
    call.respond("hello", instructions="Be brief.")
    first, second = call.sim.requests[0].blocks
    assert (first.level, first.canonical, second.canonical) == ("system", b'"Be brief."', b'"hello"')
    call.respond([{"role": "user", "content": "hello"}], instructions="Be brief.")
    call.respond([{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}], instructions="Be brief.")
    assert [request.read > 0 for request in call.sim.requests] == [False, True, False]
