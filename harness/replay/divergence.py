"""Where a replay and what was recorded part, as values.

Invariant: one divergence names one block, what became of it, and why.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.audit.difference import Named, first_difference, short_diff
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
