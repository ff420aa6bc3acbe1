"""The text of a body: by its mark, by what is declared, by what it looks like.

Invariant: only the charsets of the web are read, each as browsers read it (encoding.spec.whatwg.org): what a page names
chooses none of the codecs that are slow or that act. Nothing fails: what cannot be read becomes U+FFFD.
"""

from __future__ import annotations

import codecs
import re

_META = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]{1,40})""", re.IGNORECASE)
_XML = re.compile(rb"""\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9_:.-]{1,40})""")
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

_MEANT = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "utf-16": "utf-16-le",
}
"""What who says the one means, which holds more."""

_ALIASES = {"x-sjis": "cp932", "x-gbk": "gb18030", "x-euc-jp": "euc_jp", "x-cp1251": "cp1251", "windows-874": "cp874"}

_MANY = frozenset({"utf-8", "utf-16-le", "utf-16-be", "gb18030", "big5hkscs", "cp932", "euc_jp", "iso2022_jp", "cp949"})
_ONE = frozenset(
    {f"cp{number}" for number in (866, 874, *range(1250, 1259))}
    | {f"iso8859-{number}" for number in (*range(2, 9), 10, *range(13, 17))}
    | {"koi8-r", "koi8-u", "mac-roman", "mac-cyrillic"}
)

_LOOKED_AT = 20_000
"""Bytes by which a charset is guessed."""

_ENOUGH = 20
"""Bytes beyond ASCII from which a guess is more than chance."""

_TOLD_APART = ["cp1252", "cp1251", "koi8_r", "cp866", "cp1253", "cp1255", "cp1256"]
_TOLD_APART += ["cp932", "euc_jp", "gb18030", "big5", "cp949"]
"""What is known by its look; Western and Central European text looks alike, and is mostly Western."""


def decoded(raw: bytes, charset: str, *, markup: bool) -> str:
    """The text of a body. charset: that of its header, or "". markup: it may name its charset itself.

    What declares a charset of single bytes and yet is UTF-8 is UTF-8: that does not happen by chance.
    """
    for bom, name in _BOMS:
        if raw.startswith(bom):
            return raw[len(bom) :].decode(name, "replace")
    name = _known(charset) or (_inside(raw) if markup else "")
    if name in _MANY:
        text = raw.decode(name, "replace")
        begin = text[:_LOOKED_AT]
        wrong = begin.count("\ufffd") if name == "utf-8" else 0
        return raw.decode(_guessed(raw), "replace") if wrong > _ENOUGH and 2 * wrong > _beyond(begin) else text
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        # a body that was cut may end within a character
        if 999 < len(raw) < error.start + 4:
            return raw.decode("utf-8", "ignore")
    return raw.decode(name or _guessed(raw), "replace")


def _inside(raw: bytes) -> str:
    """What the markup names; it was read as ASCII, so it is not UTF-16."""
    found = _META.search(raw[:4096]) or _XML.match(raw[:4096])
    name = _known(found[1].decode("ascii")) if found else ""
    return "utf-8" if name.startswith("utf-16") else name


def _known(name: str) -> str:
    """The codec of a charset of the web; "" where it is none."""
    name = name.strip().lower()
    try:
        found = codecs.lookup(_ALIASES.get(name, name)).name
    except (LookupError, ValueError):
        return ""
    found = _MEANT.get(found, found)
    return found if found in _MANY or found in _ONE else ""


def _guessed(raw: bytes) -> str:
    from charset_normalizer import from_bytes

    if _beyond(raw[:_LOOKED_AT].decode("latin-1")) < _ENOUGH:
        return "cp1252"
    # the last of the bytes looked at may be the middle of a character
    for cut in range(4):
        best = from_bytes(raw[: _LOOKED_AT - cut], cp_isolation=_TOLD_APART, enable_fallback=False).best()
        if best is not None:
            return best.encoding
    return "cp1252"


def _beyond(text: str) -> int:
    """How much of it is beyond ASCII."""
    return sum(character > "\x7f" for character in text)
