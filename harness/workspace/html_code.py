"""Code of a page as generators of documentation lay it out, brought into the one form in which it is read: a `pre`.

Invariant: every character of code stays; the numbers beside its lines are no code.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

_GUTTER = frozenset(
    [
        "lineno",
        "linenos",
        "linenodiv",
        "linenumber",
        "line-number",
        "line-numbers-rows",
        "gutter",
        "lnt",
        "hljs-ln-numbers",
        "blob-num",
    ]
)
_GUTTER_OR_CODE = frozenset(["line-numbers", "src-line-numbers"])
"""With some the numbers, with others the code that has them."""

_NUMBER = re.compile(r"(?:^|[-_]|code|file)(?:ln|lines?[-_]?(?:nos?|nr|nums?|numbers?))(?:$|[-_])", re.IGNORECASE)
"""What generators call the number of a line; where it holds one."""

_LINE = frozenset(["blob-code", "js-file-line", "hljs-ln-code", "react-file-line", "lines-code"])

_LANGUAGE = re.compile(r"(?:language|(?:[a-z]+-)*lang|highlight-source|highlight)-([A-Za-z0-9+#_.-]{1,20})")
_NAMED_NEXT = frozenset({"brush:", "sourceCode", "hljs"})
_NO_LANGUAGE = frozenset({"default", "auto", "en", "none", "text", "plaintext", "plain", "txt", "notranslate"})


_AS_IT_STANDS = re.compile(r"white-space\s*+:\s*+pre", re.IGNORECASE)


def numbers_lines(tag: Any) -> bool:
    """Whether a tag holds nothing but the numbers of lines of code."""
    classes = set(tag.get("class", ()))
    if classes & _GUTTER:
        # a column of a layout may be called so, too
        return not classes & _LINE and re.search(r"[^\W\d_]{3}", tag.get_text()) is None
    if any(map(_NUMBER.search, classes)) and (tag.name not in ("pre", "code") or not classes & _GUTTER_OR_CODE):
        return re.fullmatch(r"[\d\s]+", tag.get_text()) is not None
    if tag.name == "pre" and classes & _GUTTER_OR_CODE:
        return numbers(tag.get_text())
    own = str(tag.get("id", ""))
    # each leads to itself
    return tag.name == "a" and numbers(own) and tag.get("href") == f"#{own}" and tag.get_text() == own


def numbers(text: str) -> bool:
    """Whether there is nothing in it but digits and blanks."""
    return re.fullmatch(r"[\d\s]*", text) is not None


def is_code(tag: Any) -> str:
    """What a tag that stands for code is called where it is read; "" where it is none, or called so already."""
    if tag.name == "tt":
        return "code"
    if tag.name == "code" and _AS_IT_STANDS.search(str(tag.get("style", ""))):
        return "pre" if "\n" in tag.get_text() or tag.find("br") is not None else ""
    # doxygen's, with a `div` for each line
    fragment = tag.name == "div" and "fragment" in tag.get("class", ())
    return "pre" if fragment and tag.find("div", class_="line", recursive=False) is not None else ""


def of_table(soup: Any, table: Any, rows: list[Any], cells: list[Any], blocks: list[Any]) -> Any:
    """What a table of code holds, to stand in its place; None of any other.

    Args:
        rows, cells: its own. blocks: every `pre` within it.
    """
    lines = [cell for cell in cells if _LINE & set(cell.get("class", ()))]
    if lines and 2 * len(lines) >= len(cells):
        block = soup.new_tag("pre")
        block.string = "\n".join(line.get_text().strip("\n") for line in lines)
        return block
    if "memname" in table.get("class", ()):
        # doxygen's declaration of a function: a column each for name, bracket, type and parameter
        block = soup.new_tag("pre")
        block.string = re.sub(r"(?<=\() | (?=[),])", "", " ".join(table.get_text(" ").split()))
        return block
    if not blocks or not rows or not numbers(rows[-1].get_text().replace(blocks[-1].get_text(), "", 1)):
        return None
    # the numbers of lines, and beside them the lines; above them may stand the name of the file
    name = cells[0] if len(rows) == 2 and cells[0].name == "th" and cells[0].parent is rows[0] else None
    if len(rows) > (1 if name is None else 2):
        return None
    block = blocks[-1].extract()
    if name is not None:
        name.name = "p"
        table.insert_before(name.extract())
    return block


def unlabelled(soup: Any) -> None:
    """Take away what stands right before code only to name its language."""
    for block in soup.find_all("pre"):
        label = block.find_previous_sibling()
        # a heading or a paragraph of that name is one of the page
        if (
            label is not None
            and label.name in ("div", "span")
            and (named := language(block))
            and label.get_text().strip().lower() == named.lower()
        ):
            label.clear()


def language(block: Any) -> str:
    """The language of a block of code, from what highlighters write at it, within it or around it."""
    around = [block, *block.find_all("code", limit=1), *list(block.parents)[:3]]
    for tag in around:
        names = [str(name) for name in tag.get("class", ())]
        following = [after for name, after in pairwise(names) if name in _NAMED_NEXT]
        marked = (_LANGUAGE.fullmatch(name) for name in names)
        own = str(tag.get("lang", "")) if tag.name in ("pre", "code") else ""
        found = [own, str(tag.get("data-language") or tag.get("data-lang") or ""), *(one[1] for one in marked if one)]
        for name in (*found, *following):
            if re.fullmatch(r"[A-Za-z0-9+#_.-]{1,20}", name) and name.lower() not in _NO_LANGUAGE:
                return name
    return ""
