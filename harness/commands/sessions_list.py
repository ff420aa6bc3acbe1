"""`harness sessions list` and `search`: which sessions there are, and in which something was said.

Invariant: a session that cannot be read is listed with what is wrong with it; one whose folder is not known is listed
everywhere.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from harness.audit.report import counted, hit_rate, money, percent
from harness.commands.arguments import Parser, number
from harness.config import state_dir
from harness.errors import UsageError
from harness.knowledge.project import find_root
from harness.seam import Seam
from harness.sessions import export_json, index, wording
from harness.sessions.figures import Figures
from harness.sessions.store import Store
from harness.sessions.texts import Found, snippet
from harness.ui.plain import one_line
from harness.ui.tables import print_table

SHOWN = 50
"""Sessions that a list shows where nothing else is said."""

_LIMIT = number(int, lambda count: count >= 0, "a whole number, 0 or more")

_HITS = 3
"""Places of one session, and of each of its sub-agents, that a search shows."""

_NARROW = 72
"""Columns below which a session takes two lines."""

_SHORT_ID = len("20260131-235959")


def list_command(arguments: Sequence[str], seam: Seam, store: Store, *, trash: bool = False) -> int:
    """Run `list` or `trash`; the exit code."""
    parser = _parser("trash" if trash else "list", "The sessions that are kept, the last used first.")
    if trash:
        parser.set_defaults(all=True)
    flags = parser.parse_args(arguments)
    root = None if flags.all else _root(seam)
    if trash:  # it has no index: few are in it, and not for long
        found = index.in_memory(lambda opened: opened.figures(store.trashed()))
    else:
        found = index.use(state_dir(seam.environment()), lambda opened: opened.figures(store.all()))
    here = in_order(found, root)
    if flags.json:
        print(json.dumps([export_json.session(one) for one in here], indent=2, ensure_ascii=True))
        return 0
    where = "in the trash" if trash else _where(root)
    shown = here[: flags.limit] if flags.limit else here
    heading = f"{counted(len(here), 'session')} {one_line(where)}{_others(len(found) - len(here))}"
    print_sessions(heading, shown, folders=root is None)
    if len(shown) < len(here):
        _hint(f"… {counted(len(here) - len(shown), 'older one')}: --limit 0")
    return 0


def search_command(arguments: Sequence[str], seam: Seam, store: Store) -> int:
    """Run `search`; the exit code: 1 where nothing was found."""
    parser = _parser("search", "What was said in sessions. Each argument must occur in one message, in any case.")
    parser.add_argument("words", metavar="WORDS", nargs="+")
    flags = parser.parse_args(arguments)
    words = [word for word in flags.words if word.strip()]
    if not words:
        raise UsageError("nothing to search for: harness sessions search WORDS")
    root = None if flags.all else _root(seam)

    def search(opened: index.Index) -> tuple[list[Figures], int, list[Found]]:
        figures = opened.figures(store.all())
        here = in_order(figures, root)
        folders = [store.folder(one.id) for one in here]
        return here, len(figures) - len(here), list(opened.search(folders, words))

    here, elsewhere, found = index.use(state_dir(seam.environment()), search)
    hits: dict[str, list[Found]] = {}
    for hit in found:
        hits.setdefault(hit.session, []).append(hit)
    matching = [one for one in here if one.id in hits]
    shown = matching[: flags.limit] if flags.limit else matching
    if flags.json:
        print(json.dumps([_hits_json(one, hits[one.id], words) for one in shown], indent=2, ensure_ascii=True))
    else:
        searched = f"{len(matching):,} of {counted(len(here), 'session')} {one_line(_where(root))}"
        print(f"found in {searched}{f'; {elsewhere:,} in other folders not searched: --all' if elsewhere else ''}")
        for one in shown:
            _print_hits(one, hits[one.id], words)
        if len(shown) < len(matching):
            _hint(f"… in {counted(len(matching) - len(shown), 'older one')}: --limit 0")
    return 0 if matching else 1


def _hint(text: str) -> None:
    """Below a list, for a person: a program that reads the list takes each of its lines for one of it."""
    print(text, file=sys.stdout if sys.stdout.isatty() else sys.stderr)


def _parser(name: str, about: str) -> Parser:
    parser = Parser(prog=f"harness sessions {name}", description=about, allow_abbrev=False)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--here", action="store_true", help="those of this workspace (default)")
    where.add_argument("--all", action="store_true", help="those of every folder")
    parser.add_argument("--limit", metavar="N", type=_LIMIT, default=SHOWN, help=f"at most N (default {SHOWN}; 0: all)")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    return parser


def _root(seam: Seam) -> Path:
    try:
        return find_root(seam.cwd().resolve())
    except OSError as error:
        raise UsageError("the working folder is gone; use --all") from error


def _where(root: Path | None) -> str:
    return "in all folders" if root is None else f"in {root}"


def _others(count: int) -> str:
    return f"; {count:,} more in other folders: --all" if count else ""


def in_order(found: Iterable[Figures], root: Path | None) -> list[Figures]:
    """Sessions of a workspace (None: of all), the last used first; what cannot be placed is in all of them."""
    here = [one for one in found if root is None or one.root in (str(root), "")]
    return sorted(here, key=lambda one: (one.used, one.id), reverse=True)


def print_sessions(heading: str, sessions: Sequence[Figures], *, folders: bool) -> None:
    """A table of sessions, as wide as the terminal; whole where there is none."""
    if not sessions:
        print(heading)
        return
    columns = shutil.get_terminal_size().columns
    rows = [list_row(one, short=sys.stdout.isatty(), folder=folders) for one in sessions]
    if sys.stdout.isatty() and columns < _NARROW:
        print(heading)
        for *facts, title in rows:
            print(" ".join(facts))
            print(f"  {title[: max(10, columns - 2)]}")
        return
    names = ("id", "last used", "turns", "cost", "hit", *(["folder"] if folders else []), "title")
    width = sum(max(len(row[n]) for row in [names, *rows]) + 2 for n in range(len(names)))
    print_table(heading, names, rows, columns if sys.stdout.isatty() else max(columns, 2 * width))


def list_row(one: Figures, *, short: bool, folder: bool = False) -> tuple[str, ...]:
    """One session as cells: id, last used, turns, cost, hit rate, folder where asked for, title with its damage."""
    title = one_line(one.title or wording.NO_TITLE, 300)
    if problems := one.problems:
        title = f"! {one_line('; '.join(problems), 300)} · {title}"
    name = one.id[:_SHORT_ID] if short and len(one.id) == _SHORT_ID + len("-01234567") else one.id
    return (
        one_line(name),
        wording.moment(one.used or one.created),
        str(one.turns),
        money(one.cost),
        percent(hit_rate(one.usage)),
        *([one_line(Path(one.root).name or "?", 24)] if folder else []),
        title,
    )


def _print_hits(one: Figures, hits: Sequence[Found], words: Sequence[str]) -> None:
    print(f"\n{one_line(one.id)} · {wording.moment(one.used)} · {one_line(one.title or wording.NO_TITLE, 80)}")
    for agent, said in groupby(sorted(hits, key=lambda hit: hit.agent), key=lambda hit: hit.agent):
        here = [*said]
        if agent:
            of = "" if here[0].caller == one.id else f" of {one_line(here[0].caller)}"
            print(f"  sub-agent {one_line(here[0].skill, 60)} · {one_line(agent)}{of}")
        for hit in here[:_HITS]:
            print(f"  {hit.speaker:6} {one_line(snippet(hit.text, words), 200)}")
        if len(here) > _HITS:
            print(f"  … and {len(here) - _HITS} more")


def _hits_json(one: Figures, hits: Sequence[Found], words: Sequence[str]) -> dict[str, object]:
    return {"session": export_json.session(one), "found": [_hit_json(hit, words) for hit in hits]}


def _hit_json(hit: Found, words: Sequence[str]) -> dict[str, object]:
    agent = {"id": hit.agent, "skill": hit.skill, "caller": hit.caller} if hit.agent else None
    return {"seq": hit.seq, "speaker": hit.speaker, "text": snippet(hit.text, words), "sub_agent": agent}
