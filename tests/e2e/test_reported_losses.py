"""How other agents lost sessions, one test for each reported failure.

| failure | test |
|---|---|
| a truncated tail made the resumed session blank | test_a_cut_tail_is_no_blank_session |
| the tail never reached the disk | test_what_was_said_is_in_the_file_when_it_is_sent |
| a marker in the environment turned recording off | test_no_variable_turns_recording_off |
| a full disk turned recording off silently, or crashed | tests/e2e/test_full_disk.py, tests/ui/test_full_disk.py |
| two writers on one session | tests/e2e/test_owners.py, tests/conversation/test_lock.py |
| the wrong session's file was written | test_only_the_session_that_was_named_is_written |
| a raw newline or U+2028 cut a record in two | test_odd_characters_cut_no_record |
| NUL bytes and a stale lock after a power loss | test_nul_bytes_and_a_stale_lock |
| no newline before the next record | test_a_missing_last_newline_costs_no_later_record |
| a broken chain or a dead-end branch after a kill | tests/e2e/test_torture.py, tests/agent/test_damage.py |
| a call without result, or a result without call: refused for ever | tests/agent/test_damage.py |
| one damaged file kept everything from starting | test_a_damaged_session_stops_no_other |
| an upgrade could not read the old form | tests/e2e/test_old_journals.py |
| a large log could not be resumed | test_a_large_session_goes_on |
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from harness.conversation.journal import Journal
from harness.conversation.lines import Reader
from harness.seam import Seam
from tests.e2e.conftest import Start
from tests.e2e.lab import Lab, Script, call, texts


def journal_of(lab: Lab, number: int = 0) -> Path:
    return lab.sessions()[number] / "journal.jsonl"


def whole(journal: Path) -> int:
    """How many records a whole journal has."""
    reader = Reader(journal)
    count = len([*reader])
    assert (reader.damage, reader.end) == ([], reader.size)
    return count


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.99])
def test_a_cut_tail_is_no_blank_session(share: float, lab: Lab, vendor: Start) -> None:
    # what is cut off was sent and is not known any more: the request before it is what the next one extends
    sim = vendor(Script("one", "two", "three"), branches=True)
    assert lab.run("-p", "remember 4711").code == 0
    begun = journal_of(lab).stat().st_size
    assert lab.run("-c", "-p", "and this").code == 0
    path = journal_of(lab)
    size = path.stat().st_size
    os.truncate(path, begun + round(share * (size - begun)))

    ran = lab.run("-c", "-p", "what was it?")

    assert ran.code == 0
    assert "remember 4711" in texts(sim.requests[-1].json)
    assert ("no whole record" in ran.err) == bool([*path.parent.glob("torn-*")])
    whole(path)


def test_what_was_said_is_in_the_file_when_it_is_sent(lab: Lab, vendor: Start) -> None:
    seen: list[bool] = []

    def brain(request: dict[str, Any]) -> Any:
        raw = journal_of(lab).read_text()
        said = request["messages"][-1]["content"][-1]
        words = said["text"] if said["type"] == "text" else said["content"][0]["text"]
        seen.append(json.dumps(words)[1:-1] in raw)
        return Script([call("shell", command="echo the result")], "one", "two")(request)

    vendor(brain)
    assert lab.run("-p", "first words", "--permission-mode", "yolo").code == 0
    assert lab.run("-c", "-p", "second words").code == 0

    assert seen == [True, True, True]


def test_no_variable_turns_recording_off(lab: Lab, vendor: Start) -> None:
    vendor(Script("one"))
    names = (
        "HARNESS_NO_SESSION",
        "HARNESS_SESSION",
        "HARNESS",
        "NO_SESSION",
        "CI",
        "CLAUDECODE",
        "AGENT",
        "TMPDIR_ONLY",
    )

    assert lab.run("-p", "hello", env=dict.fromkeys(names, "1")).code == 0

    assert whole(journal_of(lab)) > 5


def test_only_the_session_that_was_named_is_written(lab: Lab, vendor: Start) -> None:
    vendor(Script("one", "two", "three"))
    assert [lab.run("-p", "same words").code for _ in range(3)] == [0, 0, 0]
    first, second, third = (journal_of(lab, number) for number in range(3))
    before = [path.read_bytes() for path in (first, second, third)]

    assert lab.run("-r", second.parent.name, "-p", "same words").code == 0

    assert [first.read_bytes(), third.read_bytes()] == [before[0], before[2]]
    assert second.read_bytes().startswith(before[1])
    assert whole(second) > before[1].count(b"\n")


ODD = "one\u2028two\u2029three\x85four\rfive\x0bsix\x0cseven\x1ceight\x00nine \ud7ff\U0010ffff"


def test_odd_characters_cut_no_record(lab: Lab, vendor: Start) -> None:
    (lab.project / "odd.txt").write_text(ODD + "\n", newline="")
    (lab.project / "name\nwith\u2028lines").write_text("x")
    sim = vendor(
        Script(
            [
                {"text": ODD},
                call("read", path="odd.txt"),
                call("glob", pattern="*"),
                call("shell", command=f"printf '{ODD[:20]}'"),
            ],
            "done " + ODD,
            "fine",
        )
    )
    assert lab.run("-p", f"words {ODD.replace(chr(0), '')}", "--permission-mode", "yolo").code == 0
    raw = journal_of(lab).read_bytes()

    again = lab.run("-c", "-p", "and?")

    assert again.code == 0
    assert raw.isascii()
    assert len(raw.decode("ascii").splitlines()) == raw.count(b"\n")
    assert whole(journal_of(lab)) > raw.count(b"\n")
    answers = [message for message in sim.requests[-1].json["messages"] if message["role"] == "assistant"]
    assert answers[0]["content"][0]["text"] == ODD


def test_nul_bytes_and_a_stale_lock(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script("one", "two"))
    assert lab.run("-p", "before the power went").code == 0
    path = journal_of(lab)
    with path.open("ab") as file:
        file.write(b"\0" * 4096)
    dead = {"pid": 2, "host": Seam().host(), "boot": "another", "started": "1"}
    (path.parent / "lock").write_text(json.dumps(dead))

    ran = lab.run("-c", "-p", "and on")

    assert ran.code == 0
    assert "the last 4,096 bytes of the session were no whole record" in ran.err
    assert "before the power went" in texts(sim.requests[-1].json)
    assert [aside.read_bytes() for aside in path.parent.glob("torn-*")] == [b"\0" * 4096]
    whole(path)


def test_a_missing_last_newline_costs_no_later_record(lab: Lab, vendor: Start) -> None:
    vendor(Script("one", "two", "three"))
    assert lab.run("-p", "first").code == 0
    path = journal_of(lab)
    os.truncate(path, path.stat().st_size - 1)

    assert lab.run("-c", "-p", "second").code == 0
    count = whole(path)
    assert lab.run("-c", "-p", "third").code == 0

    assert whole(path) > count


@pytest.mark.parametrize("damage", [b"", b"\0" * 5000, b"{}\n" * 100, b"7\n" + random.Random(7).randbytes(5000)])
def test_a_damaged_session_stops_no_other(damage: bytes, lab: Lab, vendor: Start) -> None:
    vendor(Script("one", "two", "three"))
    assert [lab.run("-p", "hello").code for _ in range(2)] == [0, 0]
    good, bad = journal_of(lab, 0), journal_of(lab, 1)
    bad.write_bytes(damage)
    for index in (lab.state / "harness").glob("*.sqlite*"):
        index.write_bytes(damage)

    listed = lab.run("sessions")
    gone_on = lab.run("-c", "-p", "on")
    begun = lab.run("-p", "anew")
    named = lab.run("-r", bad.parent.name, "-p", "on")

    assert [listed.code, gone_on.code, begun.code] == [0, 0, 0], (listed.err, gone_on.err, begun.err)
    assert gone_on.session == good.parent.name
    assert good.parent.name[:13] in listed.out
    assert named.code == 1
    (line,) = named.lines
    assert "no whole beginning" in line or "nothing in" in line
    assert bad.read_bytes() == damage


def test_a_large_session_goes_on(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script("one", "two"))
    assert lab.run("-p", "hello").code == 0
    folder = lab.sessions()[0]
    journal = Journal.open(folder, Seam())
    for _ in journal.load():
        pass
    while (folder / "journal.jsonl").stat().st_size < 30_000_000:
        journal.append("note", {"text": "x" * 30_000})
    journal.close()

    ran = lab.run("-c", "-p", "and on")

    assert ran.code == 0
    assert "hello" in texts(sim.requests[-1].json)
