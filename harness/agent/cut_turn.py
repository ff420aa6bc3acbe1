"""Whether the last turn came to its end, and in words where it was cut off.

Invariant: read from what the journal says, and a compaction changes nothing of it: the summary that takes the place of
what was said ends with `GO_ON` where the turn had not ended, and only there.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.agent.session import Session
from harness.conversation.history import Entry, Fate

HEAD = "[Summary of the conversation so far; it stands in the place of what was said before.]"
"""How the summary of a compaction begins."""
GO_ON = "Go on with the task from here."


@dataclass(frozen=True, slots=True)
class CutTurn:
    """The last turn, where it did not come to its end.

    step: the model call, counted from the person's words, at which it goes on or whose calls were left open.
    calls: the tools of the last answer whose results are not part of the conversation yet, and what became of each.
    """

    step: int
    calls: tuple[tuple[str, Fate], ...]

    def __str__(self) -> str:
        told = (f"{_named([name for name, fate in self.calls if fate == one])} {one}" for one in _TOLD)
        fates = "; ".join(text for text in told if not text.startswith(" "))
        return f"the last turn was cut off at step {self.step}" + (f": {fates}" if fates else "")


_TOLD: tuple[Fate, ...] = ("done", "may have run", "not run")


def cut_turn(session: Session) -> CutTurn | None:
    """The last turn, where it was cut off: by a crash, a signal, a limit, a failure; None where it ended."""
    history, last = session.history, last_said(session)
    if last is None or session.ends.refused:
        return None
    match last.message.tag:
        case "answer" if not last.message.calls and not history.dropped and not _is_cut(session, last.seq):
            return None
        case "program" if (text := last.message.text).startswith(HEAD) and not text.endswith(GO_ON):
            return None  # the summary of a turn that had ended
        case _:
            pass
    calls = tuple((call.name, fate) for call, fate in history.fates())
    return CutTurn(_answers(session) + (last.message.tag != "answer"), calls)


def _answers(session: Session) -> int:
    """Since the person's last words in the conversation; since the last at all, where a compaction took them away."""
    answers = 0
    for entry in reversed(session.history.entries):
        if session.history.begins_turn(entry.seq):
            return answers
        answers += entry.message.tag == "answer"
    return session.ends.answers


def last_said(session: Session) -> Entry | None:
    """The last message that is more than facts."""
    entries = reversed(session.history.entries)
    return next((e for e in entries if e.message.tag not in ("system_injected", "setting")), None)


def _is_cut(session: Session, seq: int) -> bool:
    return session.ends.cut(session.history.origin(seq))


def _named(names: list[str]) -> str:
    return ", ".join(f"{names.count(name)} {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names))
