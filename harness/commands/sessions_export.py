"""`harness sessions export` and `import`: a session in one file to read, or as one that can be opened elsewhere.

Invariant: stdout is what was asked for; what to look at before it is passed on goes to stderr, without any secret.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.audit.report import counted
from harness.commands.arguments import Parser
from harness.commands.sessions_show import figures_of
from harness.config import config_dir, state_dir
from harness.providers.catalog import Catalog
from harness.seam import Seam
from harness.sessions import export, portable
from harness.sessions.importing import import_session
from harness.sessions.portable import Copied
from harness.sessions.store import Store
from harness.ui.plain import one_line
from harness.workspace.credentials import Credentials

_NAMED = 8
"""Records that are named of those with something like a credential."""


def export_command(arguments: Sequence[str], seam: Seam, store: Store) -> int:
    """Run `export`; the exit code."""
    parser = Parser(prog="harness sessions export", allow_abbrev=False)
    parser.add_argument("id", metavar="ID")
    about = "md by default, or what FILE ends in; session: a folder (or .tar.gz) for replay, pytest and import"
    parser.add_argument("--format", choices=(*export.FORMATS, export.SESSION), help=about)
    about = "a new file, private to you; stdout by default, for a session a folder named by its id"
    parser.add_argument("--output", metavar="FILE", help=about)
    flags = parser.parse_args(arguments)
    folder = store.looked_at(flags.id)
    output = None if flags.output is None else seam.cwd() / flags.output
    form = flags.format or ("md" if output is None else export.form_of(output))
    if form == export.SESSION:
        path = output or seam.cwd() / folder.name
        copied = portable.export(folder, path, Credentials(seam.environment()))
        sys.stdout.write(f"{one_line(str(path))}\n")
        sys.stderr.write(f"{to_look_for(copied)}\n")
        return 0
    figures = figures_of(folder, store, state_dir(seam.environment()))
    if output is None:
        for piece in export.pieces(folder, figures, form):
            sys.stdout.write(piece)
        return 0
    export.write(folder, figures, form, output)
    sys.stderr.write(f"{one_line(str(output))}\n")
    return 0


def to_look_for(copied: Copied) -> str:
    """What a person should look for before a session is passed on, one line, escaped."""
    return f"before you pass it on, look at it: {one_line('; '.join(_findings(copied)), 1_000)}"


def _findings(copied: Copied) -> Iterator[str]:
    if copied.secrets:
        told = "; ".join(f"{_numbers(seqs)}{f' of {where}' if where else ''}" for where, seqs in copied.secrets.items())
        yield f"SOMETHING LIKE A CREDENTIAL in {told}"
    else:
        yield "nothing in it has a known form of a credential"
    if names := [name for name in dict.fromkeys(copied.folders) if name]:
        yield f"it names {', '.join(names)}"
    yield "it holds all that was said and read"
    if copied.damaged:
        yield f"{counted(copied.damaged, 'place')} of it was damaged before (harness replay tells)"


def _numbers(seqs: Sequence[int]) -> str:
    more = f" and {len(seqs) - _NAMED} more" if len(seqs) > _NAMED else ""
    return f"record{'s' if len(seqs) > 1 else ''} {', '.join(map(str, seqs[:_NAMED]))}{more}"


def import_command(arguments: Sequence[str], seam: Seam, store: Store) -> int:
    """Run `import`; the exit code."""
    parser = Parser(prog="harness sessions import", allow_abbrev=False)
    about = "a folder or .tar.gz that `harness sessions export --format session` made"
    parser.add_argument("path", metavar="PATH", help=about)
    flags = parser.parse_args(arguments)
    state = state_dir(seam.environment())
    path = seam.cwd() / Path(flags.path)
    found = import_session(path, store, state, Catalog.load(config_dir(seam.environment())))
    name, copied = found.folder.name, found.copied
    with_them = f", {counted(copied.sub_agents, 'sub-agent')}" if copied.sub_agents else ""
    print(f"session {name} is here ({counted(copied.records, 'record')}{with_them}); nothing of it was run")
    print(f"prove it: harness replay {name} · read it: harness sessions show {name} · go on, here: harness -r {name}")
    if copied.damaged:
        print(f"! {counted(copied.damaged, 'place')} of it was damaged before; harness replay tells where")
    return 0
