"""`harness documents`: PDF, Word, Excel and PowerPoint to text, and the scripts and texts that are kept for it.

Invariant: what is printed of a document is its outline, never its text; nothing of it reaches the terminal unescaped.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence

from harness.audit.report import counted
from harness.commands.arguments import Parser, subcommand
from harness.documents import cache, environment, outline, scripts
from harness.documents.conversion import PAGES, Converted, Converter, Shipped
from harness.documents.folders import Folders, folders
from harness.errors import UsageError
from harness.seam import Seam
from harness.ui.plain import one_line

_ABOUT = """\
harness documents convert FILE     to text: prints where it is, and an outline with lines
                                   --pages A-B: of a PDF only these; the first 2,000 by default
harness documents list             what was converted, and how often it was asked for again
harness documents scripts          your copies of the conversion scripts, and which are repaired
harness documents reset SCRIPT     take the shipped script; yours is kept beside it
harness documents install          install the libraries now (it is also done when needed)
harness documents prune            remove texts beyond 1,000 or 256 MB; --all: every one

Each command has --help."""


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Run the command; the exit code."""
    if (meant := subcommand("harness documents", arguments, _COMMANDS, _ABOUT)) is None:
        return 0
    name, rest = meant
    return _COMMANDS[name](rest, seam, folders(seam.environment()))


def _say(text: str) -> None:
    sys.stderr.write(f"harness: {text}\n")
    sys.stderr.flush()


def _convert(arguments: Sequence[str], seam: Seam, kept: Folders) -> int:
    parser = Parser(prog="harness documents convert", allow_abbrev=False)
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--pages", metavar="A-B", help=f"of a PDF; 1-{PAGES} by default")
    flags = parser.parse_args(arguments)
    done = Converter(kept, seam, _say, Shipped.here()).convert(seam.cwd() / flags.file, _pages(flags.pages))
    print("\n".join(_told(done, flags.file)))
    return 0


def _pages(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 0 < first <= last:
        raise UsageError(f"--pages {text:.80}: write A-B, e.g. 1-20, or one number")
    if last - first >= PAGES:
        raise UsageError(f"--pages {text:.80}: at most {PAGES:,} pages at once")
    return first, last


def _told(done: Converted, name: str) -> list[str]:
    """What the reader gets: where the text is, how to read it, whence it came."""
    entry = done.entry
    lines = [
        one_line(f"{name}: {entry.kind}, {entry.size:,} bytes of text in {entry.lines:,} lines"),
        one_line(f"text: {done.path}"),
    ]
    if entry.sections:
        lines += ["outline (read the text by lines, with offset and limit):", *outline.printed(entry.sections)]
    whence = (
        f"cache hit, key {entry.key}, converted {entry.time}"
        if done.hit
        else f"converted, key {entry.key}, by {done.script} in {done.seconds:.1f} s"
    )
    return [*lines, *(f"[documents: {one_line(note)}]" for note in done.notes), f"[documents: {whence}]"]


def _list(arguments: Sequence[str], _: Seam, kept: Folders) -> int:
    Parser(prog="harness documents list", allow_abbrev=False).parse_args(arguments)
    hits: dict[str, int] = {}
    for event in cache.logged(kept.cache):
        if event.get("event") == "hit":
            hits[str(event.get("key"))] = hits.get(str(event.get("key")), 0) + 1
    found = cache.entries(kept.cache)
    for entry in found:
        print(one_line(f"{entry.time}  {entry.key}  {entry.kind:10}  hits {hits.get(entry.key, 0):<4}  {entry.source}"))
    total = sum(entry.size for entry in found)
    where = one_line(str(kept.cache))
    print(f"{counted(len(found), 'text')}, {total:,} bytes, in {where}; what was done: log.jsonl there")
    return 0


def _scripts(arguments: Sequence[str], _: Seam, kept: Folders) -> int:
    Parser(prog="harness documents scripts", allow_abbrev=False).parse_args(arguments)
    for script in scripts.copies(kept, scripts.shipped_folder()).values():
        print(one_line(f"{script.path}: {script.note() or 'as shipped'}"))
    return 0


def _reset(arguments: Sequence[str], _: Seam, kept: Folders) -> int:
    parser = Parser(prog="harness documents reset", allow_abbrev=False)
    parser.add_argument("script", metavar="SCRIPT")
    name = parser.parse_args(arguments).script
    beside = scripts.reset(name, kept, scripts.shipped_folder())
    print(one_line(f"{name} is as shipped" + (f"; your copy is kept as {beside}" if beside else " already")))
    return 0


def _install(arguments: Sequence[str], seam: Seam, kept: Folders) -> int:
    Parser(prog="harness documents install", allow_abbrev=False).parse_args(arguments)
    python = environment.ready(kept, environment.requirements(), seam.environment(), _say, tried=True)
    print(one_line(f"the document libraries are installed in {python.parent.parent}"))
    return 0


def _prune(arguments: Sequence[str], seam: Seam, kept: Folders) -> int:
    parser = Parser(prog="harness documents prune", allow_abbrev=False)
    parser.add_argument("--all", action="store_true", help="every text, not only those beyond the bounds")
    everything = parser.parse_args(arguments).all
    removed, freed = cache.prune(kept.cache, seam.now(), cache.Bounds(0, 0) if everything else cache.Bounds())
    print(f"{counted(removed, 'text')} removed, {freed:,} bytes")
    return 0


_COMMANDS: dict[str, Callable[[Sequence[str], Seam, Folders], int]] = {
    "convert": _convert,
    "list": _list,
    "scripts": _scripts,
    "reset": _reset,
    "install": _install,
    "prune": _prune,
}
