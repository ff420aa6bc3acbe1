"""What is wrong with memory: too large, said twice, invisible characters; and whether a new content may be written.

Invariant: a write is refused only for what it would make worse; what a person left there is theirs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.knowledge import memory_lines as lines
from harness.knowledge.files import shorten, visible
from harness.knowledge.memory import (
    MAX_FILE_BYTES,
    MAX_PLACE_BYTES,
    MAX_TOPICS,
    NAME,
    NAME_RULE,
    PLACES,
    Memory,
    Topic,
    folder_of,
    read_place,
)

MAX_COMPARED = 200
"""Facts of the other files of a place that a file's facts are compared with."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One line. path: the file or folder. line: from 1; 0: the whole. what: does not name a line of its own file."""

    path: Path
    line: int
    what: str


def check(memory: Memory) -> list[Problem]:
    """Everything that is wrong with a place, by file and line."""
    if memory.problem:
        return [Problem(memory.folder, 0, f"the folder is not read: {memory.problem}")]
    found = [Problem(memory.folder / name, 0, f"is not read: {NAME_RULE}, and ends in .md") for name in memory.strange]
    before: list[tuple[str, lines.Fact]] = []
    for topic in memory.topics:
        found += _file_problems(topic, before)
        before += [(topic.name, fact) for fact in lines.facts(_text(topic.data))]
        before = before[:MAX_COMPARED]
    total = sum(topic.size for topic in memory.topics)
    if total > MAX_PLACE_BYTES:
        found.append(Problem(memory.folder, 0, f"{total:,} bytes in all, of {MAX_PLACE_BYTES:,}; forget something"))
    if memory.more:
        found.append(Problem(memory.folder, 0, f"{memory.more:,} topics more than {MAX_TOPICS}, which are not read"))
    return found


def _file_problems(topic: Topic, before: Sequence[tuple[str, lines.Fact]]) -> Iterator[Problem]:
    if topic.problem:
        yield Problem(topic.path, 0, f"is not read: {topic.problem}")
        return
    if topic.size > MAX_FILE_BYTES:
        yield Problem(topic.path, 0, f"has {topic.size:,} bytes, of {MAX_FILE_BYTES:,}; shorten or split it")
    try:
        topic.data[:MAX_FILE_BYTES].decode()
    except UnicodeDecodeError as bad:
        # a character that the limit cuts is no fault of the file
        if topic.size <= MAX_FILE_BYTES or bad.end < MAX_FILE_BYTES - 3:
            yield Problem(topic.path, topic.data.count(b"\n", 0, bad.start) + 1, "is not UTF-8")
    text = _text(topic.data)
    if not text.strip():
        yield Problem(topic.path, 0, "is empty; its first line is what the index shows")
    for number, line in enumerate(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"), 1):
        if visible(line) != line:
            yield Problem(topic.path, number, f"has characters that cannot be seen: {shorten(visible(line), 120)}")
    mine: list[tuple[str, lines.Fact]] = []
    for fact in lines.facts(text)[:MAX_COMPARED]:
        if (twice := _said_before(fact, [*mine, *before])) is not None:
            name, other = twice
            where = "" if name == topic.name else f" in {name}.md"
            quoted = f'"{shorten(visible(fact.text), 80)}" says the same as "{shorten(visible(other.text), 80)}"'
            yield Problem(topic.path, fact.first, f"{quoted}{where}; keep one of them")
        mine.append((topic.name, fact))


def _said_before(fact: lines.Fact, before: Sequence[tuple[str, lines.Fact]]) -> tuple[str, lines.Fact] | None:
    return next(((name, one) for name, one in before if lines.relation(one, fact)), None)


def _text(data: bytes) -> str:
    return data[:MAX_FILE_BYTES].decode(errors="replace")


def refusal(root: Path, config_dir: Path, path: Path, data: bytes) -> str:
    """Why `data` may not become the content of `path` (symlinks resolved), in one line; "" where it may.

    Only memory files are looked at.
    """
    for place in PLACES:
        folder = Path(os.path.realpath(folder_of(place, root, config_dir)))
        if path.is_relative_to(folder):
            if path.parent != folder or path.suffix != ".md" or not NAME.fullmatch(path.stem):
                return f"memory is files NAME.md directly in {folder}; {NAME_RULE}"
            return _worse(read_place(place, root, config_dir), path, data)
    return ""


def _worse(memory: Memory, path: Path, data: bytes) -> str:
    """What a new content of one file makes worse."""
    old = next((topic for topic in memory.topics if topic.name == path.stem), None)
    new = Topic(path.stem, path, "", data[: MAX_FILE_BYTES + 1], len(data))
    others = tuple(topic for topic in memory.topics if topic.name != path.stem)
    if old is None and len(memory.topics) + memory.more >= MAX_TOPICS:
        return f"there are {MAX_TOPICS} topics already; use one of them"
    size = old.size if old else 0
    if new.size > max(size, MAX_FILE_BYTES):
        return f"a memory file has at most {MAX_FILE_BYTES:,} bytes, and this would be {new.size:,}; say it shorter"
    total = sum(topic.size for topic in others) + new.size
    if total > MAX_PLACE_BYTES and new.size > size:
        return f"memory has at most {MAX_PLACE_BYTES:,} bytes in all, and this would be {total:,}; forget something"
    before = [(topic.name, fact) for topic in others for fact in lines.facts(_text(topic.data))][:MAX_COMPARED]
    was = {problem.what for problem in _file_problems(old, before)} if old else set()
    sized = "bytes, of"  # said above, where it got worse
    worse = (one for one in _file_problems(new, before) if one.what not in was and sized not in one.what)
    return next((f"line {one.line}: {one.what}" if one.line else f"the file {one.what}" for one in worse), "")
