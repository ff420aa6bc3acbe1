"""Where a sub-agent's journal tells that it was born, and what counts as one that never was."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.conversation.births import birth, unborn
from harness.conversation.canonical import Json
from harness.conversation.lines import Reader, Record, format_line, line_digest

CALLERS: dict[str, Json] = {"caller": "a", "call_id": "1"}
OWN: dict[str, Json] = {"caller": "b", "call_id": "2"}


def journal(folder: Path, *records: tuple[str, dict[str, Json]]) -> Path:
    folder.mkdir(exist_ok=True)
    lines: list[bytes] = []
    for seq, (kind, data) in enumerate(records):
        previous = line_digest(lines[-1][:-1]) if lines else ""
        lines.append(format_line(Record(seq, kind, 0.0, data), previous))
    path = folder / "journal.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def test_it_is_read_no_further_than_its_birth(tmp_path: Path) -> None:
    after: list[tuple[str, dict[str, Json]]] = [("message", {"text": "x" * 100})] * 1_000
    path = journal(tmp_path / "one", ("session", {}), ("born", CALLERS), ("epoch", {}), ("born", OWN), *after)
    reader = Reader(path)
    assert birth(reader, [CALLERS]) == OWN
    assert reader.size < path.stat().st_size / 100


def test_its_callers_birth_is_not_its_own(tmp_path: Path) -> None:
    path = journal(tmp_path / "one", ("session", {}), ("born", CALLERS), ("epoch", {}))
    assert birth(Reader(path), [CALLERS]) is None
    assert birth(Reader(path), []) == CALLERS
    assert unborn(path.parent, [CALLERS])
    assert not unborn(path.parent, [])


@pytest.mark.parametrize("torn", [b"", b'{"at":'], ids=["whole", "torn"])
def test_only_what_a_kill_leaves_is_one_that_was_never_born(tmp_path: Path, torn: bytes) -> None:
    path = journal(tmp_path / "one", ("session", {}), ("prefix", {}))
    with path.open("ab") as file:
        file.write(torn)
    assert unborn(path.parent, [])
    # what follows is no record: a kill tears one line, the last one
    with path.open("ab") as file:
        file.write(b"\nsomething else")
    assert not unborn(path.parent, [])


def test_damage_and_work_speak_against_it(tmp_path: Path) -> None:
    path = journal(tmp_path / "one", ("session", {}), ("prefix", {}), ("epoch", {}))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"garbage\n" + lines[2])
    assert not unborn(path.parent, [])
    path.write_bytes(lines[0])
    assert unborn(path.parent, [])
    (path.parent / "outputs").mkdir()
    assert not unborn(path.parent, [])


def test_a_folder_without_a_journal(tmp_path: Path) -> None:
    assert unborn(tmp_path, [])
    (tmp_path / "lock").touch()
    assert unborn(tmp_path, [])
    (tmp_path / "blobs").mkdir()
    assert not unborn(tmp_path, [])
    assert not unborn(tmp_path / "lock", [])
    assert not unborn(tmp_path / "nowhere", [])
