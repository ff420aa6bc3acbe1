"""What tools gave and was kept: its uses, for `harness cache audit`, and `harness cache prune`, which lets it go.

Invariant: a row is what a journal says: a call whose result came from the cache or was put into it. Pruning removes
entries of the cache, never a session.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.agent.web_access import entries_in
from harness.audit.report import clock
from harness.caches.tool_outputs import spoken
from harness.commands.arguments import Parser
from harness.config import load, state_dir
from harness.config_values import lifetime
from harness.conversation.canonical import Json
from harness.conversation.lines import Reader
from harness.errors import UsageError
from harness.knowledge.project import find_root
from harness.seam import Seam
from harness.sessions.store import Store
from harness.ui.plain import one_line

COLUMNS = ("time", "session", "cache", "scope", "how", "age", "from", "what")


@dataclass(frozen=True, slots=True)
class Row:
    """One use of a cache. The fields are documented in docs/caches.md. age: seconds, None where nothing was served."""

    at: float
    session: str
    call: str
    cache: str
    tool: str
    how: str
    key: str
    scope: str
    age: float | None
    origin_session: str | None
    origin_call: str | None
    origin_at: float | None
    shown: str
    problem: str


def rows(folder: Path) -> Iterator[Row]:
    """The uses of a cache by one session, in order; what cannot be read is left out."""
    path = folder / "journal.jsonl"
    if not path.is_file():
        return
    for record in Reader(path):
        if record.kind != "tool_done":
            continue
        facts = record.data.get("facts")
        used = facts.get("cache") if isinstance(facts, dict) else None
        if isinstance(used, dict):
            yield _row(folder.name, record.at, record.data, used)


def _row(session: str, at: float, done: Json, used: Json) -> Row:
    origin = used.get("origin") or {}
    result = done.get("result") or {}
    return Row(
        at=at,
        session=session,
        call=str(result.get("call_id", "")),
        cache="tool outputs",
        tool=str(used.get("tool", "")),
        how=str(used.get("how", "")),
        key=str(used.get("key", "")),
        scope=str(used.get("scope", "")),
        age=used.get("age"),
        origin_session=origin.get("session"),
        origin_call=origin.get("call"),
        origin_at=origin.get("at"),
        shown=str(used.get("shown", "")),
        problem=str(used.get("problem", "")),
    )


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, one cell for each of `COLUMNS`."""
    return (
        clock(row.at),
        one_line(row.session),
        row.cache,
        one_line(row.scope),
        one_line(row.how),
        "-" if row.age is None else spoken(row.age),
        one_line(row.origin_session or "-"),
        one_line(f"{row.tool} {row.shown}{f' ({row.problem})' if row.problem else ''}", 200),
    )


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Remove entries; the exit code."""
    parser = Parser(
        prog="harness cache prune",
        description="Remove what tools gave and is past its time, or older than a given one.",
        allow_abbrev=False,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--older-than", metavar="TIME", help="e.g. 12h or 7d, whatever its time")
    which.add_argument("--all", action="store_true", help="everything")
    flags = parser.parse_args(arguments)
    environment, cwd, now = seam.environment(), seam.cwd(), seam.now()
    config = load(environment, cwd, find_root(cwd), {})
    before: float | None = float("inf") if flags.all else None
    if flags.older_than is not None:
        before = now - _age(flags.older_than)
    gone = stay = 0
    for entries in entries_in(config, environment, Store(state_dir(environment)).all()):
        removed, left = entries.prune(before, now, config.caches_stale)
        gone, stay = gone + removed, stay + left
    sys.stdout.write(f"{gone} removed, {stay} left\n")
    return 0


def _age(text: str) -> float:
    try:
        return lifetime(text)
    except ValueError as wrong:
        raise UsageError(f"--older-than must be {wrong}") from None
