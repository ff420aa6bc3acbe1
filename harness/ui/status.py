"""The bottom line: model, mode, figures; and while a turn runs, what it is doing and for how long.

Invariant: it always fits the width; what matters least is left out first.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len

from harness.audit.report import hit_rate, money, percent, tokens
from harness.conversation.events import (
    Event,
    Progress,
    RequestSent,
    ResponseDone,
    Retrying,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
)
from harness.ui.conversation import Conversation
from harness.ui.plain import one_line

_SEPARATOR = " · "
_AGENTS = 4
"""Sub-agents that have a row of their own."""


class Status:
    """Follows a turn by its events. `clock`: seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: float | None = None
        self._doing = ""
        self._calls: dict[str, str] = {}
        self._agents: dict[str, str] = {}

    def begin(self) -> None:
        """A turn begins."""
        self._since, self._doing = self._clock(), "waiting for the model"
        self._calls.clear()
        self._agents.clear()

    def end(self) -> None:
        """The turn is over."""
        self._since = None

    def stopping(self) -> None:
        """The person wants the turn to stop."""
        self._doing = "stopping"
        self._calls.clear()
        self._agents.clear()

    def take(self, event: Event) -> None:
        """One event of the turn."""
        match event:
            case RequestSent():
                self._doing = "waiting for the model"
            case ThinkingDelta():
                self._doing = "thinking"
            case TextDelta():
                self._doing = "answering"
            case Retrying(_, wait, _):
                self._doing = f"waiting {wait:.0f} s to try again"
            case ToolStarted(call_id, name, summary):
                self._calls[call_id] = f"{name} {summary}".strip()
            case Progress(call_id, ""):
                self._agents.pop(call_id, None)
            case Progress(call_id, text):
                self._agents[call_id] = text
            case ToolFinished(call_id):
                self._calls.pop(call_id, None)
                self._agents.pop(call_id, None)
                self._doing = "working"
            case ResponseDone():
                self._doing = "working"
            case _:
                pass

    def lines(self, conversation: Conversation, width: int, hint: str = "", waiting: int = 0) -> list[str]:
        """The rows of the toolbar: the turn that runs, if any; then the session.

        hint: takes the turn's place. waiting: how many lines wait for the model or for the turn's end.
        """
        facts = fitted(_facts(conversation), width)
        if hint:
            return [one_line(hint, width), facts]
        if self._since is None:
            return [facts]
        doing = next(iter(self._calls.values()), self._doing)
        more = f" (+{len(self._calls) - 1})" if len(self._calls) > 1 else ""
        queued = f" · {waiting} queued" if waiting else ""
        head = cut(one_line(f"● {self._clock() - self._since:.0f} s{queued} · {doing}{more}"), width)
        return [head, *self._sub_agents(width), facts]

    def _sub_agents(self, width: int) -> list[str]:
        """A row for each that works, as far as there is room."""
        rows = [cut(one_line(f"  ↳ {text}"), width) for text in self._agents.values()]
        more = len(rows) - _AGENTS
        return rows if more <= 0 else [*rows[:_AGENTS], cut(f"  ↳ and {more} more", width)]


def _facts(conversation: Conversation) -> list[tuple[int, str]]:
    """What the session is, each with its weight: the lightest is left out first."""
    totals = conversation.totals
    facts = [(9, one_line(conversation.model)), (8, one_line(conversation.mode))]
    if totals.requests:
        facts += [
            (5, f"{tokens(totals.usage.prompt + totals.usage.output)} tokens"),
            (6, f"hit {percent(hit_rate(totals.usage))}"),
            (7, money(totals.cost)),
        ]
    return facts


def fitted(facts: list[tuple[int, str]], width: int) -> str:
    """The facts in one row of at most `width` columns."""
    kept = list(facts)
    while len(kept) > 1 and cell_len(_SEPARATOR.join(text for _, text in kept)) > width:
        kept.remove(min(kept))
    return cut(_SEPARATOR.join(text for _, text in kept), width)


def cut(text: str, width: int) -> str:
    """The text in at most `width` columns."""
    while cell_len(text) > width:
        text = text[: max(0, min(len(text) - 2, width - 1))] + "…" if len(text) > 1 else ""
    return text
