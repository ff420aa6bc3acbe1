"""Path patterns: `*`, `?`, `[...]` within one part, `**` across parts, `{a,b}` alternatives.

Invariant: linear in the path for every pattern (parts are matched one by one, `**` by a table), so that no
pattern a model writes can hang the program.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache

_MOST = 64
"""Alternatives a pattern may have after its braces are written out; further ones are left out."""


def matches(pattern: str, path: str) -> bool:
    """Whether `path` (parts joined by `/`; a leading `/` is left out on both sides) matches.

    A pattern without `/` is compared with the last part only, as .gitignore does. Case counts.
    """
    return any(_one(parts, path) for parts in _alternatives(pattern))


@lru_cache(maxsize=64)
def _alternatives(pattern: str) -> tuple[tuple[str, ...], ...]:
    found: list[tuple[str, ...]] = []
    for plain in _braces(pattern):
        text = plain.removeprefix("./")
        parts = tuple(part for part in text.split("/") if part)
        if text.endswith("/"):
            parts = (*parts, "**")
        found.append(parts if "/" in text else ("**", *parts))
    return tuple(found)


def _braces(pattern: str) -> list[str]:
    """Every text the braces of `pattern` stand for; an unclosed brace stands for itself."""
    todo: list[str] = [pattern]
    done: list[str] = []
    while todo and len(todo) + len(done) <= _MOST:
        text = todo.pop()
        inner = _innermost(text)
        if inner is None:
            done.append(text)
            continue
        start, end = inner
        todo += [text[:start] + choice + text[end + 1 :] for choice in text[start + 1 : end].split(",")]
    return done


def _innermost(text: str) -> tuple[int, int] | None:
    end = text.find("}")
    while end >= 0:
        start = text.rfind("{", 0, end)
        if start >= 0:
            return start, end
        end = text.find("}", end + 1)
    return None


def _one(parts: tuple[str, ...], path: str) -> bool:
    """Whether the pattern's parts cover all parts of the path: one row of a table per pattern part."""
    names = path.strip("/").split("/")
    reached = [True] + [False] * len(names)
    for index, part in enumerate(parts):
        if part == "**":
            # Last of several parts, `a/**` is what lies below `a`, not `a` itself.
            row, seen = [], False
            least = 1 if index == len(parts) - 1 and index > 0 else 0
            for here in reached:
                row.append(seen if least else seen or here)
                seen = seen or here
            reached = row
        else:
            fixed = part.replace("[^", "[!")
            reached = [False] + [reached[place] and fnmatchcase(name, fixed) for place, name in enumerate(names)]
    return reached[-1]
