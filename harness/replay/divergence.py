"""Where a replay and what was recorded part, as values.

Invariant: one divergence names one block, what became of it, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.audit.difference import Named, first_difference, short_diff
from harness.conversation.blocks import Block
from harness.conversation.canonical import Json, encode


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first thing that is not as it was.

    where: the block, as a person reads it: "tool read", "session system", "message 7 block 1", "marker write", "line
    settings", "usage". diff: what was recorded and what it became. cause: one line.
    """

    where: str
    diff: str
    cause: str


def block(where: str, recorded: bytes, made: bytes, cause: str) -> Divergence | None:
    """The divergence of two blocks; None where they are equal."""
    if recorded == made:
        return None
    found = first_difference([Named(where, recorded)], [Named(where, made)])
    return Divergence(where, found.diff if found else short_diff(recorded, made), cause)


def value(where: str, recorded: Json, made: Json, cause: str) -> Divergence | None:
    """The divergence of two JSON values."""
    return block(where, encode(recorded), encode(made), cause)


def blocks(where: str, recorded: Sequence[Block], made: Sequence[Block], cause: str) -> Iterator[Divergence]:
    """The divergences of the blocks of one message."""
    for number, (old, new) in enumerate(zip(recorded, made, strict=False), 1):
        if old != new and (found := block(f"{where} block {number}", block_bytes(old), block_bytes(new), cause)):
            yield found
    if len(recorded) != len(made):
        counts = f"{len(recorded)} blocks were recorded, {len(made)} are made"
        yield Divergence(f"{where} block {min(len(recorded), len(made)) + 1}", counts, cause)


def block_bytes(one: Block) -> bytes:
    """A block of a message as it is compared."""
    return repr(one).encode("utf-8", "replace")
