"""What was rendered once never changes, and digests name exactly the bytes before them."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import given

from harness.conversation.blocks import Message, Text
from harness.conversation.request import Fragment
from harness.prompt.prefix import assemble
from harness.prompt.projection import Projection
from harness.providers.anthropic_wire import envelope

PREFIX = assemble([], "static", "session")
texts = st.lists(st.lists(st.binary(min_size=1, max_size=8), min_size=0, max_size=3), max_size=8)


def project(messages: list[list[bytes]]) -> Projection:
    projection = Projection(PREFIX, envelope)
    for seq, wires in enumerate(messages):
        projection.add(seq, Message("person", (Text("x"),)), tuple(Fragment(wire, 1) for wire in wires))
    return projection


@given(messages=texts, more=texts)
def test_a_longer_projection_begins_with_the_shorter(messages: list[list[bytes]], more: list[list[bytes]]) -> None:
    short, long = project(messages), project(messages + more)

    assert long.messages[: len(short.messages)] == short.messages


@given(one=texts, other=texts)
def test_equal_digests_mean_equal_blocks(one: list[list[bytes]], other: list[list[bytes]]) -> None:
    left, right = project(one), project(other)
    heads = [[digest for message in side.messages for digest in message.digests] for side in (left, right)]
    flat = [[wires for wires in side if wires] for side in (one, other)]

    assert (heads[0][-1:] == heads[1][-1:]) == (flat[0] == flat[1])


def test_a_message_of_which_nothing_is_sent_leaves_the_chain_as_it_is() -> None:
    assert project([[b"a"], [], [b"b"]]).messages[2].digests == project([[b"a"], [b"b"]]).messages[1].digests


def test_rendering_a_tail_leaves_the_projection_as_it_is() -> None:
    projection = project([[b"a"]])
    message = Message("system_injected", (Text("x"),))
    tail = projection.render(-1, message, (Fragment(b"b", 1),))

    assert len(projection.messages) == 1
    assert projection.with_tail([tail])[-1] is tail
    assert projection.with_tail([]) is projection.messages


def test_tools_are_sorted_and_the_session_block_moves_no_static_digest() -> None:
    tools: list[dict[str, Any]] = [{"name": name, "description": "", "input_schema": {}} for name in ("b", "a")]

    assert assemble(tools, "s", "one").tools == assemble(tools[::-1], "s", "one").tools
    assert assemble(tools, "s", "one").static_digest == assemble(tools, "s", "two").static_digest
    assert assemble(tools, "s", "one").session_digest != assemble(tools, "s", "two").session_digest
