"""Words for events, the same on every screen; and the plain screen of one-shot runs, a line for each.

Invariant: nothing that a model, a tool or a file said reaches the terminal unescaped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from harness.audit.report import counted, hit_rate, money, percent, tokens
from harness.conversation.events import Event, Notice, Retrying, SubAgentDone, ToolFinished, ToolStarted
from harness.tools.output import visible

Write = Callable[[str], object]

_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Line:
    """One line for the person, escaped and cut; every screen marks the three kinds in its own way."""

    kind: Literal["done", "failed", "warning"]
    text: str


class Wording:
    """Puts events into lines. It remembers what a call was about until the call ends."""

    def __init__(self) -> None:
        self._summaries: dict[str, str] = {}

    def line(self, event: Event) -> Line | None:
        """The line for an event; None where it has none, or none yet."""
        match event:
            case ToolStarted(call_id, _, summary):
                self._summaries[call_id] = summary
                return None
            case ToolFinished(call_id, name, shown, is_error, _):
                call = f"{name} {self._summaries.pop(call_id, '')}".rstrip()
                text = call + (f" — {shown}" if shown else "")
                return Line("failed" if is_error else "done", one_line(text, _LONGEST))
            case Retrying(attempt, wait, reason):
                again = f"again in {wait:.1f} s"
                return Line("warning", one_line(f"attempt {attempt} failed ({reason}); {again}", _LONGEST))
            case SubAgentDone():
                return Line(
                    "done" if event.end in ("done", "limit") else "failed", one_line(sub_agent(event), _LONGEST)
                )
            case Notice(text):
                return Line("warning", one_line(text, _LONGEST))
            case _:
                return None

    def forget(self) -> None:
        """The turn is over: calls that have not ended never will."""
        self._summaries.clear()


def sub_agent(event: SubAgentDone) -> str:
    """What a sub-agent did, and what that cost."""
    how = f"{event.skill} ({event.context}) {event.end}: {counted(event.requests, 'request')}"
    return f"{how}, {tokens(event.usage.prompt)} tokens in, {percent(hit_rate(event.usage))} read, {money(event.cost)}"


_MARKS = {"done": "·", "failed": "✗", "warning": "!"}


class PlainProgress:
    """Writes a line for each event that a person waits for. `write` takes whole lines.

    The answer itself is not its business, and figures come at the end.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._wording = Wording()

    def show(self, event: Event) -> None:
        """One event."""
        if (line := self._wording.line(event)) is not None:
            self._write(f"{_MARKS[line.kind]} {line.text}\n")


def one_line(text: str, limit: int = 1000) -> str:
    """The text as one line for a terminal: white space folded, everything that acts or hides written out, cut."""
    shown = visible(" ".join(text.split()))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
