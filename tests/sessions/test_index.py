"""The index against the journals: it knows what they say, however old, broken or absent it is."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.agent.session import Session
from harness.conversation.blobs import BLOB_FROM
from harness.conversation.blocks import Message, Text, ToolResult
from harness.seam import Seam
from harness.sessions import index
from harness.sessions.figures import Figures
from harness.sessions.store import Store
from harness.sessions.texts import snippet
from tests.sessions.conftest import Make


def read(state: Path) -> list[Figures]:
    return index.use(state, lambda opened: opened.figures(Store(state).all()))


def search(state: Path, *words: str) -> list[tuple[str, str]]:
    def work(opened: index.Index) -> list[tuple[str, str]]:
        folders = Store(state).all()
        opened.figures(folders)
        return [(found.speaker, found.text) for found in opened.search(folders, words)]

    return index.use(state, work)


@pytest.mark.usefixtures("spoken")
def test_it_counts_what_the_session_itself_counts(state: Path) -> None:
    for figures in read(state):
        session = Session.resume(state / "sessions" / figures.id, Seam())
        session.close()
        totals = session.totals
        assert (figures.requests, figures.usage, figures.cost) == (totals.requests, totals.usage, totals.cost)
        assert figures.model == session.requests.last_model
    assert [figures.turns for figures in read(state)] == [1, 2]
    assert [figures.title for figures in read(state)] == ["fix the <i>parser</i> please", "überprüfe alles"]


def test_what_is_known_is_not_read_again(make: Make, state: Path) -> None:
    folder = make(("person", "hello"))
    before = read(state)
    path = folder / "journal.jsonl"
    status = path.stat()

    # other bytes of the same size and time: only who reads the file would notice
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert read(state) == before
    os.utime(path)
    assert read(state)[0].title == ""


def test_a_session_that_grew_is_read_on(make: Make, state: Path) -> None:
    folder = make(("person", "first words"))
    assert search(state, "words") == [("person", "first words")]

    session = Session.resume(folder, Seam())
    session.add(Message("answer", (Text("more words"),)))
    session.close()

    assert read(state)[0].turns == 1
    assert search(state, "words") == [("person", "first words"), ("answer", "more words")]


def test_another_journal_in_the_same_place_is_read_anew(make: Make, state: Path) -> None:
    folder, other = make(("person", "one thing")), make(("person", "quite another thing"), ("person", "and more"))
    assert len(search(state, "thing")) == 2

    (other / "journal.jsonl").replace(folder / "journal.jsonl")

    assert [figures.title for figures in read(state)] == ["quite another thing", ""]
    assert search(state, "one thing") == []


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no database at all" * 1000),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"person", b"\x00\xff\x00\xff\x00\xff")),
    ],
)
def test_a_harmed_index_is_made_anew(make: Make, state: Path, harm: Callable[[Path], object]) -> None:
    make(("person", "hello world"))
    assert search(state, "hello") == [("person", "hello world")]

    harm(state / index.FILE)

    assert read(state)[0].title == "hello world"
    index.remove(state)
    assert search(state, "WORLD") == [("person", "hello world")]


def test_an_index_of_another_version_is_made_anew(make: Make, state: Path) -> None:
    make(("person", "hello world"))
    read(state)
    with sqlite3.connect(state / index.FILE) as database:
        database.execute("PRAGMA user_version = 99")
        database.execute("DROP TABLE sessions")
    database.close()

    assert search(state, "hello") == [("person", "hello world")]


def test_an_index_that_cannot_be_written_prevents_nothing(make: Make, state: Path) -> None:
    make(("person", "hello world"))
    (state / index.FILE).mkdir()

    assert search(state, "hello") == [("person", "hello world")]


def test_an_index_in_use_by_another_prevents_nothing(make: Make, state: Path) -> None:
    make(("person", "hello world"))
    read(state)
    make(("person", "hello again"))
    other = sqlite3.connect(state / index.FILE)
    other.execute("BEGIN EXCLUSIVE")

    assert len(search(state, "hello")) == 2

    other.close()


def test_only_its_owner_can_read_it(make: Make, state: Path) -> None:
    make(("person", "hello"))
    read(state)

    assert stat.S_IMODE((state / index.FILE).stat().st_mode) == 0o600


def test_text_is_found_in_blobs_in_any_case_and_in_any_script(make: Make, state: Path) -> None:
    large = ToolResult("c1", (Text("x" * BLOB_FROM + " NeedLe " + "y" * 10),))
    make(("results", large), ("person", "日本語のテキスト"), ("answer", "ÄRGER"), ("person", "nul\0 end"))

    assert [speaker for speaker, _ in search(state, "needle")] == ["result"]
    assert len(search(state, "本語の")) == len(search(state, "日本")) == len(search(state, "ärger")) == 1
    assert len(search(state, "end", "nu")) == 1
    assert search(state, 'quo"te') == search(state, "*") == search(state, "NEAR(a b)") == []


def test_a_lost_blob_loses_no_other_text(make: Make, state: Path) -> None:
    folder = make(("person", "z" * BLOB_FROM), ("answer", "still found"))
    for blob in (folder / "blobs").glob("*/*"):
        blob.unlink()

    (figures,) = read(state)

    assert "missing" in figures.problems[0]
    assert search(state, "still") == [("answer", "still found")]


def test_a_snippet_shows_the_place() -> None:
    text = "a" * 500 + " Needle " + "b" * 500

    assert snippet(text, ["needle"], 5) == "…aaaa Needle bbbb…"
    assert snippet("Needle", ["needle"]) == "Needle"
    assert snippet("other", ["needle"], 3) == "oth…"


def test_thousands_of_sessions(make: Make, state: Path) -> None:
    first = make(("person", "the first"))
    raw = (first / "journal.jsonl").read_bytes()
    for number in range(3000):
        folder = state / "sessions" / f"20250101-{number:06}-00000000"
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(raw)

    assert len(read(state)) == 3001
    assert len(search(state, "first")) == 3001
    Store(state).delete(first, Seam())
    assert len(read(state)) == len(search(state, "first")) == 3000
