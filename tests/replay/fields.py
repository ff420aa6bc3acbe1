"""Every field of recorded sessions, changed one at a time: which changes a replay finds.

Invariant: a change is made in a copy of the records; a field is one of a kind of record, wherever in a list or a
mapping by name it stands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.conversation.lines import Record, read_records
from harness.providers.catalog import Catalog
from harness.replay.report import Report
from harness.replay.verify import Verification

BY_NAME = ("rules", "skills", "memory", "own", "seen")
"""Mappings whose keys are names of files, skills and the like."""
TRIES = 8
"""Places of one field that are changed, each by itself, until one is found."""


@dataclass(frozen=True)
class Field:
    """A place in a record: keys and indices. name: without which of several it is. holds: whether it has fields."""

    name: str
    record: int
    path: tuple[Any, ...]
    holds: bool


Change = Callable[[Any, Any], None]
"""Changes what a container holds under a key."""


class Session:
    """A recorded one, and what a replay says of it when records are others."""

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self.folder = folder
        self.records = [replace(one, data=_copy(one.data)) for one in read_records(folder / "journal.jsonl")]
        self._catalog = catalog
        self.unchanged = self.told(self.records)
        assert self.unchanged.equal, self.unchanged

    def told(self, records: Iterable[Record]) -> Report:
        """What a replay says."""
        verification = Verification(self.folder, self._catalog)
        all(verification.take(record) for record in records)
        return verification.report

    def finds(self, *changed: tuple[int, Record]) -> bool:
        """Whether it says anything else where the records at some places are others."""
        others = dict(changed)
        return self.told(others.get(at, one) for at, one in enumerate(self.records)) != self.unchanged

    def fields(self) -> Iterator[Field]:
        """All of them."""
        for at, record in enumerate(self.records):
            for path, value in _paths(record.data, ()):
                yield Field(_name(record.kind, path), at, path, isinstance(value, dict) and bool(value))

    def changed(self, record: Record, path: Sequence[Any], change: Change) -> Record:
        """The record with one field changed."""
        data = _copy(record.data)
        holder = data
        for key in path[:-1]:
            holder = holder[key]
        change(holder, path[-1])
        return replace(record, data=data)


def situations(session: Session) -> Iterator[Field]:
    """The last place of each field in each kind of message, partial or whole, with or without blocks left unsent."""
    found: dict[tuple[Any, ...], Field] = {}
    for one in session.fields():
        data = session.records[one.record].data
        block = data.get("blocks", [{}])[one.path[1]].get("is") if one.path[0] == "blocks" and len(one.path) > 1 else ""
        found[(one.name, block, data.get("tag"), data.get("stop"), "partial" in data, "unsent" in data)] = one
    yield from found.values()


def another(holder: Any, key: Any) -> None:
    """Another value of its kind; what holds fields stays."""
    match holder[key]:
        case bool() as told:
            holder[key] = not told
        case int() | float() as number:
            holder[key] = number + 1
        case str() as text:
            holder[key] = text + "x"
        case None:
            holder[key] = "high"
        case list() as several:
            several.append("x")
        case dict() as named if not named:
            named["x"] = "x"
        case _:
            pass  # its fields are fields, too


def gone(holder: Any, key: Any) -> None:
    """Nothing."""
    del holder[key]


def unfound(sessions: Sequence[Session], change: Change, known: Iterable[str]) -> set[str]:
    """The fields of which no change is found, without those that are known to be such."""
    places: dict[str, list[tuple[Session, Field]]] = {}
    for session in sessions:
        for one in session.fields():
            if change is another and one.holds:
                continue  # its fields are changed
            places.setdefault(one.name, []).append((session, one))
    return {name for name, found in places.items() if name not in set(known) and not _found(found, change)}


def _found(places: Sequence[tuple[Session, Field]], change: Change) -> bool:
    # another index is another place, too
    first = list({one.path: (session, one) for session, one in reversed(places)}.values())
    # and so is a record with other fields beside it: a limit decides something where an output was cut
    beside: dict[frozenset[str], list[tuple[Session, Field]]] = {}
    for session, one in places:
        beside.setdefault(frozenset(session.records[one.record].data), []).append((session, one))
    alike = [one for several in beside.values() for one in several[:TRIES]]
    for session, one in (*first[-TRIES:], *alike, *places[:: max(1, len(places) // TRIES)]):
        record = session.records[one.record]
        if session.finds((one.record, session.changed(record, one.path, change))):
            return True
    return False


def found_together(session: Session, names: Iterable[str]) -> bool:
    """Whether anything is found where all fields of those names have another value at once."""
    records = dict(enumerate(session.records))
    for one in session.fields():
        if one.name in names:
            records[one.record] = session.changed(records[one.record], one.path, another)
    return session.finds(*records.items())


def _paths(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """All values, and where they are."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield (*path, key), one
        yield from _paths(one, (*path, key))


def _name(kind: str, path: Sequence[Any]) -> str:
    names = [kind]
    for key in path:
        by_name = isinstance(key, int) or (names[-1] in BY_NAME and names[0] in ("message", "kept", "tool_done"))
        names.append("*" if by_name else str(key))
    return ".".join(names)


def _copy(data: Any) -> Any:
    return json.loads(json.dumps(data))
