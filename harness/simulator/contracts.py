"""Caching contracts: what every kind of cache tells the vendor, and the two that are not a kind of their own.

Invariant: a `Bill` is made when a request arrives and changes nothing; only `began` makes its writes readable.
One `Book` holds all entries of one contract; callers serialise access.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from harness.simulator.oracle import Oracle, Perfect
from harness.simulator.prefix_cache import PrefixCache, Prompt, Reading
from harness.simulator.records import Block, Ttl
from harness.simulator.rules import Rules

Contract = Literal["anthropic", "breakpoints", "steps", "units", "blocks", "slots", "none"]


@dataclass(frozen=True, slots=True)
class Bill:
    """What one request reads and will write. Tokens."""

    read: int
    total: int
    """The whole prompt."""
    perfect: int
    """What the perfect cache would have read."""
    explain: str
    written: Mapping[Ttl, int] = field(default_factory=dict)
    """Paid writes by lifetime."""
    ref: Any = field(default=None, repr=False)
    """What the book that made it needs later."""


@dataclass(frozen=True, slots=True)
class Text:
    """One request for a cache that matches tokens, not breakpoints."""

    blocks: tuple[Block, ...]
    """The counted ones."""
    salt: str
    """What the entries depend on besides the text: model, settings, key."""
    total: int
    minimum: int = 0
    step: int = 1
    """Tokens of a unit that is matched as a whole; 0: no fixed units."""
    ends: bool = False
    """Whether a unit also ends where an input or an output ended (C DeepSeek)."""
    seconds: float | None = None
    """Idle life of what this request writes; None: for ever."""
    at_most: float | None = None
    """Age at which an entry dies however often it is read."""
    recompute_last: bool = False
    """A local engine always computes at least the last token of a prompt."""
    reuse: bool = True
    """False: the request asked not to read (llama.cpp cache_prompt)."""


class Book(Protocol):
    """The entries of one contract."""

    def look_up(self, prompt: Any, line: str, now: float, request: int) -> Bill:
        """Account for a request that arrives."""

    def began(self, bill: Bill, at: float, request: int, *, mainline: bool, outputs: Sequence[Sequence[Block]]) -> None:
        """Its response began: writes become readable. `outputs`: forms in which its answer may be sent back."""

    def forgotten(self, bill: Bill, request: int) -> None:
        """Its response will never begin."""

    def evict(self, share: float) -> int:
        """Evict the least recently used share; returns how many entries went."""


@dataclass(frozen=True, slots=True)
class _Marked:
    prompt: Prompt
    line: str
    reading: Reading
    perfect: Perfect


class MarkedBook:
    """Anthropic's contract: breakpoints with look-back, and the perfect cache beside it (A2)."""

    def __init__(self, rules: Rules) -> None:
        self._cache = PrefixCache(rules)
        self._oracle = Oracle(rules)

    def look_up(self, prompt: Prompt, line: str, now: float, request: int) -> Bill:
        """As `Book`."""
        reading = self._cache.look_up(prompt, now, request)
        perfect = self._oracle.look_up(prompt, line, now)
        written: dict[Ttl, int] = {"5m": reading.write_5m, "1h": reading.write_1h}
        explain = f"{reading.explain}; {perfect.explain}"
        ref = _Marked(prompt, line, reading, perfect)
        return Bill(reading.read, prompt.total, perfect.read, explain, written, ref)

    def began(self, bill: Bill, at: float, request: int, *, mainline: bool, outputs: Sequence[Sequence[Block]]) -> None:
        """As `Book`; what the model said is not cached before it is sent back."""
        del outputs
        plan: _Marked = bill.ref
        self._cache.began(plan.reading, at, request)
        self._oracle.began(plan.prompt, plan.line, plan.perfect, at, mainline=mainline)

    def forgotten(self, bill: Bill, request: int) -> None:
        """As `Book`."""
        self._cache.forgotten(bill.ref.reading, request)

    def evict(self, share: float) -> int:
        """As `Book`."""
        gone = self._cache.evict(share)
        self._oracle.forget(gone)
        return len(gone)


class NoBook:
    """A server without a cache, or one that says nothing of it (C, profile generic)."""

    def look_up(self, prompt: Text, line: str, now: float, request: int) -> Bill:
        """As `Book`."""
        del line, now, request
        return Bill(0, prompt.total, 0, "no cache")

    def began(self, bill: Bill, at: float, request: int, *, mainline: bool, outputs: Sequence[Sequence[Block]]) -> None:
        """As `Book`."""

    def forgotten(self, bill: Bill, request: int) -> None:
        """As `Book`."""

    def evict(self, share: float) -> int:
        """As `Book`."""
        del share
        return 0
