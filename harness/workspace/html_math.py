"""Formulas of a page as text: as TeX where the page has it, else in one line, as they would be typed.

Invariant: what is written stands between `$` or `$$`; every sign of a formula stays.
"""

from __future__ import annotations

import re
from typing import Any

_TEX = re.compile(r"\bx?tex\b", re.IGNORECASE)
_STYLED = re.compile(r"\{\\(?:display|text)style\s*(.*)\}", re.DOTALL)
_OF_IMAGES = re.compile(r"(?:^|-)(?:math|latex|tex)(?:$|-)")
_UNREAD = ("annotation", "annotation-xml")


def of_image(image: Any, alt: str) -> str:
    """The formula that an image shows, from its text; "" where it shows none."""
    shown = any(map(_OF_IMAGES.search, image.get("class", ())))
    return _marked(alt, block=False) if shown and alt else ""


def of_element(math: Any) -> str:
    """The formula of an element `math`."""
    tex = math.find("annotation", attrs={"encoding": _TEX})
    return _marked(
        (tex.get_text() if tex is not None else math.get("alttext", "")).strip() or _line(math),
        block=math.get("display") == "block",
    )


def _marked(tex: str, *, block: bool) -> str:
    tex = " ".join(tex.split())
    styled = _STYLED.fullmatch(tex)
    mark = "$$" if block else "$"
    return f"{mark}{styled[1].strip() if styled else tex}{mark}"


def _line(part: Any) -> str:
    """MathML in one line."""
    if isinstance(part, str):
        return "".join(part.split())
    given = [child for child in part.children if not isinstance(child, str) or child.strip()]
    parts = [_line(child) for child in given if child.name not in _UNREAD]
    match part.name, parts:
        case "msup" | "mover", [base, above]:
            return f"{base}^{_one(above)}"
        case "msub" | "munder", [base, below]:
            return f"{base}_{_one(below)}"
        case "msubsup" | "munderover", [base, below, above]:
            return f"{base}_{_one(below)}^{_one(above)}"
        case "mfrac", [above, below]:
            return f"{_one(above)}/{_one(below)}"
        case "msqrt", _:
            return f"sqrt({''.join(parts)})"
        case "mroot", [base, degree]:
            return f"root({base}, {degree})"
        case "mtr", _:
            return ", ".join(parts)
        case "mtable", _:
            return f"[{'; '.join(parts)}]"
        case "mtext", _:
            return str(part.get_text())
        case _:
            return "".join(parts)


def _one(text: str) -> str:
    """In brackets, where what stands beside it would take only a part of it."""
    return text if len(text) <= 1 or text.isalnum() or re.fullmatch(r"\w+\([^()]*\)", text) else f"({text})"
