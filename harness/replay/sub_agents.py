"""What a caller's journal says of its sub-agents, against their own journals.

Invariant: one whose journal is gone, or damaged, is counted as not proved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isclose
from pathlib import Path

from harness.audit.totals import Totals, read_totals, write_totals
from harness.conversation.canonical import Json
from harness.conversation.lines import Reader, Record
from harness.conversation.stored import read_usage
from harness.errors import HarnessError
from harness.replay.divergence import SENSELESS, Divergence, value
from harness.replay.relatives import Relatives


@dataclass(slots=True)
class _Own:
    """What a sub-agent's journal says.

    states: its totals at its birth and after each bill since. at: the one that its caller has counted in last.
    """

    born: Mapping[str, Json] = field(default_factory=dict)
    states: list[Totals] = field(default_factory=list)
    reads: set[int | None] = field(default_factory=lambda: {None})
    expected: set[int | None] = field(default_factory=lambda: {None})
    models: set[str] = field(default_factory=set)
    at: int = 0


class SubAgents:
    """The sub-agents of a session."""

    def __init__(self, relatives: Relatives) -> None:
        self._relatives = relatives
        self._known: dict[str, _Own | None] = {}

    def check(self, data: Mapping[str, Json]) -> Iterator[Divergence | None]:
        """The divergences of a `subagent` record; None where its journal cannot tell."""
        name = str(data["child"])
        if name not in self._known:
            folder = self._relatives.sub_agent(name) if "/" not in name else None
            self._known[name] = _read(folder) if folder else None
        if (own := self._known[name]) is None:
            yield None
            return
        where, why = f"sub-agent {name}", "its own journal says something else"
        for one in ("call_id", "skill", "context"):
            yield from value(f"{where}: {one}", data[one], own.born[one], why)
        told, before = read_totals(data), own.states[own.at]
        unasked = not own.at and not told.requests  # one that was cut off before its first request had no model yet
        if own.models and data["model"] not in own.models and not (unasked and data["model"] == ""):
            yield Divergence(f"{where}: model", f"{data['model']!r} is none of {sorted(own.models)}", why)
        first = data["first"]
        if first["read"] not in own.reads or first["expected"] not in own.expected:
            yield Divergence(f"{where}: first read", f"{first} is that of none of its requests", why)
        for at in range(own.at, len(own.states)):
            if _same(own.states[at].since(before), told):
                own.at = at
                return
        made = write_totals(own.states[-1].since(before))
        yield from value(f"{where}: figures", write_totals(told), made, why)


def _same(one: Totals, other: Totals) -> bool:
    if replace(one, cost=None) != replace(other, cost=None):
        return False
    if one.cost is None or other.cost is None:
        return one.cost is other.cost
    return isclose(one.cost, other.cost, rel_tol=1e-9, abs_tol=1e-9)


def _read(folder: Path) -> _Own | None:
    """None where there is no whole journal of a sub-agent."""
    own, totals = _Own(), Totals()
    try:
        reader = Reader(folder / "journal.jsonl")
        for record in reader:
            _take(record, totals, own)
    except (HarnessError, OSError, *SENSELESS):
        return None
    return own if own.born and not reader.damage else None


def _take(record: Record, totals: Totals, own: _Own) -> None:
    data, kind, before = record.data, record.kind, replace(totals)
    totals.apply(record)
    if kind == "born":
        # that of the last birth: one that goes on with a sub-agent's conversation has that one's before its own
        own.born, own.states = data, [before]
        own.reads, own.expected, own.models = {None}, {None}, set()
    elif kind == "request":
        own.models.add(data["model"])
        own.expected.add(data["expected"]["tokens"])
    elif kind != "subagent" and totals != before:
        own.reads.add(read_usage(data["usage"]).read if "usage" in data else 0)
        own.expected.add(data.get("again", {}).get("expected", {}).get("tokens"))
    if totals != before:
        own.states.append(replace(totals))
