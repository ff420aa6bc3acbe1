"""Reading on in a journal, over what crashes and disks leave behind."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from harness.conversation.journal import Journal
from harness.conversation.lines import Damage, Record, read_records
from harness.conversation.scan import START, Scan
from harness.seam import Seam


def journal(folder: Path, *texts: str) -> Path:
    made = Journal.create(folder, Seam())
    for number, text in enumerate(texts):
        made.append("even" if number % 2 == 0 else "odd", {"kind": text, "seq": text})
    made.close()
    return folder / "journal.jsonl"


def kinds(scan: Scan) -> list[str]:
    return [found.kind if isinstance(found, Record) else f"{found.line}: {found.reason}" for found in scan]


@given(st.lists(st.text(max_size=60), max_size=8), st.integers(0, 8))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_scan_finds_what_the_journal_gives_from_any_place(tmp_path: Path, texts: list[str], cut: int) -> None:
    path = journal(tmp_path / Seam().new_id(), *texts)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:cut]))
    first = Scan(path, ("even", "odd"))
    found = list(first)
    path.write_bytes(whole)

    second = Scan(path, ("even", "odd"), first.place)

    assert second.stands()
    assert found + list(second) == list(read_records(path))
    assert second.place.offset == len(whole)


def test_only_the_kinds_that_are_asked_for(tmp_path: Path) -> None:
    path = journal(tmp_path / "s", *'abc"kind":"odd"')

    assert set(kinds(Scan(path, ("odd",)))) == {"odd"}


def test_a_torn_tail_is_no_damage_and_a_broken_line_is(tmp_path: Path) -> None:
    path = journal(tmp_path / "s", "a", "b", "c", "d")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b"b", b"B") + lines[2] + lines[3][:-9] + b"\0" * 50)

    scan = Scan(path, ("even", "odd"))

    assert kinds(scan) == ["even", "2: its checksum is wrong", "even"]
    assert scan.torn == len(lines[3]) - 9 + 50
    path.write_bytes(lines[0] + lines[2])
    assert [found for found in Scan(path, ()) if isinstance(found, Damage)] == [
        Damage(2, "it does not follow the line before it", 0)
    ]


def test_a_place_does_not_stand_in_another_file(tmp_path: Path) -> None:
    one, two = journal(tmp_path / "one", "a", "b"), journal(tmp_path / "two", "c", "d", "e")
    scan = Scan(one, ())
    list(scan)

    assert Scan(one, (), scan.place).stands()
    assert not Scan(two, (), scan.place).stands()
    assert Scan(two, (), START).stands()
    one.write_bytes(b"")
    assert not Scan(one, (), scan.place).stands()
