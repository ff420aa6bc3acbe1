"""What a session's journal tells of its sub-agents: whose call each carried out, what is counted in, how it ended.

Invariant: a pure fold over `subagent` records; no sub-agent's own journal is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.audit.totals import Totals, read_totals
from harness.conversation.journal import Record

CUT = frozenset({"lost", "interrupted"})
"""The ends of a sub-agent that can go on: killed with its caller, or stopped."""


@dataclass(slots=True)
class Told:
    """One sub-agent. counted: in all its records. cut: whether it was cut off when it was last told of."""

    call_id: str
    cut: bool
    counted: Totals = field(default_factory=Totals)


class ToldAgents:
    """Those of one session, by their ids; of a fork, those of the session that it was forked from, too."""

    def __init__(self) -> None:
        self._told: dict[str, Told] = {}

    def apply(self, record: Record) -> None:
        """Take one record in; one that was cut off may go on and be told of again."""
        if record.kind == "subagent":
            data = record.data
            one = self._told.setdefault(data["child"], Told(data["call_id"], cut=False))
            one.call_id, one.cut = data["call_id"], data["end"] in CUT
            one.counted.include(read_totals(data))

    def get(self, child: str) -> Told | None:
        """What is told of one; None where nothing is."""
        return self._told.get(child)
