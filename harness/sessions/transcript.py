"""A session as what happened in it, in order: what is shown and exported.

Invariant: read from the journal alone, without owning it; what cannot be read is an item of its own, never left out in
silence. Nothing is escaped here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.audit.served_response import ServedResponse
from harness.conversation.blobs import Blobs
from harness.conversation.blocks import Block, Message, Text, Usage
from harness.conversation.canonical import Json
from harness.conversation.events import SubAgentDone
from harness.conversation.lines import Damage, Record
from harness.conversation.scan import Scan
from harness.conversation.stored import read_block, read_sub_agent, read_usage
from harness.errors import JournalError


@dataclass(frozen=True, slots=True)
class Said:
    """A message. seq: its record. current: whether it is part of the conversation now, and not undone or compacted.

    calls: the names of the tools whose results are in it, by the id of the call.
    """

    seq: int
    at: float
    message: Message
    current: bool
    calls: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Billed:
    """A model call that was answered. side: it left nothing in the conversation. lost: tokens, price: USD.

    served: whose cached response it was served, so that no vendor was called.
    """

    seq: int
    at: float
    model: str
    usage: Usage
    cost: float | None
    verdict: str
    cause: str
    lost: int
    price: float | None
    stop: str
    side: bool
    served: ServedResponse | None = None


@dataclass(frozen=True, slots=True)
class EpochBegan:
    """An epoch. messages: how many the conversation has from then on; None: as before."""

    seq: int
    at: float
    reason: str
    messages: int | None


@dataclass(frozen=True, slots=True)
class Delegated:
    """A sub-agent ended. path: of its journal; "" where it is not here."""

    seq: int
    at: float
    path: str
    ended: SubAgentDone


@dataclass(frozen=True, slots=True)
class Problem:
    """What failed or cannot be read, one line. seq: -1 where it is no record."""

    seq: int
    at: float
    text: str


Item = Said | Billed | EpochBegan | Delegated | Problem

_KINDS = frozenset({"message", "kept", "epoch", "request", "response", "failed", "unsent", "subagent"})


class Transcript:
    """Iterate it for the items of a session.

    Raises:
        JournalError: its journal cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal.jsonl"
        self._blobs = Blobs(folder / "blobs")
        self._calls: dict[str, str] = {}
        self._requests: dict[int, Mapping[str, Json]] = {}

    def __iter__(self) -> Iterator[Item]:
        """The items, in order; what an answer was billed comes behind it."""
        bill: Billed | None = None
        for item in self._items():
            if bill is not None and isinstance(item, Said) and item.message.tag == "answer":
                yield item
                yield bill
                bill = None
                continue
            if bill is not None:
                yield bill
            bill = item if isinstance(item, Billed) else None
            if bill is None:
                yield item
        if bill is not None:
            yield bill

    def _items(self) -> Iterator[Item]:
        self._calls.clear()
        self._requests.clear()
        try:
            current = self._current()
            scan = Scan(self._path, _KINDS)
            for found in scan:
                if isinstance(found, Damage):
                    yield Problem(-1, 0.0, f"line {found.line} of the session is damaged: {found.reason}")
                    continue
                try:
                    item = self._item(found, current)
                except (KeyError, TypeError, ValueError, JournalError) as error:
                    why = str(error) if isinstance(error, JournalError) else f"not known to this version ({error!r})"
                    item = Problem(found.seq, found.at, f"record {found.seq}: {why}")
                if item is not None:
                    yield item
            if scan.torn:
                yield Problem(-1, 0.0, f"{scan.torn:,} bytes at the end are no whole line")
        except OSError as error:
            raise JournalError(f"cannot read {self._path}: {error.strerror}") from error

    def _current(self) -> set[int]:
        """The records of the conversation as it is at the end."""
        seqs: set[int] = set()
        for found in Scan(self._path, ("message", "epoch")):
            match found:
                case Record(seq, "message"):
                    seqs.add(seq)
                case Record(_, "epoch", _, data) if data.get("messages") is not None:
                    seqs = set(data["messages"])
                case _:
                    pass
        return seqs

    def _item(self, record: Record, current: set[int]) -> Item | None:
        seq, at, data = record.seq, record.at, record.data
        match record.kind:
            case "message" | "kept":
                message = Message(data["tag"], tuple(map(self._block, data["blocks"])), bool(data.get("partial")))
                self._calls |= {call.id: call.name for call in message.calls}
                return Said(seq, at, message, seq in current, self._calls)
            case "request":
                self._requests[seq] = {"model": data["model"], "kind": data["kind"]}
            case "response":
                return self._billed(record, self._requests.pop(data["request"], {}))
            case "epoch":
                messages = data.get("messages")
                return EpochBegan(seq, at, str(data["reason"]), None if messages is None else len(messages))
            case "subagent":
                return self._delegated(record)
            case "failed":
                return Problem(seq, at, f"a model call failed: {data['error']}")
            case "unsent":
                return Problem(seq, at, f"an answer was not kept ({data['stop']})")
            case _:
                pass
        return None

    def _delegated(self, record: Record) -> Delegated:
        ended = read_sub_agent(record.data)
        path = self._path.parent / "agents" / ended.session / "journal.jsonl"
        return Delegated(record.seq, record.at, str(path) if path.is_file() else "", ended)

    def _block(self, data: Mapping[str, Json]) -> Block:
        """A block; what is lost of it is said in its place."""
        try:
            return read_block(data, self._blobs)
        except JournalError as error:
            return Text(f"[{error}]")

    def _billed(self, record: Record, request: Mapping[str, Json]) -> Billed:
        data, verdict = record.data, record.data["verdict"]
        return Billed(
            record.seq,
            record.at,
            str(request.get("model", "")),
            read_usage(data["usage"]),
            data["cost"],
            str(verdict["kind"]),
            str(verdict["cause"]),
            int(verdict["lost"]),
            verdict.get("price"),
            str(data["stop"]),
            request.get("kind") == "side",
            ServedResponse.of(data),
        )
