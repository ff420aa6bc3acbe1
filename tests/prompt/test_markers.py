"""The marker rule, case by case and for any conversation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from harness.conversation.blocks import Block, Message, Tag, Text, Thinking, ToolCall, ToolResult
from harness.conversation.request import CacheRules, FrozenPrefix, LedgerEntry, Marker, Rendered
from harness.prompt.markers import place
from harness.prompt.prefix import assemble
from harness.prompt.projection import Projection
from harness.providers.anthropic_wire import envelope, render

MODEL = "anthropic/claude-opus-4-8"
TOOL = {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}
PREFIX: FrozenPrefix = assemble([TOOL], "static", "session")


def rendered(*messages: Message) -> Sequence[Rendered]:
    projection = Projection(PREFIX, envelope)
    for seq, message in enumerate(messages):
        projection.add(seq, message, render(message, MODEL))
    return projection.messages


def said(text: str, tag: Tag = "person") -> Message:
    return Message(tag, (Text(text),))


def called(count: int, *before: Block) -> tuple[Message, Message]:
    ids = [f"c{number}" for number in range(count)]
    answer = Message("answer", (*before, *(ToolCall(id_, "look", {}) for id_ in ids)))
    return answer, Message("results", tuple(ToolResult(id_, (Text("seen"),)) for id_ in ids))


def nothing(_digest: str) -> LedgerEntry | None:
    return None


def living(*digests: str) -> Callable[[str], LedgerEntry | None]:
    return lambda digest: LedgerEntry(digest, 10, 0.0, "5m") if digest in digests else None


def at(markers: Sequence[Marker]) -> list[tuple[str, int, int]]:
    return [(marker.role, marker.message, marker.block) for marker in markers]


SYSTEM = [("static", -1, 0), ("session", -1, 1)]


def test_the_first_request_marks_both_system_blocks_and_its_end() -> None:
    messages = rendered(said("[Session context: …]", "system_injected"), said("Hi."))

    markers = place(PREFIX, messages, nothing, CacheRules(), "5m")

    assert at(markers) == [*SYSTEM, ("write", 1, 0)]
    assert [marker.digest for marker in markers] == [
        PREFIX.static_digest,
        PREFIX.session_digest,
        messages[1].digests[0],
    ]


def test_with_nothing_alive_read_is_the_end_of_the_previous_message() -> None:
    messages = rendered(said("one"), said("two", "answer"), said("three"))

    assert at(place(PREFIX, messages, nothing, CacheRules(), "5m")) == [*SYSTEM, ("read", 1, 0), ("write", 2, 0)]


def test_the_previous_message_is_never_an_injected_one() -> None:
    messages = rendered(said("one"), said("two", "answer"), said("context", "system_injected"), said("three"))

    assert at(place(PREFIX, messages, nothing, CacheRules(), "5m"))[2:] == [("read", 1, 0), ("write", 3, 0)]


@pytest.mark.parametrize("calls", [1, 9, 10, 19, 20, 21, 24, 200])
def test_read_stands_on_the_earlier_write_however_far_back(calls: int) -> None:
    before = said("one")
    messages = rendered(before, *called(calls))
    written = messages[0].digests[-1]

    markers = place(PREFIX, messages, living(written), CacheRules(), "5m")

    assert at(markers) == [*SYSTEM, ("read", 0, 0), ("write", 2, calls - 1)]
    assert markers[2].digest == written


def test_an_injected_message_is_never_marked_though_its_entry_were_alive() -> None:
    messages = rendered(said("one"), said("two", "answer"), said("context", "system_injected"), said("three"))
    alive = living(messages[0].digests[0], messages[2].digests[0])

    assert at(place(PREFIX, messages, alive, CacheRules(), "5m"))[2:] == [("read", 0, 0), ("write", 3, 0)]


def test_read_is_the_deepest_of_all_that_live() -> None:
    messages = rendered(said("one"), said("two", "answer"), said("three"), said("four", "answer"), said("five"))
    alive = living(messages[0].digests[0], messages[2].digests[0], PREFIX.static_digest)

    assert at(place(PREFIX, messages, alive, CacheRules(), "5m"))[2:] == [("read", 2, 0), ("write", 4, 0)]


def test_an_entry_at_the_write_position_is_read_by_the_write_itself() -> None:
    messages = rendered(said("one"), said("two", "answer"), said("three"))
    alive = living(messages[2].digests[0])

    # the same request again: its own entry is found at the write, whatever read stands on
    assert at(place(PREFIX, messages, alive, CacheRules(), "5m"))[2:] == [("read", 1, 0), ("write", 2, 0)]


def test_a_side_request_reads_and_places_no_write() -> None:
    messages = rendered(said("one"), said("two", "answer"), said("three"))
    tail = [*messages, *rendered(said("sum up", "system_injected"))]

    assert at(place(PREFIX, tail, nothing, CacheRules(), "5m", side=True)) == SYSTEM
    alive = living(messages[2].digests[0])
    assert at(place(PREFIX, tail, alive, CacheRules(), "5m", side=True)) == [*SYSTEM, ("read", 2, 0)]


@pytest.mark.parametrize(
    ("allowed", "roles"),
    [
        (0, []),
        (1, ["write"]),
        (2, ["read", "write"]),
        (3, ["session", "read", "write"]),
        (4, ["static", "session", "read", "write"]),
    ],
)
def test_a_server_with_fewer_markers_gets_the_deepest(allowed: int, roles: list[str]) -> None:
    messages = rendered(said("one"), said("two", "answer"), said("three"))

    markers = place(PREFIX, messages, nothing, CacheRules(max_markers=allowed), "5m")

    assert [marker.role for marker in markers] == roles


def test_thinking_at_the_end_of_what_was_sent_is_passed_over() -> None:
    thinking = Thinking("hm", "sig", MODEL)
    answer, results = called(2, thinking)
    messages = rendered(said("one"), answer, results)

    assert not messages[1].fragments[0].markable
    assert at(place(PREFIX, messages, nothing, CacheRules(), "5m"))[2:] == [("read", 1, 2), ("write", 2, 1)]


def test_nothing_but_injected_messages_leaves_the_system_markers() -> None:
    assert at(place(PREFIX, rendered(said("context", "system_injected")), nothing, CacheRules(), "5m")) == SYSTEM


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Valid orders of messages."""
    messages: list[Message] = []
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.booleans()):
            messages.append(said("context", "system_injected"))
        messages.append(said("words"))
        for _ in range(draw(st.integers(0, 2))):
            thinking = (Thinking("hm", "sig", MODEL),) if draw(st.booleans()) else ()
            messages += called(draw(st.sampled_from([1, 2, 24])), *thinking)
        if draw(st.booleans()):
            messages.append(said("answer", "answer"))
    while messages and messages[-1].tag == "answer":
        messages.pop()
    return messages


@given(messages=conversations(), data=st.data(), side=st.booleans(), allowed=st.integers(0, 6))
def test_for_any_conversation(messages: list[Message], data: Any, side: bool, allowed: int) -> None:
    request = rendered(*messages)
    every = [digest for message in request for digest in message.digests]
    alive = living(*data.draw(st.sets(st.sampled_from(every))))
    rules = CacheRules(max_markers=allowed)

    markers = place(PREFIX, request, alive, rules, "1h", side=side)

    assert markers == place(PREFIX, request, alive, rules, "1h", side=side)
    assert len(markers) <= min(4, allowed)
    places = [(marker.message, marker.block) for marker in markers]
    assert places == sorted(set(places)), "ascending, none twice"
    assert {marker.ttl for marker in markers} <= {"1h"}
    for marker in markers:
        if marker.message >= 0:
            message = request[marker.message]
            assert not message.injected
            assert message.fragments[marker.block].markable
            assert marker.digest == message.digests[marker.block]
    if side:
        assert "write" not in [marker.role for marker in markers]
    elif allowed:
        assert markers[-1].role == "write"
