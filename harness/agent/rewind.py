"""Going back in the conversation: rewind, undo, redo. Each begins an epoch; files are another matter (snapshots).

Invariant: nothing is edited or lost. What is left stays in the journal and can be gone back to; the next request reads
the deepest position that is still alive of what stays, behind the very tools and system blocks that it stood behind.
"""

from __future__ import annotations

from harness.agent.session import Session
from harness.conversation.history import Branch, PersonTurn
from harness.errors import JournalError, UsageError


def turns(session: Session) -> tuple[PersonTurn, ...]:
    """The turns of the conversation as it is, oldest first: what undo steps over; of a compacted one, all."""
    return _turns(session, session.history.branch)


def _turns(session: Session, of: Branch) -> tuple[PersonTurn, ...]:
    here = {session.history.origin(seq) for seq in (*of.compacted, *of.seqs)}
    return tuple(turn for turn in session.history.turns() if turn.seq in here)


def rewind(session: Session, seq: int) -> PersonTurn:
    """Go back to before a turn of the person, be it part of the conversation or of what a rewind or compaction left.

    Args:
        seq: the record of the person's words.

    Raises:
        UsageError: there is no such turn.
        JournalError: the journal is damaged, so nobody can tell what the conversation was then.
    """
    check_whole(session)
    turn = next((turn for turn in session.history.turns() if turn.seq == seq), None)
    before = session.history.before(seq)
    if turn is None or before is None:
        raise UsageError(f"there is no turn {seq} to go back to; /rewind lists the turns")
    session.begin_epoch(f"rewind: to before record {seq}", before.seqs, before.prefix)
    return turn


def undo(session: Session) -> PersonTurn:
    """Go back to before the last turn; gives that turn.

    Raises:
        UsageError: there is none.
        JournalError: as `rewind`.
    """
    check_whole(session)
    last = next(reversed(turns(session)), None)
    before = session.history.before(last.seq) if last else None
    if last is None or before is None:
        raise UsageError("there is no turn to undo; /rewind lists those that were left")
    session.begin_epoch(f"undo: turn {last.seq}", before.seqs, before.prefix)
    return last


def undone(session: Session) -> PersonTurn | None:
    """The turn that a redo brings back; None where there is none to bring back."""
    left = session.history.undone
    return _turns(session, left[-1])[-1] if left else None


def redo(session: Session) -> PersonTurn:
    """Take the last undo back; gives the turn that is there again.

    Raises:
        UsageError: nothing was undone, or something was said or answered since.
        JournalError: as `rewind`.
    """
    check_whole(session)
    if (turn := undone(session)) is None:
        raise UsageError("there is nothing to redo: no turn was undone since you last said something")
    left = session.history.undone[-1]
    session.begin_epoch("redo", left.seqs, left.prefix)
    return turn


def check_whole(session: Session) -> None:
    """Refuse where nobody can tell what the conversation was.

    Raises:
        JournalError: the journal is damaged.
    """
    if session.journal.damage:
        where = session.journal.damage[0].where
        raise JournalError(
            f"{where} of this session is damaged, so what was said when is not sure; go on from here instead"
        )
