"""The ledger: which positions of a line a vendor has cached, as its bills confirm.

Invariant: an entry exists only because a bill says so; the ledger is a pure fold over requests and their bills as they
are journaled, so a resumed or forked session knows what the session knew. No token is ever estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.conversation.blocks import Usage
from harness.conversation.canonical import Json
from harness.conversation.request import CacheRules, LedgerEntry, Refresh, Ttl
from harness.conversation.stored import read_usage

MOST_LINES = 64
"""Other lines on which one position is looked for, the newest: more than a session has, and a journal may name any."""


@dataclass(frozen=True, slots=True)
class Position:
    """A marked position of a request that was answered: prefix digest and TTL, in the order of the request."""

    digest: str
    ttl: Ttl


@dataclass(slots=True)
class Ledger:
    """Entries of every line, of a session and of its forks alike: they read each other's."""

    _lines: dict[str, dict[str, LedgerEntry]] = field(default_factory=dict)
    _order: dict[str, int] = field(default_factory=dict)
    """The lines, by which came first; `_having`: those with an entry of a position, the last to get one at the end."""
    _having: dict[str, list[str]] = field(default_factory=dict)
    _under: dict[str, str] = field(default_factory=dict)
    """The position that was marked next before each: what is refreshed with it, where a vendor refreshes all."""

    def alive(self, line: str, now: float) -> Callable[[str], LedgerEntry | None]:
        """A look-up of the entries of a line that can be read by a request that starts at `now`."""
        entries = self._lines.get(line, {})

        def look(digest: str) -> LedgerEntry | None:
            entry = entries.get(digest)
            return entry if entry is not None and entry.alive(now) else None

        return look

    def alive_elsewhere(self, line: str, now: float) -> Callable[[str], LedgerEntry | None]:
        """A look-up of what can be read now on any other line: the same blocks for another model or other settings.

        Of several entries, the one whose tokens are known, and of those the one on the oldest line.
        """

        def look(digest: str) -> LedgerEntry | None:
            lines = sorted(self._having.get(digest, ())[-MOST_LINES:], key=self._order.__getitem__)
            found = [e for name in lines if name != line and (e := self._lines[name][digest]).alive(now)]
            return max(found, key=lambda entry: entry.tokens or 0, default=None)

        return look

    def known(self, line: str, digest: str) -> LedgerEntry | None:
        """An entry of a line, alive or expired."""
        return self._lines.get(line, {}).get(digest)

    def held(self, line: str, now: float) -> int | None:
        """The tokens up to the deepest entry of a line that can be read at `now`; 0: none can; None: no bill tells."""
        alive = [entry for entry in self._lines.get(line, {}).values() if entry.alive(now)]
        return max((entry.tokens for entry in alive if entry.tokens), default=None if alive else 0)

    def billed(
        self,
        line: str,
        positions: Sequence[Position],
        usage: Usage,
        started: float,
        refresh: Refresh,
        *,
        side: bool = False,
    ) -> None:
        """Take in what one request was billed.

        Args:
            positions: its markers, shallowest first.
            started: when it started: a TTL counts from there, not from the answer's end.
            refresh: what a read refreshes at this vendor.
            side: a side request, whose bill tells no sizes: behind a gateway that knows no explicit mode, its vendor
                writes and reads on to an end that nobody marked.
        """
        total = usage.read + usage.written
        entries = self._entries(line)
        if not positions or total == 0:
            return
        hit = _hit(positions, entries, usage)
        for index, position in enumerate(positions):
            known = entries.get(position.digest)
            if index < hit:
                # before the entry that was read nothing is written: what is there is refreshed, or stays as it is
                if known is not None and known.alive(started) and refresh != "hit":
                    entries[position.digest] = replace(known, used=started)
            elif index == hit and known is not None:
                entries[position.digest] = replace(known, tokens=known.tokens if side else usage.read, used=started)
            else:
                told = index == len(positions) - 1 and not side
                tokens = total if told else (known.tokens if known else None)
                self._wrote(line, LedgerEntry(position.digest, tokens, started, position.ttl))
        if refresh == "all" and hit >= 0:
            self._refresh_below(entries, positions[hit].digest, started)
        self._stack(positions)

    def passed(self, line: str, positions: Sequence[Position], tokens: int | None, started: float) -> None:
        """Take in a request to a server that caches by itself.

        Args:
            positions: the deepest that it could read, if there is one, and its own end.
            tokens: what can be read of it from now on; 0: nothing; None where its bill is not known.
        """
        entries = self._entries(line)
        *under, end = positions
        for position in under:
            if (known := entries.get(position.digest)) is not None and known.alive(started):
                entries[position.digest] = replace(known, used=started)
                self._refresh_below(entries, position.digest, started)
        if tokens != 0:
            self._wrote(line, LedgerEntry(end.digest, tokens, started, end.ttl))
        self._stack(positions)

    def began(self, line: str, positions: Sequence[Position], started: float) -> None:
        """Take in a request whose answer began and whose bill was never told: its entries are there all the same."""
        entries = self._entries(line)
        for position in positions:
            known = entries.get(position.digest)
            if known is None or not known.alive(started):
                self._wrote(line, LedgerEntry(position.digest, None, started, position.ttl))
        self._stack(positions)

    def _entries(self, line: str) -> dict[str, LedgerEntry]:
        self._order.setdefault(line, len(self._order))
        return self._lines.setdefault(line, {})

    def _wrote(self, line: str, entry: LedgerEntry) -> None:
        if entry.digest not in self._lines[line]:
            self._having.setdefault(entry.digest, []).append(line)
        self._lines[line][entry.digest] = entry

    def _refresh_below(self, entries: dict[str, LedgerEntry], digest: str, started: float) -> None:
        below, met = self._under.get(digest), {digest}
        while below is not None and below not in met:  # a journal may say of two that each is under the other
            met.add(below)
            if (entry := entries.get(below)) is not None and entry.alive(started):
                entries[below] = replace(entry, used=started)
            below = self._under.get(below)

    def _stack(self, positions: Sequence[Position]) -> None:
        for above, position in zip(positions[1:], positions, strict=False):
            if above.digest != position.digest:
                self._under.setdefault(above.digest, position.digest)


