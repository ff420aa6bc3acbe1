"""The journal read as a conversation: messages in order, and what is missing from them.

Invariant: a pure fold over records. A live append and a resume go through the same `apply`, so that a session that was
resumed is the session that was left. An epoch may replace the conversation by a list of record numbers: what it leaves
out stays in the journal, and a later epoch may list it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Literal

from harness.conversation.blobs import Blobs
from harness.conversation.blocks import Message, Text, ToolCall, ToolResult
from harness.conversation.canonical import Json
from harness.conversation.lines import Record
from harness.conversation.stored import read_block, read_message
from harness.errors import JournalError

INTERRUPTED = "Interrupted: this call was not run."
MAY_HAVE_RUN = (
    "Interrupted: this call may have run, in part or in full, or may be running still; its result is lost. Look before "
    "you run it again."
)
ELSEWHERE = "(This call belongs to the one who called you; its result is there, not here.)"
"""The result, for a sub-agent that goes on with its caller's conversation, of each call but the one that began it."""


Place = Literal["turn", "injected", "within"]
"""Where a message stands in a turn: it begins one, is told with the words that do, or belongs to it."""

Fate = Literal["done", "may have run", "not run"]
"""What became of a call that a crash or an interruption left open."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A conversation that is or was: the records of its messages, and of the prefix that they stand behind.

    compacted: of a compacted one, the messages that the compaction replaced; empty for any other.
    """

    seqs: tuple[int, ...]
    prefix: int
    compacted: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A message and the journal record that holds it. `context`: the session facts that it tells, if any."""

    seq: int
    message: Message
    context: Mapping[str, Json] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class PersonTurn:
    """A turn of the person: the record of its words, and the words."""

    seq: int
    text: str


@dataclass(slots=True)
class History:
    """The messages of this branch, and the fate of each call that has no result yet.

    fetch: the data of a message or `kept` record by its number: what is not part of the conversation now is not held.
    """

    blobs: Blobs
    fetch: Callable[[int], Mapping[str, Json]]
    entries: list[Entry] = field(default_factory=list)
    context: dict[str, Json] = field(default_factory=dict)
    """The session facts as last told to the model; empty where they never were."""
    dropped: tuple[str, ...] = ()
    """The tools of calls in the last answer that were not kept, so not run."""
    begun: int = -1
    """The record that last replaced the conversation; every message after it is part of it."""
    prefix: int = -1
    """The record of the prefix in force."""
    undone: list[Branch] = field(default_factory=list)
    """The branches that undo left, the last one last; words of the person and an answer forget them."""
    _compacted: tuple[int, ...] = ()
    _past: list[Branch] = field(default_factory=list)
    _places: dict[int, Place] = field(default_factory=dict)
    _origins: dict[int, int] = field(default_factory=dict)
    _intents: set[str] = field(default_factory=set)
    """The calls without results that began, part of the conversation or not."""
    _done: dict[str, ToolResult] = field(default_factory=dict)
    """What those of them gave that came to their end."""
    _call_ids: set[str] = field(default_factory=set)
    _open: dict[str, ToolCall] = field(default_factory=dict)
    """The calls of the last answer, until their results come."""

    def apply(self, record: Record) -> None:
        """Take one record in."""
        data = record.data
        match record.kind:
            case "message":
                self._add(record.seq, data)
            case "kept":
                self._places[record.seq] = _place(data)
                self._origins |= {record.seq: data["of"]} if "of" in data else {}
            case "prefix":
                self.prefix = record.seq
            case "epoch":
                if "messages" in data:
                    self._replace(data["reason"], data["messages"])
                    self.begun = record.seq
                self.prefix = data.get("prefix", self.prefix)
            case "request" if data["kind"] == "mainline":
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
        entry = self._read(seq, data)
        message = entry.message
        self.entries.append(entry)
        self._places[seq] = _place(data)
        self.context = dict(entry.context or self.context)
        if message.tag in ("person", "answer"):
            # an answer, too: a turn that was cut off may go on, and a redo would leave that behind
            self.undone.clear()
        if message.tag in ("answer", "results"):
            self._open = {call.id: call for call in message.calls}
        if message.tag == "answer":
            self.dropped = _tools(data.get("unsent", ()))
            self._call_ids.update(call.id for call in message.calls)
        # only now: a redo brings back calls that were left open with what they did
        for block in message.blocks:
            if isinstance(block, ToolResult):
                self._intents.discard(block.call_id)
                self._done.pop(block.call_id, None)

    def _read(self, seq: int, data: Mapping[str, Json]) -> Entry:
        return Entry(seq, read_message(data, self.blobs), data.get("context") or {})

    def _replace(self, reason: str, seqs: Sequence[int]) -> None:
        """Go on with another conversation.

        Raises:
            JournalError: a message of it is lost; the conversation stays as it was.
        """
        if lost := [seq for seq in seqs if seq not in self._places]:
            raise JournalError(f"message {lost[0]} of the conversation from here on is lost")
        here = {entry.seq: entry for entry in self.entries}
        entries = [here[seq] if seq in here else self._read(seq, self.fetch(seq)) for seq in seqs]
        self.dropped = self._dropped(entries, reason)
        left, self._compacted = self.branch, ()
        match kind_of(reason):
            case "undo":
                self.undone.append(left)
            case "redo" if self.undone:
                self._compacted = self.undone.pop().compacted
            case "compaction":
                self._compacted = left.seqs
                self.undone.clear()
            case _:
                self.undone.clear()
        self._past.append(left)
        self.entries = entries
        spoke = (entry.message for entry in reversed(entries) if entry.message.tag in ("answer", "results"))
        self._open = {call.id: call for last in islice(spoke, 1) for call in last.calls}
        told = (entry.context for entry in reversed(self.entries) if entry.context)
        self.context = dict(next(told, {}))

    def _dropped(self, entries: Sequence[Entry], reason: str) -> tuple[str, ...]:
        """See `dropped`, of the conversation that an epoch begins; of an answer whose own record is lost, nothing."""
        if entries and entries[-1].message.tag == "answer":
            said = self.origin(entries[-1].seq)
            return _tools(self.fetch(said).get("unsent", ())) if said in self._places else ()
        # it changes nothing of how the last answer ended
        return self.dropped if kind_of(reason) == "compaction" else ()

    @property
    def seqs(self) -> tuple[int, ...]:
        """The conversation as record numbers."""
        return tuple(entry.seq for entry in self.entries)

    def origin(self, seq: int) -> int:
        """The record in which a message was first said: that of one which a compaction kept is another."""
        return self._origins.get(seq, seq)

    def begins_turn(self, seq: int) -> bool:
        """Whether a message is words of the person that began a turn."""
        return self._places.get(self.origin(seq)) == "turn"

    @property
    def known(self) -> AbstractSet[int]:
        """The record numbers of every message that was read, part of the conversation or not."""
        return self._places.keys()

    def turns(self) -> tuple[PersonTurn, ...]:
        """Every turn of the person that is part of the conversation or was before it was replaced, oldest first."""
        known = sorted({self.origin(seq) for seq in chain(*(past.seqs for past in self._past), self.seqs)})
        begun = (seq for seq in known if self._places.get(seq) == "turn")
        return tuple(PersonTurn(seq, read_message(self.fetch(seq), self.blobs).text) for seq in begun)

    @property
    def branch(self) -> Branch:
        """The conversation as it is now."""
        return Branch(self.seqs, self.prefix, self._compacted)

    def before(self, seq: int) -> Branch | None:
        """The conversation as it was before a person's words and the facts told with them; None where there are none.

        Of the conversations that held them, the latest, and the prefix that it had: thinking in it is bound to that.
        """
        for past in (self.branch, *reversed(self._past)):
            seqs, origins = past.seqs, [self.origin(one) for one in past.seqs]
            if seq in origins and self._places.get(seq) == "turn":
                end = origins.index(seq)
                while end > 0 and self._places[seqs[end - 1]] == "injected":
                    end -= 1
                return Branch(seqs[:end], past.prefix)
        return None

    def knows_call(self, call_id: str) -> bool:
        """Whether a call of this id is already part of the conversation."""
        return call_id in self._call_ids

    def open_calls(self) -> tuple[ToolCall, ...]:
        """The calls of the last answer that have no results yet."""
        return tuple(self._open.values())

    def open_call(self, call_id: str) -> ToolCall | None:
        """That one of them; None where it is not open."""
        return self._open.get(call_id)

    def fates(self) -> tuple[tuple[ToolCall, Fate], ...]:
        """The open calls, and what became of each: its result reached the journal, or its intent did, or neither."""
        return tuple((call, self.fate(call.id)) for call in self.open_calls())

    def fate(self, call_id: str) -> Fate:
        """What became of one of them."""
        if call_id in self._done:
            return "done"
        return "may have run" if call_id in self._intents else "not run"

    def healing(self) -> Message | None:
        """The results to append for calls that a crash or an interruption left open; None where there are none.

        A result that reached the journal is used; a call whose intent did may have run; any other was not run.
        """
        results = tuple(self._healed(call.id, fate) for call, fate in self.fates())
        return Message("results", results) if results else None

    def _healed(self, call_id: str, fate: Fate) -> ToolResult:
        if fate == "done":
            return self._done[call_id]
        return ToolResult(call_id, (Text(MAY_HAVE_RUN if fate == "may have run" else INTERRUPTED),), is_error=True)


def kind_of(reason: str) -> str:
    """The first word of an epoch's reason: start, fork, settings, rewind, undo, redo, compaction, clear, refreeze."""
    return reason.partition(":")[0].partition(" ")[0]


def _place(data: Mapping[str, Json]) -> Place:
    """What a message is to a turn: what a person said while one ran is part of that one."""
    if data["tag"] == "system_injected":
        return "injected"
    return "turn" if data["tag"] == "person" and not data.get("steering") else "within"


def _tools(unsent: Sequence[Mapping[str, Json]]) -> tuple[str, ...]:
    """The tools of the calls, whole or broken, among blocks that were not kept."""
    return tuple(str(block["name"]) for block in unsent if "name" in block)
