"""`harness cache audit`: every use of a cache of our own, over all sessions.

Invariant: looks only; sessions may be damaged, or open in other processes, and stay as they are.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.audit.cache_uses import HOWS, CacheUse, CacheUses
from harness.audit.cost import total
from harness.audit.report import clock, money, tokens
from harness.caches.scopes import CACHES
from harness.caches.store import spoken
from harness.commands.arguments import Parser
from harness.config import cache_dir, state_dir
from harness.conversation.lines import Reader
from harness.documents import cache as documents
from harness.seam import Seam
from harness.sessions.store import Store, agents_in
from harness.ui.columns import aligned
from harness.ui.plain import one_line

FORMAT = 1
"""Version of the JSON form."""

COLUMNS = ("time", "cache", "scope", "how", "age", "tokens", "USD", "key", "from", "in session", "what")


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Run the command; the exit code."""
    parser = Parser(
        prog="harness cache audit",
        description="What was served from which cache of our own, whose it was and how old, and what was asked for and "
        "why: responses, outputs of tools, texts of documents.",
        allow_abbrev=False,
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="sessions; default: all, of every workspace")
    parser.add_argument("--json", action="store_true", help="print it as JSON (docs/caches.md)")
    flags = parser.parse_args(arguments[1:])
    store = Store(state_dir(seam.environment()))
    unread: list[str] = []
    folders = dict.fromkeys(map(store.looked_at, flags.ids)) or store.all()
    journals = list(_journals(folders, unread))
    found = [use for journal in journals for use in journal.found]
    if not flags.ids:
        # a conversion belongs to no session
        found += documents.uses(cache_dir(seam.environment()) / "documents")
    found.sort(key=lambda use: (use.at, use.session))
    unreadable = sum(journal.unreadable for journal in journals)
    if flags.json:
        told = {"type": "cache_audit", "format": FORMAT, "uses": [asdict(use) for use in found]}
        told |= {"totals": totals(found), "unreadable": unreadable, "unread": unread}
        sys.stdout.write(json.dumps(told, ensure_ascii=True) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(found, unreadable, unread)))
    return 0


def _journals(folders: Iterable[Path], unread: list[str]) -> Iterator[CacheUses]:
    """Of sessions and their sub-agents. unread: takes the ids of those whose journal cannot be read."""
    for folder in (place for session in folders for place in (session, *agents_in(session))):
        reader, uses = Reader(folder / "journal.jsonl"), CacheUses(folder.name)
        try:
            uses.take(reader)
        except FileNotFoundError:
            continue  # not begun
        except OSError:
            unread.append(folder.name)
            continue
        uses.unreadable += len(reader.damage)
        yield uses


def totals(found: Sequence[CacheUse]) -> dict[str, dict[str, Any]]:
    """By cache: how often in each way, and of what was served the tokens and USD that it was billed the first time."""
    told: dict[str, dict[str, Any]] = {}
    for cache in dict.fromkeys((*CACHES, documents.NAME)):
        uses = [use for use in found if use.cache == cache]
        billed = [use for use in uses if use.tokens is not None]
        told[cache] = {
            **{how: sum(use.how == how for use in uses) for how in HOWS},
            "tokens": sum(use.tokens or 0 for use in billed),
            "usd": total(use.usd for use in billed),
        }
    return told


def _lines(found: Sequence[CacheUse], unreadable: int, unread: Sequence[str]) -> Iterator[str]:
    if found:
        yield from aligned(COLUMNS, [_cells(use) for use in found], ("tokens", "USD"))
    for cache, about in totals(found).items():
        served, asked = about["hit"] + about["stale"], about["stored"] + about["unkept"]
        parts = [f"{served} served", f"{asked} asked for"]
        parts += [f"{about['stale']} where no new one could be had"] if about["stale"] else []
        parts += [f"{about['unkept']} not kept"] if about["unkept"] else []
        if about["tokens"]:
            parts.append(f"{tokens(about['tokens'])} tokens and {money(about['usd'])} the first time")
        yield f"{cache}: {', '.join(parts)}"
    if unreadable:
        yield f"! {unreadable} records cannot be read; what they held is missing here"
    for session in unread:
        yield f"! the journal of {one_line(session, 40)} cannot be read; what it held is missing here"


def _cells(use: CacheUse) -> tuple[str, ...]:
    why = "; ".join(filter(None, (use.cause, use.problem and f"not kept: {use.problem}")))
    return (
        clock(use.at),
        one_line(use.cache),
        one_line(use.scope) or "-",
        use.how,
        "-" if use.age is None else spoken(use.age),
        "-" if use.tokens is None else tokens(use.tokens),
        "-" if use.tokens is None else "unknown" if use.usd is None else f"{use.usd:.4f}",
        one_line(use.key[:12]),
        _whose(use.origin_session, use.origin_call),
        _whose(use.session, use.call),
        one_line(f"{use.what} ({why})" if why else use.what, 200),
    )


def _whose(session: str, call: str) -> str:
    return f"{one_line(session, 40)}:{one_line(call, 14)}" if session else "-"
