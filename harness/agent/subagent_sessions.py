"""The sessions of sub-agents: born in their caller's folder, counted with it, and found again after a crash.

Invariant: a sub-agent's journal is its own and complete; the caller's has one `subagent` record of it, written when it
ended, or when the caller is opened again after both were killed. The two share one ledger while they live.

    born      in the sub-agent's journal, before anything it does: {"caller": id, "call_id", "skill", "context",
              "before": {"requests", "usage", "cost"}}: what the records before it had been billed
    subagent  in the caller's: {"child": id, "call_id", "skill", "context", "model", "end", "requests", "usage",
              "cost", "first": {"read": tokens | None, "expected": tokens | None}}, its own sub-agents counted in
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.agent.session import Session
from harness.agent.shared_ledger import sub_agents
from harness.agent.totals import Totals
from harness.conversation.blocks import Usage
from harness.conversation.canonical import Json
from harness.conversation.journal import read_records
from harness.conversation.stored import read_usage, write_usage
from harness.errors import JournalError

FOLDER = "agents"


def fresh(caller: Session, folder: Path, effort: str | None) -> Session:
    """A session that shares tools and system blocks with its caller's, and nothing else.

    Args:
        effort: of its line, which is the caller's where the model is.
    """
    about = {name: value for name, value in caller.about.items() if name != "format"}
    child = Session.create(folder, caller.seam, caller.prefix, about | {"effort": effort})
    child.inherit(caller)
    return child


def fork(caller: Session, folder: Path) -> Session:
    """A session that goes on where its caller's is, the calls of the last answer still open."""
    return Session.fork_of(caller.journal.folder, folder, caller.seam, ledger=caller.ledger)


def spent(now: Totals, before: Totals) -> Totals:
    """What was billed since."""
    cost = None if now.cost is None or before.cost is None else now.cost - before.cost
    usage = Usage(*(getattr(now.usage, name) - getattr(before.usage, name) for name in Usage.__dataclass_fields__))
    return Totals(now.requests - before.requests, usage, cost, served=now.served - before.served)


def as_json(totals: Totals) -> dict[str, Json]:
    """The form that is journaled."""
    counts = {"requests": totals.requests, "served": totals.served}
    return counts | {"usage": write_usage(totals.usage), "cost": totals.cost}


def of_json(data: Mapping[str, Json]) -> Totals:
    """The totals of a journaled form."""
    return Totals(int(data["requests"]), read_usage(data["usage"]), data["cost"], served=int(data.get("served", 0)))


def recover(session: Session) -> None:
    """Take in the sub-agents that a crash ended together with their caller: what they were billed was billed.

    One that cannot be read is told with the damage of the journal.
    """
    for folder in sub_agents(session.journal.folder):
        path = folder / "journal.jsonl"
        if folder.name in session.sub_agents or not path.is_file():
            continue
        if all(record.kind != "born" for record in read_records(path)):
            continue  # it ended before it began
        try:
            child = Session.resume(folder, session.seam)
        except JournalError as error:
            session.journal.lose(-1, f"what its sub-agent {folder.name} was billed is not known: {error}")
            continue
        try:
            recover(child)
            born, totals = child.born, spent(child.totals, of_json(child.born["before"]))
        finally:
            child.close()
        about = {name: born[name] for name in ("call_id", "skill", "context")}
        first = {"read": None, "expected": None}
        ended = {"child": folder.name, "model": child.last_model, "end": "lost", "first": first}
        session.record("subagent", about | ended | as_json(totals))


def totals_of(session: Session) -> Totals:
    """A copy of what a session was billed so far."""
    return Totals(**{name: getattr(session.totals, name) for name in ("requests", "usage", "cost", "served")})
