"""No room for the session: said in the same turn, no half record or file stays, and it goes on when there is room."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from harness.conversation.lines import Reader
from harness.simulator import Answer
from tests.e2e.conftest import Start
from tests.e2e.lab import Forks, Lab, Script, call
from tests.ui.full_disk import fill, small_disk

WORK = Script(
    "one",
    [{"text": "long " * 10_000}, call("shell", command="seq 20000"), call("shell", command="seq 9000")],
    [call("write", path="a.txt", content="x" * 40_000)],
    "end",
    "fine",
)
FULL = ("No space left on device", "File too large")


def whole(session: Path) -> None:
    """Every file of a session is whole."""
    reader = Reader(session / "journal.jsonl")
    assert len([*reader]) > 3
    assert (reader.damage, reader.end) == ([], reader.size)
    assert [path.name for path in session.rglob("*.part")] == []
    for blob in session.glob("blobs/*/*"):
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    for output in session.glob("outputs/*.txt"):
        assert output.stem == hashlib.sha256(output.read_bytes()).hexdigest()[:16]


@pytest.mark.parametrize("room", [0, 4, 8, 12, 20, 28, 40, 64, 100, 160, 240, 400])
def test_any_amount_of_room(room: int, lab: Lab, vendor: Start, forked: Forks) -> None:
    vendor(WORK)
    with small_disk(lab.state, "2m"):
        assert lab.run("-p", "begin").code == 0
        (session,) = lab.sessions()
        filler = fill(lab.state, room * 1024)

        ran = forked.start(lab, "-c", "-p", "work", "--permission-mode", "yolo").end()

        whole(session)
        if ran.code:
            assert ran.code == 1
            (line,) = ran.lines
            assert any(reason in line for reason in FULL)
            assert "free space" in line
        else:
            assert room > 100
        filler.unlink()
        again = forked.start(lab, "-c", "-p", "go on", "--permission-mode", "yolo").end()
        assert again.code == 0, again.err
        whole(session)


@pytest.mark.parametrize("limit", [600, 5_000, 30_000, 40_000, 60_000])
@pytest.mark.skipif(sys.platform == "darwin", reason="files are limited before the run can tell where it is")
def test_files_that_may_not_grow(limit: int, lab: Lab, vendor: Start, forked: Forks) -> None:
    vendor(WORK)
    assert forked.start(lab, "-p", "begin").end().code == 0
    (session,) = lab.sessions()
    size = (session / "journal.jsonl").stat().st_size

    ran = forked.start(lab, "-c", "-p", "work", "--permission-mode", "yolo", file_limit=size + limit).end()

    whole(session)
    assert ran.code == 1
    (line,) = ran.lines
    assert any(reason in line for reason in FULL)
    again = forked.start(lab, "-c", "-p", "go on", "--permission-mode", "yolo").end()
    assert again.code == 0, again.err
    whole(session)


def test_no_room_for_a_new_session_leaves_nothing(lab: Lab, vendor: Start) -> None:
    vendor(Script("one"))
    with small_disk(lab.state, "64k"):
        filler = fill(lab.state)

        ran = lab.run("-p", "hello")

        assert ran.code == 1
        (line,) = ran.lines
        assert "No space left on device; free space or set XDG_STATE_HOME" in line
        assert lab.sessions() == []
        filler.unlink()
        assert lab.run("-p", "hello").code == 0


def test_no_room_for_the_torn_tail_leaves_it_where_it_is(lab: Lab, vendor: Start) -> None:
    vendor(Script("one", "two"))
    with small_disk(lab.state, "1m"):
        assert lab.run("-p", "begin").code == 0
        (session,) = lab.sessions()
        journal = session / "journal.jsonl"
        torn = journal.read_bytes() + b'{"at":' * 2000
        journal.write_bytes(torn)
        filler = fill(lab.state)

        assert "No space left" in lab.run("-c", "-p", "go on").err

        assert journal.read_bytes() == torn
        assert [path.name for path in session.glob("torn-*")] == []
        filler.unlink()
        again = lab.run("-c", "-p", "go on")
        assert again.code == 0
        assert "the last 12,000 bytes of the session were no whole record" in again.err


def test_an_output_that_could_not_be_kept_is_said_to_the_person(lab: Lab, vendor: Start) -> None:
    vendor(Script([call("shell", command="seq 200000")], "end"))
    with small_disk(lab.state, "640k"):
        ran = lab.run("-p", "work", "--permission-mode", "yolo")

    assert ran.code == 0, ran.err
    assert "the whole output could not be kept: No space left on device" in ran.err


NOWHERE = "harness: cannot write the output: No space left on device; free space, or send it elsewhere\n"

SAYING = ("--version", "models --json", "sessions list", "sessions export ID", "cache audit", "replay ID", "doctor")


def sayings(lab: Lab, vendor: Start, buffered: str) -> list[str]:
    """Command lines that print something, one of them of a session that is there."""
    vendor(Script("fine"))
    lab.run("-p", "work")
    lab.extra = {**lab.extra, "PYTHONUNBUFFERED": buffered}
    name = lab.sessions()[-1].name
    return [line.replace("ID", name) for line in SAYING]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_full_disk_behind_any_command(buffered: str, lab: Lab, vendor: Start) -> None:
    lines = sayings(lab, vendor, buffered)
    with Path("/dev/full").open("w") as full:
        said = {line: lab.process(*line.split(), stdout=full) for line in lines}

    assert {line: (ran.code, ran.err) for line, ran in said.items()} == dict.fromkeys(lines, (1, NOWHERE))


@pytest.mark.parametrize("buffered", ["", "1"])
def test_who_reads_the_output_may_stop(buffered: str, lab: Lab, vendor: Start) -> None:
    lines = sayings(lab, vendor, buffered)
    said = {}
    for line in lines:
        reader, writer = os.pipe()
        os.close(reader)
        said[line] = lab.process(*line.split(), stdout=writer)
        os.close(writer)

    assert {line: ran.err for line, ran in said.items()} == dict.fromkeys(lines, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
@pytest.mark.parametrize("form", ["text", "json", "stream-json"])
def test_a_full_disk_behind_the_output(form: str, lab: Lab, vendor: Start) -> None:
    vendor(Script("fine"))
    with Path("/dev/full").open("w") as full:
        ran = lab.process("-p", "work", "--output-format", form, stdout=full)
        listed = lab.process("models", stdout=full)

    kept = f"what was answered is kept: harness sessions show {lab.sessions()[-1].name}"
    assert (ran.code, listed.code) == (1, 1)
    way_on = f"; go on with the turn: harness -r {lab.sessions()[-1].name} -p" if form == "stream-json" else ""
    assert ran.err == f"harness: cannot write the output: No space left on device; {kept}{way_on}\n"
    assert listed.err == NOWHERE
    if not way_on:  # a stream is stopped by its first line
        assert "fine" in lab.run(*kept.split()[-3:]).out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
def test_a_full_disk_behind_the_output_of_a_run_that_keeps_nothing(lab: Lab, vendor: Start) -> None:
    vendor(Script("fine"))
    with Path("/dev/full").open("w") as full:
        ran = lab.process("-p", "work", "--no-session", stdout=full)

    why = "cannot write the output: No space left on device; --no-session kept nothing"
    assert (ran.code, ran.err) == (1, f"harness: {why}\n")


def test_a_full_disk_behind_the_output_in_the_middle_of_an_answer(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script(Answer(tuple({"text": f"Part {n}. "} for n in range(300)), delay=0.002), "fine"))
    place = lab.folder / "small"
    with small_disk(place, "16k"), (place / "out").open("w") as out:
        ran = lab.process("-p", "work", "--output-format", "stream-json", stdout=out)

    name = lab.sessions()[-1].name
    kept = f"what was answered is kept: harness sessions show {name}; go on with the turn: harness -r {name} -p"
    assert (ran.code, ran.err) == (1, f"harness: cannot write the output: No space left on device; {kept}\n")
    assert [record.data["stop"] for record in lab.records() if record.kind == "response"] == ["interrupted"]
    assert lab.run("-c", "-p").code == 0
    assert "Part 1. " in str(sim.requests[-1].json)
