"""A parsed page as Markdown.

Invariant: code stands as it is, in a fence that it cannot end; the work is linear in what comes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from textwrap import indent
from typing import Any

from harness.workspace.html_code import language

_LINES = frozenset(["div", "p", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6"])


def markdown(part: Any) -> str:
    """The Markdown of a part of a page.

    Raises:
        RecursionError: it is too deep.
    """
    return str(_writer().convert_soup(part))


@cache
def _writer() -> Any:
    from markdownify import MarkdownConverter

    class Writer(MarkdownConverter):
        def convert_pre(self, el: Any, text: str, parent_tags: set[str]) -> str:
            return _code(el)

        def convert_li(self, el: Any, text: str, parent_tags: set[str]) -> str:
            return _item(el, text.strip())

        def convert_td(self, el: Any, text: str, parent_tags: set[str]) -> str:
            cell = " ".join(text.split()).replace("|", "\\|")
            return f" {cell} |" + " |" * (int(el.get("colspan", "1")) - 1)

        convert_th = convert_td

        def convert_tr(self, el: Any, text: str, parent_tags: set[str]) -> str:
            return _row(el, text)

        def convert_code(self, el: Any, text: str, parent_tags: set[str]) -> str:
            written = super().convert_code(el, text, parent_tags)  # type: ignore[misc] # not in its stub
            return _joined(el, written, "`")

        def convert_b(self, el: Any, text: str, parent_tags: set[str]) -> str:
            written = super().convert_b(el, text, parent_tags)  # type: ignore[misc] # not in its stub
            return _joined(el, written, "**")

        convert_strong = convert_b

        def convert_sup(self, el: Any, text: str, parent_tags: set[str]) -> str:
            # 2^32, and not 232
            return f"^{text}" if re.fullmatch(r"[\w.+-]{1,20}", text) else text

    return Writer(heading_style="atx", bullets="-", escape_asterisks=False, escape_underscores=False, escape_misc=False)


def _code(block: Any) -> str:
    code = re.sub(r"\A(?:[ \t]*\n)+|\s+\Z", "", "".join(_verbatim(block)))
    if not code:
        return ""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
    return f"\n\n{fence}{language(block)}\n{code}\n{fence}\n\n"


def _row(row: Any, text: str) -> str:
    """A row, and with the first what makes it one of a table: a line under its head, or an empty head."""
    columns = int(row.get("columns", "0"))
    if not columns:
        return f"|{text}\n"
    line = "|" + " --- |" * columns + "\n"
    if row.parent.name == "thead" or row.find("td", recursive=False) is None:
        return f"|{text}\n{line}"
    return "|" + "  |" * columns + f"\n{line}|{text}\n"


def _item(item: Any, text: str) -> str:
    if not text:
        return "\n"
    bullet = f"{item['value']}. " if item.has_attr("value") and item.parent.name == "ol" else "- "
    return f"{bullet}{indent(text, ' ' * len(bullet)).lstrip()}\n"


def _joined(el: Any, written: str, mark: str) -> str:
    """Without the marks between it and a like one right beside it: they would be marks of something else."""
    marked = written.startswith(mark) and written.endswith(mark) and mark not in written[len(mark) : -len(mark)]
    if marked and _touches(el.previous_sibling, el, mark):
        written = written.removeprefix(mark)
    if marked and _touches(el, el.next_sibling, mark):
        written = written.removesuffix(mark)
    return written


def _touches(one: Any, other: Any, mark: str) -> bool:
    """Whether two siblings are of one kind, and written as one word."""
    if one is None or other is None or one.name is None or one.name != other.name:
        return False
    left, right = one.get_text(), other.get_text()
    # a mark within is written in another way
    return not left[-1:].isspace() and not right[:1].isspace() and "" not in (left, right) and mark not in left + right


def _verbatim(block: Any) -> Iterator[str]:
    """The text of a block of code as it stands; what begins a line by being a block does so."""
    fresh = True
    for part in block.descendants:
        if isinstance(part, str):
            if part:
                fresh = part.endswith("\n")
                yield str(part)
        elif part.name == "br" or (part.name in _LINES and not fresh and part.get_text()):
            fresh = True
            yield "\n"
