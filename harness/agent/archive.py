"""What was said before a compaction, as a file that the model can read by section.

Invariant: nothing is left out; each section is one turn of the person, and the line numbers that are given are those
that the tool `read` counts.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.conversation.blocks import Block, Image, Message, Setting, Text, Thinking, ToolCall, ToolResult
from harness.conversation.canonical import encode
from harness.conversation.private_files import write_whole
from harness.errors import storage_error
from harness.tools.output import one_line, plain

FOLDER = "archive"
_WIDTH = 1_500
"""Characters of a line: `read` cuts longer ones."""
_TITLE = 80


@dataclass(frozen=True, slots=True)
class Section:
    """One turn: its first and last line, counted from 1, and what the person said, cut."""

    first: int
    last: int
    title: str


@dataclass(frozen=True, slots=True)
class Archive:
    """A written archive, and those that were there before it, oldest first."""

    path: Path
    sections: tuple[Section, ...]
    earlier: tuple[Path, ...] = ()


def write_archive(folder: Path, messages: Sequence[Message]) -> Archive:
    """Write the messages to the next free file of a session's folder (0600).

    Raises:
        StorageFull: no room, or no right to write; nothing half-written stays.
    """
    place = folder / FOLDER
    lines, sections = _lines(messages)
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        earlier = sorted(path for path in place.iterdir() if path.suffix == ".md")
        number = int(earlier[-1].stem) + 1 if earlier else 1
        path = place / f"{number:04}.md"
        write_whole(path, ("\n".join(lines) + "\n").encode("utf-8"))
    except OSError as error:
        raise storage_error(error, place) from error
    return Archive(path, tuple(sections), tuple(earlier))


def _lines(messages: Sequence[Message]) -> tuple[list[str], list[Section]]:
    lines: list[str] = []
    sections: list[Section] = []
    begun: tuple[int, str] | None = None
    for message in messages:
        if message.tag == "person" or begun is None:
            if begun is not None:
                sections.append(Section(begun[0], len(lines), begun[1]))
            title = one_line(message.text, _TITLE) if message.tag == "person" else "before the first words"
            begun = (len(lines) + 1, title)
            lines.append(f"## {title}")
        for block in message.blocks:
            lines += _wrapped(_block(message, block))
    if begun is not None:
        sections.append(Section(begun[0], len(lines), begun[1]))
    return lines, sections


def _block(message: Message, block: Block) -> Iterator[str]:
    match block:
        case Text(text):
            speaker = {"person": "person", "answer": "answer"}.get(message.tag, "program")
            yield f"### {speaker}"
            yield text
        case ToolCall(_, name, arguments):
            yield f"### call of {name}"
            yield encode(arguments).decode("utf-8")
        case ToolResult(_, content, is_error):
            yield "### error" if is_error else "### result"
            yield from (part.text if isinstance(part, Text) else f"(image, {part.media_type})" for part in content)
        case Image(media_type, _):
            yield f"(image, {media_type})"
        case Thinking() | Setting():
            return


def _wrapped(parts: Iterator[str]) -> Iterator[str]:
    for part in parts:
        for line in plain(part).split("\n"):
            yield from textwrap.wrap(line, _WIDTH, drop_whitespace=False, replace_whitespace=False) or [""]
