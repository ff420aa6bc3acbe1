"""`harness cache audit`: what was served from which cache of our own, over all sessions.

Invariant: looks only; sessions may be damaged, or open in other processes, and stay as they are.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.audit.book import total
from harness.audit.report import clock, money, tokens
from harness.audit.served import Served, Tally
from harness.commands import cache_tools
from harness.commands.arguments import Parser
from harness.config import state_dir
from harness.conversation.lines import Reader
from harness.seam import Seam
from harness.sessions.store import Store
from harness.ui.plain import one_line
from harness.ui.tables import print_table

FORMAT = 1
"""Version of the JSON form."""

COLUMNS = ("time", "cache", "what", "tokens", "USD", "age", "key", "from", "in session")


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Run the command; the exit code."""
    parser = Parser(
        prog="harness cache audit",
        description="What was served from which cache of our own, over all sessions: answers that no vendor was asked "
        "for again, whose they were, and what they had cost.",
        allow_abbrev=False,
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="sessions; default: all, of every workspace")
    parser.add_argument("--json", action="store_true", help="print it as JSON (docs/caches.md)")
    flags = parser.parse_args(arguments)
    store = Store(state_dir(seam.environment()))
    folders = [store.looked_at(name) for name in flags.ids] or list(store.all())
    tallies = [tally for folder in folders for tally in _tallies(folder)]
    used = sorted(
        (row for folder in folders for row in cache_tools.rows(folder)), key=lambda row: (row.at, row.session)
    )
    if flags.json:
        told = _as_json(tallies) | {"tools": [asdict(row) for row in used]}
        sys.stdout.write(json.dumps(told, ensure_ascii=True) + "\n")
        return 0
    sys.stdout.write("".join(f"{line}\n" for line in _table(tallies)))
    if used:
        served = sum(row.age is not None for row in used)
        heading = f"tools: {served} served from a cache, {len(used) - served} put there"
        print_table(heading, cache_tools.COLUMNS, [cache_tools.cells(row) for row in used])
    return 0


def _tallies(folder: Path) -> Iterator[Tally]:
    """Of a session and of its sub-agents."""
    for path in sorted(folder.rglob("journal.jsonl")):
        yield Tally(path.parent.name).take(Reader(path))


def _all(tallies: Sequence[Tally]) -> list[Served]:
    return sorted((one for tally in tallies for one in tally.served), key=lambda one: (one.at, one.session, one.record))


def _table(tallies: Sequence[Tally]) -> Iterator[str]:
    served = _all(tallies)
    rows = [_cells(one) for one in served]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for row in (COLUMNS, *rows) if rows else ():
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    for name, about in _totals(tallies).items():
        yield (
            f"{name}: {about['hits']} served ({tokens(about['tokens'])} tokens, {money(about['usd'])} the first time), "
            f"{about['misses']} asked for"
        )
    if unreadable := sum(tally.unreadable for tally in tallies):
        yield f"! {unreadable} records cannot be read; what they held is missing here"


def _cells(one: Served) -> tuple[str, ...]:
    return (
        clock(one.at),
        one.cache,
        one_line(one.what, 40),
        tokens(one.tokens),
        "unknown" if one.usd is None else f"{one.usd:.4f}",
        f"{one.age:,.0f} s",
        one_line(one.key[:12]),
        f"{one_line(one.source, 40)}:{one.source_record}",
        f"{one_line(one.session, 40)}:{one.record}",
    )


def _totals(tallies: Sequence[Tally]) -> dict[str, dict[str, Any]]:
    served = _all(tallies)
    return {
        "responses": {
            "hits": len(served),
            "misses": sum(len(tally.missed) for tally in tallies),
            "unkept": sum(tally.unkept for tally in tallies),
            "tokens": sum(one.tokens for one in served),
            "usd": total(one.usd for one in served),
        }
    }


def _as_json(tallies: Sequence[Tally]) -> dict[str, Any]:
    return {
        "type": "cache_audit",
        "format": FORMAT,
        "served": [asdict(one) for one in _all(tallies)],
        "missed": [{"session": t.session, "cache": "responses", "cause": cause} for t in tallies for cause in t.missed],
        "totals": _totals(tallies),
        "unreadable": sum(tally.unreadable for tally in tallies),
    }
