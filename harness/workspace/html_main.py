"""What of a page is read: its main part, what is seen of it, code as code and tables as tables.

Invariant: bounded work on a parsed page; no address of an image is kept, and no link that cannot be followed.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

from harness.workspace.html_code import is_code, numbers_lines, of_table

_MAIN = 0.3
"""Share of a page's text from which what calls itself its main part is taken for the whole."""

_MOST = 0.8
"""Share of what is read of a page beyond which what leads elsewhere is no menu, but the page: an index."""

_INDENTS = 8
"""Lists and quotes within each other; deeper ones are not indented further."""

_LINK = 1_000
_SPANS = 50
_REPEATED = 2_000
"""Cells of a page that are put in for those that reach over several rows."""

_UNREAD = frozenset(
    [
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "canvas",
        "iframe",
        "object",
        "embed",
        "head",
        "title",
        "nav",
        "footer",
        "button",
        "select",
        "input",
        "dialog",
    ]
)
_UNREAD_ROLES = frozenset(
    ["navigation", "banner", "contentinfo", "search", "dialog", "alertdialog", "menu", "menubar", "toolbar"]
)
_UNREAD_CLASSES = frozenset(["navheader", "navfooter", "mw-editsection", "ttc", "test-arrow"])
_LEADING = frozenset(
    ["nav", "navbar", "navigation", "navpath", "nav-panel", "breadcrumb", "breadcrumbs", "menu", "submenu"]
)
"""Classes of what leads to other pages, where most of its text is links."""

_HIDDEN = re.compile(
    r"(display\s*+:\s*+none|visibility\s*+:\s*+hidden|(?:font-size|opacity)\s*+:\s*+0(?![.\d]*[1-9])"
    r"|(?:left|top|right|text-indent)\s*+:\s*+-\d{3})",
    re.IGNORECASE,
)
_MAIN_IDS = ("main-content", "main", "apicontent", "doc-content", "page-content", "content", "bodyContent")
"""The nearer ones first: with some, "content" holds the menus too."""

_PARTS = ["caption", "thead", "tbody", "tfoot", "tr", "td", "th"]
_WITHIN_LAYOUT = ["table", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "article", "section", "main"]
_BLOCKS = [*_WITHIN_LAYOUT, "div", "p", "ul", "ol", "dl", "li", "dd", "dt", "hr", "br", "img"]
_TEX = re.compile(r"\bx?tex\b", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t]{50,}")
_HEADINGS = re.compile(r"h[0-9]+")


def clean(soup: Any, base: str) -> None:
    """Take out what is not read or not seen, and let links say their whole address. base: that of the page."""
    deep: dict[int, int] = {}
    leading: set[int] = set()
    menus: list[Any] = []
    for tag in soup.find_all(name=True):
        if vars(tag).get("_decomposed"):  # its property looks for a child of that name
            continue
        within = id(tag.parent) in leading
        if within or _LEADING & set(tag.get("class", ())):
            leading.add(id(tag))
        if _unseen(tag):
            _empty(tag)
            continue
        if not within and id(tag) in leading and _leads(tag):
            menus.append(tag)
        tag.name = is_code(tag) or tag.name
        level = deep.get(id(tag.parent), 0) + (tag.name in ("ul", "ol", "dl", "blockquote"))
        deep[id(tag)] = level
        if level > _INDENTS and tag.name in ("ul", "ol", "dl", "blockquote", "li", "dd", "dt"):
            tag.name = "div"
        elif tag.name == "img":
            alt = " ".join(str(tag.get("alt", "")).split())[:200]
            # arrows and signs, of what can only be clicked, and whose page it is
            told = any(map(str.isalnum, alt)) and alt.lower() != "logo"
            tag.name, tag.string = "span", f"[image: {alt}]" if told else ""
        elif tag.name == "a":
            _link(tag, base)
        elif tag.name == "ol":
            _number(tag)
        elif tag.name == "math" and (formula := tag.find("annotation", attrs={"encoding": _TEX})) is not None:
            tag.string = f"${formula.get_text().strip()}$"
        elif tag.name == "pre" and tag.find_parent("pre") is not None:
            tag.name = "div"
        elif "classifier" in tag.get("class", ()):
            tag.insert(0, " : ")  # what a style sheet puts between a parameter and its type
        elif _HEADINGS.fullmatch(tag.name) and tag.name not in ("h1", "h2", "h3", "h4", "h5", "h6"):
            tag.name = "p"
    for text in soup.find_all(string=_BLANKS):
        if text.find_parent("pre") is None:
            text.replace_with(_BLANKS.sub(" ", text))
    if sum(map(_length, menus)) <= _MOST * _length(soup.body or soup):
        for menu in menus:
            _empty(menu)
    _grids(soup)
    _tables(soup)


