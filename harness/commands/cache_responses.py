"""`harness cache responses`: the kept answers: list them, remove the old ones, remove all.

Invariant: a file that is no entry is listed as such and is never executed or believed; nothing outside the folder of
kept answers is touched.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from harness.audit.report import clock, tokens
from harness.caches.responses import File, Responses
from harness.caches.scopes import global_folder, user_folder
from harness.commands.arguments import Parser
from harness.config import load, state_dir
from harness.knowledge.project import find_root
from harness.seam import Seam
from harness.ui.plain import one_line

COLUMNS = ("last used", "kept", "model", "messages", "output", "bytes", "stop", "key", "from")
FORMAT = 1
"""Version of the JSON form."""


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Run the command; the exit code."""
    parser = Parser(
        prog="harness cache responses",
        description="The answers that --response-cache kept.",
        epilog="Those of the scope `session` live in the folder of their session and go with it.",
        allow_abbrev=False,
    )
    parser.add_argument("what", nargs="?", choices=("list", "prune", "clear"), default="list")
    parser.add_argument("--scope", choices=("user", "global"), default="user")
    parser.add_argument("--json", action="store_true", help="with list: print it as JSON (docs/caches.md)")
    flags = parser.parse_args(arguments)
    environment, cwd = seam.environment(), seam.cwd()
    config = load(environment, cwd, find_root(cwd.resolve()), {})
    shared = flags.scope == "global"
    folder = global_folder(config.caches_folder) if shared else user_folder(state_dir(environment))
    kept = Responses(folder, seam, config.caches_responses_ttl, shared=shared)
    if flags.what == "list":
        found = list(kept.files())
        lines = [json.dumps(_as_json(found), ensure_ascii=True)] if flags.json else _table(found)
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        return 0
    removed, freed = kept.prune() if flags.what == "prune" else kept.clear()
    sys.stdout.write(f"{removed} files removed, {freed:,} bytes\n")
    return 0


def _table(found: Sequence[File]) -> Iterator[str]:
    rows = [_cells(file) for file in found]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for row in (COLUMNS, *rows) if rows else ():
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    for file in found:
        if file.entry is None:
            yield f"! {one_line(file.path.stem, 12)} is damaged: {one_line(file.problem, 200)}"
    yield f"{len(found)} answers, {sum(file.size for file in found):,} bytes"


def _cells(file: File) -> tuple[str, ...]:
    entry = file.entry
    if entry is None:
        return (clock(file.used), "damaged", "-", "-", "-", f"{file.size:,}", "-", one_line(file.path.stem, 12), "-")
    return (
        clock(file.used),
        clock(entry.at),
        one_line(entry.model, 40),
        str(len(entry.parts.messages)),
        tokens(entry.usage.output),
        f"{file.size:,}",
        one_line(entry.stop, 20),
        entry.key[:12],
        f"{one_line(entry.session, 40)}:{entry.request}",
    )


def _as_json(found: Sequence[File]) -> dict[str, Any]:
    return {"type": "cache_responses", "format": FORMAT, "entries": [_entry(file) for file in found]}


def _entry(file: File) -> dict[str, Any]:
    about: dict[str, Any] = {"key": file.path.stem, "bytes": file.size, "used": file.used, "problem": file.problem}
    if (entry := file.entry) is None:
        return about
    return about | {
        "at": entry.at,
        "model": entry.model,
        "messages": len(entry.parts.messages),
        "output_tokens": entry.usage.output,
        "prompt_tokens": entry.usage.prompt,
        "stop": entry.stop,
        "session": entry.session,
        "request": entry.request,
    }
