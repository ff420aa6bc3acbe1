"""What was said in a session, as text to search in; and the search.

Invariant: words of the person, answers, calls and results, each as the journal has it, whole, also where it lives in a
blob; what a program injected, images and thinking are not searched.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.conversation.blocks import Block, Text, ToolCall, ToolResult
from harness.conversation.canonical import Json, encode
from harness.conversation.journal import Blobs, Record
from harness.conversation.scan import Scan
from harness.conversation.stored import read_block
from harness.errors import JournalError

KINDS = frozenset({"message", "kept"})
_SPEAKERS = {"person": "person", "answer": "answer", "results": "result", "program": "program"}
_SHORTEST = 3
"""Characters from which the index finds a word; shorter ones are looked for in every text."""


@dataclass(frozen=True, slots=True)
class Found:
    """A text of a session. speaker: "person", "answer", "call", "result" or "program"."""

    session: str
    seq: int
    speaker: str
    text: str


def said(scan: Scan, blobs: Blobs) -> Iterator[tuple[int, str, str]]:
    """Record number, speaker and text of all that a scan of `KINDS` finds."""
    for record in scan:
        if isinstance(record, Record) and (speaker := _SPEAKERS.get(str(record.data.get("tag")))) is not None:
            for block in record.data["blocks"]:
                if text := _text(block, blobs):
                    yield record.seq, "call" if block["is"] == "call" else speaker, _storable(text)


def _text(data: Mapping[str, Json], blobs: Blobs) -> str:
    try:
        return text_of(read_block(data, blobs))
    except (JournalError, ValueError):
        return ""  # a lost blob, or a block of a newer version; showing the session says so


def text_of(block: Block) -> str:
    """The text of a block; "" where it is none that a person would look for."""
    match block:
        case Text(text):
            return text
        case ToolCall(_, name, arguments):
            return f"{name} {_flat(arguments)}"
        case ToolResult(_, content):
            return "\n".join(part.text for part in content if isinstance(part, Text))
        case _:
            return ""


def _flat(arguments: Mapping[str, Any]) -> str:
    """Arguments as text: strings as they are, so that what stood in several lines is found."""
    parts = (value if isinstance(value, str) else encode(value).decode("utf-8") for value in arguments.values())
    return "\n".join(parts)


def _storable(text: str) -> str:
    """What SQLite and its index take whole: no lone surrogates, no NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


def rows(database: sqlite3.Connection, words: Sequence[str]) -> Iterator[tuple[str, int, str, str]]:
    """Session, record number, speaker and text of what has all words in it, in any case."""
    cleaned = [_storable(word) for word in words]
    long = [word for word in cleaned if len(word) >= _SHORTEST]
    short = [pattern(word) for word in cleaned if len(word) < _SHORTEST]
    query = "SELECT session, seq, speaker, text FROM texts JOIN places ON line = texts.rowid"
    if long:
        quoted = " AND ".join('"' + word.replace('"', '""') + '"' for word in long)
        found = database.execute(f"{query} WHERE texts MATCH ? ORDER BY line", (quoted,))
    else:
        found = database.execute(f"{query} ORDER BY line")
    yield from (row for row in found if all(one.search(row[3]) for one in short))


def pattern(word: str) -> re.Pattern[str]:
    """Finds a word in any case."""
    return re.compile(re.escape(word), re.IGNORECASE)


def snippet(text: str, words: Sequence[str], context: int = 60) -> str:
    """The place of a text where the first word stands, with that many characters on both sides."""
    found = next((match for word in words if (match := pattern(word).search(text))), None)
    begin, end = found.span() if found else (0, 0)
    before, after = text[max(0, begin - context) : begin], text[end : end + context]
    first = "…" if begin > context else ""
    last = "…" if end + context < len(text) else ""
    return f"{first}{before}{text[begin:end]}{after}{last}"