def main_part(soup: Any) -> Any:
    """The part that calls itself the main one, where it has enough of the text; else the whole."""
    whole = soup.body or soup
    length = len(whole.get_text())
    articles = soup.find_all("article", limit=2)
    candidates = [soup.find("main"), soup.find(attrs={"role": "main"})]
    # of several articles none is the page: they are answers, comments or teasers
    candidates += articles if len(articles) == 1 else []
    candidates += [soup.find(id=name) for name in _MAIN_IDS]
    for found in candidates:
        if found is not None and len(found.get_text()) > _MAIN * length:
            return _headed(found)
    return whole


def _headed(part: Any) -> Any:
    """With its heading, which some put right before it."""
    before = part.find_previous_sibling() if part.find("h1") is None else None
    if before is not None and before.find("h1") is not None and not _leads(before):
        part.insert(0, before.extract())
    return part


def _unseen(tag: Any) -> bool:
    role = str(tag.get("role", "")).lower()
    # one of several panels is shown at a time, and a person looks at those that they want
    hidden = tag.has_attr("hidden") or tag.get("aria-hidden") == "true"
    if tag.name in _UNREAD or (hidden and role != "tabpanel"):
        return True
    if _HIDDEN.search(str(tag.get("style", ""))) or role in _UNREAD_ROLES:
        return True
    if _UNREAD_CLASSES & set(tag.get("class", ())):
        return True
    if tag.name == "aside" or role == "complementary":
        # beside the main part, or a note within it
        return tag.find_parent(["article", "main"]) is None
    return numbers_lines(tag)


def _leads(part: Any) -> bool:
    """Whether most of a part's text is links."""
    return _length(part) <= 2 * sum(map(_length, part.find_all("a")))


def _length(part: Any) -> int:
    return len("".join(part.get_text().split()))


def _link(tag: Any, base: str) -> None:
    text, to = tag.get_text().strip(), str(tag.get("href", "")).strip()
    if to.startswith("#") and len(text) <= 1 and not text.isalnum():
        _empty(tag)  # the mark that leads to its own heading
        return
    try:
        address = urljoin(base, to)
        kept = urlsplit(address).scheme in ("http", "https") and to[:1] not in ("", "#")
    except ValueError:
        kept = False
    if kept and text and len(address) <= _LINK:
        tag["href"] = re.sub(r'[\s()<>"\\`]', lambda found: f"%{ord(found[0]) & 0xFF:02X}", address)
    else:
        tag.name = "span"


def _empty(tag: Any) -> None:
    # what is taken out of its parent is looked for among all that the parent holds
    tag.clear(decompose=True)
    tag.name, tag.attrs = "span", {}


def _number(tag: Any) -> None:
    given = str(tag.get("start", ""))
    first = int(given) if re.fullmatch(r"[0-9]{1,6}", given) else 1
    for number, item in enumerate(tag.find_all("li", recursive=False), first):
        item["value"] = str(number)


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


def _tables(soup: Any) -> None:
    """Tables of code become code, those of layout paragraphs; in the others every column keeps its place."""
    parts: dict[int, list[Any]] = {id(table): [] for table in soup.find_all("table")}
    blocks: dict[int, list[Any]] = {}
    layout: set[int] = set()
    for tag in soup.find_all([*_PARTS, *_WITHIN_LAYOUT]):
        above = tag.find_parent("table")
        if tag.name in _PARTS and above is not None:
            parts[id(above)].append(tag)
        elif above is not None:
            layout.add(id(above))
            if tag.name == "pre":
                blocks.setdefault(id(above), []).append(tag)
    left = _REPEATED
    for table in soup.find_all("table"):
        own = parts[id(table)]
        rows = [part for part in own if part.name == "tr"]
        cells = [part for part in own if part.name in ("td", "th")]
        if (code := of_table(soup, table, rows, cells, blocks.get(id(table), []))) is not None:
            table.replace_with(code)
        elif (
            id(table) in layout
            or table.get("role") in ("presentation", "none")
            or not any(len(row.find_all(["td", "th"], recursive=False, limit=2)) > 1 for row in rows)
        ):
            for part in (table, *own):
                part.name = "div"
            for row in rows:
                _line(row)
        else:
            left = _spans(soup, rows, left)


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
                down, across = _span(cell, "rowspan"), _span(cell, "colspan")
                cell["colspan"] = str(across)
                if down > 1:
                    text = " ".join(cell.get_text(" ").split())[:200]
                    reaching |= {column + place: (down - 1, cell.name, text) for place in range(across)}
                column += across
    return left


def _span(cell: Any, name: str) -> int:
    given = str(cell.get(name, "1"))
    return max(1, min(int(given), _SPANS)) if re.fullmatch(r"[0-9]{1,4}", given) else 1
