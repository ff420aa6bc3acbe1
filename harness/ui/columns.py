"""Rows as lines of text whose columns stand below each other, for a terminal or a pipe.

Invariant: cells are plain text, escaped by whoever made them; nothing is cut.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence


def aligned(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Container[str] = ()) -> Iterator[str]:
    """The heading and a line for each row.

    Args:
        right: columns whose cells stand to the right, as numbers do.
    """
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        cells = zip(columns, row, widths, strict=True)
        yield "  ".join(f"{cell:{'>' if name in right else '<'}{width}}" for name, cell, width in cells).rstrip()
