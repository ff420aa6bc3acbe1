"""A page as text that can be read: its main part, as Markdown.

Invariant: bounded work, whatever the page; no address of an image is kept, nothing that a person would not see, and no
line is longer than `LINE`, so that all of it can be paged through.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

LINE = 1_500
"""Characters of a line."""

TAGS = 30_000
"""Tags up to which a page is taken apart; one with more is only stripped of them."""

DEEPEST = 100
"""Elements within elements up to which a page is taken apart: what makes Markdown of it calls itself for each."""

_MAIN = 0.3
"""Share of a page's text from which what calls itself its main part is taken for the whole."""

_UNREAD = frozenset(
    {"script", "style", "noscript", "template", "svg", "canvas", "iframe", "object", "embed", "head", "nav", "footer"}
    | {"aside", "button", "select", "input", "dialog"}
)
_HIDDEN = re.compile(
    r"(display\s*:\s*none|visibility\s*:\s*hidden|(font-size|opacity)\s*:\s*0(?![.\d]))", re.IGNORECASE
)
# open to the end: one that is never closed hides the rest, as in a browser, and is looked for once
_SCRIPT = re.compile(r"<(script|style|noscript|template|svg)\b.*?(?:</\1\b[^>]*>|\Z)", re.DOTALL | re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)|<[!?][^<>]*>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Readable:
    """title: one line or "". text: Markdown."""

    title: str
    text: str


def readable(page: str, address: str) -> Readable:
    """A page of HTML. address: its own, for its links."""
    from bs4 import BeautifulSoup

    page = _COMMENT.sub(" ", _SCRIPT.sub(" ", page))
    closed = _closed(page) if page.count("<") <= TAGS else None
    if closed is None:
        return Readable("", folded(_stripped(page)))
    soup = BeautifulSoup(closed, "html.parser")
    title = " ".join(soup.title.get_text().split()) if soup.title is not None else ""
    base = soup.find("base", href=True)
    _clean(soup, urljoin(address, str(base["href"])) if base is not None else address)
    text = _markdown(_main(soup))
    return Readable(title[:300], folded(text))


def folded(text: str) -> str:
    """The same text with no line longer than `LINE`, broken at blanks where there are some; no runs of empty lines."""
    lines = (part for line in text.splitlines() for part in _fold(line.rstrip()))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def _fold(line: str) -> Iterator[str]:
    while len(line) > LINE:
        cut = line.rfind(" ", LINE // 2, LINE)
        cut = cut if cut > 0 else LINE
        yield line[:cut]
        line = line[cut:].lstrip(" ")
    yield line


def _closed(page: str) -> str | None:
    """The same page with the end tags that HTML lets out, without those that end nothing; None where it is too deep.

    The parser does not know them: of a list of a thousand items without ends it would make a thousand levels. A `<`
    that begins no tag is escaped: the parser would look for its end again and again.
    """
    parts: list[str] = []
    open_tags: list[str] = []
    last = 0
    for match in _TAG.finditer(page):
        name = match[2].lower()
        parts.append(page[last : match.start()].replace("<", "&lt;"))
        last = match.end()
        if match[1]:
            if name in open_tags:
                parts.append(_ends(open_tags, len(open_tags) - open_tags[::-1].index(name) - 1))
            continue
        siblings, within = _IMPLIED.get(name, _NOTHING)
        for place in range(len(open_tags) - 1, -1, -1):
            if open_tags[place] in siblings:
                parts.append(_ends(open_tags, place))
                break
            if open_tags[place] in within:
                break
        if name not in _VOID and not match[0].endswith("/>"):
            open_tags.append(name)
            if len(open_tags) > DEEPEST:
                return None
        parts.append(match[0])
    return "".join([*parts, page[last:].replace("<", "&lt;")])


def _ends(open_tags: list[str], place: int) -> str:
    """The end tags of all from `place` on, which are open no more."""
    ended = "".join(f"</{name}>" for name in reversed(open_tags[place:]))
    del open_tags[place:]
    return ended


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^<>]*>")
_NOTHING = (_names(""), _names(""))
_IMPLIED = {
    "li": (_names("li"), _names("ul ol menu")),
    "dt": (_names("dt dd"), _names("dl")),
    "dd": (_names("dt dd"), _names("dl")),
    "tr": (_names("tr"), _names("table")),
    "td": (_names("td th"), _names("tr table")),
    "th": (_names("td th"), _names("tr table")),
    "option": (_names("option"), _names("select")),
} | {
    name: (_names("p"), _names("div li td th section article main blockquote body"))
    for name in _names("p div ul ol dl table pre blockquote section h1 h2 h3 h4 hr")
}
"""What ends, by beginning, one of the first kind, unless one of the second lies between."""

_VOID = _names("area base br col embed hr img input link meta param source track wbr")
"""What has no end."""


def _stripped(page: str) -> str:
    page = re.sub(r"<(?:/?(?:p|div|br|li|tr|h[1-6]|pre|table|ul|ol)\b)[^<>]*>", "\n", page, flags=re.IGNORECASE)
    text = entities.unescape(re.sub(r"<[^<>]*>", " ", page))
    return "\n".join(line for line in (" ".join(line.split()) for line in text.split("\n")) if line)


def _clean(soup: Any, base: str) -> None:
    """Take out what is not read or not seen, and let links say their whole address."""
    for tag in soup.find_all(name=True):
        if vars(tag).get("_decomposed"):  # its property looks for a child of that name
            continue
        hidden = tag.has_attr("hidden") or tag.get("aria-hidden") == "true" or _HIDDEN.search(str(tag.get("style", "")))
        if hidden or tag.name in _UNREAD:
            tag.decompose()
        elif tag.name == "img":
            alt = " ".join(str(tag.get("alt", "")).split())[:200]
            tag.replace_with(f"[image: {alt}]" if alt else "")
        elif tag.name == "a" and tag.has_attr("href"):
            _link(tag, base)


def _link(tag: Any, base: str) -> None:
    try:
        address = urljoin(base, str(tag["href"]).strip())
        kept = urlsplit(address).scheme in ("http", "https") and not str(tag["href"]).startswith("#")
    except ValueError:
        kept = False
    if kept and tag.get_text().strip():
        tag["href"] = address[:1000]
        del tag["title"]
    else:
        tag.unwrap()


def _main(soup: Any) -> Any:
    """The part that calls itself the main one, where it has enough of the text; else the whole."""
    whole = soup.body or soup
    length = len(whole.get_text())
    for found in (soup.find("main"), soup.find(attrs={"role": "main"}), soup.find("article")):
        if found is not None and len(found.get_text()) > _MAIN * length:
            return found
    return whole


def _markdown(part: Any) -> str:
    from markdownify import MarkdownConverter

    converter = MarkdownConverter(
        heading_style="atx",
        bullets="-",
        escape_asterisks=False,
        escape_underscores=False,
        escape_misc=False,
        code_language_callback=_language,
    )
    return str(converter.convert_soup(part))


def _language(tag: Any) -> str:
    """The language of a code block, from the class that highlighters use."""
    names = [*tag.get("class", ()), *(tag.code.get("class", ()) if tag.code is not None else ())]
    found = (re.fullmatch(r"(?:language|lang|highlight-source)-([A-Za-z0-9+#-]{1,20})", str(name)) for name in names)
    return next((match[1] for match in found if match), "")
