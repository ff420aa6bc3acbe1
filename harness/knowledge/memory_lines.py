"""The facts in a memory file, and which of two says the same.

Invariant: pure. A fact counts as said only where no word of meaning would be lost: two that differ in a name, a number
or a "not" are two facts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

MAX_FACT_BYTES = 500
"""Of one added fact."""

_ITEM = re.compile(r"(\s*(?:[-*+]|\d{1,9}[.)])\s+)(.*)", re.DOTALL)
_FENCE = re.compile(r"\s*(```|~~~)")
_WORD = re.compile(r"\w+")
_SMALL = frozenset(["a", "an", "the", "is", "are", "was", "were", "be", "that", "please"])
_CHANGING = frozenset(
    ["not", "no", "never", "none", "nor", "without", "except", "unless", "only", "but", "cannot", "t"]
)
"""Words that turn what they are added to into something else ("t": of "don't")."""
_MOST = 0.8
"""The share of a longer fact's words that a shorter one must have to be taken for the same."""

Relation = Literal["same", "near", "said", ""]


@dataclass(frozen=True, slots=True)
class Fact:
    """One list item or paragraph. first, last: its lines, from 1. lead: what a list item begins with, or "".

    words: as they are compared. core: without articles and a final "s".
    """

    first: int
    last: int
    lead: str
    text: str
    words: tuple[str, ...]
    core: tuple[str, ...]


def fact(text: str, first: int = 0, last: int = 0, lead: str = "") -> Fact:
    """A fact with its words."""
    words = tuple(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))
    return Fact(first, last, lead, text, words, tuple(_singular(w) for w in words if w not in _SMALL) or words)


def facts(text: str) -> list[Fact]:
    """The facts of a file, in order; headings, comments, rules and fenced blocks are none."""
    found: list[tuple[int, int, str, str]] = []
    open_one = fenced = False
    for number, line in enumerate(text.split("\n"), 1):
        if _FENCE.match(line):
            fenced, open_one = not fenced, False
            continue
        plain = line.strip()
        if fenced or not plain or plain.startswith(("#", "<!--")) or not _WORD.search(plain):
            open_one = False
            continue
        item = _ITEM.fullmatch(line)
        if item is None and open_one:
            first, _, lead, begun = found[-1]
            found[-1] = (first, number, lead, f"{begun} {plain}")
        else:
            found.append((number, number, item[1] if item else "", item[2].strip() if item else plain))
        open_one = True
    return [fact(said, first, last, lead) for first, last, lead, said in found]


def relation(old: Fact, new: Fact) -> Relation:
    """How a new fact stands to an old one.

    same: the same words in the same order, whatever the case and the punctuation. near: the new one says all that the
    old one says: articles and a final "s" aside, with at most a fifth of its words more. said: the other way round.
    """
    if old.words == new.words:
        return "same"
    if old.core == new.core or _within(old.core, new.core):
        return "near"
    return "said" if _within(new.core, old.core) else ""


def _singular(word: str) -> str:
    return word[:-1] if len(word) >= 4 and word.endswith("s") and not word.endswith("ss") else word


def _within(less: Sequence[str], more: Sequence[str]) -> bool:
    """Whether `more` is `less` with a few words put in, none of which turns it round."""
    if not _MOST * len(more) <= len(less) < len(more):
        return False
    added: list[str] = []
    place = 0
    for word in more:
        if place < len(less) and less[place] == word:
            place += 1
        else:
            added.append(word)
    return place == len(less) and not any(word in _CHANGING or any(map(str.isdigit, word)) for word in added)


def one_line(text: str) -> str:
    """A fact as it is written: one line, without a list sign of its own."""
    flat = " ".join(text.split())
    item = _ITEM.fullmatch(flat)
    return item[2] if item else flat


def find(existing: Iterable[Fact], new: Fact) -> tuple[Fact, Relation] | None:
    """The first that says the same, else the first that is near it or says it and more; None where there is none."""
    close: tuple[Fact, Relation] | None = None
    for one in existing:
        how = relation(one, new)
        if how == "same":
            return one, how
        if how and close is None:
            close = one, how
    return close


def appended(text: str, new: str) -> str:
    """The file with one more list item at its end."""
    body = text.rstrip("\n")
    ends_in_item = body.rpartition("\n")[2].lstrip().startswith(("- ", "* ", "+ "))
    return f"{body}{chr(10) if ends_in_item else chr(10) * 2}- {new}\n"


def replaced(text: str, old: Fact, new: str | None) -> str:
    """The file with another fact in the place of `old`; with none where `new` is None."""
    lines = text.split("\n")
    lines[old.first - 1 : old.last] = [] if new is None else [f"{old.lead}{new}"]
    return "\n".join(lines)
