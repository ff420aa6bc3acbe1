"""What a script wrote, made fit to be read: visible characters, lines that `read` shows whole, and an outline.

Invariant: only a line that the script marked is a section, whatever the document's own text looks like; no line is
longer than LONGEST characters; line numbers are those of the text as kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.knowledge.files import visible

MARK = "\x1e"
"""As in the script `sections.py`."""

LONGEST = 1500
"""Characters of a line: `read` cuts at 2,000."""

SHOWN = 60
"""Entries of a printed outline."""

_TITLE = 120


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the text. first, last: its lines, from 1, both included."""

    title: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A text as kept."""

    text: str
    lines: int
    sections: tuple[Section, ...]


def finish(raw: str) -> Finished:
    """The text that is kept, and where its sections are."""
    lines: list[str] = []
    starts: list[tuple[str, int]] = []
    blank = True  # at most one empty line in a row, and none at the start
    for line in raw.split("\n"):
        if line.startswith(MARK):
            shown = visible(line[1:].rstrip())
            starts.append((shown.strip("-# ")[:_TITLE], len(lines) + 1))
        else:
            shown = visible(line.rstrip())
        if not shown and blank:
            continue
        blank = not shown
        lines.extend(_wrapped(shown))
    while lines and not lines[-1]:
        lines.pop()
    behind = [*(start for _, start in starts[1:]), len(lines) + 1]
    sections = [Section(title, first, end - 1) for (title, first), end in zip(starts, behind, strict=False)]
    return Finished("\n".join(lines) + "\n", len(lines), tuple(sections))


def _wrapped(line: str) -> list[str]:
    """Pieces of a line, cut behind spaces; in time that grows with its length only, which textwrap's does not."""
    pieces = []
    begin = 0
    while len(line) - begin > LONGEST:
        end = line.rfind(" ", begin, begin + LONGEST) + 1 or begin + LONGEST
        pieces.append(line[begin:end])
        begin = end
    return [*pieces, line[begin:]]


def printed(sections: tuple[Section, ...]) -> list[str]:
    """The outline as lines, at most SHOWN: of a long one, neighbours stand together."""
    step = max(1, -(-len(sections) // SHOWN))
    lines = []
    for place in range(0, len(sections), step):
        group = sections[place : place + step]
        name = group[0].title if len(group) == 1 else f"{group[0].title} … {group[-1].title}"
        lines.append(f"  lines {group[0].first}-{group[-1].last}: {name}")
    return lines
