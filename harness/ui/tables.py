"""Tables on the terminal, through rich.

Invariant: cells are plain text, escaped by whoever made them; a narrow or piped terminal still gets every column, and
no row ends in blanks.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_VERDICT_STYLE = {"hit": "green", "first": "cyan", "ours": "bold red"}


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> None:
    """Print a table; every column but the last is a number. `width`: columns of the terminal, where it has none."""
    console = Console(width=width, highlight=False)
    console.print(Text(title, style="bold"))
    table = Table(header_style="dim", box=None, pad_edge=False)
    for name in columns[:-1]:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(columns[-1], no_wrap=True)
    for row in rows:
        cells = [Text(cell) for cell in row]
        cells[-1].stylize(_VERDICT_STYLE.get(row[-1], ""))
        table.add_row(*cells)
    with console.capture() as drawn:
        console.print(table)
    console.file.writelines(f"{row.rstrip()}\n" for row in drawn.get().splitlines())
