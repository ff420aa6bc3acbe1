"""The contract of llama.cpp and what is built on it: a few slots, each holding the last prompt it worked on.

Invariant: a request reads the longest prefix that it shares, token by token, with one slot, and takes that slot
over. There is no lifetime: only another prompt in the slot ends it.
Source: section C, local engines (`cache_prompt`, slots, `timings.cache_n`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.simulator.contracts import Bill, Text
from harness.simulator.records import Block

# The server's --slot-prompt-similarity: below it the least recently used slot is taken, not the most similar.
_SIMILAR = 0.1


@dataclass(slots=True)
class _Slot:
    number: int
    salt: str = ""
    used_at: float = -1.0
    request: int = -1
    forms: list[tuple[Block, ...]] = field(default_factory=list)
    """The prompt with its answer, in the forms in which the answer may be sent back."""


@dataclass(frozen=True, slots=True)
class _Plan:
    text: Text
    slot: int


class SlotBook:
    """The slots of one engine. Implements `Book`."""

    def __init__(self, slots: int) -> None:
        self._slots = [_Slot(number) for number in range(slots)]

    def look_up(self, prompt: Text, line: str, now: float, request: int) -> Bill:
        """The slot that shares the longest prefix, or the one that was idle longest."""
        del line, now, request
        shared = {slot.number: _shared(slot, prompt) for slot in self._slots}
        best = max(self._slots, key=lambda slot: (shared[slot.number], -slot.used_at))
        if shared[best.number] <= _SIMILAR * prompt.total:
            best = min(self._slots, key=lambda slot: slot.used_at)
        # At least one token of a prompt is always computed.
        read = min(shared[best.number], max(prompt.total - 1, 0)) if prompt.reuse else 0
        explain = (
            f"slot {best.number}: {read} tokens shared with request {best.request}" if read else "no shared prefix"
        )
        return Bill(read, prompt.total, read, explain, ref=_Plan(prompt, best.number))

    def began(self, bill: Bill, at: float, request: int, *, mainline: bool, outputs: Sequence[Sequence[Block]]) -> None:
        """The slot now holds this prompt and what was generated."""
        del mainline
        plan: _Plan = bill.ref
        slot = self._slots[plan.slot]
        slot.salt, slot.used_at, slot.request = plan.text.salt, at, request
        slot.forms = [(*plan.text.blocks, *output) for output in outputs] or [plan.text.blocks]

    def forgotten(self, bill: Bill, request: int) -> None:
        """Nothing was announced."""

    def evict(self, share: float) -> int:
        """Empty the least recently used share of the slots in use."""
        used = sorted((slot for slot in self._slots if slot.forms), key=lambda slot: slot.used_at)
        gone = used[: math.ceil(len(used) * share)]
        for slot in gone:
            slot.forms, slot.request = [], -1
        return len(gone)


def _shared(slot: _Slot, text: Text) -> int:
    if slot.salt != text.salt:
        return 0
    return max((_common(form, text.blocks) for form in slot.forms), default=0)


def _common(old: Sequence[Block], new: Sequence[Block]) -> int:
    """Tokens of the common prefix; a block is padded to whole tokens, and its role is part of it."""
    total = 0
    for before, after in zip(old, new, strict=False):
        if before.role != after.role:
            break
        if before.canonical != after.canonical:
            same = next(
                (
                    at
                    for at, (left, right) in enumerate(zip(before.canonical, after.canonical, strict=False))
                    if left != right
                ),
                min(len(before.canonical), len(after.canonical)),
            )
            return total + same // 4
        total += before.tokens
    return total
