"""`harness memory`: what is kept between sessions, for the person to see and to change.

Invariant: nothing of a file reaches the terminal unescaped; what is added is bounded and said once; what is replaced or
forgotten is printed.
"""

from __future__ import annotations

import argparse
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.commands.arguments import Parser, subcommand
from harness.config import config_dir
from harness.errors import StorageFull, UsageError, storage_error
from harness.knowledge import memory, memory_check
from harness.knowledge import memory_lines as lines
from harness.knowledge.files import visible
from harness.knowledge.project import find_root
from harness.seam import Seam
from harness.ui.plain import one_line
from harness.workspace import files

_WHOSE: dict[memory.Place, str] = {"person": "yours", "project": "this project's"}

_ABOUT = """\
harness memory [list]              the topics, yours and this project's, and where their files are
harness memory show NAME           one of them
harness memory add NAME WORDS…     one fact; what says the same is not written twice, what says less is replaced
harness memory forget NAME         a topic; with WORDS…: the fact that says so
harness memory check               what is too large, said twice or hidden; exit 1 where something is

--project: this project's memory (.harness/memory) instead of yours. The files are Markdown: edit them as you like."""


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Run the command; the exit code."""
    if (meant := subcommand("harness memory", arguments, _COMMANDS, _ABOUT, "list")) is None:
        return 0
    name, rest = meant
    command, words = _COMMANDS[name]
    parser = Parser(prog=f"harness memory {name}", allow_abbrev=False)
    parser.add_argument("--project", action="store_true", help="this project's memory instead of yours")
    if words:
        parser.add_argument("name", metavar="NAME")
    if words == "some":
        parser.add_argument("words", metavar="WORDS", nargs="+" if name == "add" else "*")
    flags = parser.parse_args(rest)
    if words and not memory.NAME.fullmatch(flags.name):
        raise UsageError(f"no topic {one_line(flags.name, 80)!r}: {memory.NAME_RULE}")
    return command(flags, find_root(seam.cwd()), config_dir(seam.environment()))


def _places(flags: argparse.Namespace) -> tuple[memory.Place, ...]:
    return ("project",) if flags.project else memory.PLACES


def _list(flags: argparse.Namespace, root: Path, own: Path) -> int:
    for place in _places(flags):
        found = memory.read_place(place, root, own)
        state = f" is not read: {found.problem}" if found.problem else "" if found.topics else " (nothing yet)"
        print(f"{_WHOSE[place]}: {one_line(str(found.folder))}{state}")
        for topic in found.topics:
            print(f"  {one_line(topic.line.removeprefix('- '), 400)}")
    return 0


def _show(flags: argparse.Namespace, root: Path, own: Path) -> int:
    for place in _places(flags):
        for topic in memory.read_place(place, root, own).topics:
            if topic.name == flags.name:
                if topic.problem:
                    raise UsageError(f"{topic.path} is not read: {topic.problem}")
                print(visible(topic.data[: memory.MAX_FILE_BYTES].decode(errors="replace")).rstrip("\n"))
                if topic.size > memory.MAX_FILE_BYTES:
                    print(f"[cut: {topic.size - memory.MAX_FILE_BYTES:,} more bytes in {one_line(str(topic.path))}]")
                return 0
    raise UsageError(f"no topic `{flags.name}`; `harness memory` lists them")


def _add(flags: argparse.Namespace, root: Path, own: Path) -> int:
    said = lines.one_line(" ".join(flags.words))
    size = len(said.encode("utf-8", "replace"))
    if not lines.fact(said).words or size > lines.MAX_FACT_BYTES:
        raise UsageError(f"a fact has words, and at most {lines.MAX_FACT_BYTES} bytes; this has {size}")
    with _writing(flags, root, own, make=True) as (found, write):
        for topic in found.topics:
            text = _text(topic)
            match lines.find(lines.facts(text), lines.fact(said)):
                case (old, "same" | "said"):
                    print(f"already in {topic.name}: {one_line(old.text, 600)}")
                    return 0
                case (old, "near"):
                    write(topic.name, lines.replaced(text, old, said))
                    print(f"in {topic.name}, replaced: {one_line(old.text, 600)}\nby: {one_line(said, 600)}")
                    return 0
                case _:
                    pass
        mine = next((topic for topic in found.topics if topic.name == flags.name), None)
        text = _text(mine) if mine else f"# {flags.name.replace('-', ' ').capitalize()}\n"
        write(flags.name, lines.appended(text, said))
    print(f"kept in {flags.name}: {one_line(said, 600)}")
    return 0


def _forget(flags: argparse.Namespace, root: Path, own: Path) -> int:
    with _writing(flags, root, own) as (found, write):
        topic = next((topic for topic in found.topics if topic.name == flags.name), None)
        if topic is None:
            raise UsageError(f"no topic `{flags.name}` in {found.folder}; harness memory list shows those there are")
        if not flags.words:
            kept = visible(_text(topic)) if not topic.problem else f"[not read: {topic.problem}]"
            topic.path.unlink()
            print(f"forgotten: {flags.name}, which said:\n{kept.rstrip()}")
            return 0
        text = _text(topic)
        wanted = lines.fact(" ".join(flags.words)).words
        hits = [one for one in lines.facts(text) if wanted and _holds(one.words, wanted)]
        if len(hits) != 1:
            count = "no fact says" if not hits else f"{len(hits)} facts say"
            raise UsageError(f"{count} that in {flags.name}; give the words of exactly one")
        left = lines.replaced(text, hits[0], None)
        gone = all(row.startswith("# ") for row in left.splitlines() if row.strip())
        if gone:  # a title alone would stand in every prompt for nothing
            topic.path.unlink()
        else:
            write(flags.name, left)
        also = f"; it was the last of {flags.name}, which is gone" if gone else ""
        print(f"forgotten: {one_line(hits[0].text, 600)}{also}")
    return 0


def _holds(words: Sequence[str], wanted: Sequence[str]) -> bool:
    return any(tuple(words[at : at + len(wanted)]) == tuple(wanted) for at in range(len(words)))


def _check(flags: argparse.Namespace, root: Path, own: Path) -> int:
    problems = [one for place in _places(flags) for one in memory_check.check(memory.read_place(place, root, own))]
    for one in problems:
        print(f"{one_line(str(one.path), 400)}{f':{one.line}' if one.line else ''}: {one_line(one.what, 400)}")
    if not problems:
        print("memory is in order")
    return 1 if problems else 0


Write = Callable[[str, str], None]


@contextmanager
def _writing(
    flags: argparse.Namespace, root: Path, own: Path, *, make: bool = False
) -> Iterator[tuple[memory.Memory, Write]]:
    """A place with its files as they are while nobody else of this program changes them, and what writes one.

    Raises:
        UsageError: the folder is not usable, or what would be written is refused.
        StorageFull: it cannot be written.
    """
    place: memory.Place = "project" if flags.project else "person"
    folder = memory.folder_of(place, root, own)
    if (problem := memory.read_place(place, root, own).problem) != "":
        raise UsageError(f"{folder} is not read: {problem}")
    if make:
        with _told(folder, place):
            folder.mkdir(parents=True, exist_ok=True)
    elif not folder.is_dir():
        raise UsageError(f"no topic `{flags.name}`: nothing is kept in {folder}")
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def write(name: str, text: str) -> None:
        path, data = Path(os.path.realpath(folder / f"{name}.md")), text.encode("utf-8", "surrogateescape")
        # a file may be a link of the person's own; then what it leads to is no memory file by its path
        named = Path(os.path.realpath(folder)) / f"{name}.md"
        if refused := memory_check.refusal(root, own, named, data):
            raise UsageError(f"{name}: {refused}")
        with _told(path, place):
            files.replace(path, data)

    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield memory.read_place(place, root, own), write
    finally:
        os.close(lock)


@contextmanager
def _told(path: Path, place: memory.Place) -> Iterator[None]:
    """What keeps a file from being written, with what to do."""
    try:
        yield
    except OSError as error:
        if place == "person":
            raise storage_error(error, path, "XDG_CONFIG_HOME") from error
        todo = "change that, or keep it for yourself: without --project"
        raise StorageFull(f"cannot write {path}: {error.strerror}; {todo}") from error


def _text(topic: memory.Topic) -> str:
    """All of a file that is to be changed.

    Raises:
        UsageError: it cannot be changed without losing something.
    """
    if topic.problem or topic.size > memory.MAX_FILE_BYTES:
        why = topic.problem or f"it has more than {memory.MAX_FILE_BYTES:,} bytes"
        raise UsageError(f"{topic.path} is left as it is: {why}; see harness memory check")
    return topic.data.decode("utf-8", "surrogateescape")


_COMMANDS: dict[str, tuple[Callable[[argparse.Namespace, Path, Path], int], str]] = {
    "list": (_list, ""),
    "show": (_show, "one"),
    "add": (_add, "some"),
    "forget": (_forget, "some"),
    "check": (_check, ""),
}
