"""`harness sessions`: the sessions that are kept, and what can be done with them.

Invariant: nothing of a session reaches the terminal unescaped; only `rename` writes to a journal, by adding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.audit.report import counted
from harness.commands.arguments import Parser, subcommand
from harness.commands.sessions_export import export_command, import_command
from harness.commands.sessions_list import list_command, search_command
from harness.commands.sessions_show import show_command
from harness.config import state_dir
from harness.seam import Seam
from harness.sessions import index
from harness.sessions.rename import rename
from harness.sessions.store import Store
from harness.ui.plain import one_line

_ABOUT = """\
harness sessions [list]            those of this workspace; --all: of every folder
harness sessions search WORDS…     what was said; each argument must occur in one message
harness sessions show ID           the conversation, with epochs and verdicts
harness sessions rename ID TITLE
harness sessions export ID         --format md|json|html|session, --output FILE
harness sessions import PATH       takes in what was exported as a session
harness sessions delete ID…        to the trash
harness sessions restore ID…       back from it
harness sessions trash             what is in it
harness sessions empty-trash       delete what is in it for good
harness sessions reindex           rebuild the index (also done when needed)

ID is the id of a session, or how the id of only one begins. Each command has --help."""


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Run the command; the exit code."""
    if (meant := subcommand("harness sessions", arguments, _COMMANDS, _ABOUT, "list")) is None:
        return 0
    name, rest = meant
    return _COMMANDS[name](rest, seam, Store(state_dir(seam.environment())))


def _rename(arguments: Sequence[str], seam: Seam, store: Store) -> int:
    parser = Parser(prog="harness sessions rename", allow_abbrev=False)
    parser.add_argument("id", metavar="ID")
    parser.add_argument("title", metavar="TITLE", nargs="+")
    flags = parser.parse_args(arguments)
    folder = store.named(flags.id)
    print(f"session {folder.name} is now called: {one_line(rename(folder, ' '.join(flags.title), seam))}")
    return 0


def _delete(arguments: Sequence[str], seam: Seam, store: Store) -> int:
    for folder in [store.named(name) for name in _ids("delete", arguments)]:
        store.delete(folder, seam)
        print(f"session {folder.name} is in the trash; bring it back: harness sessions restore {folder.name}")
    return 0


def _restore(arguments: Sequence[str], _: Seam, store: Store) -> int:
    for name in _ids("restore", arguments):
        print(f"session {store.restore(name).name} is back")
    return 0


def _ids(name: str, arguments: Sequence[str]) -> list[str]:
    parser = Parser(prog=f"harness sessions {name}", allow_abbrev=False)
    parser.add_argument("ids", metavar="ID", nargs="+")
    ids: list[str] = parser.parse_args(arguments).ids
    return list(dict.fromkeys(ids))


def _trash(arguments: Sequence[str], seam: Seam, store: Store) -> int:
    return list_command(arguments, seam, store, trash=True)


def _empty_trash(arguments: Sequence[str], _: Seam, store: Store) -> int:
    Parser(prog="harness sessions empty-trash", allow_abbrev=False).parse_args(arguments)
    print(f"{counted(store.empty_trash(), 'session')} removed for good")
    return 0


def _reindex(arguments: Sequence[str], seam: Seam, store: Store) -> int:
    Parser(prog="harness sessions reindex", allow_abbrev=False).parse_args(arguments)
    state, folders = state_dir(seam.environment()), store.all()
    index.remove(state)

    def read(opened: index.Index) -> None:
        opened.figures(folders)
        opened.read_texts(folders)

    index.use(state, read)
    print(f"{counted(len(folders), 'session')} read")
    return 0


_COMMANDS: dict[str, Callable[[Sequence[str], Seam, Store], int]] = {
    "list": list_command,
    "search": search_command,
    "show": show_command,
    "rename": _rename,
    "export": export_command,
    "import": import_command,
    "delete": _delete,
    "restore": _restore,
    "trash": _trash,
    "empty-trash": _empty_trash,
    "reindex": _reindex,
}
