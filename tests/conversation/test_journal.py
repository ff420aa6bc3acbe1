"""The journal under what really happens to files: torn tails, full disks, odd characters, two owners."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from harness.conversation.blobs import BLOB_FROM, Blobs
from harness.conversation.canonical import digest
from harness.conversation.journal import Journal
from harness.conversation.lines import Record, read_records
from harness.conversation.stored import fetch, fetch_json, keep, keep_json
from harness.errors import JournalBusy, JournalError, StorageFull
from harness.seam import Seam

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from harness.conversation.journal import Journal
from harness.errors import StorageFull
from harness.seam import Seam
folder = Path(sys.argv[1])
journal = Journal.create(folder, Seam())
journal.append("note", {"n": 1})
before = (folder / "journal.jsonl").read_bytes()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, resource.RLIM_INFINITY))
try:
    journal.append("note", {"n": 2})
except StorageFull as error:
    print("refused:", error)
assert (folder / "journal.jsonl").read_bytes() == before
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append("note", {"n": 3})
journal.close()
"""

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    max_leaves=8,
)


def make(folder: Path, *numbers: int) -> Path:
    journal = Journal.create(folder, Seam())
    for number in numbers:
        journal.append("note", {"n": number})
    journal.close()
    return folder / "journal.jsonl"


def reopen(folder: Path) -> tuple[list[Record], Journal]:
    journal = Journal.open(folder, Seam())
    records = list(journal.load())
    journal.close()
    return records, journal


def numbers(records: list[Record]) -> list[int]:
    return [record.data["n"] for record in records]


@pytest.mark.parametrize("tail", [b'{"at":1', b"\x00" * 512, b'{"at":1}\n', b"\n", b"\xff\xfe half"])
def test_a_torn_tail_is_set_aside_and_never_appended_to(tmp_path: Path, tail: bytes) -> None:
    path = make(tmp_path / "s", 1, 2)
    whole = path.read_bytes()
    path.write_bytes(whole + tail)

    journal = Journal.open(tmp_path / "s", Seam())
    records = list(journal.load())
    aside = tmp_path / "s" / f"torn-{len(whole)}"
    told = f"the last {len(tail)} bytes of the session were no whole record; they are set aside in {aside}"
    assert journal.warnings() == [told]
    journal.append("note", {"n": 3})
    journal.close()

    assert numbers(records) == [1, 2]
    assert path.read_bytes().startswith(whole + b'{"at":')
    assert (tmp_path / "s" / f"torn-{len(whole)}").read_bytes() == tail
    assert numbers(reopen(tmp_path / "s")[0]) == [1, 2, 3]


def test_what_is_torn_off_at_one_place_twice_is_kept_twice(tmp_path: Path) -> None:
    path = make(tmp_path / "s", 1)
    whole = path.read_bytes()
    for tail in (b'{"at":1', b'{"at":2', b'{"at":3'):
        path.write_bytes(whole + tail)
        _, journal = reopen(tmp_path / "s")
        aside = journal.warnings()[0].rpartition(" ")[2]
        assert Path(aside).read_bytes() == tail

    kept = {file.name: file.read_bytes()[-1:] for file in (tmp_path / "s").glob("torn-*")}
    name = f"torn-{len(whole)}"
    assert kept == {name: b"1", f"{name}.2": b"2", f"{name}.3": b"3"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(cut=st.integers(0, 300))
def test_cut_anywhere_the_whole_lines_before_the_cut_are_kept(tmp_path_factory: Any, cut: int) -> None:
    folder = tmp_path_factory.mktemp("cut") / "s"
    path = make(folder, 1, 2, 3)
    raw = path.read_bytes()
    path.write_bytes(raw[:cut])

    if cut and not raw[:cut].count(b"\n"):
        with pytest.raises(JournalError, match=r"nothing in .* is a record"):
            reopen(folder)
        assert path.read_bytes() == raw[:cut]
        return
    assert numbers(reopen(folder)[0]) == [1, 2, 3][: raw[:cut].count(b"\n")]
    assert path.read_bytes() == raw[: raw.rfind(b"\n", 0, cut) + 1 if cut < len(raw) else len(raw)]


def test_a_broken_line_in_the_middle_loses_itself_only_and_is_reported(tmp_path: Path) -> None:
    path = make(tmp_path / "s", 1, 2, 3)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b'"n":2', b'"n":7'))

    records, journal = reopen(tmp_path / "s")

    assert numbers(records) == [1, 3]
    assert [(damage.line, damage.reason) for damage in journal.damage] == [(2, "its checksum is wrong")]
    assert path.stat().st_size == len(raw)


