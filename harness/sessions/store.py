"""Where sessions are: one folder each, found by id or by the folder they worked in; deleted ones in the trash beside.

Invariant: looking never owns, locks or changes a session; a session in use is never moved, and no journal is edited.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from harness.conversation.lines import read_records
from harness.conversation.lock import Lock
from harness.errors import JournalError, NoSuchSession, storage_error
from harness.seam import Seam

_DEPTHS = ("agents/*", "agents/*/agents/*")
"""Where sub-agents are, in the session that they work for."""
_NAMED = 3
"""Sessions that a message about an ambiguous id names."""


class Store:
    """The sessions of one state folder."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "sessions"
        self._trash = state / "trash"

    def folder(self, session_id: str) -> Path:
        """Where a session of that id lives, or would."""
        return self._folder / session_id

    def latest(self, root: Path) -> Path:
        """The session that was last used in a workspace.

        Raises:
            NoSuchSession: there is none.
        """
        begun = [folder for folder in self.all() if (folder / "journal.jsonl").is_file()]
        for folder in sorted(begun, key=_last_used, reverse=True):
            if _root_of(folder) == str(root):
                return folder
        raise NoSuchSession(
            f"no session to continue in {root}; start one without -c, or choose one: harness sessions --all"
        )

    def named(self, session_id: str) -> Path:
        """The session of that id, or of the only id that begins so.

        Raises:
            NoSuchSession: none, or several.
        """
        try:
            return _only(self.all(), session_id, "session", "harness sessions --all")
        except NoSuchSession:
            if len(deleted := _beginning(self.trashed(), session_id)) == 1:
                name = deleted[0].name
                raise NoSuchSession(
                    f"session {name} is in the trash; bring it back: harness sessions restore {name}"
                ) from None
            raise

    def looked_at(self, session_id: str) -> Path:
        """As `named`, of those that have a journal; sub-agents too, which are in the folders of their callers.

        Raises:
            JournalError: it has none.
        """
        return self._begun(self._any(session_id))

    def _any(self, session_id: str) -> Path:
        try:
            return self.named(session_id)
        except NoSuchSession:
            found = _beginning([agent for folder in self.all() for agent in agents_in(folder)], session_id)
            if len(found) != 1:
                raise
            return found[0]

    def to_go_on(self, session_id: str) -> Path:
        """As `named`, of those that have a journal.

        Raises:
            JournalError: it has none.
        """
        folder = self._any(session_id)
        if folder.parent != self._folder:
            raise NoSuchSession(
                f"{folder.name} is a sub-agent, which cannot be gone on with; look at it: harness sessions show, or go "
                f"on with {folder.relative_to(self._folder).parts[0]}"
            )
        return self._begun(folder)

    def _begun(self, folder: Path) -> Path:
        if not (folder / "journal.jsonl").is_file():
            way = "remove it: harness sessions delete" if folder.parent == self._folder else "its caller removes it"
            raise JournalError(f"session {folder.name} has no journal: it ended before it began; {way}")
        return folder

    def all(self) -> Sequence[Path]:
        """Every session, begun or not, damaged or not; by id, so oldest first."""
        return _folders(self._folder)

    def trashed(self) -> Sequence[Path]:
        """The deleted ones, by id."""
        return _folders(self._trash)

    def delete(self, folder: Path, seam: Seam) -> None:
        """Move a session to the trash.

        Raises:
            JournalBusy: a process works in it.
            JournalError: it cannot be moved.
        """
        try:
            lock = Lock.take(folder, seam)
        except OSError as error:
            raise storage_error(error, folder) from error
        try:
            _move(folder, self._trash / folder.name)
        finally:
            lock.release()

    def restore(self, session_id: str) -> Path:
        """Bring a session back from the trash; gives its folder.

        Raises:
            NoSuchSession: the trash has none that begins so, or several.
            JournalError: it cannot be moved.
        """
        found = _only(self.trashed(), session_id, "session in the trash", "harness sessions restore")
        _move(found, self._folder / found.name)
        return self._folder / found.name

    def empty_trash(self) -> int:
        """Remove what is in the trash for good; gives the number of sessions.

        Raises:
            StorageFull: one cannot be removed.
        """
        found = self.trashed()
        for folder in found:
            try:
                shutil.rmtree(folder)
            except OSError as error:
                raise storage_error(error, folder) from error
        return len(found)


def agents_in(folder: Path) -> list[Path]:
    """The folders of the sub-agents of a session, and of theirs, oldest first."""
    return [path for depth in _DEPTHS for path in sorted(folder.glob(depth))]


def _folders(parent: Path) -> list[Path]:
    """Those in a folder; one with a hidden name is still being made, or was when a kill came."""
    found = parent.iterdir() if parent.is_dir() else ()
    return sorted(path for path in found if path.is_dir() and not path.name.startswith("."))


def _beginning(folders: Sequence[Path], session_id: str) -> list[Path]:
    found = [folder for folder in folders if folder.name.startswith(session_id)]
    exact = [folder for folder in found if folder.name == session_id]
    return exact or found


def _only(folders: Sequence[Path], session_id: str, what: str, listing: str) -> Path:
    found = _beginning(folders, session_id)
    if len(found) == 1:
        return found[0]
    if not found:
        raise NoSuchSession(f"no {what} begins with `{session_id:.80}`; see `{listing}`")
    names = ", ".join(folder.name for folder in found[-_NAMED:])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    raise NoSuchSession(f"several begin with `{session_id:.80}`: {names}{more}; give more of the id")


def _move(folder: Path, to: Path) -> None:
    if to.exists():
        raise JournalError(f"{to} is in the way; move it away first")
    try:
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.rename(to)
    except OSError as error:
        raise storage_error(error, to) from error


def _last_used(folder: Path) -> tuple[float, str]:
    return (folder / "journal.jsonl").stat().st_mtime, folder.name


def _root_of(folder: Path) -> str | None:
    """The workspace of a session; None where it cannot be read or ended (a kill) before anything was said in it."""
    try:
        first = list(islice(read_records(folder / "journal.jsonl"), 4))
    except OSError:
        return None
    begun = [record.kind for record in first[:-1]] == ["session", "prefix", "epoch"]
    return str(first[0].data.get("root")) if begun else None
