"""What of a page is read: its main part, and what is seen of it.

Invariant: bounded work on a parsed page; no address of an image is kept, and no link that cannot be followed.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

from harness.workspace import html_math
from harness.workspace.html_code import is_code, numbers_lines, unlabelled
from harness.workspace.html_tables import tables
from harness.workspace.html_tabs import named_panels

_MAIN = 0.3
"""Share of a page's text from which what calls itself its main part is taken for the whole."""

_MOST = 0.8
"""Share of what is read of a page beyond which what leads elsewhere is no menu, but the page: an index."""

_INDENTS = 8
"""Lists and quotes within each other; deeper ones are not indented further."""

_LINK = 1_000

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
        "video",
        "audio",
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

_CONTENTS = frozenset(["toc", "table-of-contents"])

_HIDDEN = re.compile(
    r"(display\s*+:\s*+none|visibility\s*+:\s*+hidden|(?:font-size|opacity)\s*+:\s*+0(?![.\d]*[1-9])"
    r"|(?:left|top|right|text-indent)\s*+:\s*+-\d{3})",
    re.IGNORECASE,
)
_MAIN_IDS = ("main-content", "main", "apicontent", "doc-content", "page-content", "content", "bodyContent")
"""The nearer ones first: with some, "content" holds the menus too."""

_BLANKS = re.compile(r"[ \t]{50,}")
_HEADED = ("h1", "h2", "h3", "h4", "h5", "h6")
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
        if box := _task(tag):
            tag.name, tag.string = "span", box
            continue
        if _unseen(tag):
            _empty(tag)
            continue
        if (not within and id(tag) in leading and _leads(tag)) or _contents(tag):
            menus.append(tag)
        tag.name = is_code(tag) or tag.name
        level = deep.get(id(tag.parent), 0) + (tag.name in ("ul", "ol", "dl", "blockquote"))
        deep[id(tag)] = level
        if level > _INDENTS and tag.name in ("ul", "ol", "dl", "blockquote", "li", "dd", "dt"):
            tag.name = "div"
        elif tag.name == "img":
            tag.name, tag.string = "span", _told(tag)
        elif tag.name == "a":
            _link(tag, base)
        elif tag.name == "ol":
            _number(tag)
        elif tag.name == "math":
            formula = html_math.of_element(tag)
            tag.clear(decompose=True)
            tag.append(formula)
        elif tag.name == "summary" or (tag.name == "pre" and tag.find_parent("pre") is not None):
            tag.name = "div"
        elif "sig-param" in tag.get("class", ()):
            tag.name = "span"  # of a declaration; its stars are no emphasis
        elif "classifier" in tag.get("class", ()):
            tag.insert(0, " : ")  # what a style sheet puts between a parameter and its type
        elif _HEADINGS.fullmatch(tag.name) and tag.name not in _HEADED:
            tag.name = "p"
    for text in soup.find_all(string=_BLANKS):
        if text.find_parent("pre") is None:
            text.replace_with(_BLANKS.sub(" ", text))
    if sum(map(_length, menus)) <= _MOST * _length(soup.body or soup):
        for menu in menus:
            _empty(menu)
    named_panels(soup)
    unlabelled(soup)
    tables(soup)


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
    # an image that is not read aloud is seen
    hidden = tag.has_attr("hidden") or (tag.get("aria-hidden") == "true" and tag.name != "img")
    if (tag.name in _UNREAD and role != "tab") or (hidden and role != "tabpanel"):
        return True
    if _HIDDEN.search(str(tag.get("style", ""))) or role in _UNREAD_ROLES:
        return True
    if _UNREAD_CLASSES & set(tag.get("class", ())):
        return True
    if tag.name == "aside" or role == "complementary":
        # beside the main part, or a note within it
        return tag.find_parent(["article", "main"]) is None and tag.find_parent(role="main") is None
    return numbers_lines(tag)


def _contents(tag: Any) -> bool:
    """Whether it leads to other parts of its own page, or stands at its head and leads to other pages."""
    if tag.name in ("ul", "ol") and (above := tag.find_parent(["ul", "ol", "header"])) is not None:
        return bool(above.name == "header") and _leads(tag)
    if not _is_contents(tag) or tag.find_parent(_is_contents) is not None:
        return False
    own = [link for link in tag.find_all("a") if str(link.get("href", "")).startswith("#")]
    return bool(own) and _length(tag) <= 2 * sum(map(_length, own))


def _is_contents(tag: Any) -> bool:
    return tag.name == "aside" or bool(_CONTENTS & set(tag.get("class", ())))


def _task(tag: Any) -> str:
    """The box of a task in a list, done or open; "" of what can be switched."""
    if tag.name != "input" or tag.get("type") != "checkbox" or not tag.has_attr("disabled"):
        return ""
    if tag.find_parent("li") is None:
        return ""
    glued = isinstance(tag.next_sibling, str) and not tag.next_sibling[:1].isspace()
    return f"[{'x' if tag.has_attr('checked') else ' '}]{' ' if glued else ''}"


def _told(image: Any) -> str:
    alt = " ".join(str(image.get("alt", "")).split())
    if formula := html_math.of_image(image, alt):
        return formula
    # arrows and signs, of what can only be clicked, and whose page it is
    told = any(map(str.isalnum, alt)) and alt.lower() != "logo"
    return f"[image: {alt[:200]}]" if told else ""


def _leads(part: Any) -> bool:
    """Whether most of a part's text is links."""
    return _length(part) <= 2 * sum(map(_length, part.find_all("a")))


def _length(part: Any) -> int:
    return len("".join(part.get_text().split()))


def _link(tag: Any, base: str) -> None:
    text, to = tag.get_text().strip(), str(tag.get("href", "")).strip()
    before = tag.find_previous_sibling() if to.startswith("#") else None
    beside = before is not None and before.name in _HEADED and before.get("id") == to[1:]
    if to.startswith("#") and (beside or (len(text) <= 1 and not text.isalnum())):
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
