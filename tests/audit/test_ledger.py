"""The ledger: entries only where a bill says so, with the lifetimes that a vendor gives them."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given

from harness.audit.ledger import MOST_LINES, Ledger, Position, apply_bill
from harness.conversation.blocks import Usage
from harness.conversation.request import LedgerEntry, Refresh
from tests.work import work

STATIC, SESSION = Position("static", "5m"), Position("session", "5m")


def bill(ledger: Ledger, at: float, read: int, written: int, *rolling: str, refresh: Refresh = "marked") -> None:
    positions = [STATIC, SESSION, *(Position(digest, "5m") for digest in rolling)]
    ledger.billed("line", positions, Usage(read=read, written_short=written), at, refresh)


def alive(ledger: Ledger, digest: str, now: float) -> LedgerEntry | None:
    return ledger.alive("line", now)(digest)


def test_the_last_marker_holds_what_was_billed() -> None:
    ledger = Ledger()
    bill(ledger, 0, 0, 1000, "one")
    bill(ledger, 10, 1000, 200, "one", "two")

    assert ledger.known("line", "one") == LedgerEntry("one", 1000, 10, "5m")
    assert ledger.known("line", "two") == LedgerEntry("two", 1200, 10, "5m")
    assert ledger.known("line", "static") == LedgerEntry("static", None, 10, "5m")


def test_a_side_request_keeps_entries_alive_and_tells_no_sizes() -> None:
    ledger = Ledger()
    ledger.began("line", [STATIC, SESSION, Position("unbilled", "5m")], 0)
    bill(ledger, 0, 0, 1000, "one")
    for at, read, written in ((100, 1000, 30), (200, 1030, 0)):
        for known in ("one", "unbilled"):
            usage = Usage(read=read, written_short=written)
            ledger.billed("line", [STATIC, SESSION, Position(known, "5m")], usage, at, "marked", side=True)

    assert ledger.known("line", "one") == LedgerEntry("one", 1000, 200, "5m")
    assert ledger.known("line", "unbilled") == LedgerEntry("unbilled", None, 200, "5m")


def test_a_bill_without_caching_makes_no_entry() -> None:
    ledger = Ledger()
    bill(ledger, 0, 0, 0, "one")

    assert ledger.known("line", "one") is None


def test_an_entry_lives_its_ttl_from_the_start_of_the_request_and_a_read_renews_it() -> None:
    ledger = Ledger()
    bill(ledger, 0, 0, 1000, "one")
    assert alive(ledger, "one", 299.9) is not None
    assert alive(ledger, "one", 300) is None

    bill(ledger, 299, 1000, 200, "one", "two")
    assert alive(ledger, "one", 598) is not None
    assert alive(ledger, "one", 599) is None


def test_an_hour_is_an_hour() -> None:
    ledger = Ledger()
    ledger.billed("line", [Position("one", "1h")], Usage(written_long=10), 0, "marked")

    assert alive(ledger, "one", 3599) is not None
    assert alive(ledger, "one", 3600) is None


def test_a_read_does_not_change_a_ttl() -> None:
    ledger = Ledger()
    ledger.billed("line", [Position("one", "1h")], Usage(written_long=10), 0, "marked")
    ledger.billed(
        "line", [Position("one", "5m"), Position("two", "5m")], Usage(read=10, written_short=5), 100, "marked"
    )

    entry = ledger.known("line", "one")
    assert entry is not None
    assert (entry.ttl, entry.used) == ("1h", 100)


@pytest.mark.parametrize(("refresh", "lives"), [("hit", False), ("marked", True), ("all", True)])
def test_what_a_read_renews_besides_the_entry_it_hit(refresh: Refresh, lives: bool) -> None:
    ledger = Ledger()
    bill(ledger, 0, 0, 1000, "one", refresh=refresh)
    bill(ledger, 200, 1000, 200, "one", "two", refresh=refresh)

    assert (alive(ledger, "session", 400) is not None) == lives


@pytest.mark.parametrize(("refresh", "lives"), [("marked", False), ("all", True)])
def test_an_unmarked_shallower_entry_is_renewed_where_a_vendor_renews_all(refresh: Refresh, lives: bool) -> None:
    ledger = Ledger()
    bill(ledger, 0, 0, 1000, "one", refresh=refresh)
    bill(ledger, 100, 1000, 200, "one", "two", refresh=refresh)
    bill(ledger, 350, 1200, 100, "two", "three", refresh=refresh)

    assert (alive(ledger, "one", 500) is not None) == lives


def test_all_that_is_renewed_lies_under_what_was_hit() -> None:
    ledger = Ledger()
    bill(ledger, 0, 0, 1000, "trunk", refresh="all")
    bill(ledger, 0, 1000, 100, "trunk", "branch a", refresh="all")
    bill(ledger, 0, 1000, 900, "trunk", "branch b", refresh="all")
    bill(ledger, 200, 1900, 100, "branch b", "branch b2", refresh="all")

    assert alive(ledger, "trunk", 400) is not None
    assert alive(ledger, "branch a", 400) is None


def test_an_expired_entry_before_the_hit_is_not_brought_back() -> None:
    ledger = Ledger()
    bill(ledger, 0, 0, 1000, "one", refresh="hit")
    bill(ledger, 250, 1000, 200, "one", "two", refresh="hit")
    bill(ledger, 400, 1200, 100, "two", "three", refresh="hit")

    assert alive(ledger, "session", 401) is None


def test_a_longer_branch_of_a_family_stays_when_a_shorter_one_is_billed() -> None:
    ledger = Ledger()
    bill(ledger, 0, 0, 50_000, "long")
    bill(ledger, 10, 0, 1000, "short")

    assert alive(ledger, "long", 20) is not None


def test_lines_do_not_read_each_other() -> None:
    ledger = Ledger()
    bill(ledger, 0, 0, 1000, "one")

    assert ledger.alive("another", 1)("one") is None


def test_a_journaled_bill_counts_from_its_own_attempt() -> None:
    ledger = Ledger()
    request = {"line": "line", "started": 0.0, "markers": [{"digest": "one", "ttl": "5m"}], "refresh": "marked"}
    usage = {"uncached": 0, "read": 0, "written_5m": 9, "written_1h": 0, "output": 1}
    apply_bill(ledger, request, {"usage": usage, "started": 100.0})

    assert alive(ledger, "one", 399) is not None


@given(st.lists(st.tuples(st.floats(0, 200), st.integers(0, 3), st.integers(0, 300)), max_size=20))
def test_no_entry_lives_longer_than_its_last_bill_allows(bills: list[tuple[float, int, int]]) -> None:
    ledger, now, head = Ledger(), 0.0, 0
    for pause, back, written in bills:
        now += pause
        head += 1
        bill(ledger, now, 0 if back == 3 else 100 * head, written, str(max(0, head - back)), str(head))

    for digest in map(str, range(head + 1)):
        entry = ledger.known("line", digest)
        assert entry is None or entry.used <= now
        assert alive(ledger, digest, now + 301) is None


def cached_on(lines: int) -> Ledger:
    """One position, on so many lines."""
    ledger = Ledger()
    for number in range(lines):
        usage = Usage(written_short=1000)
        ledger.billed(f"line {number}", [STATIC, SESSION], usage, number, "marked")
    return ledger


def test_a_look_at_other_lines_is_no_more_work_where_a_journal_names_thousands() -> None:
    few, many = cached_on(MOST_LINES), cached_on(50 * MOST_LINES)

    def looks(ledger: Ledger) -> Callable[[], object]:
        def look() -> None:
            elsewhere = ledger.alive_elsewhere("another", MOST_LINES)
            assert elsewhere("session") is not None
            assert elsewhere("no such") is None

        return look

    assert work(looks(many)) <= 2 * work(looks(few))


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"),
            st.lists(st.sampled_from("wxyz"), min_size=1, max_size=3, unique=True),
            st.integers(0, 3),
            st.integers(0, 3),
            st.sampled_from(["marked", "hit", "all"]),
        ),
        max_size=12,
    ),
    st.sampled_from("abcd"),
    st.integers(0, 900),
)
def test_of_entries_on_other_lines_it_is_the_one_with_most_tokens_and_of_those_the_oldest_line(
    bills: list[tuple[str, list[str], int, int, Refresh]], line: str, now: float
) -> None:
    ledger, lines = Ledger(), list[str]()
    for at, (name, digests, read, written, refresh) in enumerate(bills):
        lines += [name] if name not in lines else []
        positions = [Position(digest, "5m") for digest in digests]
        ledger.billed(name, positions, Usage(read=read, written_short=written), at * 100.0, refresh)

    look = ledger.alive_elsewhere(line, now)
    for digest in "wxyz":
        others = [ledger.alive(name, now)(digest) for name in lines if name != line]
        best = max((one for one in others if one is not None), key=lambda one: one.tokens or 0, default=None)
        assert look(digest) is best


def test_two_positions_that_a_journal_puts_under_each_other_are_renewed_once() -> None:
    ledger = Ledger()
    for at, positions in enumerate(([STATIC, SESSION], [SESSION, STATIC], [STATIC, SESSION])):
        ledger.billed("line", positions, Usage(read=1000), at, "all")

    assert [entry.used for name in ("static", "session") if (entry := alive(ledger, name, 2))] == [2, 2]
