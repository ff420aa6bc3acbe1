"""Tables of a page: those of data as tables, of code as code, of layout as what they lay out.

Invariant: bounded work; no cell is lost, and in a table of data every column keeps its place.
"""

from __future__ import annotations

import re
from typing import Any

from harness.workspace.html_code import of_table

_SPANS = 50
_REPEATED = 2_000
"""Cells of a page that are put in for those that reach over several rows."""

_PARTS = ["caption", "thead", "tbody", "tfoot", "tr", "td", "th"]
_WITHIN_LAYOUT = ["table", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "article", "section", "main"]
_BLOCKS = [*_WITHIN_LAYOUT, "div", "p", "ul", "ol", "dl", "li", "dd", "dt", "hr", "br", "img"]

_SAID = {"table": "table", "rowgroup": "tbody", "row": "tr", "columnheader": "th", "rowheader": "th", "cell": "td"}
_ROLES = list(_SAID)

_GRID_COLUMNS = {"two-column-summary": 2, "three-column-summary": 3, "four-column-summary": 4}


def _grids(soup: Any) -> None:
    """Javadoc's summaries, cells in a row that a style sheet makes a table of, are tables."""
    for grid in soup.find_all("div", class_="summary-table"):
        columns = next((_GRID_COLUMNS[name] for name in grid["class"] if name in _GRID_COLUMNS), 0)
        cells = grid.find_all("div", recursive=False)
        if columns and cells and len(cells) % columns == 0:
            grid.clear()
            grid.name = "table"
            for first in range(0, len(cells), columns):
                row = soup.new_tag("tr")
                for cell in cells[first : first + columns]:
                    cell.name = "th" if "table-header" in cell.get("class", ()) else "td"
                    row.append(cell)
                grid.append(row)


def _said(soup: Any) -> None:
    """What says by its roles that it is a table is one."""
    for tag in soup.find_all(["div", "span"], role=_ROLES):
        name = _SAID[tag["role"]]
        if name == "table" or tag.find_parent(role="table") is not None:
            tag.name = name


def tables(soup: Any) -> None:
    """Tables of code become code, those of layout paragraphs; in the others every column keeps its place."""
    _grids(soup)
    _said(soup)
    parts: dict[int, list[Any]] = {id(table): [] for table in soup.find_all("table")}
    within: dict[int, list[Any]] = {id(table): [] for table in soup.find_all("table")}
    for tag in soup.find_all([*_PARTS, *_WITHIN_LAYOUT]):
        above = tag.find_parent("table")
        if tag.name in ("td", "th"):
            tag["colspan"] = str(_span(tag, "colspan"))  # wherever it stands: the writer counts with it
        if above is not None:
            (parts if tag.name in _PARTS else within)[id(above)].append(tag)
        elif tag.name in _PARTS:
            tag.name = "div"
    left = _REPEATED
    for table in soup.find_all("table"):
        own, blocks = parts[id(table)], within[id(table)]
        rows = [part for part in own if part.name == "tr" and part.find(["td", "th"], recursive=False)]
        cells = [part for part in own if part.name in ("td", "th")]
        code = of_table(soup, table, rows, cells, [block for block in blocks if block.name == "pre"])
        if code is not None:
            table.replace_with(code)
        elif _lays_out(table, rows, blocks):
            for part in (table, *own):
                part.name = "div"
            for row in rows:
                _line(row)
        else:
            for part in own:
                if part.name == "tr" and not part.find(["td", "th"], recursive=False):
                    part.name = "span"
            for block in blocks:
                block.name = "code" if block.name == "pre" else "span"
            # for the writer, which would have to seek the first row from every other
            rows[0]["columns"] = str(
                sum(int(cell["colspan"]) for cell in rows[0].find_all(["td", "th"], recursive=False))
            )
            left = _spans(soup, rows, left)


def _lays_out(table: Any, rows: list[Any], blocks: list[Any]) -> bool:
    """Whether a table is one by its form only. blocks: what in its cells is more than words."""
    if table.get("role") in ("presentation", "none"):
        return True
    if not any(len(row.find_all(["td", "th"], recursive=False, limit=2)) > 1 for row in rows):
        return True
    head = rows[0].find_all(["td", "th"], recursive=False)
    if len(head) > 1 and all(cell.name == "th" for cell in head):
        # one with a head is one of data; yet what has lines of its own has no place in it
        return any(block.name == "table" or (block.name == "pre" and _lines(block)) for block in blocks)
    return bool(blocks)


def _lines(block: Any) -> bool:
    return "\n" in block.get_text().strip() or block.find("br") is not None


def _line(row: Any) -> None:
    """A row of a layout that has nothing but words in its cells is one line."""
    cells = row.find_all("div", recursive=False)
    if not any(cell.find(_BLOCKS) for cell in cells):
        for cell in cells:
            cell.name = "span"
            cell.append(" ")


def _spans(soup: Any, rows: list[Any], left: int) -> int:
    """Cells that reach over several rows stand in each of them. left: how many may be put in, before and after."""
    reaching: dict[int, tuple[int, str, str]] = {}
    for row in rows:
        column = 0
        for cell in [*row.find_all(["td", "th"], recursive=False), None]:
            while left and column in reaching:
                down, name, text = reaching.pop(column)
                again = soup.new_tag(name)
                again.string = text
                if cell is None:
                    row.append(again)
                else:
                    cell.insert_before(again)
                if down > 1:
                    reaching[column] = (down - 1, name, text)
                column, left = column + 1, left - 1
            if cell is not None:
                down, across = _span(cell, "rowspan"), int(cell["colspan"])
                if down > 1:
                    text = " ".join(cell.get_text(" ").split())[:200]
                    reaching |= {column + place: (down - 1, cell.name, text) for place in range(across)}
                column += across
    return left


def _span(cell: Any, name: str) -> int:
    given = str(cell.get(name, "1"))
    return max(1, min(int(given), _SPANS)) if re.fullmatch(r"[0-9]{1,4}", given) else 1
