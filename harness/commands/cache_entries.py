"""`harness cache list|prune|clear`: what is in the caches of our own; what is old goes, or all of it.

Invariant: a file that is no entry is listed as such and is never executed or believed; nothing outside the folders of
these caches is touched, and what others share only where it is named.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harness.audit.report import clock, counted
from harness.caches import responses, tool_outputs
from harness.caches.run import store_in
from harness.caches.scopes import CACHES, Cache, Scopes
from harness.caches.store import About, File, Store
from harness.commands.arguments import Parser
from harness.config import Config, load, state_dir
from harness.config_values import CacheScope, duration
from harness.errors import UsageError
from harness.knowledge.project import find_root
from harness.seam import Seam
from harness.sessions.store import Store as Sessions
from harness.ui.columns import aligned
from harness.ui.plain import one_line

COLUMNS = ("last used", "cache", "scope", "kept", "bytes", "key", "from", "what")
FORMAT = 1
"""Version of the JSON form."""

_ABOUT: Mapping[Cache, Callable[[str, bytes], About]] = {
    "responses": responses.about,
    "tool_outputs": tool_outputs.about,
}
_OWN: tuple[CacheScope, ...] = ("user", "session")

Found = tuple[Cache, CacheScope, Store]


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Run the command; the exit code."""
    name = arguments[0]
    what = {
        "list": "List",
        "prune": "Remove what was not used for longer than it may be served, and what is beyond the bounds, of",
        "clear": "Empty",
    }
    parser = Parser(
        prog=f"harness cache {name}",
        description=f"{what[name]} the caches of our own: responses (--response-cache) and outputs of tools.",
        allow_abbrev=False,
    )
    parser.add_argument("--cache", choices=CACHES, help="default: both")
    parser.add_argument(
        "--scope", choices=(*_OWN, "global"), help="default: user and session; global is what others share, too"
    )
    if name == "list":
        parser.add_argument("--json", action="store_true", help="print it as JSON (docs/caches.md)")
    if name == "prune":
        parser.add_argument("--older-than", metavar="TIME", help="what was not used for so long, e.g. 12h or 7d")
    flags = parser.parse_args(arguments[1:])
    environment, cwd = seam.environment(), seam.cwd()
    config = load(environment, cwd, find_root(cwd.resolve()), {})
    caches, scopes = (flags.cache,) if flags.cache else CACHES, (flags.scope,) if flags.scope else _OWN
    found = [one for cache in caches for scope in scopes for one in _stores(cache, scope, config, seam)]
    if name == "list":
        _list(found, as_json=flags.json)
        return 0
    unused = _time(flags.older_than) if name == "prune" and flags.older_than is not None else None
    for cache in caches:
        stores = [store for which, _, store in found if which == cache]
        gone = [store.prune(unused) if name == "prune" else store.clear() for store in stores]
        removed, freed = sum(files for files, _ in gone), sum(size for _, size in gone)
        left = sum(len(store.files()) for store in stores)
        sys.stdout.write(f"{cache}: {counted(removed, 'file')} removed, {freed:,} bytes; {left} left\n")
    return 0


def _stores(cache: Cache, scope: CacheScope, config: Config, seam: Seam) -> Iterator[Found]:
    """The stores of a scope that are there: one, or those of all sessions."""
    state = state_dir(seam.environment())
    for session in Sessions(state).all() if scope == "session" else (state,):
        folder = Scopes(state, config.caches_folder, lambda: session).folder(cache, scope)  # noqa: B023 - called at once
        if folder.is_dir():
            yield cache, scope, store_in(folder, cache, scope, config, seam)


def _time(text: str) -> float:
    try:
        return duration(text)
    except ValueError as wrong:
        raise UsageError(f"--older-than must be {wrong}") from None


def _list(found: Sequence[Found], *, as_json: bool) -> None:
    rows = [(cache, scope, file, told) for cache, scope, store in found for file, told in store.told(_ABOUT[cache])]
    rows.sort(key=lambda row: -row[2].used)
    if as_json:
        told = {"type": "cache_list", "format": FORMAT, "entries": [_entry(*row) for row in rows]}
        sys.stdout.write(json.dumps(told, ensure_ascii=True) + "\n")
        return
    lines = [*aligned(COLUMNS, [_cells(*row) for row in rows], ("bytes",))] if rows else []
    lines.append(
        f"{len(rows):,} {'entry' if len(rows) == 1 else 'entries'}, {sum(file.size for _, _, file, _ in rows):,} bytes"
    )
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _cells(cache: Cache, scope: CacheScope, file: File, told: About | str) -> tuple[str, ...]:
    about = told if isinstance(told, About) else About(f"damaged: {told}", 0.0, "", "")
    return (
        clock(file.used),
        cache,
        scope,
        clock(about.at) if about.at else "-",
        f"{file.size:,}",
        one_line(file.key[:12]),
        f"{one_line(about.session, 40)}:{one_line(about.call, 14)}" if about.session else "-",
        one_line(about.what, 200),
    )


def _entry(cache: Cache, scope: CacheScope, file: File, told: About | str) -> dict[str, Any]:
    about = {"cache": cache, "scope": scope, "key": file.key, "bytes": file.size, "used": file.used}
    if isinstance(told, About):
        return about | asdict(told) | {"problem": ""}
    return about | {"what": None, "at": None, "session": None, "call": None, "problem": told}