def _hit(positions: Sequence[Position], entries: Mapping[str, LedgerEntry], usage: Usage) -> int:
    """The index of the marked position that was read, or -1 where no known one has that many tokens."""
    for index in range(len(positions) - 1, -1, -1):
        entry = entries.get(positions[index].digest)
        if entry is not None and entry.tokens == usage.read > 0:
            return index
    # a request that writes nothing read up to its last marker
    return len(positions) - 1 if usage.read and not usage.written else -1


def is_bill(record: Mapping[str, Json]) -> bool:
    """Whether a journal record tells of an attempt that began, and so of cache entries."""
    return "usage" in record or "began" in record


def apply_bill(ledger: Ledger, request: Mapping[str, Json], bill: Mapping[str, Json]) -> None:
    """Fold one journaled request and the record of an attempt that began, billed or not, into the ledger.

    An answer that was kept beside the vendor's cache never reached the vendor: it changes nothing there.
    """
    if "cached" in bill:
        return
    positions = [Position(marker["digest"], marker["ttl"]) for marker in request["markers"]]
    started, line = bill.get("started", request["started"]), request["line"]
    usage = read_usage(bill["usage"]) if "usage" in bill else None
    if ends := request.get("ends"):
        tokens = _rules(request).readable(usage.prompt) if usage and usage.prompt else None
        ledger.passed(line, [Position(end["digest"], end["ttl"]) for end in ends], tokens, started)
    elif usage is None:
        ledger.began(line, positions, started)
    else:
        side = request.get("kind") == "side"
        ledger.billed(line, positions, usage, started, request.get("refresh", "marked"), side=side)


def was_cached(request: Mapping[str, Json], usage: Usage) -> bool:
    """Whether a server that caches by itself, and says nothing of it, has cached something of that request.

    A prompt of no tokens stands for a bill that was not told.
    """
    return bool(request.get("ends")) and (usage.prompt == 0 or _rules(request).readable(usage.prompt) != 0)


def _rules(request: Mapping[str, Json]) -> CacheRules:
    return CacheRules(**request["caching"])
