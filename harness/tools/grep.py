"""The tool `grep`: file contents by regular expression.

Invariant: pattern and paths reach ripgrep as data, never as options; results are bounded, in one order, and
grouped by file, so that no file name or content can pass for another.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.caches.file_state import FileState, name_of, state_of
from harness.caches.tool_outputs import Lookup, ToolOutputs
from harness.conversation.canonical import Json
from harness.errors import UsageError
from harness.tools.base import Outcome, Tool, ToolSpec, error, ok
from harness.tools.output import one_line, plain
from harness.tools.unchanged import unchanged
from harness.workspace import files, globs, ripgrep
from harness.workspace.paths import Workspace
from harness.workspace.permissions import path_subject

MATCHES = 100
BYTES = 16_000
COLUMNS = 400
VERSION = 1
"""Of what is made of matches: one more, and what is cached of them is made anew."""

_SEARCHED = ("a directory", "a regular file")

SPEC = ToolSpec(
    "grep",
    "Search file contents, line by line, with a Rust regex. Honours .gitignore, includes hidden files, "
    "sorted by path; at most 100 matching lines.",
    {
        "additionalProperties": False,
        "properties": {
            "context": {
                "description": "lines around each match",
                "maximum": 20,
                "minimum": 0,
                "type": "integer",
            },
            "files_only": {"description": "only the names of matching files", "type": "boolean"},
            "glob": {"description": "only files whose name matches, e.g. *.{ts,tsx}", "type": "string"},
            "ignore_case": {"type": "boolean"},
            "path": {"description": "file or directory, default: the working directory", "type": "string"},
            "pattern": {"type": "string"},
        },
        "required": ["pattern"],
        "type": "object",
    },
)


def make(workspace: Workspace, rg: str | None, outputs: ToolOutputs | None = None) -> Tool:
    """The tool; `rg` is ripgrep's absolute path, None where there is none. outputs: the cache."""

    async def run(args: Mapping[str, Json]) -> Outcome:
        if rg is None:
            return error(ripgrep.MISSING)
        try:
            path = workspace.resolve(args.get("path", "."))
            if outputs is None or not outputs.keeps_files("grep"):
                return (await _grep(workspace, rg, args, path))[0]
            # names are shown as seen from the working folder
            asked = {**args, "path": name_of(path), "cwd": name_of(workspace.cwd)}
            shown = f"{one_line(args['pattern'])} in {one_line(workspace.shown(path))}"
            lookup = Lookup("grep", VERSION, asked, covers=workspace.key(path), shown=shown)
            return await unchanged(
                outputs, lookup, lambda: _state(rg, args, path), lambda: _grep(workspace, rg, args, path)
            )
        except UsageError as problem:
            return error(str(problem))

    return Tool(SPEC, run, lambda args: path_subject(workspace, "read", args.get("path", ".")))


async def _state(rg: str, args: Mapping[str, Json], path: Path) -> FileState | None:
    """What tells the content of all files that the search looks into, and which these are."""
    kind = await asyncio.to_thread(files.kind, path)
    if kind not in _SEARCHED:
        return None
    folder, target = _place(path, kind)
    wanted = args.get("glob", "")
    found: list[bytes] = []

    def take(name: bytes) -> bool:
        text = name.decode("utf-8", "surrogateescape").removeprefix("./")
        if not wanted or globs.matches(wanted, text):
            found.append(os.path.join(os.fsencode(folder), name))  # noqa: PTH118 - bytes: a name need not be text
        return True

    argv = [rg, *ripgrep.COMMON, "--files", "--null", "--", target]
    ended = await ripgrep.search(argv, cwd=folder, end=b"\0", take=take)
    if ended.code not in (0, 1):
        return None
    # another ripgrep may find another way
    return await asyncio.to_thread(state_of, [os.fsencode(rg), *found])


def _place(path: Path, kind: str) -> tuple[Path, str]:
    """The folder in which ripgrep runs, and what it looks into."""
    return (path, ".") if kind == "a directory" else (path.parent, f"./{path.name}")


