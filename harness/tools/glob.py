"""The tool `glob`: files by name.

Invariant: sorted, bounded, .gitignore honoured, and names that contain a newline or control characters show
as one line each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from harness.conversation.canonical import Json
from harness.errors import UsageError
from harness.tools.base import Outcome, Tool, ToolSpec, error, ok
from harness.tools.output import one_line
from harness.workspace import files, globs, ripgrep
from harness.workspace.paths import Workspace
from harness.workspace.permissions import path_subject

NAMES = 500
BYTES = 20_000

SPEC = ToolSpec(
    "glob",
    "Find files by name: *.py at any depth, src/**/test_*.{ts,tsx} from path. Honours .gitignore, includes "
    "hidden files; sorted, at most 500 names.",
    {
        "additionalProperties": False,
        "properties": {
            "path": {"description": "directory, default: the working directory", "type": "string"},
            "pattern": {"type": "string"},
        },
        "required": ["pattern"],
        "type": "object",
    },
)


def make(workspace: Workspace, rg: str | None) -> Tool:
    """The tool; `rg` is ripgrep's absolute path, None where there is none."""

    async def run(args: Mapping[str, Json]) -> Outcome:
        if rg is None:
            return error(ripgrep.MISSING)
        try:
            return await _glob(workspace, rg, args["pattern"], workspace.resolve(args.get("path", ".")))
        except UsageError as problem:
            return error(str(problem))

    return Tool(SPEC, run, lambda args: path_subject(workspace, "read", args.get("path", ".")))


async def _glob(workspace: Workspace, rg: str, pattern: str, folder: Path) -> Outcome:
    if await asyncio.to_thread(files.kind, folder) != "a directory":
        return error(f"{one_line(workspace.shown(folder))} is not a directory")
    for base in (str(folder), str(workspace.real(folder))):
        pattern = pattern.removeprefix(base.rstrip("/") + "/")
    if pattern.startswith(("/", "~", "../")) or not pattern.strip():
        return error("the pattern is relative to path: give the directory as path and only the rest as pattern")
    names: list[str] = []
    count, room = 0, BYTES

    def take(record: bytes) -> bool:
        nonlocal count, room
        name = record.decode("utf-8", "surrogateescape").removeprefix("./")
        if globs.matches(pattern, name):
            count += 1
            if len(names) < NAMES and room > 0:
                shown = one_line(workspace.shown(folder / name), 1000)
                room -= len(shown.encode()) + 1
                if room > 0:
                    names.append(shown)
        return True

    ended = await ripgrep.search([rg, *ripgrep.COMMON, "--files", "--null"], cwd=folder, end=b"\0", take=take)
    notes = []
    if count > len(names):
        notes.append(f"[and {count - len(names):,} more; use a narrower pattern or path]")
    if ended.timed_out:
        notes.append("[stopped after 60 s; use a narrower path]")
    elif ended.code == 2:
        notes.append(f"[not everything could be read: {one_line(ended.message)}]")
    if not names:
        return ok("\n".join([f"no file matches {one_line(pattern)}", *notes]), shown="0 files")
    return ok("\n".join([*names, *notes]), shown="1 file" if count == 1 else f"{count:,} files")
