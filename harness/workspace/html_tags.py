"""HTML in a form that a simple parser reads as a browser does.

Invariant: the work is linear, whatever the markup; what comes out is well formed and at most `DEEPEST` deep, and has
only the attributes that are looked at. No text is lost but that of scripts, styles and comments.
"""

from __future__ import annotations

import re
from html import escape

TAGS = 40_000
"""Tags up to which a page is taken apart; what follows is only stripped of them."""

DEEPEST = 100
"""Elements within elements; the tags of what is deeper are left out, not its text: what makes Markdown of it calls
itself for each."""

_LOOKED_AHEAD = 2_000_000
"""Characters that may be looked at in vain for ends of tags; after that, `>` in an attribute ends its tag."""


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


# open to the end: one that is never closed hides the rest, as in a browser, and is looked for once
_SCRIPT = re.compile(
    r"<(script|style|noscript|template|svg)(?=[\s/>]).*?(?:</\1(?=[\s/>])[^<>]*>?|\Z)", re.DOTALL | re.IGNORECASE
)
_FORMULA = re.compile(
    r"<script\s[^<>]*?type\s*=\s*[\"']?math/tex(;\s*mode=display)?[^<>]*>(.*)</script", re.DOTALL | re.IGNORECASE
)
_CDATA = re.compile(r"%?\s{0,9}(?:<!\[CDATA\[|\]\]>)")
_ENDED = re.compile(r"<(?:script|style|noscript|template|svg|title|textarea)(?:\s[^<>]*)?/>", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)|<[!?][^<>]*>", re.DOTALL)
# a character reference of more digits than a number may have
_ENDLESS = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{7,});?")

_TAG = re.compile(r"""<(/?)([a-zA-Z][^\s/<>]*+)((?:[^<>=]++|=\s*+"[^"]*"|=\s*+'[^']*'|=)*+)""")
_LOOSE = re.compile(r"<(/?)([a-zA-Z][^\s/<>]*+)([^<>]*+)")
_ATTRIBUTE = re.compile(r"""([a-zA-Z][a-zA-Z-]{0,30}+)(?![^\s=>/])(?:\s*+=\s*+(?:"([^"]*)"|'([^']*)'|([^\s>"']*+)))?""")
# at the end: in a value without quotes `/` is part of it, and does not end the element
_UNQUOTED = re.compile(r"=\s*+[^\s\"'=<>`]++\Z")
_RAW_END = re.compile(r"</(title|textarea)(?=[\s/>])[^<>]*>?", re.IGNORECASE)
_KEPT = _names(
    "alt alttext aria-hidden checked class colspan content data-lang data-language disabled display encoding hidden"
    " href http-equiv id lang name property role rowspan start style type"
)
_LONGEST = 4_000

_OF_HEAD = _names("html head title meta link base script style noscript template")
_VOID = _names("area base br col embed hr img input link meta param source track wbr")
_TABLE = _names("table caption thead tbody tfoot tr td th")
_CELL = _names("td th caption table")
_BLOCK = _TABLE | _names(
    "address article aside blockquote body center dd details dialog div dl dt fieldset figcaption figure footer form"
    " h1 h2 h3 h4 h5 h6 header hgroup html li main menu nav ol p pre search section summary ul"
)
_IMPLIED = {
    "li": (_names("li"), _names("ul ol menu")),
    "dt": (_names("dt dd"), _names("dl")),
    "dd": (_names("dt dd"), _names("dl")),
    "thead": (_names("caption thead tbody tfoot"), _names("table")),
    "tbody": (_names("caption thead tbody tfoot"), _names("table")),
    "tfoot": (_names("caption thead tbody tfoot"), _names("table")),
    "tr": (_names("caption tr"), _names("table")),
    "td": (_names("td th"), _names("tr table")),
    "th": (_names("td th"), _names("tr table")),
    "option": (_names("option optgroup"), _names("select")),
    "rt": (_names("rt rp"), _names("ruby")),
    "rp": (_names("rt rp"), _names("ruby")),
} | {
    name: (_names("p"), _CELL | _names("div li dd dt section article main blockquote body button"))
    for name in _BLOCK - _TABLE - _names("li dd dt body html summary") | _names("hr table")
}
"""What ends, by beginning, one of the first kind, unless one of the second lies between."""
_NOTHING = (_names(""), _names(""))


