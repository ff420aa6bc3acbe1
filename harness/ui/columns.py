"""Rows as lines of text whose columns stand below each other, for a terminal or a pipe.

Invariant: cells are plain text, escaped by whoever made them; nothing is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The heading and a line for each row; nothing where there are no rows."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows) if rows else ():
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
