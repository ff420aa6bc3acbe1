"""The book of a session against the pretend vendor's own: bills, what a perfect cache reads, what each cause cost."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from harness.audit.book import Book, Row, read_book
from harness.audit.cost import total
from harness.conversation.blocks import Message, Text, Usage
from harness.conversation.lines import Record, read_records
from harness.providers.catalog import find
from harness.simulator import Fault
from tests.audit import plants
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]

LOOK = [{"text": "I look."}, {"call": "glob", "input": {"pattern": "*"}}]
FAN = [{"call": "todo", "input": {"items": []}} for _ in range(30)]
PRICES = {"claude-opus-4-8": (5, 6.25, 0.5), "claude-sonnet-5": (2, 2.5, 0.2), "claude-sonnet-5-5": (2, 2.5, 0.1)}


def book_of(person: Speaker) -> Book:
    return read_book(read_records(person.folder / "journal.jsonl"), find)


def check(person: Speaker) -> Book:
    """Every row against the vendor's books, the perfect cache's read with them; and the sums against the rows."""
    book, seen = book_of(person), person.simulator.requests
    assert [row.usage.prompt for row in book.rows if row.usage] == [request.prompt_tokens for request in seen]
    assert [row.usage.read for row in book.rows if row.usage] == [request.read for request in seen]
    assert [(row.number, row.verdict, row.perfect) for row in book.rows] == [
        # a rewind can read an entry in the middle of a request, which that vendor's perfect cache does not have
        (number, book.rows[number - 1].verdict, max(request.perfect_read, request.read))
        for number, request in enumerate(seen, 1)
    ]
    assert [row.side for row in book.rows] == [request.kind == "side" for request in seen]
    for row, request in zip(book.rows, seen, strict=True):
        plain, write, read = (price / 1e6 for price in PRICES[request.model])
        rest = request.prompt_tokens - request.read - request.written
        assert row.bill == pytest.approx(plain * rest + write * request.written + read * request.read)
        assert row.uncached_bill == pytest.approx(plain * request.prompt_tokens)
        missed = max(0, request.perfect_read - request.read)
        assert row.bill is not None
        assert row.perfect_bill is not None
        dearer = min(missed, request.written) * write + max(0, missed - request.written) * plain - missed * read
        assert row.bill - row.perfect_bill == pytest.approx(dearer)
    assert book.usage.prompt == sum(request.prompt_tokens for request in seen)
    assert book.cost == pytest.approx(person.app.session.totals.cost)
    assert book.perfect == sum(max(request.perfect_read, request.read) for request in seen)
    return book


def test_a_session_of_every_kind_of_miss(speaker: Begin) -> None:
    person = speaker(Script(*[LOOK, "Seen.", "So.", FAN, "Done."] * 4), minimum=1024)
    person.say("One?")
    person.say("Two?")
    person.simulator.clock.advance(301)
    person.say("Late?")
    person.simulator.evict()
    person.say("Evicted?")
    person.aside()
    person.come_back(model="claude-sonnet-5")
    person.say("Other?")
    person.come_back(model="claude-opus-4-8")
    person.say("Back?")

    book = check(person)
    kinds = {row.verdict for row in book.rows}
    assert kinds >= {"first", "hit", "expired", "evicted"}
    assert {lost.cause for lost in book.lost} == {"expired", "evicted", "model switch"}
    assert sum(lost.tokens for lost in book.lost) == sum(row.lost for row in book.rows)
    assert total(lost.usd for lost in book.lost) == pytest.approx(sum(row.lost_usd or 0 for row in book.rows))


@pytest.mark.moves_prefix(reason="planted")
def test_a_perfect_cache_does_not_move_its_prefix(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."))
    person.say("One?")
    plants.plant(person, static=plants.edited_text)
    person.say("Two?")

    book = book_of(person)
    before = person.mainline[0].prompt_tokens
    assert [row.perfect for row in book.rows] == [0, before]
    (lost,) = book.lost
    assert (lost.cause, lost.requests, lost.tokens) == ("ours: static system", 1, before)
    assert lost.usd == pytest.approx(before * 5.75 / 1e6)
    assert book.bill is not None
    assert book.perfect_bill is not None
    assert book.bill - book.perfect_bill == pytest.approx(lost.usd)


@pytest.mark.moves_prefix(reason="an epoch goes back")
def test_what_a_rewind_goes_back_to_is_known(speaker: Begin) -> None:
    person = speaker(Script(*["So."] * 9))
    for number in range(4):
        person.say(f"{number}? " * 50)
    session = person.app.session
    session.begin_epoch("rewind: to the second", session.history.seqs[:3])
    person.say("Another second?")

    book = check(person)
    assert [(epoch.reason, epoch.before) for epoch in book.epochs] == [("start", 1), ("rewind: to the second", 5)]
    assert book.rows[-1].perfect == person.mainline[0].prompt_tokens


@pytest.mark.moves_prefix(reason="an epoch compacts", times=1)
def test_a_compaction_leaves_the_system_and_is_priced(speaker: Begin) -> None:
    person = speaker(Script(*["So."] * 9))
    for number in range(3):
        person.say(f"{number}? " * 200)
    session = person.app.session
    summary = session.keep(Message("program", (Text("In short: so."),)))
    session.begin_epoch("compaction: long enough", [summary])
    person.say("And now?")
    person.say("And then?")

    book = check(person)
    assert [row.verdict for row in book.rows[-2:]] == ["declared", "hit"]
    assert book.rows[-2].label == "declared: compaction"
    assert book.rows[-2].usage
    assert book.rows[-2].usage.read == book.rows[-2].perfect > 1024, "the system blocks"
    assert book.epochs[-1].before == 4


def go_back(person: Speaker, turn: int) -> None:
    """Rewind to before the turn of that index, if there was one."""
    session = person.app.session
    begun = [entry.seq for entry in session.history.entries if entry.message.tag == "person"]
    if turn < len(begun):
        seqs = session.history.seqs
        session.begin_epoch("rewind: somewhere", seqs[: seqs.index(begun[turn])])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.moves_prefix(reason="epochs go back")
def test_any_session(seed: int, speaker: Begin) -> None:
    chance = random.Random(seed)
    person = speaker(lambda _: chance.choice([LOOK, FAN, "So.", "Yes.", "Done."]))
    for _ in range(25):
        match chance.choice(["say", "say", "say", "pause", "long", "evict", "aside", "leave", "switch", "back"]):
            case "say":
                person.say("Is it so?" * chance.randint(1, 30))
            case "pause":
                person.simulator.clock.advance(chance.choice([50, 250]))
            case "long":
                person.simulator.clock.advance(400)
            case "evict":
                person.simulator.evict()
            case "aside" if person.mainline:
                person.aside()
            case "leave":
                person.come_back()
            case "switch":
                person.come_back(model=chance.choice(list(PRICES)))
            case "back":
                go_back(person, chance.randint(1, 4))
            case _:
                pass
    person.say("One more.")
    person.say("And one.")
    go_back(person, 1)
    person.say("And?")

    check(person)


def test_an_attempt_that_began_and_broke_off_has_its_row(speaker: Begin) -> None:
    person = speaker(Script("One."))
    person.simulator.fault(Fault("drop", after=2))
    person.say("One?")

    book = book_of(person)
    assert [row.verdict for row in book.rows] == ["", "hit"]
    assert book.rows[0].cause.startswith("broke off: ")
    assert len(book.rows) == person.app.session.totals.requests


# -------------------------------------------------------------------------------------------------- robustness


def records(*kinds_and_data: tuple[str, Any]) -> list[Record]:
    return [Record(seq, kind, 0.0, data) for seq, (kind, data) in enumerate(kinds_and_data)]


def test_records_that_make_no_sense_are_counted_and_cost_no_other_row(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."))
    person.say("One?")
    person.say("Two?")
    good = list(read_records(person.folder / "journal.jsonl"))
    bad = records(("response", {}), ("request", 7), ("epoch", []), ("response", {"request": "x"}), ("retry", None))
    strange = [Record(90, "response", 0.0, {"request": 1, "usage": {"read": "many"}})]

    book = read_book([*bad, *good, *strange, Record(91, "nobody knows", 0.0, {})], find)
    assert [row.verdict for row in book.rows] == ["first", "hit"]
    assert book.unreadable == 5


def test_a_lost_request_leaves_its_bill_and_an_unknown_price(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."))
    person.say("One?")
    person.say("Two?")
    left = [r for r in read_records(person.folder / "journal.jsonl") if r.kind != "request" or r.seq < 8]

    book = read_book(left, find)
    assert [(row.model, row.verdict) for row in book.rows] == [
        ("anthropic/claude-opus-4-8", "first"),
        ("unknown", "hit"),
    ]
    assert book.rows[1].usage
    assert book.rows[1].perfect == book.rows[1].usage.read > 0
    assert book.bill is None
    assert book.cost is not None


def test_a_model_that_the_catalog_cannot_place_has_no_price(speaker: Begin) -> None:
    person = speaker(Script("One."), model="claude-opus-4-8")
    person.say("One?")
    text = (person.folder / "journal.jsonl").read_text().replace("anthropic/claude", "elsewhere/claude")
    kept = [json.loads(line) for line in text.splitlines()]

    book = read_book((Record(one["seq"], one["kind"], one["at"], one["data"]) for one in kept), find)
    assert (book.bill, book.saved, book.perfect_bill) == (None, None, None)
    assert book.cost is not None, "as journaled"
    assert book.rows[0].model == "elsewhere/claude-opus-4-8"


def test_nothing_adds_up_to_nothing() -> None:
    book = read_book([], find)

    assert (book.usage, book.cost, book.lost, book.perfect) == (Usage(), 0, (), 0)


@pytest.mark.parametrize(
    ("verdict", "cause", "where", "label"),
    [
        ("hit", "", "", "hit"),
        ("first", "", "", "first"),
        ("first", "model switch: a to b; …", "", "model switch"),
        ("declared", "compaction: too long", "", "declared: compaction"),
        ("ours", "the request does not extend its line: tool x: …", "tool x", "ours: tool x"),
        ("ours", "look-back: no marker …", "", "ours: look-back"),
        ("evicted", "our bytes are the same and the TTL runs: the vendor let it go", "", "evicted"),
    ],
)
def test_the_words_that_losses_are_added_up_by(verdict: str, cause: str, where: str, label: str) -> None:
    row = Row(1, 0.0, "m", False, 1, None, None, verdict, cause, "", where=where)

    assert row.label == label


def test_reading_leaves_a_session_as_it_is(speaker: Begin) -> None:
    person = speaker(Script("One."))
    person.say("One?")
    before = {path: path.read_bytes() for path in sorted(person.folder.rglob("*")) if path.is_file()}
    book_of(person)

    assert {path: path.read_bytes() for path in sorted(person.folder.rglob("*")) if path.is_file()} == before