def test_what_lies_beyond_damage_is_not_one_chain_with_what_lies_before(tmp_path: Path) -> None:
    path = make(tmp_path / "s", 0, 1, 2, 3, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"garbage\n", *lines[3:]]))

    journal = reopen(tmp_path / "s")[1]

    assert journal.damage[0].after == 1
    assert [journal.whole(*pair) for pair in [(0, 1), (3, 4), (0, 3), (1, 4)]] == [True, True, False, False]


def test_any_record_can_be_read_again_by_its_number(tmp_path: Path) -> None:
    path = make(tmp_path / "s", 0, 1, 2, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"garbage\n", *lines[3:], b"torn"]))
    journal = Journal.open(tmp_path / "s", Seam())
    records = list(journal.load())
    records.append(journal.append("note", {"n": 4}))

    assert [journal.read(record.seq) for record in records] == records
    for missing in (2, 5, 1 << 40):
        with pytest.raises(JournalError, match="is lost"):
            journal.read(missing)
    path.write_bytes(path.read_bytes().replace(b'"n":4', b'"n":5'))
    with pytest.raises(JournalError, match="cannot be read any more: its checksum is wrong"):
        journal.read(4)
    journal.close()


def test_many_damaged_lines_are_one_warning(tmp_path: Path) -> None:
    path = make(tmp_path / "s", *range(50))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line if number % 3 else b"?" + line for number, line in enumerate(lines)))

    assert reopen(tmp_path / "s")[1].warnings() == [
        "line 1 of the session is damaged (the first of 17 such places): its checksum is wrong; it is left out"
    ]


def test_what_a_second_writer_wrote_is_left_out(tmp_path: Path) -> None:
    path = make(tmp_path / "s", 1, 2, 3)
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second + second + third)

    records, journal = reopen(tmp_path / "s")

    assert numbers(records) == [1, 2, 3]
    assert [(damage.line, damage.after) for damage in journal.damage] == [(3, 1)]


@pytest.mark.parametrize("garbage", [b"\0" * 100_000, b"not a journal\n" * 50, os.urandom(4096)])
def test_a_file_of_garbage_is_said_and_left_as_it_is(tmp_path: Path, garbage: bytes) -> None:
    path = make(tmp_path / "s", 1)
    path.write_bytes(garbage)

    with pytest.raises(JournalError, match=r"nothing in .* is a record of a session"):
        reopen(tmp_path / "s")

    assert path.read_bytes() == garbage


def test_nothing_is_added_to_a_journal_that_was_not_read(tmp_path: Path) -> None:
    path = make(tmp_path / "s", 1)
    before = path.read_bytes()
    journal = Journal.open(tmp_path / "s", Seam())

    with pytest.raises(JournalError, match="not read to its end"):
        journal.append("note", {"n": 2})

    journal.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_session_that_is_no_longer_where_it_was_is_said(tmp_path: Path, how: str) -> None:
    journal = Journal.create(tmp_path / "s", Seam())
    journal.append("note", {"n": 1})
    asyncio.run(journal.sync())
    path = tmp_path / "s" / "journal.jsonl"
    whole = path.read_bytes()
    path.unlink()
    if how == "replaced":
        path.write_bytes(whole)

    journal.append("note", {"n": 2})
    with pytest.raises(JournalError, match="was moved, removed or replaced"):
        asyncio.run(journal.sync())
    journal.close()


def test_a_line_that_was_taken_out_is_noticed(tmp_path: Path) -> None:
    path = make(tmp_path / "s", 1, 2, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])

    assert reopen(tmp_path / "s")[1].damage[0].line == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(value=anything)
def test_any_value_comes_back_and_takes_one_ascii_line(tmp_path_factory: Any, value: Any) -> None:
    folder = tmp_path_factory.mktemp("any") / "s"
    journal = Journal.create(folder, Seam())
    journal.append("note", {"value": value})
    journal.close()

    raw = (folder / "journal.jsonl").read_bytes()
    assert raw.isascii()
    assert len(raw.decode().splitlines()) == 1
    assert reopen(folder)[0][0].data["value"] == value


