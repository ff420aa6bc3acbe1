"""The tool `write`: a new file, or a new content for one that was seen.

Invariant: a content nobody in this session has seen is never overwritten, and after a failure the old one is
whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from harness.conversation.blocks import Text
from harness.conversation.canonical import Json, clean, digest
from harness.errors import UsageError
from harness.tools.base import Outcome, Seen, Tool, ToolSpec, Vet, Wrote, any_content, error, nobody
from harness.tools.output import one_line, written
from harness.workspace import files, text
from harness.workspace.paths import Workspace
from harness.workspace.permissions import path_subject

SPEC = ToolSpec(
    "write",
    "Create a file (parent directories too) or replace the whole content of one you have read in this "
    "session. To change part of a file use edit.",
    {
        "additionalProperties": False,
        "properties": {"content": {"type": "string"}, "path": {"type": "string"}},
        "required": ["content", "path"],
        "type": "object",
    },
)


def make(workspace: Workspace, seen: Seen, vet: Vet = any_content, wrote: Wrote = nobody) -> Tool:
    """The tool; `seen` knows which contents this session has read or written, `vet` what a file may hold.

    wrote: is told of what was written.
    """

    async def run(args: Mapping[str, Json]) -> Outcome:
        try:
            path = workspace.resolve(args["path"])
        except UsageError as problem:
            return error(str(problem))
        outcome = await asyncio.to_thread(_write, workspace, seen, vet, path, clean(args["content"]))
        await asyncio.to_thread(wrote, [path])
        return outcome

    return Tool(
        SPEC, run, lambda args: path_subject(workspace, "write", args["path"], written(args["content"])), "files"
    )


def _write(workspace: Workspace, seen: Seen, vet: Vet, path: Path, content: str) -> Outcome:
    shown = one_line(workspace.shown(path))
    real, key = workspace.real(path), workspace.key(path)
    raw = content.encode("utf-8")
    try:
        known = seen.identity(key)
        try:
            with files.opened(real) as file:
                now: str | None = files.identity(file)
        except FileNotFoundError:
            now = None
        if now is not None and known is None:
            return error(f"{shown} exists and was not read in this session; nothing was written; read it first")
        if now is not None and now != known:
            return error(f"{shown} changed since it was read; nothing was written; read it again first")
        if refused := vet(real, raw):
            return error(f"{shown} was not written: {one_line(refused, 600)}")
        files.replace(real, raw)
    except files.NotRegular as problem:
        return error(f"{shown} {files.reason(problem)}; nothing was written")
    except OSError as problem:
        return error(f"cannot write {shown}: {files.reason(problem)}; nothing was changed")
    count = len(text.lines_of(content)) if content else 0
    lines = "1 line" if count == 1 else f"{count:,} lines"
    return Outcome(
        (Text(f"{'created' if now is None else 'replaced'} {shown}: {lines}"),),
        shown=lines,
        facts={"seen": {key: digest(raw)}},
        blobs=(raw,) if len(raw) <= files.KEPT else (),
    )