async def _grep(workspace: Workspace, rg: str, args: Mapping[str, Json], path: Path) -> tuple[Outcome, bool]:
    """The result, and whether the search came to its end."""
    shown = one_line(workspace.shown(path))
    kind = await asyncio.to_thread(files.kind, path)
    if kind not in _SEARCHED:
        return error(f"{shown} {'does not exist' if not kind else f'is {kind}'}"), False
    pattern = args["pattern"]
    if "\0" in pattern:
        return error("the pattern contains a NUL character; write \\x00"), False
    folder, target = _place(path, kind)
    found = _Found(workspace, folder, args.get("glob", ""), bool(args.get("files_only")), bool(args.get("context")))
    argv = [
        rg,
        *ripgrep.COMMON,
        *_options(args),
        "-e",
        pattern,
        "--",
        target,
    ]
    ended = await ripgrep.search(argv, cwd=folder, end=b"\0" if found.names_only else b"\n", take=found.take)
    if ended.code == 2 and not found.count:
        return error(f"ripgrep: {one_line(ended.message, 300)}"), False
    notes = []
    if found.full:
        notes.append("[there may be more; use a narrower pattern, glob or path]")
    if ended.timed_out:
        notes.append("[stopped after 60 s; use a narrower path]")
    elif ended.code == 2:
        notes.append(f"[not everything could be read: {one_line(ended.message)}]")
    whole = not ended.timed_out and ended.code != 2
    one, several = ("file", "files") if found.names_only else ("match", "matches")
    count = f"{found.count}{'+' if found.full else ''} {one if found.count == 1 else several}"
    if not found.lines:
        return ok("\n".join([f"no match for {one_line(pattern)} in {shown}", *notes]), shown="0 matches"), whole
    return ok("\n".join([*found.lines, *notes]), shown=count), whole


def _options(args: Mapping[str, Json]) -> list[str]:
    options = ["--null", f"--max-columns={COLUMNS}", "--max-columns-preview"]
    if args.get("ignore_case"):
        options.append("--ignore-case")
    if args.get("files_only"):
        return [*options, "--files-with-matches"]
    options += ["--line-number", "--no-heading", "--with-filename", "--no-context-separator"]
    if args.get("context"):
        options.append(f"--context={min(int(args['context']), 20)}")
    return options


_RECORD = re.compile(rb"(.*?)\0(\d+)([:-])(.*)\Z", re.DOTALL)
_BINARY = re.compile(rb"(.*): binary file matches \(found ", re.DOTALL)


@dataclass(slots=True)
class _Found:
    """Collects records: `lines` for the result, `count` of matches or files; `full` at a bound."""

    workspace: Workspace
    folder: Path
    glob: str
    names_only: bool
    context: bool
    lines: list[str] = field(default_factory=list)
    count: int = 0
    full: bool = False
    _room: int = BYTES
    _name: bytes = b""
    _last: int = 0
    _rest: bytes = b""

    def take(self, record: bytes) -> bool:
        r"""One record of ripgrep: `NAME\0LINE:TEXT`, or a name; whether more is wanted."""
        if self.names_only:
            return self._wanted(record) is None or self._match([self._shown(record)])
        match = _RECORD.match(self._rest + record)
        if match is None:
            if binary := _BINARY.match(self._rest + record):
                self._rest = b""
                wanted = self._wanted(binary[1])
                return wanted is None or self._match([f"{self._shown(binary[1])}: a binary file matches"])
            # A name may contain a newline: the record goes on.
            self._rest += record + b"\n"
            self.full = len(self._rest) >= 1 << 16
            return not self.full
        self._rest = b""
        name, number = match[1], int(match[2])
        if self._wanted(name) is None:
            return True
        new = [self._shown(name)] if name != self._name else []
        if not new and self.context and number > self._last + 1:
            new.append("--")
        content = plain(match[4].decode("utf-8", "replace").removesuffix("\r"))
        new.append(f"{number:6d}{match[3].decode()} {content}")
        self._name, self._last = name, number
        return self._add(new) if match[3] == b"-" else self._match(new)

    def _wanted(self, name: bytes) -> str | None:
        text = name.decode("utf-8", "surrogateescape").removeprefix("./")
        return text if not self.glob or globs.matches(self.glob, text) else None

    def _shown(self, name: bytes) -> str:
        text = name.decode("utf-8", "surrogateescape").removeprefix("./")
        return one_line(self.workspace.shown(self.folder / text), 1000)

    def _match(self, new: list[str]) -> bool:
        if self.count == MATCHES:
            self.full = True
            return False
        if not self._add(new):
            return False
        self.count += 1
        return True

    def _add(self, new: list[str]) -> bool:
        self._room -= sum(len(line.encode("utf-8", "replace")) + 1 for line in new)
        if self._room < 0:
            self.full = True
            return False
        self.lines += new
        return True
