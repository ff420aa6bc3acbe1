"""Contracts that match text in units: steps of 128 (OpenAI before 5.6), whole units (DeepSeek), blocks (vLLM).

Invariant: a request reads the deepest unit end that an earlier request stored and that is still alive, and
nothing in between two unit ends. Reading and the perfect cache are the same: there are no markers to place.
Sources: sections B and C (developers.openai.com/api/docs/guides/prompt-caching,
api-docs.deepseek.com/guides/kv_cache, local engines as measured there).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.simulator.contracts import Bill, Text
from harness.simulator.records import Block


@dataclass(slots=True)
class _Unit:
    used_at: float
    made_at: float
    request: int
    seconds: float | None
    at_most: float | None
    evicted: bool = False

    def alive(self, now: float) -> bool:
        if self.evicted or (self.seconds is not None and now - self.used_at >= self.seconds):
            return False
        return self.at_most is None or now - self.made_at < self.at_most


@dataclass(frozen=True, slots=True)
class _Plan:
    text: Text
    units: list[tuple[int, bytes]]
    hit: int
    """Index into units; -1 for none."""


class UnitBook:
    """Stored unit ends by digest of everything before them. Implements `Book`."""

    def __init__(self) -> None:
        self._units: dict[bytes, _Unit] = {}

    def look_up(self, prompt: Text, line: str, now: float, request: int) -> Bill:
        """The deepest live unit end."""
        del line, request
        units = unit_ends(prompt, prompt.blocks)
        limit = prompt.total - 1 if prompt.recompute_last else prompt.total
        hit = -1
        for place in range(len(units) - 1, -1, -1):
            tokens, digest = units[place]
            if tokens < prompt.minimum:
                break
            known = self._units.get(digest)
            if tokens <= limit and prompt.reuse and known is not None and known.alive(now):
                hit = place
                break
        read = units[hit][0] if hit >= 0 else 0
        return Bill(read, prompt.total, read, self._explain(prompt, units, hit), ref=_Plan(prompt, units, hit))

    def began(self, bill: Bill, at: float, request: int, *, mainline: bool, outputs: Sequence[Sequence[Block]]) -> None:
        """Everything read is refreshed, every unit of the prompt is stored; writes are free."""
        del mainline
        plan: _Plan = bill.ref
        fresh = _stored(plan.text, plan.units)
        for output in outputs:
            if output:
                longer = unit_ends(plan.text, (*plan.text.blocks, *output))
                fresh += _stored(plan.text, longer[len(plan.units) :])
        for tokens, digest in fresh:
            known = self._units.get(digest)
            if known is not None and known.alive(at):
                known.used_at = max(known.used_at, at)
            elif tokens >= plan.text.minimum:
                self._units[digest] = _Unit(at, at, request, plan.text.seconds, plan.text.at_most)

    def forgotten(self, bill: Bill, request: int) -> None:
        """Nothing was announced."""

    def evict(self, share: float) -> int:
        """Evict the least recently used share of the units."""
        live = sorted((unit for unit in self._units.values() if not unit.evicted), key=lambda unit: unit.used_at)
        gone = live[: math.ceil(len(live) * share)]
        for unit in gone:
            unit.evicted = True
        return len(gone)

    def _explain(self, text: Text, units: list[tuple[int, bytes]], hit: int) -> str:
        if hit >= 0:
            tokens, digest = units[hit]
            return f"hit at {tokens} tokens, written by request {self._units[digest].request}"
        if text.total < text.minimum:
            return f"the prompt is below the minimum of {text.minimum} tokens"
        dead = next((tokens for tokens, digest in reversed(units) if digest in self._units), 0)
        if dead and text.reuse:
            return f"miss: the prefix of {dead} tokens expired, was evicted, or is below the minimum"
        return "miss: no whole unit of this prefix was ever stored"


def _stored(text: Text, units: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Those that a request stores: at the fixed interval, and at its own end."""
    fixed = [unit for unit in units if text.step and unit[0] % text.step == 0]
    return fixed if not text.ends or units[-1:] == fixed[-1:] else [*fixed, units[-1]]


def unit_ends(text: Text, blocks: Sequence[Block]) -> list[tuple[int, bytes]]:
    """(tokens, digest of the text so far) at every place where a unit may end, ascending.

    A block is padded to whole tokens. Its role stands before it in the hash, between bytes that UTF-8 never
    has, so that text of one role never looks like that of another.
    """
    state = hashlib.sha256(text.salt.encode("utf-8", "surrogatepass"))
    found: list[tuple[int, bytes]] = []
    total = 0
    for block in blocks:
        state.update(b"\xff" + block.role.encode() + b"\xfe")
        data = block.canonical + b"\x00" * (-len(block.canonical) % 4)
        done, size = 0, len(data) // 4
        while text.step and (room := text.step - total % text.step) <= size - done:
            state.update(data[done * 4 : (done + room) * 4])
            done += room
            total += room
            found.append((total, state.digest()))
        state.update(data[done * 4 :])
        total += size - done
        if text.ends and (not found or found[-1][0] != total):
            found.append((total, state.digest()))
    return found
