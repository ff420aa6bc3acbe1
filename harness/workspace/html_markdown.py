"""A page as text that can be read: its main part, as Markdown.

Invariant: bounded work, whatever the page; nothing that its markup hides from a person, and no line is longer than
`LINE`, so that all of it can be paged through.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from harness.workspace.html_main import clean, main_part
from harness.workspace.html_tags import bare, closed
from harness.workspace.markdown_writer import markdown

LINE = 1_500
"""Characters of a line."""

MARKUP = 1_000_000
"""Characters of a page, its scripts and styles left out, that are made into Markdown; of what follows only its text."""

_VERBATIM = {"pre", "code", "textarea", "div", "td"}
"""In what code is written: in any other element the parser makes one blank of several."""

_SCRIPTS = "(The page has no text of its own: scripts make it, and they are not run.)"


@dataclass(frozen=True, slots=True)
class Readable:
    """title: one line or "". text: Markdown."""

    title: str
    text: str


def readable(page: str, address: str, *, xml: bool = False) -> Readable:
    """A page of HTML. address: its own, for its links. xml: it is XHTML, where every element may end itself."""
    from bs4 import BeautifulSoup

    page, scripted = bare(page, xml=xml)
    # not within a tag
    cut = len(page) if len(page) <= MARKUP else max(page.rfind("<", 0, MARKUP), MARKUP // 2)
    markup, rest = closed(page[:cut])
    rest += page[cut:]
    soup = BeautifulSoup(markup, "html.parser", preserve_whitespace_tags=_VERBATIM)
    title = " ".join(soup.title.get_text().split()) if soup.title is not None else ""
    base = _base(soup, address)
    before = _before(soup, base)
    described = soup.find("meta", attrs={"name": "description"}) or soup.find("meta", property="og:description")
    description = " ".join(str(described.get("content", "")).split())[:500] if described is not None else ""
    clean(soup, base)
    part = main_part(soup)
    try:
        text = _tidied(markdown(part))
    except RecursionError:
        text = _stripped(str(part))
    if not text and scripted:
        text = f"{description}\n\n{_SCRIPTS}".strip()
    text = "\n\n".join(filter(None, (before, text, _stripped(rest))))
    return Readable(title[:300], folded(text))


def _base(soup: Any, address: str) -> str:
    """What links are relative to."""
    found = soup.find("base", href=True)
    try:
        base = urljoin(address, str(found["href"]).strip()) if found is not None else address
        return base if urlsplit(base).scheme in ("http", "https") and len(base) < 2_000 else address
    except ValueError:
        return address


def _before(soup: Any, base: str) -> str:
    """Where a page leads of itself, for who reads it: it is not followed."""
    found = soup.find("meta", attrs={"http-equiv": re.compile(r"\Arefresh\Z", re.IGNORECASE)})
    match = re.search(r"url\s*=\s*[\"']?([^\"']+)", str(found.get("content", "")), re.IGNORECASE) if found else None
    try:
        to = urljoin(base, match[1].strip()) if match else ""
        return f"This page leads on to <{to}>" if urlsplit(to).scheme in ("http", "https") else ""
    except ValueError:
        return ""


def folded(text: str) -> str:
    """The same text with no line longer than `LINE`, broken at blanks where there are some."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(part for line in lines for part in _fold(line)).strip("\n")


def _fold(line: str) -> Iterator[str]:
    start = 0
    while len(line) - start > LINE:
        cut = line.rfind(" ", start + LINE // 2, start + LINE)
        cut = cut if cut > 0 else start + LINE
        yield line[start:cut]
        start = cut + 1 if line.startswith(" ", cut) else cut
    yield line[start:]


_FENCE = re.compile(r"[\s>:.0-9-]*(`{3,})[^`]*")


def _tidied(text: str) -> str:
    """Markdown without blanks at ends of lines and runs of empty lines; code stays as it is."""
    kept: list[str] = []
    fence = ""
    for line in text.split("\n"):
        if fence:
            fence = "" if line.strip(" >") == fence else fence
            kept.append(line)
            continue
        if "```" in line and (match := _FENCE.fullmatch(line)):
            fence = match[1]
        short = line.rstrip()
        if short or (kept and kept[-1]):
            kept.append(short)
    return "\n".join(kept).strip("\n")


_BREAKS = re.compile(
    r"</?(?:address|article|aside|blockquote|br|caption|dd|details|div|dl|dt|figcaption|figure|footer|form|h[1-6]|header"
    r"|hr|li|main|nav|ol|p|pre|section|summary|table|tr|ul)\b[^<>]*>",
    re.IGNORECASE,
)
_CELLS = re.compile(r"</?t[dh]\b[^<>]*>", re.IGNORECASE)


def _stripped(page: str) -> str:
    text = re.sub(r"<[^<>]*>", "", _CELLS.sub(" ", _BREAKS.sub("\n", page)))
    return "\n".join(line.rstrip() for line in entities.unescape(text).split("\n") if line.strip())
