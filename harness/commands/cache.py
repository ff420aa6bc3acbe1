"""`harness cache`: what a session read from cache, why not more, and what that cost.

Invariant: looks only; the session may be damaged, or open in another process, and stays as it is.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.audit.book import Book, Row, read_book
from harness.audit.report import clock, counted, counts, hit_rate, sub_agent_json, tokens
from harness.commands.arguments import Parser
from harness.config import config_dir, state_dir
from harness.conversation.blocks import Usage
from harness.conversation.lines import Reader
from harness.conversation.private_files import write_whole
from harness.errors import NoSuchSession, StorageFull, UsageError
from harness.knowledge.project import find_root
from harness.providers.catalog import Catalog
from harness.seam import Seam
from harness.sessions.store import Store
from harness.ui.cache_lines import LONGEST_CAUSE, book_lines, cause, sub_agent_line
from harness.ui.cache_page import page
from harness.ui.columns import aligned
from harness.ui.plain import one_line

FORMAT = 1
"""Version of the JSON form."""

COLUMNS = ("#", "time", "prompt", "read", "written", "uncached", "USD", "verdict", "model", "cause")
COUNTS = ("#", "prompt", "read", "written", "uncached", "USD")


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Run the command; the exit code."""
    if arguments and (part := _PARTS.get(arguments[0])) is not None:
        # only now: some know the tools, and so their HTTP client, which takes its time
        code: int = importlib.import_module(f"harness.commands.{part}").main(arguments, seam)
        return code
    parser = Parser(
        prog="harness cache",
        description="What a session read from cache, why not more, and what that cost.",
        epilog="The time is this machine's. A perfect cache reads all that was still alive; its bill is that of the "
        "prompts alone, as is ours beside it. The caches of our own: `harness cache audit` tells what was served from "
        "which, `harness cache list`, `prune` and `clear` what is in them.",
        allow_abbrev=False,
    )
    parser.add_argument("id", nargs="?", metavar="ID", help="default: the session last used in this workspace")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print it as JSON (docs/cache.md)")
    forms.add_argument("--html", metavar="FILE", help="write a picture of it as one page without scripts or network")
    parser.add_argument("--misses", action="store_true", help="leave out the requests that were full hits")
    flags = parser.parse_args(arguments)
    folder = _folder(flags.id, seam)
    reader = Reader(folder / "journal.jsonl")
    book = read_book(reader, Catalog.load(config_dir(seam.environment())).find)
    damage = len(reader.damage) + book.unreadable
    if flags.json:
        sys.stdout.write(json.dumps(as_json(folder.name, book, damage), ensure_ascii=True) + "\n")
    elif flags.html:
        _write(Path(flags.html), page(folder.name, book, damage))
        sys.stdout.write(f"{one_line(flags.html)}: {counted(len(book.rows), 'request')} of session {folder.name}\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in table(folder.name, book, damage, misses=flags.misses)))
    return 0


_PARTS = {"audit": "cache_audit", "list": "cache_entries", "prune": "cache_entries", "clear": "cache_entries"}
"""What is no id of a session."""


def _folder(session: str | None, seam: Seam) -> Path:
    store = Store(state_dir(seam.environment()))
    if session is not None:
        return store.looked_at(session)
    root = find_root(seam.cwd().resolve())
    try:
        return store.latest(root)
    except NoSuchSession:
        raise NoSuchSession(f"no session in {root} yet; name one of another workspace: harness cache ID") from None


def _write(path: Path, text: str) -> None:
    """Write the page whole, for its owner alone: it tells what a session was about."""
    if path.is_dir():
        raise UsageError(f"--html {path}: it is a folder; name a file")
    try:
        write_whole(path, text.encode("utf-8"))
    except OSError as error:
        raise StorageFull(f"cannot write {path}: {error.strerror}") from error


# ------------------------------------------------------------------------------------------------------- text


def table(session: str, book: Book, damage: int, *, misses: bool = False) -> Iterator[str]:
    """The lines of the text form."""
    shown = [row for row in book.rows if not misses or row.lost or row.verdict not in ("hit", "")]
    lines = aligned(COLUMNS, [_cells(row) for row in shown], COUNTS)
    yield next(lines)
    epochs = [epoch for epoch in book.epochs if epoch.reason != "start"]
    sub_agents = list(book.sub_agents)
    for row in shown:
        while sub_agents and sub_agents[0].after < row.number:
            yield f"-- sub-agent: {sub_agent_line(sub_agents.pop(0).ended)}"
        while epochs and epochs[0].before <= row.number:
            yield f"-- epoch: {one_line(epochs.pop(0).reason, LONGEST_CAUSE)}"
        yield next(lines)
    for one in sub_agents:
        yield f"-- sub-agent: {sub_agent_line(one.ended)}"
    for epoch in epochs:
        yield f"-- epoch: {one_line(epoch.reason, LONGEST_CAUSE)}"
    yield ""
    yield from book_lines(book)
    if damage:
        yield f"! {damage} records cannot be read; what they held is missing here"
    yield f"session {session}"


def _cells(row: Row) -> tuple[str, ...]:
    usage = row.usage
    counts = (usage.prompt, usage.read, usage.written, usage.uncached) if usage else ()
    return (
        f"{row.number}{'s' if row.side else ''}",
        clock(row.at),
        *(tokens(count) for count in counts),
        *("?" for _ in range(4 - len(counts))),
        "unknown" if row.cost is None else f"{row.cost:.4f}",
        one_line(row.verdict) or "-",
        one_line(row.model),
        cause(row),
    )


# ------------------------------------------------------------------------------------------------------- JSON


def as_json(session: str, book: Book, damage: int) -> dict[str, Any]:
    """The JSON form; its fields are documented in docs/cache.md."""
    usage = book.usage
    return {
        "type": "cache",
        "format": FORMAT,
        "session": session,
        "requests": [_row(row) for row in book.rows],
        "epochs": [{"at": epoch.at, "reason": epoch.reason, "before": epoch.before} for epoch in book.epochs],
        "sub_agents": [{"at": one.at, "after": one.after, **sub_agent_json(one.ended)} for one in book.sub_agents],
        "totals": {
            "requests": len(book.rows),
            **counts(usage),
            "hit_rate": hit_rate(usage),
            "cost_usd": book.cost,
            "all_cost_usd": book.all_cost,
            "bill_usd": book.bill,
            "perfect_read_tokens": book.perfect,
            "perfect_bill_usd": book.perfect_bill,
            "saved_usd": book.saved,
            "lost": [
                {"cause": lost.cause, "requests": lost.requests, "tokens": lost.tokens, "usd": lost.usd}
                for lost in book.lost
            ],
        },
        "unreadable": damage,
    }


def _row(row: Row) -> dict[str, Any]:
    usage = row.usage
    return {
        "number": row.number,
        "at": row.at,
        "model": row.model,
        "side": row.side,
        **(counts(usage) if usage else dict.fromkeys(counts(Usage()))),
        "hit_rate": hit_rate(usage) if usage else None,
        "cost_usd": row.cost,
        "verdict": row.verdict,
        "cause": row.cause,
        "stop": row.stop,
        "expected_tokens": row.expected,
        "lost_tokens": row.lost,
        "lost_usd": row.lost_usd,
        "block": row.where,
        "diff": row.diff,
        "vendor": row.vendor,
        "response_cache": row.served.to_json() if row.served else None,
        "response_cache_miss": row.unserved,
        "perfect_read_tokens": row.perfect,
        "perfect_bill_usd": row.perfect_bill,
        "bill_usd": row.bill,
    }