def test_line_separators_inside_a_record_do_not_cut_it(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    journal = Journal.create(folder, Seam())
    text = "one\ntwo\u2028three\u2029four\x85five\x0bsix\r\n"
    journal.append("note", {"text": text})
    journal.close()

    assert (folder / "journal.jsonl").read_text().count("\n") == 1
    assert reopen(folder)[0][0].data["text"] == text


def test_a_full_disk_leaves_no_half_record(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder)], cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("refused: cannot write")
    assert "free space" in ran.stdout
    assert numbers(reopen(folder)[0]) == [1, 3]


def test_a_second_owner_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "s", Seam())
    with pytest.raises(JournalBusy, match=rf"in use by process {os.getpid()} on .*: harness -r s --fork$"):
        Journal.open(tmp_path / "s", Seam())
    journal.close()

    Journal.open(tmp_path / "s", Seam()).close()


def test_a_copied_record_keeps_its_number_and_numbers_never_go_back(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "s", Seam())
    journal.copy(Record(3, "note", 1.5, {"n": 1}))
    journal.append("note", {"n": 2})
    with pytest.raises(JournalError):
        journal.copy(Record(4, "note", 1.5, {"n": 1}))
    journal.close()

    records, reopened = reopen(tmp_path / "s")
    assert [(record.seq, record.data["n"]) for record in records] == [(3, 1), (4, 2)]
    assert records[0].at == 1.5
    assert reopened.damage == ()


def test_files_are_private(tmp_path: Path) -> None:
    path = make(tmp_path / "s", 1)

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_listing_reads_without_owning(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "s", Seam())
    journal.append("note", {"n": 1})

    assert numbers(list(read_records(tmp_path / "s" / "journal.jsonl"))) == [1]
    journal.close()


def test_sync_puts_blobs_and_records_on_the_disk(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "s", Seam())
    name = journal.blobs.put(b"raw")
    journal.append("note", {"blob": name})
    asyncio.run(journal.sync())
    journal.close()

    assert journal.blobs.get(name) == b"raw"


def test_blobs_are_named_by_their_content_and_checked(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.put(b"content")
    assert blobs.put(b"content") == name
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [name]

    (tmp_path / name[:2] / name).write_bytes(b"c0ntent")
    with pytest.raises(JournalError, match="damaged"):
        blobs.get(name)
    with pytest.raises(JournalError, match="missing"):
        blobs.get("0" * 64)


def test_a_blob_that_a_power_loss_left_empty_is_written_again(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.put(b"content")
    (tmp_path / name[:2] / name).write_bytes(b"")

    assert blobs.get(blobs.put(b"content")) == b"content"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_state_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageFull, match="XDG_STATE_HOME"):
        Journal.create(tmp_path / "s", Seam())


@pytest.mark.parametrize("size", [0, 1, BLOB_FROM - 1, BLOB_FROM, BLOB_FROM + 1])
def test_large_texts_live_beside_the_journal(tmp_path: Path, size: int) -> None:
    blobs = Blobs(tmp_path)
    kept = keep("x" * size, blobs)

    assert isinstance(kept, str) == (size < BLOB_FROM)
    assert fetch(kept, blobs) == "x" * size
    value = {"blob": "y" * size, "b": 1, "a": 2.5}
    assert fetch_json(json.loads(json.dumps(keep_json(value, blobs))), blobs) == value


def test_two_syncs_at_once_forget_no_blob_that_came_meanwhile(tmp_path: Path) -> None:
    """One that was cancelled goes on in its thread, beside the next one."""
    blobs = Blobs(tmp_path / "blobs")
    for number in range(2_000):
        blobs.put(b"%d" % number)
    syncs = [threading.Thread(target=blobs.sync) for _ in range(2)]
    for sync in syncs:
        sync.start()
        time.sleep(0.01)
    while blobs._unsynced:
        time.sleep(0)
    late = digest(b"late")
    assert blobs.put(b"late") == late
    for sync in syncs:
        sync.join()
    assert [path.name for path in blobs._unsynced] == [late]
