"""Replacing a text in a file's text, whatever its line ends.

Invariant: every character outside the replaced places stays as it was, and within one place so do the parts
that old and new have in common; a line end that is added is like its neighbours.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

MOST = 100_000
"""Places that are replaced at once."""

TOLD = 100
"""Places that are looked for when there should be one: each may cost the length of `old`."""


@dataclass(frozen=True, slots=True)
class Found:
    r"""A text with equal line ends. text: with `\n` only. ends: where in `text` a `\n` was `\r\n`."""

    original: str
    text: str
    ends: tuple[int, ...]


def unify(original: str) -> Found:
    r"""Makes `\r\n` and `\n` equal; a carriage return alone stays."""
    if "\r\n" not in original:
        return Found(original, original, ())
    ends, place = [], 0
    for piece in original.split("\r\n")[:-1]:
        place += len(piece)
        ends.append(place)
        place += 1
    return Found(original, original.replace("\r\n", "\n"), tuple(ends))


def places(found: Found, old: str, *, every: bool) -> list[int]:
    r"""Where `old` (line ends `\n`) begins in `found.text`, at most `MOST` or `TOLD` places.

    every: they will all be replaced, so they may not overlap; otherwise overlaps count, so that "once" is once.
    """
    starts: list[int] = []
    place = found.text.find(old)
    while place >= 0 and len(starts) < (MOST if every else TOLD):
        starts.append(place)
        place = found.text.find(old, place + (len(old) if every else 1))
    return starts


def replace(found: Found, starts: list[int], old: str, new: str) -> str:
    r"""The original with `new` for `old` (line ends `\n`) at each start that overlaps none before it."""
    before = _common(old, new)
    after = _common(old[before:][::-1], new[before:][::-1])
    middle = new[before : len(new) - after]
    pieces, done, behind = [], 0, 0
    for start in starts:
        if start < behind:
            continue
        behind = start + len(old)
        first, last = start + before, behind - after
        pieces.append(found.original[done : _back(found, first)])
        pieces.append(middle.replace("\n", "\r\n") if _crlf(found, start, behind) else middle)
        done = _back(found, last)
    pieces.append(found.original[done:])
    return "".join(pieces)


def _back(found: Found, place: int) -> int:
    """The place in the original that a place in the unified text stands for."""
    return place + bisect_left(found.ends, place)


def _crlf(found: Found, start: int, behind: int) -> bool:
    r"""Whether a line end added here is `\r\n`: as most within the place, else as the nearest one."""
    if not found.ends:
        return False
    inside = found.text.count("\n", start, behind)
    if inside:
        ours = bisect_left(found.ends, behind) - bisect_left(found.ends, start)
        return 2 * ours >= inside
    near = found.text.find("\n", behind)
    if near < 0:
        near = found.text.rfind("\n", 0, start)
    at = bisect_left(found.ends, near)
    return at < len(found.ends) and found.ends[at] == near


def _common(one: str, two: str) -> int:
    count = 0
    for left, right in zip(one, two, strict=False):
        if left != right:
            break
        count += 1
    return count
