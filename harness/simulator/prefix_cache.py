"""Prompt-cache accounting that knows no wire: digests of growing prefixes, breakpoints, lifetimes, billing.

Invariant: an entry exists only where a breakpoint stood, and it is identified by the digest of everything
before it; nothing here looks at content. Source of the rules:
platform.claude.com/docs/en/build-with-claude/prompt-caching.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from harness.simulator.records import Ttl
from harness.simulator.rules import Rules

# A2 cache_control, B Control: the lifetimes of either vendor.
SECONDS: dict[Ttl, float] = {"5m": 300.0, "1h": 3600.0, "30m": 1800.0, "12h": 43200.0}


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request as the cache sees it. All tuples but `markers` have one item per counted block."""

    digests: tuple[bytes, ...]
    """Digest of the prefix that ends with this block, settings of its level included."""
    tokens: tuple[int, ...]
    """Tokens of the prefix that ends with this block."""
    positions: tuple[int, ...]
    """Number of the look-back position; grows by 1, or by 0 inside a collapsed run."""
    markers: tuple[tuple[int, Ttl], ...]
    """(block index, TTL), ascending."""
    system_ends: tuple[int, ...]
    """Indexes of the system text blocks."""
    minimum: int
    """Tokens below which nothing is cached."""
    default_ttl: Ttl = "5m"
    """Lifetime of what a request without any marker would write."""
    endings: tuple[int, ...] = ()
    """B Lookback: ends of the messages at which an implicit breakpoint may stand, ascending."""
    explicit_only: bool = False
    """B Control: `mode: explicit`, no implicit breakpoint."""
    lead: int = -1
    """B Lookback: last block of the initial developer messages."""
    trailing: int = 0
    """Blocks at its end that can carry no breakpoint: settings."""

    @property
    def total(self) -> int:
        """Tokens of the whole prompt."""
        return self.tokens[-1] if self.tokens else 0

    def tokens_to(self, index: int) -> int:
        """Tokens up to and including block `index`; 0 for -1."""
        return self.tokens[index] if index >= 0 else 0


