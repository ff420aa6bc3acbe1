"""Every response has one verdict, and every miss its cause: each kind, planted."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from harness.audit.cost import price_of_miss
from harness.audit.difference import Named, first_difference, short_diff
from harness.audit.verdict import Expectation, Kind, Sent, expect, extends, judge
from harness.conversation.blocks import Message, Text, Usage
from harness.conversation.request import CacheRules, LedgerEntry, Line, Marker, Request
from harness.prompt.prefix import assemble
from harness.prompt.projection import Projection
from harness.providers.anthropic_wire import envelope, render
from harness.providers.catalog import find

RULES = CacheRules(minimum=1024)
PREFIX = assemble([], "static", "session")
LINE = Line("anthropic", "http://vendor", "claude-opus-4-8")


def request(*texts: str) -> Request:
    projection = Projection(PREFIX, envelope)
    for seq, text in enumerate(texts):
        message = Message("person", (Text(text),))
        projection.add(seq, message, render(message, "m"))
    *_, last = projection.messages
    markers = [Marker("write", len(texts) - 1, 0, last.digests[0], "5m")]
    if len(texts) > 1:
        markers.insert(0, Marker("read", len(texts) - 2, 0, projection.messages[-2].digests[0], "5m"))
    return Request(LINE, PREFIX, projection.messages, tuple(markers), 100)


def sent(*texts: str, cached: bool = True) -> Sent:
    was = request(*texts)
    return Sent(was.blocks, was.head, cached)


def nothing(_digest: str) -> LedgerEntry | None:
    return None


def expected(
    now: Request, previous: Sent | None, declared: str = "", *, lives: bool = False, known: bool = False
) -> Expectation:
    read = next((marker.digest for marker in now.markers if marker.role == "read"), "")
    entry = LedgerEntry(read, 5000, 0.0, "5m")
    head = previous.head if previous else ""
    look = {True: lambda digest: entry if digest in (read, head) else None, False: nothing}
    return expect(now, previous, declared, look[lives], look[lives or known])


def verdict(
    expectation: Expectation, rules: CacheRules = RULES, *, thinking: bool = False, **usage: int
) -> tuple[Kind, int]:
    found = judge(expectation, Usage(**usage), rules, thinking=thinking)
    return found.kind, found.lost


def test_hit() -> None:
    expectation = expected(request("a", "b"), sent("a"), lives=True)

    assert verdict(expectation, read=5000, written_short=10) == ("hit", 0)
    assert verdict(expectation, read=6000) == ("hit", 0)


def test_first() -> None:
    assert verdict(expected(request("a"), None), written_short=5000) == ("first", 0)


def test_expired_names_the_ttl() -> None:
    expectation = expected(request("a", "b"), sent("a"), known=True)

    assert verdict(expectation, written_short=5000) == ("expired", 5000)
    assert "5m" in expectation.cause


@pytest.mark.parametrize("reason", ["alive", "unmarked", "too short"])
def test_of_what_no_bill_tells_nothing_is_said(reason: Any) -> None:
    assert verdict(Expectation(reason, 5000)) == ("not told", 0)


def test_without_a_bill_nothing_is_known_to_be_too_short() -> None:
    assert verdict(Expectation("first")) == ("first", 0)


def test_too_short() -> None:
    assert verdict(expected(request("a"), None), uncached=900) == ("too short", 0)
    assert verdict(expected(request("a", "b"), sent("a", cached=False)), uncached=1000) == ("too short", 0)


def test_declared_gives_the_reason_of_the_epoch() -> None:
    expectation = expected(request("b"), sent("a"), "compaction")

    assert verdict(expectation, written_short=5000) == ("declared", 0)
    assert expectation.cause == "compaction"


def test_vendor_stripped_needs_thinking_and_a_model_that_strips_it() -> None:
    expectation = expected(request("a", "b"), sent("a"), lives=True)
    strips = CacheRules(strips_thinking=True)

    assert verdict(expectation, strips, thinking=True, read=3000, written_short=2000) == ("vendor stripped", 2000)
    assert verdict(expectation, strips, thinking=False, read=3000, written_short=2000) == ("evicted", 2000)
    assert verdict(expectation, RULES, thinking=True, read=3000, written_short=2000) == ("evicted", 2000)


def test_evicted() -> None:
    assert verdict(expected(request("a", "b"), sent("a"), lives=True), written_short=6000) == ("evicted", 5000)


def test_ours_whatever_is_read_and_its_price() -> None:
    expectation = expected(request("A", "b"), sent("a"), lives=True)

    assert verdict(expectation, read=1000, written_short=5000) == ("ours", 4000)
    assert verdict(expectation, read=6000) == ("ours", 0)
    # 4,000 tokens written at 6.25 instead of read at 0.50
    assert price_of_miss(find("claude-opus-4-8"), 4000, Usage(read=1000, written_short=5000)) == pytest.approx(
        4000 * 5.75 / 1e6
    )


@pytest.mark.parametrize("texts", [("a",), ("a", "c"), ("x", "b", "c"), ("b", "a")])
def test_what_does_not_extend_is_ours(texts: tuple[str, ...]) -> None:
    assert expected(request(*texts), sent("a", "b")).reason == "ours"


def test_the_same_request_extends_itself() -> None:
    assert extends(sent("a", "b"), request("a", "b"))
    assert extends(sent("a", "b"), request("a", "b", "c"))


@given(
    st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5),
    st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5),
)
def test_extends_is_what_it_says(old: list[str], new: list[str]) -> None:
    clean = [[text.encode("utf-8", "replace").decode() for text in side] for side in (old, new)]

    assert extends(sent(*clean[0]), request(*clean[1])) == (clean[1][: len(clean[0])] == clean[0])


@given(st.lists(st.binary(max_size=6), max_size=6), st.lists(st.binary(max_size=6), max_size=6))
def test_the_first_difference_is_the_first(before: list[bytes], after: list[bytes]) -> None:
    found = first_difference([Named("b", raw) for raw in before], [Named("b", raw) for raw in after])

    assert (found is None) == (after[: len(before)] == before)
    if found is not None:
        assert before[: found.block] == after[: found.block] != before[: found.block + 1]
        assert found.diff


def test_a_difference_far_inside_a_block_is_shown_where_it_is() -> None:
    old = b"x" * 9000 + b"one" + b"y" * 9000
    shown = short_diff(old, old.replace(b"one", b"two"))

    assert shown.startswith("at byte 9000: ")
    assert "one" in shown
    assert "two" in shown
    assert len(shown) < 400


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'{"a":1,"b":2}', b'{"b":2,"a":1}', "the same values, keys in another order; at byte 2"),
        (b'{"content":[{"text":"a"}]}', b'{"content":"a"}', "content was a list and became a string; at byte 11"),
        (b'{"x":{"y":[1,{"z":"a"}]}}', b'{"x":{"y":[1,{"z":"b"}]}}', "x.y[1].z; at byte"),
        (b'{"a":1}', b'{"a":1,"b":2}', "b was absent and became a number; at byte"),
        (b"[1]", b"no json", "at byte 0"),
        (b"[" * 5000, b"[" * 5001, "at byte 5000"),
    ],
)
def test_a_difference_says_what_happened(old: bytes, new: bytes, said: str) -> None:
    assert short_diff(old, new).startswith(said)


def test_a_role_is_part_of_what_is_compared() -> None:
    found = first_difference([Named("message 1 block 1", b"x", "d1")], [Named("message 1 block 1", b"x", "d2")])

    assert found is not None
    assert (found.where, found.diff) == ("message 1 block 1", "the same bytes in another role or another message")


def test_a_short_prompt_behind_an_attempt_without_a_bill_is_too_short() -> None:
    verdict = judge(Expectation("alive", None), Usage(uncached=2_000), CacheRules(minimum=4_096))
    assert verdict.kind == "too short"
    assert verdict.lost == 0


def test_a_read_where_nothing_was_known_to_be_cached_is_a_hit() -> None:
    verdict = judge(Expectation("too short"), Usage(uncached=60, read=4_151), CacheRules(minimum=4_096))
    assert (verdict.kind, verdict.expected, verdict.read, verdict.lost) == ("hit", 0, 4_151, 0)
