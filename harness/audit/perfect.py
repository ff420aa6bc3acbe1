"""What a perfect cache would have read, from a session's journal alone.

Invariant: a perfect cache reads the deepest entry still alive at the tail of any earlier mainline request of that line
or at one of the two system ends. It has no tokenizer and no luck: lengths are what bills told, and what a vendor let go
before its time or left out by its own rules could not have been read by anyone. It never reads less than was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.conversation.blocks import Usage
from harness.conversation.canonical import Json
from harness.conversation.lines import Record
from harness.conversation.request import TTL_SECONDS, CacheRules

VENDORS_DOING = frozenset({"evicted", "vendor stripped", "not told"})


@dataclass(slots=True)
class _Tail:
    """The end of a mainline request. tokens: None where no bill told; used: start of what wrote or last read it."""

    tokens: int | None
    used: float
    ttl: str

    def alive(self, now: float) -> bool:
        return now - self.used < TTL_SECONDS[self.ttl]


@dataclass(slots=True)
class PerfectCache:
    """A fold over the records of one session. Give it every record; ask `read` at each bill, before `apply`."""

    _nodes: dict[tuple[int, int], int] = field(default_factory=dict)
    """(node before, record number) to node: a prefix of conversations, so that what a rewind goes back to is known."""
    _root: int = 0
    _path: list[int] = field(default_factory=list)
    """The conversation now: the node of each of its prefixes."""
    _tails: dict[tuple[str, int], _Tail] = field(default_factory=dict)

    def apply(self, record: Record) -> None:
        """Take in a record that is no bill."""
        data = record.data
        match record.kind:
            case "message":
                self._append(record.seq)
            case "prefix":
                self._root = -record.seq
            case "epoch":
                if "prefix" in data:
                    self._root = -int(data["prefix"])
                if "messages" in data or "prefix" in data:
                    seqs = data.get("messages")
                    self._replace(list(seqs) if seqs is not None else None)
            case _:
                pass

    def read(self, request: Mapping[str, Json], bill: Mapping[str, Json], usage: Usage, verdict: str) -> int:
        """Tokens that a perfect cache would have read of an attempt."""
        if verdict in VENDORS_DOING:
            return usage.read
        now = bill.get("started", request["started"])
        tail = self._deepest(request, now)
        # the system ends are marked in every request: what was not read there was not there
        return min(max(usage.read, (tail.tokens or 0) if tail else 0), usage.prompt)

    def billed(self, request: Mapping[str, Json], bill: Mapping[str, Json], usage: Usage | None) -> None:
        """Take in what an attempt was billed; `usage` is None where that was not told."""
        now, line = bill.get("started", request["started"]), request["line"]
        if (tail := self._deepest(request, now)) is not None:
            tail.used = now
        ttls = [place["ttl"] for place in request.get("ends") or request["markers"]]
        tokens = _readable(request, usage)
        if request["kind"] == "mainline" and ttls and tokens != 0:
            self._tails[line, self._at(request)] = _Tail(tokens, now, ttls[-1])

    def _deepest(self, request: Mapping[str, Json], now: float) -> _Tail | None:
        line, count = request["line"], request["messages"]
        for node in reversed(self._path[:count]):
            if (tail := self._tails.get((line, node))) is not None and tail.alive(now):
                return tail
        return None

    def _at(self, request: Mapping[str, Json]) -> int:
        count = request["messages"]
        return self._path[count - 1] if 0 < count <= len(self._path) else self._root

    def _append(self, seq: int) -> None:
        before = self._path[-1] if self._path else self._root
        self._path.append(self._nodes.setdefault((before, seq), len(self._nodes) + 1))

    def _replace(self, seqs: list[int] | None) -> None:
        names = {node: seq for (_, seq), node in self._nodes.items()}
        seqs = [names[node] for node in self._path] if seqs is None else seqs
        self._path = []
        for seq in seqs:
            self._append(seq)


def _readable(request: Mapping[str, Json], usage: Usage | None) -> int | None:
    """Tokens that can be read of a request's tail from now on; 0: nothing was kept; None: nobody knows."""
    if usage is None or usage.prompt == 0:
        return None
    if request.get("ends"):
        return CacheRules(**request["caching"]).readable(usage.prompt)
    return usage.prompt if usage.read or usage.written else 0