@dataclass(slots=True)
class Entry:
    """One cached prefix."""

    ttl: Ttl
    used_at: float
    """Start of the request that last wrote or read it."""
    request: int
    """Index of the request that wrote it."""
    evicted: bool = False

    def alive(self, now: float) -> bool:
        """A2 TTL: the lifetime counts from the start of the request that wrote or last read the entry."""
        return not self.evicted and now - self.used_at < SECONDS[self.ttl]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one request reads, will write, and why. Tokens are exclusive of each other (A6 usage)."""

    read: int
    write_1h: int
    write_5m: int
    uncached: int
    hit: int
    """Block index of the entry read; -1 for none."""
    touched: tuple[bytes, ...] = field(repr=False)
    """Entries that this read refreshes."""
    writes: tuple[tuple[bytes, Ttl], ...] = field(repr=False)
    """Entries to create once the response began."""
    explain: str = ""


class PrefixCache:
    """The entries of every workspace. Callers serialise access."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._entries: dict[bytes, Entry] = {}
        self._pending: dict[bytes, int] = {}

    def look_up(self, prompt: Prompt, now: float, request: int) -> Reading:
        """Account for a request that arrives at `now`. Nothing becomes readable before `began`."""
        # A2 minimum: below it a breakpoint is silently ignored, and both counters stay 0.
        markers = [(at, ttl) for at, ttl in prompt.markers if prompt.tokens[at] >= prompt.minimum]
        hit = self._deepest_hit(prompt, markers, now)
        read = prompt.tokens_to(hit)
        # A2 mixed TTLs: A = highest hit, B = highest 1h breakpoint after A, C = last breakpoint;
        # read A, 1h write B-A, 5m write C-B.
        after = [(at, ttl) for at, ttl in markers if at > hit]
        top_1h = max((prompt.tokens[at] for at, ttl in after if ttl == "1h"), default=read)
        top = max((prompt.tokens[at] for at, _ in after), default=read)
        writes = tuple((prompt.digests[at], ttl) for at, ttl in after)
        reading = Reading(
            read=read,
            write_1h=top_1h - read,
            write_5m=top - top_1h,
            uncached=prompt.total - top,
            hit=hit,
            touched=self._refreshed(prompt, markers, hit, now),
            writes=writes,
            explain=self._explain(prompt, markers, hit, now),
        )
        for digest, _ in writes:
            self._pending[digest] = request
        if not self._rules.readable_after_start:
            self._write(reading, now, request)
        return reading

    def began(self, reading: Reading, at: float, request: int) -> None:
        """The response began: the entries of this request become readable, those it read are refreshed."""
        # A2: an entry becomes readable only after the first response begins, so parallel cold requests all
        # miss.
        self._write(reading, at, request)
        self.forgotten(reading, request)

    def forgotten(self, reading: Reading, request: int) -> None:
        """The request will never begin: drop what it had announced."""
        for digest, _ in reading.writes:
            if self._pending.get(digest) == request:
                del self._pending[digest]

    def evict(self, share: float) -> set[bytes]:
        """Evict the least recently used `share` (0 to 1) of the entries; returns their digests."""
        live = sorted(
            (digest for digest, entry in self._entries.items() if not entry.evicted),
            key=lambda digest: self._entries[digest].used_at,
        )
        gone = live[: math.ceil(len(live) * share)]
        for digest in gone:
            self._entries[digest].evicted = True
        return set(gone)

    def _deepest_hit(self, prompt: Prompt, markers: list[tuple[int, Ttl]], now: float) -> int:
        best = -1
        for at, _ in markers:
            for index in self._window(prompt, at):
                if index <= best:
                    break
                entry = self._entries.get(prompt.digests[index])
                if entry is not None and entry.alive(now):
                    best = index
                    break
        return best

    def _window(self, prompt: Prompt, at: int) -> range:
        """A2 lookback: a breakpoint checks 20 positions going back, itself being the first."""
        lowest = prompt.positions[at] - self._rules.lookback + 1
        index = at
        while index > 0 and prompt.positions[index - 1] >= lowest:
            index -= 1
        return range(at, index - 1, -1)

    def _refreshed(self, prompt: Prompt, markers: list[tuple[int, Ttl]], hit: int, now: float) -> tuple[bytes, ...]:
        """A2 TTL: each read refreshes for free; which entries besides the one hit is unsettled: a rule."""
        if hit < 0:
            return ()
        match self._rules.refresh:
            case "hit":
                where = [hit]
            case "marked":
                where = [hit, *(at for at, _ in markers if at < hit)]
            case "all":
                where = list(range(hit + 1))
        digests = (prompt.digests[index] for index in where)
        return tuple(digest for digest in digests if digest in self._entries and self._entries[digest].alive(now))

    def _write(self, reading: Reading, at: float, request: int) -> None:
        for digest in reading.touched:
            entry = self._entries[digest]
            entry.used_at = max(entry.used_at, at)
        for digest, ttl in reading.writes:
            # An identical request may have begun first: its entry is kept, so that a read never shortens a
            # life.
            known = self._entries.get(digest)
            if known is not None and known.alive(at):
                known.used_at = max(known.used_at, at)
                known.ttl = "1h" if "1h" in (known.ttl, ttl) else "5m"
            else:
                self._entries[digest] = Entry(ttl, at, request)

    def _explain(self, prompt: Prompt, markers: list[tuple[int, Ttl]], hit: int, now: float) -> str:
        if not prompt.markers:
            return "no breakpoint: nothing is read or written"
        if not markers:
            return f"every breakpoint is below the minimum of {prompt.minimum} tokens"
        if hit >= 0:
            entry = self._entries[prompt.digests[hit]]
            marker = next(at for at, _ in reversed(markers) if hit in self._window(prompt, at))
            back = prompt.positions[marker] - prompt.positions[hit]
            return (
                f"hit at block {hit}, {back} positions back from the breakpoint at {marker}, "
                f"written by request {entry.request}"
            )
        windows = ", ".join(f"{self._window(prompt, at)[0]}..{self._window(prompt, at)[-1]}" for at, _ in markers)
        return f"miss: checked blocks {windows}; {self._nearest(prompt, now)}"

    def _nearest(self, prompt: Prompt, now: float) -> str:
        for index in range(len(prompt.digests) - 1, -1, -1):
            digest = prompt.digests[index]
            entry = self._entries.get(digest)
            if entry is not None:
                if entry.alive(now):
                    return f"the nearest entry, at block {index}, is outside the look-back"
                fate = (
                    "was evicted" if entry.evicted else f"expired {now - entry.used_at - SECONDS[entry.ttl]:.1f} s ago"
                )
                return f"the entry at block {index} {fate}"
            if digest in self._pending:
                writer = self._pending[digest]
                return f"the entry at block {index} is being written by request {writer}, which has not begun"
        return "no entry was ever written on this prefix"
