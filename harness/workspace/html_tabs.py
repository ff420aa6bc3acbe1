"""Panels behind tabs, each under the name of its tab.

Invariant: the work is linear; names are given only where there are as many as panels.
"""

from __future__ import annotations

import re
from typing import Any

_ROLES = re.compile(r"\A(?:tablist|tab|tabpanel)\Z")
_NAME = 100


def named_panels(soup: Any) -> None:
    """Put the name of each tab before what it shows, in place of the row of tabs."""
    for tabs, panels in [*_by_role(soup), *_by_labels(soup)]:
        if len(tabs) == len(panels) > 1:
            for tab, panel in zip(tabs, panels, strict=True):
                name = soup.new_tag("p")
                name.string = " ".join(tab.get_text().split())[:_NAME]
                panel.insert(0, name)
                tab.clear()
        else:
            for tab in tabs:
                tab.append(" ")


def _by_role(soup: Any) -> list[tuple[list[Any], list[Any]]]:
    """Rows of tabs with their panels; those of a row within a panel come before the next panel of the outer row."""
    found: list[tuple[list[Any], list[Any]]] = []
    open_rows: list[tuple[list[Any], list[Any]]] = []
    for tag in soup.find_all(role=_ROLES):
        match tag["role"]:
            case "tablist":
                if tag.find_parent(role="tabpanel") is None:
                    open_rows = []
                open_rows.append(([], []))
                found.append(open_rows[-1])
            case "tab":
                if found:
                    found[-1][0].append(tag)
            case _:
                while open_rows and len(open_rows[-1][1]) == len(open_rows[-1][0]):
                    open_rows.pop()
                if open_rows:
                    open_rows[-1][1].append(tag)
    return found


def _by_labels(soup: Any) -> list[tuple[list[Any], list[Any]]]:
    """Rows of labels, and what stands in the part after each."""
    rows = {id(label.parent): label.parent for label in soup.find_all("label")}.values()
    found = []
    for row in rows:
        parts = row.find_all(name=True, recursive=False)
        labels = [part for part in parts if part.name == "label"]
        after = row.find_next_sibling()
        if len(labels) > 1 and not any(part.get_text() for part in parts if part.name != "label"):
            found.append((labels, after.find_all(name=True, recursive=False) if after is not None else []))
    return found
