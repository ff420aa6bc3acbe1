"""Where a replay and what was recorded part, as values.

Invariant: one divergence names one block, what became of it, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.audit.difference import Named, first_difference, short_diff
from harness.conversation.blocks import Block
from harness.conversation.canonical import Json, encode

SENSELESS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, MemoryError)
"""What reading a record raises that no program wrote: another type, another shape, no end of nesting."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first thing that is not as it was.

    where: the block, as a person reads it: "tool read", "session system", "message 7 block 1", "marker write", "line
    settings", "usage". diff: what was recorded and what it became. cause: one line.
    """

    where: str
    diff: str
    cause: str


def block(where: str, recorded: bytes, made: bytes, cause: str) -> Iterator[Divergence]:
    """The divergence of two blocks, where they are not equal."""
    if recorded != made:
        found = first_difference([Named(where, recorded)], [Named(where, made)])
        yield Divergence(where, found.diff if found else short_diff(recorded, made), cause)


def value(where: str, recorded: Json, made: Json, cause: str) -> Iterator[Divergence]:
    """The divergence of two JSON values, where they are not equal."""
    yield from block(where, encode(recorded), encode(made), cause)


def blocks(where: str, recorded: Sequence[Block], made: Sequence[Block], cause: str) -> Iterator[Divergence]:
    """The divergences of the blocks of one message."""
    for number, (old, new) in enumerate(zip(recorded, made, strict=False), 1):
        if old != new:
            yield from block(f"{where} block {number}", block_bytes(old), block_bytes(new), cause)
    if len(recorded) != len(made):
        counts = f"{len(recorded)} blocks were recorded, {len(made)} are made"
        yield Divergence(f"{where} block {min(len(recorded), len(made)) + 1}", counts, cause)


def block_bytes(one: Block) -> bytes:
    """A block of a message as it is compared."""
    return repr(one).encode("utf-8", "replace")
