"""What is known of all sessions without reading them again: an SQLite file that can be made anew at any time.

Invariant: the journals are the truth. A row counts only while its journal has the size and the time it was read at; a
missing, damaged, locked or older index is made anew, in memory where it cannot be in its file.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from harness.conversation.blobs import Blobs
from harness.conversation.scan import START, Place, Scan
from harness.sessions import texts
from harness.sessions.figures import KINDS, Figures
from harness.sessions.store import agents_in

FILE = "index.sqlite"
VERSION = 2
"""Of the tables and of what they hold; another one is made anew."""

_PATIENCE = 3.0
"""Seconds for which another process may write it."""

_TABLES = """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, size INTEGER, changed INTEGER, place TEXT, figures TEXT, texts TEXT
) WITHOUT ROWID;
CREATE TABLE agents (
    session TEXT, id TEXT, skill TEXT, caller TEXT, size INTEGER, changed INTEGER, place TEXT, PRIMARY KEY (session, id)
) WITHOUT ROWID;
CREATE TABLE places (line INTEGER PRIMARY KEY, session TEXT, agent TEXT, seq INTEGER, speaker TEXT);
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

        What a session's sub-agents said comes after its own. Only after `figures`.
        """
        self.read_texts(folders)
        here = {folder.name for folder in folders}
        yield from (found for found in texts.rows(self._database, words) if found.session in here)

    def read_texts(self, folders: Sequence[Path]) -> None:
        """Take in what was said in these sessions since their texts were last read; only after `figures`."""
        for folder in folders:
            self._read_texts(folder)

    def _read_texts(self, folder: Path) -> None:
        known = self._database.execute("SELECT place, texts FROM sessions WHERE id = ?", (folder.name,)).fetchone()
        if known is None:
            return
        if known[0] != known[1]:
            self._read_own(folder, known[1])
        for agent in agents_in(folder):
            # one that cannot be read hides no other; looking at it says so
            with suppress(OSError):
                self._read_agent(folder.name, agent)

    def _read_own(self, folder: Path, known: str) -> None:
        path = folder / "journal.jsonl"
        scan = Scan(path, texts.KINDS, Place(**json.loads(known)) if known else START)
        if not scan.stands():
            scan = Scan(path, texts.KINDS)
        if scan.place == START:
            self._forget_texts(folder.name)
        self._keep(folder.name, "", texts.said(scan, Blobs(folder / "blobs")))
        self._database.execute(
            "UPDATE sessions SET texts = ? WHERE id = ?", (json.dumps(asdict(scan.place)), folder.name)
        )

    def _read_agent(self, session: str, folder: Path) -> None:
        """Read on in the journal of a sub-agent of a session."""
        path, which = folder / "journal.jsonl", (session, folder.name)
        status = path.stat()
        state = (status.st_size, status.st_mtime_ns)
        known = self._database.execute(
            "SELECT skill, caller, size, changed, place FROM agents WHERE session = ? AND id = ?", which
        ).fetchone()
        if known is not None and known[2:4] == state:
            return
        scan = Scan(path, texts.AGENT_KINDS, Place(**json.loads(known[4])) if known else START)
        if not scan.stands():
            scan = Scan(path, texts.AGENT_KINDS)
        if scan.place == START:
            self._forget_texts(session, folder.name)
        born, said = texts.said_by_agent(scan, Blobs(folder / "blobs"))
        if born is None and known is None:
            return  # all that is there yet is its caller's
        skill, caller = (born.data["skill"], born.data["caller"]) if born else known[:2]
        self._keep(session, folder.name, said)
        row = (*which, skill, caller, *state, json.dumps(asdict(scan.place)))
        self._database.execute("INSERT OR REPLACE INTO agents VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def _keep(self, session: str, agent: str, said: Iterable[tuple[int, str, str]]) -> None:
        for seq, speaker, text in said:
            line = self._database.execute(
                "INSERT INTO places (session, agent, seq, speaker) VALUES (?, ?, ?, ?)", (session, agent, seq, speaker)
            ).lastrowid
            self._database.execute("INSERT INTO texts (rowid, text) VALUES (?, ?)", (line, text))

    def _forget_texts(self, session: str, agent: str | None = None) -> None:
        """Forget what was said in a session, or by one of its sub-agents."""
        which = "session = ?" if agent is None else "session = ? AND agent = ?"
        given = (session,) if agent is None else (session, agent)
        lines = f"SELECT line FROM places WHERE {which}"  # noqa: S608 - of the two above
        self._database.execute(f"DELETE FROM texts WHERE rowid IN ({lines})", given)  # noqa: S608 - the same
        self._database.execute(f"DELETE FROM places WHERE {which}", given)  # noqa: S608 - the same
        if agent is None:
            self._database.execute("DELETE FROM agents WHERE session = ?", given)


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
