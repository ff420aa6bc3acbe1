"""A turn that did not come to its end: told apart from one that did, said in words, and gone on with.

Invariant: going on only appends. Results that reached the journal are used as they are, a call that may have run is
said to the model, nothing is run again by itself, and what the person said is not said again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from harness.agent import compaction
from harness.agent.loop import GO_ON, Agent, cut_off
from harness.agent.main_agent import MainAgent
from harness.agent.session import Session
from harness.conversation.blocks import Message, Text
from harness.conversation.events import Event, TurnEnded
from harness.conversation.history import Entry, Fate
from harness.errors import UsageError


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
    history, last = session.history, _last_said(session)
    if last is None or session.ends.refused:
        return None
    match last.message.tag:
        case "answer" if not last.message.calls and not history.dropped and not _is_cut(session, last.seq):
            return None
        case "program" if (text := last.message.text).startswith(compaction.HEAD) and not text.endswith(
            compaction.GO_ON
        ):
            return None  # the summary of a turn that had ended
        case _:
            pass
    calls = tuple((call.name, fate) for call, fate in history.fates())
    return CutTurn(session.ends.answers + (last.message.tag != "answer"), calls)


def _last_said(session: Session) -> Entry | None:
    """The last message that is more than facts."""
    entries = reversed(session.history.entries)
    return next((e for e in entries if e.message.tag not in ("system_injected", "setting")), None)


def _is_cut(session: Session, seq: int) -> bool:
    return session.ends.cut(session.history.origin(seq))


def _named(names: list[str]) -> str:
    return ", ".join(f"{names.count(name)} {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names))


async def rest_of_turn(agent: Agent, instruction: str = "") -> AsyncGenerator[Event]:
    """What is left of a turn that was cut off; its last event is `TurnEnded`, the only one where nothing is left.

    Calls that go on where they were do so first, then what became of the others is told, and what else changed.

    Args:
        instruction: said to the model before it goes on; "" for nothing but what it must know.
    """
    session = agent.session
    if cut_turn(session) is None:
        refused, text = session.ends.refused, agent.last_text()
        yield TurnEnded("refused", "", "the model refused to answer") if refused else TurnEnded("done", text)
        return
    begun = [call for call, fate in session.history.fates() if fate == "may have run"]
    async with aclosing(agent.runner.resume(begun)) as events:
        async for event in events:
            yield event
    session.heal()
    last = _last_said(session)
    words = [cut_off(session.history.dropped), GO_ON] if last is not None and last.message.tag == "answer" else []
    if agent.tell_changes() and not words:
        words = [GO_ON]
    if text := " ".join(filter(None, [*words, instruction])):
        session.add(Message("program", (Text(text),)))
    async with aclosing(agent.go_on()) as events:
        async for event in events:
            yield event


async def resume_turn(agent: MainAgent, instruction: str = "") -> AsyncGenerator[Event]:
    """The rest of a person's turn that was cut off, its files saved around it; see `rest_of_turn`.

    Raises:
        UsageError: no turn was cut off.
        HarnessError: as `Agent.turn`.
    """
    session = agent.session
    if cut_turn(session) is None:
        raise UsageError(f"nothing to go on with: the last turn of session {session.journal.id} came to its end")
    async with aclosing(agent.checkpoints.around(rest_of_turn(agent, instruction))) as events:
        async for event in events:
            yield event
