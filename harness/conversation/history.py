"""The journal read as a conversation: messages in order, and what is missing from them.

Invariant: a pure fold over records. A live append and a resume go through the same `apply`, so that a session that was
resumed is the session that was left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.conversation.blocks import Message, Text, ToolCall, ToolResult
from harness.conversation.canonical import Json
from harness.conversation.journal import Blobs, Record
from harness.conversation.stored import read_block, read_message

INTERRUPTED = "Interrupted: this call was not run."
MAY_HAVE_RUN = (
    "Interrupted: this call may have run, in part or in full; its result is lost. Look before you run it again."
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A message and the journal record that holds it."""

    seq: int
    message: Message


@dataclass(slots=True)
class History:
    """The messages of this branch, and the fate of each call of the last answer."""

    blobs: Blobs
    entries: list[Entry] = field(default_factory=list)
    context: dict[str, Json] = field(default_factory=dict)
    """The session facts as last told to the model; empty where they never were."""
    dropped: tuple[str, ...] = ()
    """The tools of calls in the last answer that were not kept, so not run."""
    _intents: set[str] = field(default_factory=set)
    _done: dict[str, ToolResult] = field(default_factory=dict)
    _call_ids: set[str] = field(default_factory=set)

    def apply(self, record: Record) -> None:
        """Take one record in."""
        data = record.data
        match record.kind:
            case "message":
                self._add(record.seq, data)
            case "request":
                self.dropped = ()
            case "unsent" if data["stop"] != "refusal":
                self.dropped = _tools(data["blocks"])
            case "intent":
                self._intents.add(data["call_id"])
            case "tool_done":
                result = read_block(data["result"], self.blobs)
                if isinstance(result, ToolResult):
                    self._done[result.call_id] = result
            case _:
                pass

    def _add(self, seq: int, data: Mapping[str, Json]) -> None:
        message = read_message(data, self.blobs)
        self.entries.append(Entry(seq, message))
        self.context = dict(data.get("context") or self.context)
        if message.tag == "answer":
            self.dropped = _tools(data.get("unsent", ()))
            self._intents.clear()
            self._done.clear()
            self._call_ids.update(call.id for call in message.calls)

    def knows_call(self, call_id: str) -> bool:
        """Whether a call of this id is already part of the conversation."""
        return call_id in self._call_ids

    def open_calls(self) -> tuple[ToolCall, ...]:
        """The calls of the last answer that have no results yet."""
        for entry in reversed(self.entries):
            if entry.message.tag == "results":
                return ()
            if entry.message.tag == "answer":
                return entry.message.calls
        return ()

    def healing(self) -> Message | None:
        """The results to append for calls that a crash or an interruption left open; None where there are none.

        A result that reached the journal is used; a call whose intent did may have run; any other was not run.
        """
        calls = self.open_calls()
        if not calls:
            return None
        return Message("results", tuple(self._healed(call) for call in calls))

    def _healed(self, call: ToolCall) -> ToolResult:
        if call.id in self._done:
            return self._done[call.id]
        text = MAY_HAVE_RUN if call.id in self._intents else INTERRUPTED
        return ToolResult(call.id, (Text(text),), is_error=True)


def _tools(unsent: Sequence[Mapping[str, Json]]) -> tuple[str, ...]:
    """The tools of the calls, whole or broken, among blocks that were not kept."""
    return tuple(str(block["name"]) for block in unsent if "name" in block)
