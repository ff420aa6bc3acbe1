"""A conversation of which messages are lost, made whole enough for every vendor.

Invariant: pure. In what it gives each call has exactly one result, in call order, directly behind its answer, and no
result stands without its call; where a message is lost, the model is told so. What is whole stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.conversation.blocks import Message, Text, ToolCall, ToolResult
from harness.conversation.history import Entry, History
from harness.conversation.lines import Damage

LOST_MESSAGE = "[A message of this session can no longer be read and is missing here.]"
LOST_RESULT = "The result of this call can no longer be read; the call was run. Look before you run it again."

Part = Entry | Message
"""A message that is in the journal, or one to be written."""


def mended(entries: Sequence[Entry], lost: Sequence[int]) -> list[Part]:
    """The conversation to go on with; its entries themselves where nothing is to be mended.

    Args:
        entries: the messages that can be read, in order.
        lost: record numbers of messages that were part of it and cannot.
    """
    parts: list[Part] = []
    missing = sorted(lost)
    calls: tuple[ToolCall, ...] = ()
    for entry in entries:
        if entry.message.tag == "results":
            parts += _results(entry, calls)
            calls = ()
            continue
        if calls:
            parts.append(_lost_results(calls))
        if missing and missing[0] < entry.seq:
            parts.append(Message("program", (Text(LOST_MESSAGE),)))
            missing = [seq for seq in missing if seq > entry.seq]
        parts.append(entry)
        calls = entry.message.calls if entry.message.tag == "answer" else ()
    if missing:
        # calls that were left open at the end, too: what came of them is not known
        parts += [_lost_results(calls)] if calls else []
        parts.append(Message("program", (Text(LOST_MESSAGE),)))
    return parts


def in_doubt(history: History, damage: Sequence[Damage], *, torn: bool) -> Sequence[ToolCall]:
    """The open calls that count as not run, while records behind them are lost: one of those may say that it began.

    Args:
        torn: the end of the journal is no whole record, or is still being written by its owner.
    """
    answers = (entry.seq for entry in reversed(history.entries) if entry.message.tag == "answer")
    said = history.origin(next(answers, -1))
    if not torn and all(lost.after < said for lost in damage):
        return ()
    return [call for call, fate in history.fates() if fate == "not run"]


def _results(entry: Entry, calls: Sequence[ToolCall]) -> list[Part]:
    """Results behind the calls before them: as they are, completed, or, without calls, nothing."""
    given = {block.call_id: block for block in entry.message.blocks if isinstance(block, ToolResult)}
    if list(given) == [call.id for call in calls]:
        return [entry]
    if not calls:
        return []
    return [Message("results", tuple(given.get(call.id) or _lost(call) for call in calls))]


def _lost_results(calls: Sequence[ToolCall]) -> Message:
    return Message("results", tuple(_lost(call) for call in calls))


def _lost(call: ToolCall) -> ToolResult:
    return ToolResult(call.id, (Text(LOST_RESULT),), is_error=True)
