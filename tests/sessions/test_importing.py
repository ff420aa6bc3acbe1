"""Exports that mean harm: refused in one line, and nothing of them stays."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.conversation.lines import Record
from harness.errors import HarnessError
from harness.providers.catalog import Catalog
from harness.sessions import archive, importing, portable
from harness.sessions.importing import import_session
from harness.sessions.portable import Room
from harness.sessions.store import Store
from harness.workspace.credentials import Credentials
from tests.program import ROOT
from tests.replay.tampering import tampered

RECORDED = ROOT / "tests" / "recorded" / "small"
NAME = "20260101-000000-0123abcd"


def taken_in(path: Path, state: Path) -> Path:
    return import_session(path, Store(state), state, Catalog.load()).folder


def refused(path: Path, state: Path) -> str:
    with pytest.raises(HarnessError) as raised:
        taken_in(path, state)
    left = [one for one in state.rglob("*") if one.name != "sessions"]
    assert left == []
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    portable.export(RECORDED, tmp_path / NAME, Credentials({}))
    return tmp_path / NAME


def test_only_what_a_session_is_made_of_comes_along(export: Path, tmp_path: Path) -> None:
    for name in ("lock", "outputs/a.txt", "forks/x", "torn-3", "blobs/ab/.x.part", "hooks/run.sh", "agents/a/lock"):
        (export / name).parent.mkdir(exist_ok=True, parents=True)
        (export / name).write_text("#!/bin/sh\ntouch /tmp/was-run\n")

    folder = taken_in(export, tmp_path / "state")

    assert folder == tmp_path / "state" / "sessions" / NAME
    assert {path.name for path in folder.iterdir()} == {"journal.jsonl", "blobs"}
    assert not list(folder.rglob("*.part"))


def linked(path: Path) -> None:
    target = path.with_name(path.name + ".real")
    path.rename(target)
    path.symlink_to(target)


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def test_what_is_left_of_a_sub_agent_that_was_never_born_is_not_counted(export: Path, tmp_path: Path) -> None:
    whole = portable.copy(export, tmp_path / "one", Credentials({}), Room())
    unborn = export / "agents" / NAME
    unborn.mkdir(parents=True)
    lines = (export / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (unborn / "journal.jsonl").write_bytes(b"".join(lines[:3]))

    copied = portable.copy(export, tmp_path / "other", Credentials({}), Room())

    assert copied == whole
    assert not list((tmp_path / "other").rglob("agents/*"))


@pytest.mark.parametrize("what", ["journal.jsonl", "blobs", "blobs/??", "blobs/??/*"])
def test_a_link_is_not_followed(export: Path, tmp_path: Path, what: str) -> None:
    linked(min(export.glob(what)))

    assert "no " in refused(export, tmp_path / "state")


@pytest.mark.parametrize("what", ["journal.jsonl", "blobs/??/*"])
def test_a_pipe_is_not_waited_for(export: Path, tmp_path: Path, what: str) -> None:
    piped(path := min(export.glob(what)))

    assert "no regular file" in refused(export, tmp_path / "state")
    path.unlink()  # whoever looks over the journals of a test would wait for it


@pytest.mark.parametrize("name", ["\x1b[2J", ".hidden", "a\nb"])
def test_a_sub_agent_of_a_strange_name_is_refused(export: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(RECORDED, export / "agents" / name)

    assert "which no session of this program does" in refused(export, tmp_path / "state")


def test_sub_agents_without_end_are_refused(export: Path, tmp_path: Path) -> None:
    folder = export
    for _ in range(4):
        folder = folder / "agents" / "a"
        shutil.copytree(RECORDED, folder)

    assert "which no session of this program does" in refused(export, tmp_path / "state")


def spoiled(**changes: Any) -> Callable[[Record, dict[str, Any]], None]:
    def change(record: Record, data: dict[str, Any]) -> None:
        kind, value = next(iter(changes.items()))
        if record.kind == kind:
            data.update(value)

    return change


@pytest.mark.parametrize(
    "changes",
    [
        {"session": {"cache": []}},
        {"session": {"root": 7}},
        {"session": {"format": 99}},
        {"message": {"blocks": 3}},
        {"message": {"tag": None, "blocks": [[]]}},
        {"prefix": {"tools": 5}},
        {"epoch": {"messages": 7}},
        {"request": {"line": {}}},
        {"response": {"usage": []}},
    ],
    ids=str,
)
def test_a_record_that_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tampered(RECORDED, tmp_path / NAME, spoiled(**changes))

    assert "nothing was taken in" in (told := refused(path, tmp_path / "state")) or "newer version" in told


@pytest.mark.parametrize("raw", [b"", b"{}\n", b"\0" * 5000, b"[" * 100_000])
def test_what_is_no_journal_is_refused(export: Path, tmp_path: Path, raw: bytes) -> None:
    (export / "journal.jsonl").write_bytes(raw)

    assert "nothing in the journal" in refused(export, tmp_path / "state")
    (export / "journal.jsonl").unlink()


def test_a_blob_that_is_not_what_its_name_says_is_left_out(export: Path, tmp_path: Path) -> None:
    blob = min(export.glob("blobs/??/*"))
    blob.write_bytes(b"other")

    found = import_session(export, Store(tmp_path / "state"), tmp_path / "state", Catalog.load())

    assert found.copied.damaged == 1
    assert not (found.folder / blob.relative_to(export)).exists()


def test_a_session_that_is_too_large_is_refused(export: Path, tmp_path: Path) -> None:
    size = sum(path.stat().st_size for path in export.rglob("*") if path.is_file())
    number = sum(path.is_file() for path in export.rglob("*"))

    portable.copy(export, tmp_path / "fits", Credentials({}), Room(size, number))
    for room in (Room(size - 1), Room(None, number - 1)):
        with pytest.raises(HarnessError, match="larger than what is taken in"):
            portable.copy(export, tmp_path / f"not-{room.bytes}", Credentials({}), room)


def test_a_sparse_journal_of_many_gigabytes_is_refused_unread(export: Path, tmp_path: Path) -> None:
    os.truncate(export / "journal.jsonl", importing.MOST_BYTES + 1)

    assert "larger than what is taken in" in refused(export, tmp_path / "state")
    os.truncate(export / "journal.jsonl", 0)


# ------------------------------------------------------------------------------------------------------- archives


def packed(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for about, raw in members:
            about.size = len(raw) if about.isreg() else 0
            tar.addfile(about, io.BytesIO(raw))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    about = tarfile.TarInfo(name)
    about.type, about.linkname = kind, target
    return about


@pytest.mark.parametrize(
    "hostile",
    [
        member(f"{NAME}/journal.jsonl", tarfile.SYMTYPE, "/etc/passwd"),
        member(f"{NAME}/journal.jsonl", tarfile.LNKTYPE, "/etc/passwd"),
        member(f"{NAME}/journal.jsonl", tarfile.CHRTYPE),
        member(f"{NAME}/journal.jsonl", tarfile.FIFOTYPE),
        member("/etc/passwd"),
        member("../../out"),
        member(f"{NAME}/../out"),
        member(f"{NAME}/agents/../../../out/journal.jsonl"),
        member("../journal.jsonl"),
        member("other/journal.jsonl"),
    ],
    ids=lambda about: f"{about.name} {about.type!r}",
)
def test_an_archive_puts_nothing_outside(tmp_path: Path, hostile: tarfile.TarInfo) -> None:
    path = packed(tmp_path / "x.tar.gz", (hostile, b"x"), (member(f"{NAME}/x"), b"x"))

    assert refused(path, tmp_path / "state")
    assert {one.name for one in tmp_path.iterdir()} <= {"x.tar.gz", "state"}


def test_what_is_no_archive_is_refused(tmp_path: Path, export: Path) -> None:
    archive.pack(export, whole := tmp_path / "whole.tar.gz")
    raw = whole.read_bytes()
    for number, broken in enumerate([b"", b"no archive", raw[: len(raw) // 2], gzip.compress(b"no tar" * 500)]):
        (path := tmp_path / f"{number}.tar.gz").write_bytes(broken)
        assert "no archive of" in refused(path, tmp_path / "state")


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    for number, name in enumerate((f"{NAME}/journal.jsonl", f"{NAME}/other")):
        path = packed(tmp_path / f"{number}.tar.gz", (member(name), b"\0" * 3_000_000))
        with pytest.raises(HarnessError, match="unpacks to more"):
            archive.unpack(path, tmp_path / f"out{number}", 1_000_000, 10)
    many = packed(tmp_path / "many.tar.gz", *((member(f"{NAME}/{number}"), b"") for number in range(20)))
    with pytest.raises(HarnessError, match="unpacks to more"):
        archive.unpack(many, tmp_path / "out", 1_000_000, 10)
    header = member(f"{NAME}/x")
    header.pax_headers = {"comment": "x" * 2_000_000}
    with pytest.raises(HarnessError, match="unpacks to more"):
        archive.unpack(packed(tmp_path / "header.tar.gz", (header, b"x")), tmp_path / "out3", 10_000_000, 10)


def test_an_archive_is_the_same_for_the_same_session(tmp_path: Path) -> None:
    for name in ("one", "two"):
        portable.export(RECORDED, tmp_path / f"{name}.tar.gz", Credentials({}))

    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