def bare(page: str, *, xml: bool) -> tuple[str, bool]:
    """The page without scripts, styles, drawings and comments; and whether it had a script.

    xml: what would hold text only, or is looked for to its end tag, may end itself.
    """
    if xml:
        page = _ENDED.sub(" ", page)
    scripted = re.search(r"<script\b", page, re.IGNORECASE) is not None
    return _ENDLESS.sub("\ufffd", _COMMENT.sub(" ", _SCRIPT.sub(_unscripted, page))), scripted


def _unscripted(found: re.Match[str]) -> str:
    """What stands in place of a script: the formula that it holds."""
    tex = _FORMULA.match(found[0])
    if tex is None:
        return " "
    mark = "$$" if tex[1] else "$"
    return f"{mark}{escape(_CDATA.sub('', tex[2]).strip(), quote=False)}{mark}"


class _Closing:
    """One pass over a page."""

    def __init__(self, page: str) -> None:
        self.page = page
        self.parts: list[str] = []
        self.open: list[str] = []
        self.dropped: dict[str, int] = {}
        self.ahead = _LOOKED_AHEAD

    def run(self) -> int:
        """Fills `parts`. The place that it came to."""
        page, last, count = self.page, 0, 0
        while count < TAGS and (at := page.find("<", last)) >= 0:
            self.parts.append(page[last:at])
            match = self._tag(at)
            if match is None:
                self.parts.append("&lt;")
                last = at + 1
                continue
            count += 1
            last = match.end() + 1
            name = match[2].lower()
            if match[1]:
                self._end(name)
            elif name in ("title", "textarea"):
                found = _RAW_END.search(page, last)
                text = page[last : found.start() if found else len(page)]
                self.parts.append(f"<{name}>{text.replace('<', '&lt;')}</{name}>")
                last = found.end() if found else len(page)
            else:
                self._start(name, match[3])
        if count < TAGS:
            self.parts.append(page[last:])
            last = len(page)
        self.parts.append(self._ends(0))
        return last

    def _tag(self, at: int) -> re.Match[str] | None:
        """The tag that begins there, without its `>`."""
        match = _TAG.match(self.page, at) if self.ahead > 0 else None
        if match is not None and not self.page.startswith(">", match.end()):
            self.ahead -= match.end() - at
            match = None
        match = match or _LOOSE.match(self.page, at)
        return match if match is not None and self.page.startswith(">", match.end()) else None

    def _start(self, name: str, attributes: str) -> None:
        if name not in _OF_HEAD and "head" in self.open:
            self.parts.append(self._ends(self.open.index("head")))
        siblings, within = _IMPLIED.get(name, _NOTHING)
        for place in range(len(self.open) - 1, -1, -1):
            if self.open[place] in siblings:
                self.parts.append(self._ends(place))
                break
            if self.open[place] in within:
                break
        if name in _VOID or (attributes.endswith("/") and not _UNQUOTED.search(attributes)):
            self.parts.append(f"<{name}{_kept(attributes)}/>")
        elif len(self.open) >= DEEPEST or len(name) > 40:
            self.dropped[name] = self.dropped.get(name, 0) + 1
            self.parts.append(" ")
        else:
            self.open.append(name)
            self.parts.append(f"<{name}{_kept(attributes)}>")

    def _end(self, name: str) -> None:
        """An end tag; one that ends nothing, or something beyond what it may reach, is none."""
        if self.dropped.get(name):
            self.dropped[name] -= 1
            return
        bounds = _names("") if name in _TABLE or name in ("body", "html") else _CELL if name in _BLOCK else _BLOCK
        for place in range(len(self.open) - 1, -1, -1):
            if self.open[place] == name:
                self.parts.append(self._ends(place))
                return
            if self.open[place] in bounds or (self.open[place] == "table" and name in _TABLE):
                return

    def _ends(self, place: int) -> str:
        ended = "".join(f"</{name}>" for name in reversed(self.open[place:]))
        del self.open[place:]
        return ended


def closed(page: str) -> tuple[str, str]:
    """The page with every end tag, without those that end nothing; and what is left of it beyond `TAGS`, as it is."""
    closing = _Closing(page)
    came = closing.run()
    return "".join(closing.parts), page[came:]


def _kept(attributes: str) -> str:
    kept: dict[str, str] = {}
    for found in _ATTRIBUTE.finditer(attributes, 0, 20_000):
        name = found[1].lower()
        if name in _KEPT and name not in kept:
            value = found[2] or found[3] or found[4] or ""
            kept[name] = value.replace('"', "&quot;") if len(value) <= _LONGEST else ""
    return "".join(f' {name}="{value}"' for name, value in kept.items())
