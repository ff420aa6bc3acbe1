"""Taking in a session that was exported, perhaps on another machine, perhaps by somebody who means harm.

Invariant: what is taken in is data: nothing of it is run, and it is kept only where every record of it makes sense to
this version. It never takes the place of a session that is here.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path

from harness.conversation.blobs import Blobs
from harness.conversation.canonical import digest
from harness.conversation.journal import FORMAT
from harness.conversation.lines import Reader, Record
from harness.errors import JournalError, UsageError, storage_error
from harness.providers.catalog import Catalog
from harness.replay.recorded import Recorded
from harness.sessions import archive
from harness.sessions.portable import Copied, Room, copy, place
from harness.sessions.store import Store
from harness.workspace.credentials import Credentials
from harness.workspace.scratch import scratch

MOST_BYTES = 2 << 30
MOST_FILES = 100_000
_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Imported:
    """A session that was taken in: where it is now."""

    folder: Path
    copied: Copied


def import_session(path: Path, store: Store, state: Path, catalog: Catalog) -> Imported:
    """Take in the session in a folder or archive, under its own id where its name tells that.

    Raises:
        UsageError: there is nothing of that name, or its id is taken.
        JournalError: it is no session that this version can read, or it is too large.
        StorageFull: no room.
    """
    if not path.exists():
        raise UsageError(f"there is nothing at {path}; name a session's folder, or its archive (.tar.gz)")
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with scratch(state, ".import-") as temporary:
            source = path.resolve()
            if not source.is_dir():
                source = archive.unpack(source, temporary / "unpacked", MOST_BYTES, MOST_FILES)
            made = temporary / "made"
            copied = copy(source, made, Credentials({}), Room(MOST_BYTES, MOST_FILES))
            for journal in sorted(made.rglob("journal.jsonl")):
                _check(journal.parent, catalog)
            folder = store.folder(_id(source.name, made))
            _refuse_known(folder, store)
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                place(made, folder)
            except FileExistsError:
                raise _here_already(folder) from None
    except OSError as error:
        raise storage_error(error, state) from error
    return Imported(folder, copied)


def _id(name: str, made: Path) -> str:
    """Its own id, where the folder is called by it; else one that the same session always gets."""
    if _ID.fullmatch(name):
        return name
    journal = made / "journal.jsonl"
    first = next(iter(Reader(journal)))
    stamp = f"{dt.datetime.fromtimestamp(first.at, dt.UTC):%Y%m%d-%H%M%S}"
    return f"{stamp}-{digest(journal.read_bytes())[:8]}"


def _here_already(folder: Path) -> UsageError:
    return UsageError(f"session {folder.name} is here already; look at it: harness sessions show {folder.name}")


def _refuse_known(folder: Path, store: Store) -> None:
    if folder.exists():
        raise _here_already(folder)
    if folder.name in [one.name for one in store.trashed()]:
        raise UsageError(
            f"session {folder.name} is in the trash; bring it back: harness sessions restore {folder.name}"
        )


def _check(folder: Path, catalog: Catalog) -> None:
    """That every record can be taken in, as whoever opens or lists the session will.

    Raises:
        JournalError: one cannot.
    """
    recorded = Recorded(Blobs(folder / "blobs"), catalog)
    for record in Reader(folder / "journal.jsonl"):
        try:
            _form(record)
            recorded.apply(record)
        except JournalError:
            continue  # data of it is lost, which is said where the session is opened
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
            raise JournalError(
                f"record {record.seq} of the session makes no sense to this version ({error!r:.80}); nothing was "
                "taken in"
            ) from error
    about = recorded.about
    if recorded.prefix is None or not {"root", "cwd", "cache"} <= about.keys():
        raise JournalError("the session has no whole beginning; nothing was taken in")
    if about.get("format", 0) > FORMAT:
        raise JournalError("the session was written by a newer version; update to take it in")


def _form(record: Record) -> None:
    """What whoever lists a session needs of every record, and of its beginning."""
    dt.datetime.fromtimestamp(record.at, dt.UTC)
    if record.kind == "session":
        _texts(record.data["root"], record.data["cwd"])
        bool(record.data["cache"]["enabled"])
        _texts(record.data["cache"]["ttl"])


def _texts(*values: object) -> None:
    if not all(isinstance(value, str) for value in values):
        raise TypeError("text is expected")
