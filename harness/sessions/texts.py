"""What was said in a session, as text to search in; and the search.

Invariant: words of the person, answers, calls and results, each as the journal has it, whole, also where it lives in a
blob; what a program injected, images and thinking are not searched. Of a sub-agent it is what was said since its birth:
what stands before that is its caller's.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.conversation.births import BIRTH
from harness.conversation.blobs import Blobs
from harness.conversation.blocks import Block, Text, ToolCall, ToolResult
from harness.conversation.canonical import Json, encode
from harness.conversation.lines import Damage, Record
from harness.conversation.scan import Scan
from harness.conversation.stored import read_block
from harness.errors import JournalError

KINDS = frozenset({"message", "kept"})
AGENT_KINDS = KINDS | {BIRTH}
_SPEAKERS = {"person": "person", "answer": "answer", "results": "result", "program": "program"}
_SHORTEST = 3
"""Characters from which the index finds a word; shorter ones are looked for in every text."""


@dataclass(frozen=True, slots=True)
class Found:
    """A text of a session. speaker: "person", "answer", "call", "result" or "program".

    agent: the id of the sub-agent in whose session it was said, which works for `caller` and carries out `skill`; "":
    in the session itself. There, who speaks in the place of a person is its "caller".
    """

    session: str
    seq: int
    speaker: str
    text: str
    agent: str = ""
    skill: str = ""
    caller: str = ""


def said_by_agent(scan: Scan, blobs: Blobs) -> tuple[Record | None, Iterator[tuple[int, str, str]]]:
    """How a sub-agent was born, where a scan of `AGENT_KINDS` finds that, and what was said since; see `said`."""
    found = [*scan]
    births = [place for place, one in enumerate(found) if isinstance(one, Record) and one.kind == BIRTH]
    born = found[births[-1]] if births else None
    texts = said(found[births[-1] + 1 :] if births else found, blobs)
    heard = ((seq, "caller" if speaker == "person" else speaker, text) for seq, speaker, text in texts)
    return born if isinstance(born, Record) else None, heard


def said(scan: Iterable[Record | Damage], blobs: Blobs) -> Iterator[tuple[int, str, str]]:
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


def rows(database: sqlite3.Connection, words: Sequence[str]) -> Iterator[Found]:
    """What has all words in it, in any case."""
    cleaned = [_storable(word) for word in words]
    long = [word for word in cleaned if len(word) >= _SHORTEST]
    short = [pattern(word) for word in cleaned if len(word) < _SHORTEST]
    query = (
        "SELECT places.session, seq, speaker, text, agent, coalesce(skill, ''), coalesce(caller, '')"
        " FROM texts JOIN places ON line = texts.rowid"
        " LEFT JOIN agents ON agents.session = places.session AND agents.id = agent"
    )
    if long:
        quoted = " AND ".join('"' + word.replace('"', '""') + '"' for word in long)
        found = database.execute(f"{query} WHERE texts MATCH ? ORDER BY line", (quoted,))
    else:
        found = database.execute(f"{query} ORDER BY line")
    yield from (Found(*row) for row in found if all(one.search(row[3]) for one in short))


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
