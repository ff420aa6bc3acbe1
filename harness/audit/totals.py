"""What a session was billed, added up.

Invariant: an unknown price stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.audit.ledger import is_bill
from harness.conversation.blocks import Usage
from harness.conversation.canonical import Json
from harness.conversation.lines import Record
from harness.conversation.stored import read_usage, write_usage


@dataclass(slots=True)
class Totals:
    """What the session was billed. `cost` in USD; None as soon as one price was unknown."""

    requests: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: float | None = 0.0
    delegated: int = 0
    """Of the requests, those of sub-agents."""
    served: int = 0
    """Of the requests, those that a cached response met."""

    @property
    def own(self) -> int:
        """Of the requests, those of the session itself."""
        return self.requests - self.delegated

    def include(self, other: Totals) -> None:
        """Take in all that a sub-agent was billed."""
        self.add(other.usage, other.cost, other.requests)
        self.delegated += other.delegated
        self.served += other.served

    def delegate(self, theirs: Totals) -> None:
        """Take in all that a sub-agent of the session's own was billed."""
        self.include(theirs)
        self.delegated += theirs.own

    def apply(self, record: Record) -> None:
        """Take in what one record of the session's journal tells of."""
        data = record.data
        match record.kind:
            case "response" | "retry" | "failed" if is_bill(data):
                # some vendors tell the bill at the end only: of an answer that broke off, it is not known
                self.add(read_usage(data["usage"]) if "usage" in data else Usage(), data.get("cost"))
                self.served += "cached" in data
            case "subagent":
                self.delegate(read_totals(data))
            case _:
                pass

    def since(self, before: Totals) -> Totals:
        """What was billed since an earlier state of the same totals."""
        cost = None if self.cost is None or before.cost is None else self.cost - before.cost
        usage = self.usage + -before.usage
        delegated, served = self.delegated - before.delegated, self.served - before.served
        return Totals(self.requests - before.requests, usage, cost, delegated, served)

    def add(self, usage: Usage, cost: float | None, requests: int = 1) -> None:
        """Take in one response, or several."""
        self.requests += requests
        self.cost = None if self.cost is None or cost is None else self.cost + cost
        self.usage += usage


def write_totals(totals: Totals) -> dict[str, Json]:
    """The form in which a sub-agent's are journaled."""
    counts = {"requests": totals.requests, "delegated": totals.delegated, "served": totals.served}
    return counts | {"usage": write_usage(totals.usage), "cost": totals.cost}


def read_totals(data: Mapping[str, Json]) -> Totals:
    """The totals of their journaled form."""
    delegated, served = (int(data.get(name, 0)) for name in ("delegated", "served"))
    return Totals(int(data["requests"]), read_usage(data["usage"]), data["cost"], delegated, served)
