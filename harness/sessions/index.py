"""What is known of all sessions without reading them again: an SQLite file that can be made anew at any time.

Invariant: the journals are the truth. A row counts only while its journal has the size and the time it was read at; a
missing, damaged, locked or older index is made anew, in memory where it cannot be in its file.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from harness.conversation.journal import Blobs
from harness.conversation.scan import START, Place, Scan
from harness.sessions import texts
from harness.sessions.figures import KINDS, Figures

FILE = "index.sqlite"
VERSION = 1
"""Of the tables and of what they hold; another one is made anew."""

_PATIENCE = 3.0
"""Seconds for which another process may write it."""

_TABLES = """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, size INTEGER, changed INTEGER, place TEXT, figures TEXT, texts TEXT
) WITHOUT ROWID;
CREATE TABLE places (line INTEGER PRIMARY KEY, session TEXT, seq INTEGER, speaker TEXT);
CREATE INDEX places_of ON places (session);
CREATE VIRTUAL TABLE texts USING fts5 (text, tokenize = 'trigram');
"""

Result = TypeVar("Result")


class Index:
    """An open index. Get one by `use`."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def figures(self, folders: Sequence[Path]) -> list[Figures]:
        """The figures of all sessions, in their order; only journals that have changed are read.

        Args:
            folders: of every session there is; what is known of others is forgotten.
        """
        rows = {
            name: (size, changed, place, figures)
            for name, size, changed, place, figures in self._database.execute(
                "SELECT id, size, changed, place, figures FROM sessions"
            )
        }
        found = [self._of(folder, rows.pop(folder.name, None)) for folder in folders]
        for name in rows:
            self._forget_texts(name)
            self._database.execute("DELETE FROM sessions WHERE id = ?", (name,))
        return found

    def _of(self, folder: Path, row: tuple[int, int, str, str] | None) -> Figures:
        path = folder / "journal.jsonl"
        try:
            status = path.stat()
            if row is not None and (status.st_size, status.st_mtime_ns) == row[:2]:
                return Figures.of_json(json.loads(row[3]))
            return self._read(folder, status, row)
        except OSError as error:
            figures = Figures(folder.name)
            reason = (
                "it has no journal" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
            )
            figures.mar(0, reason)
            return figures

    def _read(self, folder: Path, status: os.stat_result, row: tuple[int, int, str, str] | None) -> Figures:
        """Read on where the row ends, or all of it."""
        path, blobs = folder / "journal.jsonl", Blobs(folder / "blobs")
        scan = Scan(path, KINDS, Place(**json.loads(row[2])) if row else START)
        figures = Figures.of_json(json.loads(row[3])) if row else Figures(folder.name)
        if row and not scan.stands():
            scan, figures = Scan(path, KINDS), Figures(folder.name)
        figures.read_on(scan, blobs)
        self._database.execute(
            "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, '') ON CONFLICT (id) DO UPDATE"
            " SET size = excluded.size, changed = excluded.changed, place = excluded.place, figures = excluded.figures",
            (
                folder.name,
                status.st_size,
                status.st_mtime_ns,
                json.dumps(asdict(scan.place)),
                json.dumps(figures.to_json()),
            ),
        )
        return figures

    # ------------------------------------------------------------------------------------------ texts

    def search(self, folders: Sequence[Path], words: Sequence[str]) -> Iterator[texts.Found]:
        """What was said in these sessions and has all of the words in it, in the order in which it was said.

        Only after `figures`.
        """
        self.read_texts(folders)
        here = {folder.name for folder in folders}
        for session, seq, speaker, text in texts.rows(self._database, words):
            if session in here:
                yield texts.Found(session, seq, speaker, text)

    def read_texts(self, folders: Sequence[Path]) -> None:
        """Take in what was said in these sessions since their texts were last read; only after `figures`."""
        for folder in folders:
            self._read_texts(folder)

    def _read_texts(self, folder: Path) -> None:
        known = self._database.execute("SELECT place, texts FROM sessions WHERE id = ?", (folder.name,)).fetchone()
        if known is None or known[0] == known[1]:
            return
        path = folder / "journal.jsonl"
        scan = Scan(path, texts.KINDS, Place(**json.loads(known[1])) if known[1] else START)
        if not scan.stands():
            scan = Scan(path, texts.KINDS)
        if scan.place == START:
            self._forget_texts(folder.name)
        for seq, speaker, text in texts.said(scan, Blobs(folder / "blobs")):
            line = self._database.execute(
                "INSERT INTO places (session, seq, speaker) VALUES (?, ?, ?)", (folder.name, seq, speaker)
            ).lastrowid
            self._database.execute("INSERT INTO texts (rowid, text) VALUES (?, ?)", (line, text))
        self._database.execute(
            "UPDATE sessions SET texts = ? WHERE id = ?", (json.dumps(asdict(scan.place)), folder.name)
        )

    def _forget_texts(self, session: str) -> None:
        self._database.execute(
            "DELETE FROM texts WHERE rowid IN (SELECT line FROM places WHERE session = ?)", (session,)
        )
        self._database.execute("DELETE FROM places WHERE session = ?", (session,))


def use(state: Path, work: Callable[[Index], Result]) -> Result:
    """Do something with the index of a state folder; what it learns meanwhile is kept."""
    path = state / FILE
    for attempt in ("as it is", "made anew"):
        try:
            if attempt == "made anew":
                remove(state)
            with closing(_open(path)) as database, database:
                _prepare(database)
                return work(Index(database))
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                break
        except (sqlite3.Error, ValueError, TypeError, KeyError):
            continue  # damaged, in form or in content: it is made anew
        except OSError:
            break
    return in_memory(work)


def in_memory(work: Callable[[Index], Result]) -> Result:
    """Do something with an index that knows nothing yet and is not kept."""
    with closing(sqlite3.connect(":memory:")) as database:
        _prepare(database)
        return work(Index(database))


def remove(state: Path) -> None:
    """Forget the index; the next use makes it anew."""
    for name in (FILE, f"{FILE}-journal"):
        with suppress(OSError):
            (state / name).unlink(missing_ok=True)


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # made here, for SQLite would make it readable to others
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return sqlite3.connect(path, timeout=_PATIENCE)


def _prepare(database: sqlite3.Connection) -> None:
    """Give it its tables; those of another version are an error."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == 0:
        database.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT")
    elif version != VERSION:
        raise sqlite3.DatabaseError(f"version {version}")
