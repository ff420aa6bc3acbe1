"""What a session's journal tells of its sub-agents: whose call each carried out, and what is counted in of it.

Invariant: a pure fold over `subagent` records; no sub-agent's own journal is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.audit.totals import Totals, read_totals
from harness.conversation.lines import Record


@dataclass(slots=True)
class Told:
    """One sub-agent. counted: in all its records."""

    call_id: str
    counted: Totals = field(default_factory=Totals)


class ToldAgents:
    """Those of one session, by their ids; of a fork, those of the session that it was forked from, too."""

    def __init__(self) -> None:
        self._told: dict[str, Told] = {}

    def apply(self, record: Record) -> None:
        """Take one record in; one whose call is still open may go on and be told of again."""
        if record.kind == "subagent":
            data = record.data
            one = self._told.setdefault(data["child"], Told(data["call_id"]))
            one.counted.include(read_totals(data))

    def get(self, child: str) -> Told | None:
        """What is told of one; None where nothing is."""
        return self._told.get(child)
