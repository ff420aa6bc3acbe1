"""The sessions of sub-agents: born in their caller's folder, counted with it, and found again after a crash.

Invariant: a sub-agent's journal is its own and complete; the caller's has a `subagent` record of it, written when it
ended, or when the caller is opened again after both were killed, and one more for each time that it went on after that.
The two share one ledger while they live.

    born      in the sub-agent's journal, before anything it does: {"caller": id, "call_id", "skill", "context",
              "before": totals}: what the records before it had been billed
    subagent  in the caller's: {"child": id, "call_id", "skill", "context", "model", "end", "first": {"read": tokens
              | None, "expected": tokens | None}} and its totals, its own sub-agents counted in; what an earlier record
              of it counted is not counted again
"""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.agent.session import Session
from harness.audit.shared_ledger import sub_agents
from harness.audit.totals import Totals, read_totals, write_totals
from harness.conversation.births import unborn
from harness.errors import JournalError


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
    return Session.fork_of(caller.journal.folder, folder, caller.seam, ledger=caller.requests.ledger)


def of_call(caller: Session, call_id: str) -> Path | None:
    """The folder of the sub-agent that was begun for a call; None where none is there, or it cannot be read.

    Each is told of when it ended, or by `recover`: none of their journals is read.
    """
    for folder in reversed(sub_agents(caller.journal.folder)):
        if (told := caller.sub_agents.get(folder.name)) is not None and told.call_id == call_id:
            return folder
    return None


def again(caller: Session, folder: Path) -> Session:
    """The session of a sub-agent that was cut off, to go on where it was.

    Raises:
        JournalError: it cannot be read, or what it was begun for is lost.
    """
    # whoever owns the caller owns it, whatever another machine left in its lock
    child = Session.resume(folder, caller.seam, from_elsewhere=True, ledger=caller.requests.ledger)
    if not child.births or child.born in caller.births:
        child.close()
        raise JournalError(f"the record of its birth is lost, in {folder}; nothing of it is removed")
    return child


def uncounted(caller: Session, child: Session) -> Totals:
    """What a sub-agent was billed that its caller has not counted in yet."""
    spent = child.totals.since(read_totals(child.born["before"]))
    told = caller.sub_agents.get(child.journal.id)
    return spent if told is None else spent.since(told.counted)


def recover(session: Session) -> None:
    """Take in the sub-agents that a crash ended together with their caller: what they were billed was billed.

    One that cannot be read is told with the damage of the journal. One that was never born is removed.
    """
    waiting = {call.id for call in session.history.open_calls()}
    for folder in sub_agents(session.journal.folder):
        told = session.sub_agents.get(folder.name)
        # only for a call that is still open can one have gone on since it was told of, however it had ended
        if told is not None and told.call_id not in waiting:
            continue
        if told is None and unborn(folder, session.births):
            shutil.rmtree(folder, ignore_errors=True)
            continue
        if not (folder / "journal.jsonl").is_file():
            continue
        try:
            _take_in(session, folder)
        except JournalError as error:
            session.journal.lose(-1, f"what its sub-agent {folder.name} was billed is not known: {error}")


def _take_in(session: Session, folder: Path) -> None:
    """Count in one that was cut off, and say that it was; nothing where it did nothing since it was told of."""
    child = again(session, folder)
    try:
        recover(child)
    finally:
        child.close()
    totals = uncounted(session, child)
    if session.sub_agents.get(folder.name) is not None and not totals.requests:
        return
    about = {name: child.born[name] for name in ("call_id", "skill", "context")}
    first = {"read": None, "expected": None}
    how = {"child": folder.name, "model": child.requests.last_model, "end": "lost", "first": first}
    session.record("subagent", about | how | write_totals(totals))
