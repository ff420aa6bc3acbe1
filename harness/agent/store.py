"""Where sessions are: one folder each, found by id or by the folder they worked in.

Invariant: looking never owns, locks or changes a session.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from harness.conversation.journal import read_records
from harness.errors import NoSuchSession


class Store:
    """The sessions of one state folder."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "sessions"

    def folder(self, session_id: str) -> Path:
        """Where a session of that id lives, or would."""
        return self._folder / session_id

    def latest(self, root: Path) -> Path:
        """The session that was last used in a workspace.

        Raises:
            NoSuchSession: there is none.
        """
        for folder in sorted(self._sessions(), key=_last_used, reverse=True):
            if _root_of(folder) == str(root):
                return folder
        raise NoSuchSession(f"no session to continue in {root}; start one without -c")

    def named(self, session_id: str) -> Path:
        """The session of that id, or of the only id that begins so.

        Raises:
            NoSuchSession: none, or several.
        """
        found = [folder for folder in self._sessions() if folder.name.startswith(session_id)]
        exact = [folder for folder in found if folder.name == session_id]
        if len(exact or found) == 1:
            return (exact or found)[0]
        many = "several sessions begin" if found else "no session begins"
        raise NoSuchSession(f"{many} with `{session_id}`; use the whole id that a run printed at its end")

    def _sessions(self) -> Iterator[Path]:
        if self._folder.is_dir():
            yield from (path for path in self._folder.iterdir() if (path / "journal.jsonl").is_file())


def _last_used(folder: Path) -> tuple[float, str]:
    return (folder / "journal.jsonl").stat().st_mtime, folder.name


def _root_of(folder: Path) -> str | None:
    """The workspace of a session; None where it cannot be read or ended (a kill) before it began."""
    try:
        first = list(islice(read_records(folder / "journal.jsonl"), 3))
    except OSError:
        return None
    begun = [record.kind for record in first] == ["session", "prefix", "epoch"]
    return str(first[0].data.get("root")) if begun else None
