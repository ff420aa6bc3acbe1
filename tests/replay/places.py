"""Records of recorded sessions left out, told twice, or in each other's place: which of those a replay finds.

Invariant: what is not moved stays as it is, its number too, so that whatever points at a record still does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from harness.conversation.lines import Record
from tests.replay.fields import Session

Moved = Callable[[list[Record], int], tuple[str, list[Record]] | None]
"""Of records and a place: what is moved there, by kinds, and the records then; None where nothing is."""


def without(records: list[Record], at: int) -> tuple[str, list[Record]] | None:
    """Without a record; not one of the last, which a kill may always take."""
    if not any(one.kind == "request" for one in records[at + 1 :]):
        return None
    return records[at].kind, [*records[:at], replace(records[at], kind="nothing"), *records[at + 1 :]]


def twice(records: list[Record], at: int) -> tuple[str, list[Record]] | None:
    """With another of the same right behind it."""
    again = replace(records[at], seq=records[-1].seq + 1)
    return records[at].kind, [*records[: at + 1], again, *records[at + 1 :]]


def in_the_others_place(records: list[Record], at: int) -> tuple[str, list[Record]] | None:
    """With the next before it."""
    if at + 1 == len(records):
        return None
    one, other = records[at : at + 2]
    if (one.kind, one.data) == (other.kind, other.data):
        return None
    swapped = [replace(other, seq=one.seq), replace(one, seq=other.seq)]
    return " ".join(sorted((one.kind, other.kind))), [*records[:at], *swapped, *records[at + 2 :]]


def unfound_places(sessions: Iterable[Session], moved: Moved) -> set[str]:
    """What is moved, by kinds, and not found at the first or at the last place of a session where it can be."""
    names: set[str] = set()
    for session in sessions:
        places: dict[str, list[int]] = {}
        for at in range(len(session.records)):
            if (what := moved(session.records, at)) is not None:
                places.setdefault(what[0], []).append(at)
        for name, found in places.items():
            for at in {found[0], found[-1]}:
                what = moved(session.records, at)
                if what is not None and session.told(what[1]) == session.unchanged:
                    names.add(name)
    return names
