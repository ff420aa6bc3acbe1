"""A session file is data, whoever made it: nothing in it hangs, fills the memory, acts on a terminal or crashes."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from harness.conversation.canonical import digest
from harness.conversation.lines import Record, read_records
from tests.program import ROOT
from tests.replay.tampering import tampered, written
from tests.waiting import PATIENCE

RECORDED = ROOT / "tests" / "recorded" / "small"
EVIL = "\x1b[2J\x1b]0;own\x07\u202e\r\n\u2028EVIL"
MEMORY = 1024 * 1024 * 1024
"""Bytes of address space that a replay may have."""


@dataclass(frozen=True)
class Replayed:
    """What a replay in a process of its own said; it was over in time and within its memory."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return (self.out + self.err).splitlines()


def replayed(*words: str | Path, cwd: Path) -> Replayed:
    """Replay, as its own process."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    command = [sys.executable, "-m", "harness", "replay", *map(str, words)]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, timeout=PATIENCE, check=False, preexec_fn=limit
    )
    out, err = ran.stdout.decode(), ran.stderr.decode()
    assert ran.returncode in (0, 1, 2), err
    assert "Traceback" not in err
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out + err)
    return Replayed(ran.returncode, out, err)


def a_stream(session: Path) -> Path:
    """The blob of the first answer."""
    name = str(next(r.data["stream"] for r in read_records(session / "journal.jsonl") if r.kind == "response"))
    return session / "blobs" / name[:2] / name


def nothing(_path: Path) -> None:
    """Lost."""


def sparse(path: Path) -> None:
    """Terabytes of nothing."""
    with path.open("wb") as file:
        file.truncate(1 << 41)


IN_ITS_PLACE: dict[str, Callable[[Path], object]] = {
    "nothing": nothing,
    "a FIFO": os.mkfifo,
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a folder": lambda path: path.mkdir(),
    "terabytes": sparse,
}


@pytest.mark.parametrize("what", IN_ITS_PLACE)
def test_a_blob_that_is_no_file_of_ours(what: str, tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "session")
    path = a_stream(tmp_path / "session")
    path.unlink()
    IN_ITS_PLACE[what](path)

    ran = replayed(tmp_path / "session", cwd=tmp_path)

    assert ran.code == 1
    assert "DIVERGES at request 2" in ran.out
    assert "session data is " in ran.out


@pytest.mark.parametrize("what", sorted({*IN_ITS_PLACE} - {"terabytes"}))
def test_a_journal_that_is_no_file(what: str, tmp_path: Path) -> None:
    (tmp_path / "session").mkdir()
    journal = tmp_path / "session" / "journal.jsonl"
    IN_ITS_PLACE[what](journal)

    answers = [replayed(tmp_path / "session", *way, cwd=tmp_path) for way in ([], ["--execute"], ["--from", "1"])]
    # the watch over every test reads the journals that it leaves
    journal.rename(tmp_path / "other") if what != "nothing" else None

    for ran in answers:
        assert ran.code == 1
        assert ran.out == ""
        assert "holds no journal.jsonl" in ran.err


@pytest.mark.parametrize("name", ["/dev/zero", "../../../../etc/passwd", "FIFO", "a\0b", "\ud800", "", "x" * 5000, 5])
def test_a_blob_is_named_by_its_digest_and_by_nothing_else(name: object, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def change(record: Record, data: dict[str, Any]) -> None:
        if record.kind == "message" and data["tag"] == "person":
            data["blocks"][0]["text"] = {"blob": str(fifo) if name == "FIFO" else name}

    ran = replayed(tampered(RECORDED, tmp_path / "session", change), cwd=tmp_path)

    assert ran.code == 1
    assert "DIVERGES at request 1" in ran.out


DEEP = "[" * 100_000 + "]" * 100_000


def in_arguments(record: Record, data: dict[str, Any]) -> None:
    if record.kind == "message" and data["tag"] == "answer":
        for block in data["blocks"]:
            if block["is"] == "call":
                block["arguments"] = DEEP


def in_a_tool(record: Record, data: dict[str, Any]) -> None:
    if record.kind == "prefix":
        data["tools"][0] = DEEP


def in_a_stream(record: Record, data: dict[str, Any]) -> None:
    if record.kind == "response":
        data["stream"] = digest(DEEP.encode())


@pytest.mark.parametrize("change", [in_arguments, in_a_tool, in_a_stream])
def test_json_that_is_nested_without_end(change: Any, tmp_path: Path) -> None:
    session = tampered(RECORDED, tmp_path / "session", change)
    name = digest(DEEP.encode())
    (session / "blobs" / name[:2]).mkdir(exist_ok=True)
    (session / "blobs" / name[:2] / name).write_text(DEEP)

    ran = replayed(session, cwd=tmp_path)

    assert ran.code == 1
    assert "DIVERGES" in ran.out


NO_NUMBERS = [*(("seq", one) for one in ("1e400", "NaN", "-1", "9" * 5000, "null")), ("at", '"x"'), ("data", "[]")]


@pytest.mark.parametrize(("field", "number"), NO_NUMBERS)
def test_a_line_whose_numbers_are_none(field: str, number: str, tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "session")
    path = tmp_path / "session" / "journal.jsonl"
    first, second, *rest = path.read_bytes().splitlines(keepends=True)
    value = {name: one for name, one in json.loads(second).items() if name != "crc"} | {field: "@"}
    body = json.dumps(value, sort_keys=True, separators=(",", ":")).replace('"@"', number).encode()
    path.write_bytes(b"".join([first, body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body), *rest]))

    ran = replayed(tmp_path / "session", cwd=tmp_path)

    assert ran.code == 1
    assert "damaged" in ran.out or "DIVERGES" in ran.out


def test_lines_that_are_no_records_are_counted_and_not_all_told(tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "session")
    path = tmp_path / "session" / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:10], b"x\n" * 100_000, *lines[10:]]))

    ran = replayed(tmp_path / "session", cwd=tmp_path)

    assert ran.code == 1
    assert len(ran.lines) < 40
    assert "line 11: its checksum is wrong" in ran.out
    assert "99,980 lines behind it" in ran.out


def test_a_session_of_a_newer_form_says_so(tmp_path: Path) -> None:
    def change(record: Record, data: dict[str, Any]) -> None:
        if record.kind == "session":
            data["format"] = 99

    ran = replayed(tampered(RECORDED, tmp_path / "session", change), cwd=tmp_path)

    assert ran.code == 1
    assert ran.lines == [f"harness: {tmp_path / 'session'} was written by a newer version; update to replay it"]


def test_answers_without_requests_are_not_equal(tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "session")
    records = [
        replace(one, kind="reguest") if one.kind == "request" else one
        for one in read_records(RECORDED / "journal.jsonl")
    ]
    written(tmp_path / "session", records)

    ran = replayed(tmp_path / "session", cwd=tmp_path)

    assert ran.code == 1
    assert "which the journal does not have" in ran.out


def with_version(_: Record, data: dict[str, Any]) -> None:
    if "version" in data:
        data["version"] = EVIL


def with_a_version_that_is_none(_: Record, data: dict[str, Any]) -> None:
    if "version" in data:
        data["version"] = {"a": [1]}


def with_a_tool(record: Record, data: dict[str, Any]) -> None:
    if record.kind == "prefix":
        data["tools"][0] = json.dumps(json.loads(data["tools"][0]) | {"name": EVIL})


def with_a_setting(record: Record, data: dict[str, Any]) -> None:
    if record.kind == "request":
        data["settings"][EVIL + "\ud800"] = EVIL


def with_words(record: Record, data: dict[str, Any]) -> None:
    if record.kind == "message":
        data["blocks"][0]["text"] = EVIL


CHANGES: Sequence[Any] = (with_version, with_a_version_that_is_none, with_a_tool, with_a_setting, with_words)


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_in_it_acts_on_a_terminal(change: Any, tmp_path: Path) -> None:
    session = tampered(RECORDED, tmp_path / f"session{EVIL}", change)

    for flags in ([], ["--json"]):
        ran = replayed(session, *flags, cwd=tmp_path)
        assert len(ran.lines) <= 5


def test_sub_agents_that_are_each_other_are_not_followed(tmp_path: Path) -> None:
    sessions = tmp_path / "state" / "harness" / "sessions"
    shutil.copytree(RECORDED, sessions / "20260101-aa")
    (sessions / "20260101-aa" / "agents").mkdir()
    (sessions / "20260101-aa" / "agents" / "child").symlink_to("..")

    ran = replayed(sessions / "20260101-aa", cwd=tmp_path)

    assert ran.code == 0


def with_a_price_of_letters(record: Record, data: dict[str, Any]) -> None:
    if record.kind == "model":
        data["price"]["read"] = "9" * 1_000_000


def with_a_bill_of_letters(record: Record, data: dict[str, Any]) -> None:
    if record.kind == "model":
        data["price"]["read"] = 10**12
    if record.kind == "response":
        data["usage"]["read"] = "9"


@pytest.mark.parametrize("change", [with_a_price_of_letters, with_a_bill_of_letters])
def test_a_text_is_not_multiplied(change: Any, tmp_path: Path) -> None:
    ran = replayed(tampered(RECORDED, tmp_path / "session", change), cwd=tmp_path)

    assert ran.code == 1
    assert "DIVERGES" in ran.out
    assert "no number" in ran.out


def of_sub_agent(name: str) -> dict[str, Any]:
    """What is told of one that did nothing."""
    zero = {"uncached": 0, "read": 0, "written_5m": 0, "written_1h": 0, "output": 0}
    told = {"child": name, "call_id": "x", "skill": "x", "context": "fresh", "model": "x", "end": "done", "cost": 0.0}
    told |= {"first": {"read": None, "expected": None}, "requests": 0, "usage": zero}
    return told


@pytest.mark.parametrize("name", ["x" * 5_000, "a\0b", "..", "", "/", "\ud800"])
def test_a_sub_agent_is_named_by_a_folder_beside_its_caller(name: str, tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "session")
    records = list(read_records(RECORDED / "journal.jsonl"))
    written(tmp_path / "session", [*records, Record(records[-1].seq + 1, "subagent", 1.0, of_sub_agent(name))])

    ran = replayed(tmp_path / "session", cwd=tmp_path)

    assert ran.code == 0
    assert "the figures of 0 of 1" in ran.out


@pytest.mark.parametrize("what", sorted({*IN_ITS_PLACE} - {"terabytes"}))
def test_a_sub_agents_journal_that_is_no_file(what: str, tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "session")
    (tmp_path / "session" / "agents" / "child").mkdir(parents=True)
    journal = tmp_path / "session" / "agents" / "child" / "journal.jsonl"
    IN_ITS_PLACE[what](journal)
    records = list(read_records(RECORDED / "journal.jsonl"))
    written(tmp_path / "session", [*records, Record(records[-1].seq + 1, "subagent", 1.0, of_sub_agent("child"))])

    ran = replayed(tmp_path / "session", cwd=tmp_path)
    # as above
    journal.rename(tmp_path / "other") if what != "nothing" else None

    assert ran.code == 0
    assert "the figures of 0 of 1" in ran.out


def test_what_is_told_of_a_divergence_is_bounded(tmp_path: Path) -> None:
    def change(record: Record, data: dict[str, Any]) -> None:
        if record.kind == "prefix":
            data["digests"][0] = "x" * 1_000_000

    session = tampered(RECORDED, tmp_path / "session", change)

    for flags in ([], ["--json"]):
        ran = replayed(session, *flags, cwd=tmp_path)
        assert ran.code == 1
        assert "its digest is" in ran.out
        assert len(ran.out) < 5_000


@pytest.mark.parametrize(
    ("root", "cwd"),
    [
        *((one, one) for one in ("/a\0b", "/\ud800", None, 5, "", "relative", {"a": [1]})),
        ("/work/project", "/"),
        ("/work/project", "/work/project/../../etc"),
    ],
)
def test_a_workspace_that_nobody_can_have_worked_in(root: object, cwd: object, tmp_path: Path) -> None:
    def change(record: Record, data: dict[str, Any]) -> None:
        if record.kind == "session":
            data["root"], data["cwd"] = root, cwd

    session = tampered(RECORDED, tmp_path / "session", change)

    for way in (["--execute"], ["--from", "2"]):
        ran = replayed(session, *way, cwd=tmp_path)
        assert ran.code == 1
        assert ran.out == ""
        assert "names no folder that it can have worked in" in ran.err


MANY = 10_000


def many_messages(first: int, profile: str) -> list[tuple[str, dict[str, Any]]]:
    """Each rendered by itself, for one request."""
    said: tuple[str, dict[str, Any]] = ("message", {"tag": "person", "blocks": [{"is": "text", "text": "hi"}]})
    shown = [[['{"text":"hi","type":"text"}', 1]]]
    return [said] * MANY + [
        ("rendering", {"profile": profile, "messages": [[first + number, *shown]]}) for number in range(MANY)
    ]


def many_calls(first: int, _profile: str) -> list[tuple[str, dict[str, Any]]]:
    """Of one answer, and each of them begins."""
    names = [f"call {number}" for number in range(MANY)]
    calls = [{"is": "call", "id": name, "name": "x", "arguments": "{}", "invalid": ""} for name in names]
    begun: list[tuple[str, dict[str, Any]]] = [("intent", {"call_id": name, "tool": "x"}) for name in names]
    answer = ("kept", {"tag": "answer", "blocks": calls})
    return [answer, ("epoch", {"reason": "fork: another", "messages": [first]}), *begun]


@pytest.mark.parametrize("several", [many_messages, many_calls])
def test_a_long_journal_takes_no_longer_for_each_record(several: Any, tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "session")
    records = list(read_records(RECORDED / "journal.jsonl"))
    at = next(place for place, one in enumerate(records) if one.kind == "request")
    more = several(at, records[at].data["model"])
    told = [(one.kind, one.data) for one in records[:at]] + more + [("request", records[at].data)]
    written(tmp_path / "session", [Record(number, kind, 1.0, data) for number, (kind, data) in enumerate(told)])

    ran = replayed(tmp_path / "session", cwd=tmp_path)

    assert ran.code == 1
    assert "DIVERGES at request 1" in ran.out
