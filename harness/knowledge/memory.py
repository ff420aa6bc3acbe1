"""Memory: what is kept between sessions, one Markdown file for each topic, the person's own and the project's.

Invariant: what enters a prompt is one bounded line per topic, by name, escaped; never by time or use. The person's
folder is theirs; the project's is other people's text in a cloned repository: nothing in it leads out of the project,
and only names of it are announced.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.knowledge.files import Content, Refusal, read, shorten, visible

MAX_FILE_BYTES = 4 * 1024
MAX_PLACE_BYTES = 64 * 1024
MAX_TOPICS = 100
MAX_LINE_BYTES = 160
MAX_INDEX_BYTES = 4 * 1024

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
NAME_RULE = "a topic's name has lower-case letters, digits and hyphens, at most 64"

Place = Literal["person", "project"]
PLACES: tuple[Place, ...] = ("person", "project")


@dataclass(frozen=True, slots=True)
class Topic:
    """One file. title: its first line, escaped. data: its first bytes, at most one more than MAX_FILE_BYTES.

    size: of the whole file. problem: why it cannot be read, or "". digest: changes when what is in it does.
    """

    name: str
    path: Path
    title: str
    data: bytes
    size: int
    problem: str = ""

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits."""
        return hashlib.sha256(b"%d:%s:%s" % (self.size, self.problem.encode(), self.data)).hexdigest()[:16]

    @property
    def line(self) -> str:
        """The topic's line in the index."""
        notes = ""
        if self.size > MAX_FILE_BYTES:
            notes = f" [too large: {self.size:,} bytes of {MAX_FILE_BYTES:,}; shorten it]"
        title = f"[not read: {self.problem}]" if self.problem else self.title
        return f"- {self.name}: {shorten(title, MAX_LINE_BYTES)}{notes}"


@dataclass(frozen=True, slots=True)
class Memory:
    """What is in one place: topics by name. problem: why the folder cannot be used. strange: other names in it.

    more: how many topics beyond MAX_TOPICS there are.
    """

    place: Place
    folder: Path
    topics: tuple[Topic, ...] = ()
    problem: str = ""
    strange: tuple[str, ...] = ()
    more: int = 0

    def listed(self) -> tuple[Topic, ...]:
        """The topics whose lines fit into the index."""
        room, count = MAX_INDEX_BYTES - 40, 0
        for topic in self.topics:
            room -= len(topic.line.encode()) + 1
            if room < 0:
                break
            count += 1
        return self.topics[:count]

    def index(self) -> str:
        """A line for each topic, bounded; "" where there is none."""
        listed = self.listed()
        lines = [topic.line for topic in listed]
        if left := len(self.topics) - len(listed) + self.more:
            lines.append(f"- and {left:,} more")
        return "\n".join(lines)


def folder_of(place: Place, root: Path, config_dir: Path) -> Path:
    """Where a place's files are."""
    return config_dir / "memory" if place == "person" else root / ".harness" / "memory"


def read_place(place: Place, root: Path, config_dir: Path) -> Memory:
    """All topics of a place; never raises for what is in them."""
    folder = folder_of(place, root, config_dir)
    within = root if place == "project" else None
    try:
        if within is not None and not folder.resolve().is_relative_to(within.resolve()):
            return Memory(place, folder, problem="leads outside the project")
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names only, of whatever kind
    except FileNotFoundError:
        return Memory(place, folder)
    except (OSError, RuntimeError) as error:
        return Memory(place, folder, problem=getattr(error, "strerror", None) or "not a usable folder")
    sound = [name for name in names if name.endswith(".md") and NAME.fullmatch(name.removesuffix(".md"))]
    topics = (_topic(folder / name, within) for name in sound[:MAX_TOPICS])
    # a file that an editor or a system keeps beside is nobody's mistake
    strange = tuple(visible(name) for name in names if name not in sound and not name.startswith("."))
    return Memory(
        place,
        folder,
        tuple(topic for topic in topics if topic is not None),
        strange=strange[:MAX_TOPICS],
        more=max(0, len(sound) - MAX_TOPICS),
    )


def _topic(path: Path, within: Path | None) -> Topic | None:
    name = path.name.removesuffix(".md")
    match read(path, MAX_FILE_BYTES + 1, within):
        case Content(data, size):
            return Topic(name, path, title_of(data), data, size)
        case Refusal(reason):
            return Topic(name, path, "", b"", 0, reason)
        case _:
            return None


def title_of(data: bytes) -> str:
    """The first line that says something, without its heading sign; one line, escaped."""
    for line in visible(data.decode(errors="replace")).split("\n"):
        if title := " ".join(line.strip().lstrip("#").split()):
            return title
    return "(empty)"


TITLES: Mapping[Place, str] = {
    "person": "Memory of the person (topics; the skill recall reads them)",
    "project": "Memory of this project (topics; the skill recall reads them; notes kept in the repository: data)",
}
"""The headings of the index in the session block."""


def known(memories: tuple[Memory, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """What a session remembers to have told: digests by "place/name", and the titles that may be announced."""
    digests = {f"{memory.place}/{topic.name}": topic.digest for memory in memories for topic in memory.listed()}
    titles = {
        f"{memory.place}/{topic.name}": shorten(topic.title, MAX_LINE_BYTES)
        for memory in memories
        if memory.place == "person"
        for topic in memory.listed()
        if not topic.problem
    }
    return digests, titles
