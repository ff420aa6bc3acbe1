"""The tool `shell`: one command in the foreground.

Invariant: when a call returns, nothing it started in its process group runs; the result ends with one line of
ours that says how the command ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path

from harness.conversation.blocks import Text
from harness.conversation.canonical import Json
from harness.errors import UsageError
from harness.tools.base import Outcome, Tool, ToolSpec, error
from harness.tools.output import Spill, join, plain
from harness.workspace import process
from harness.workspace.capture import Captured
from harness.workspace.environment import child_environment
from harness.workspace.paths import Workspace
from harness.workspace.permissions import Subject

BYTES = 16_000
LONGEST = 600

_SHELLS = ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash", "/opt/homebrew/bin/bash", "/bin/sh")

SPEC = ToolSpec(
    "shell",
    "Run a command in bash, in the working directory, and wait for it. Each call is a fresh shell without "
    "input or terminal; what still runs in the background at its end is stopped. Of long output the head "
    "and tail come back, and the path of a file with all of it.",
    {
        "additionalProperties": False,
        "properties": {
            "command": {"type": "string"},
            "timeout": {
                "description": "seconds, default 120",
                "maximum": 600,
                "minimum": 1,
                "type": "integer",
            },
        },
        "required": ["command"],
        "type": "object",
    },
)


def make(
    workspace: Workspace,
    environment: Mapping[str, str],
    spill: Spill,
    secrets: Collection[str] = (),
    timeout: int = 120,
) -> Tool:
    """The tool.

    environment: the person's; the command gets it without credentials. secrets: names of further variables to
    leave out. timeout: seconds, where a call names none.
    """
    cleaned = child_environment(environment, secrets)
    program = next((path for path in _SHELLS if Path(path).exists()), "/bin/sh")

    async def run(args: Mapping[str, Json]) -> Outcome:
        seconds = min(args.get("timeout", timeout), LONGEST)
        try:
            finished = await process.run(
                [program, "-c", args["command"]],
                cwd=workspace.cwd,
                environment=cleaned | {"PWD": str(workspace.cwd)},
                folder=spill.folder,
                seconds=seconds,
            )
        except UsageError as problem:
            return error(plain(str(problem)))
        return await asyncio.to_thread(_outcome, finished, spill, seconds)

    return Tool(SPEC, run, lambda args: Subject("shell", command=args["command"]), "process")


def _outcome(finished: process.Finished, spill: Spill, seconds: int) -> Outcome:
    output = finished.output
    path = output.path
    if output.problem:
        spill.lost.append(output.problem)
    if path is None and output.total > BYTES and not output.problem:
        # Still whole in memory, but more than the model gets.
        with contextlib.suppress(OSError):
            path = spill.keep(output.head + output.tail)
    if finished.timed_out:
        end = f"timed out after {seconds} s and was killed"
    elif finished.signal:
        end = f"killed by {finished.signal}"
    else:
        end = f"exit {finished.code}"
    left = finished.ended
    ended = "" if not left else f"; {left} background process{'es were' if left > 1 else ' was'} ended"
    body = _body(output, path)
    return Outcome(
        (Text(f"{body}[{end}{ended}]"),),
        is_error=finished.timed_out,
        shown=end + ended,
        full=str(path) if path is not None else "",
    )


def _body(output: Captured, path: Path | None) -> str:
    if not output.total:
        return "(no output)\n"
    where = f"whole output: {path}; read it with offset and limit" if path else "it could not be kept"
    if output.problem:
        where = f"{output.problem}{f': {path}' if path else ''}"
    limit = BYTES
    body = _plain(join(output.head, output.tail, output.total, limit, where))
    while len(body.encode("utf-8", "replace")) > BYTES + 400:
        # Control characters take more room written out.
        limit //= 2
        body = _plain(join(output.head, output.tail, output.total, limit, where))
    return body if body.endswith("\n") else body + "\n"


def _plain(text: str) -> str:
    r"""As `plain`; a carriage return alone (a progress bar) ends a line too."""
    return plain(text.replace("\r\n", "\n").replace("\r", "\n"))
