"""`harness replay`, the command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.conversation.lines import read_records
from harness.providers.catalog import Catalog
from harness.replay.verify import verify
from tests.e2e.lab import Lab
from tests.fixtures.record import JOURNALS
from tests.program import ROOT
from tests.replay.tampering import tampered
from tests.speaker import Speaker

RECORDED = ROOT / "tests" / "recorded" / "small"
OLD = sorted(path for path in JOURNALS.glob("*/sessions/*") if path.is_dir())


@pytest.fixture
def lab(tmp_path: Path, isolation: Path) -> Lab:
    made = Lab(tmp_path, isolation, "http://127.0.0.1:9")
    made.project.mkdir()
    return made


def test_a_session_is_found_by_its_id_and_proved(lab: Lab) -> None:
    shutil.copytree(RECORDED, lab.state / "harness" / "sessions" / "20260101-000000-aa")

    ran = lab.run("replay", "2026")

    assert ran.code == 0, ran.err
    assert "requests made again and equal, 1 of them side requests" in ran.out


def test_json_tells_the_divergence(lab: Lab) -> None:
    def change(_record: object, data: dict[str, object]) -> None:
        if "max_tokens" in data:
            data["max_tokens"] = 7

    copy = tampered(RECORDED, lab.folder / "changed", change)

    ran = lab.run("replay", str(copy), "--json")

    assert ran.code == 1
    found = json.loads(ran.out)
    assert found["equal"] is False
    assert found["divergence"]["where"] == "body"
    assert found["divergence"]["request"] == 1


def test_what_is_no_session_is_one_line(lab: Lab) -> None:
    ran = lab.run("replay", "./nowhere")

    assert ran.code == 1
    assert ran.lines == ["harness: " + ran.lines[0].removeprefix("harness: ")]
    assert "holds no journal.jsonl" in ran.err


def test_looking_changes_nothing(lab: Lab) -> None:
    copy = lab.folder / "copy"
    shutil.copytree(RECORDED, copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}

    lab.run("replay", str(copy))

    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("session", OLD, ids=[f"{path.parent.parent.name}-{path.name}" for path in OLD])
def test_sessions_of_older_formats_and_builds_are_proved(session: Path) -> None:
    report = verify(session, Catalog.load())

    assert report.equal, report
    assert report.requests >= 7


@pytest.mark.parametrize("session", OLD, ids=[f"{path.parent.parent.name}-{path.name}" for path in OLD])
def test_of_an_older_journal_it_says_what_is_not_proved(session: Path, lab: Lab) -> None:
    out = lab.run("replay", str(session), "--rerender").out

    assert "by their blocks, markers and settings: their journal has no such digest" in out
    assert "expected reads 0 of " in out
    assert "verdicts 0 of " in out
    assert "older journal" in out


def test_of_another_version_it_says_what_was_checked_by_digest_only(lab: Lab, tmp_path: Path) -> None:
    def change(_record: object, data: dict[str, object]) -> None:
        if "version" in data:
            data["version"] = "0.0.1"

    copy = tampered(RECORDED, tmp_path / "other", change)
    looked, again = lab.run("replay", str(copy)), lab.run("replay", str(copy), "--rerender")

    assert looked.code == again.code == 0
    assert "expected reads 0 of 8, verdicts 0 of 8: the others are another version's, by its rules" in looked.out
    assert "renderings of another version (0.0.1), and with" in looked.out
    assert "its session block, contexts and cut outputs; --rerender makes all of it again" in looked.out
    assert again.out.splitlines()[2:] == []


def test_renderings_of_another_version_are_checked_by_digest(tmp_path: Path) -> None:
    def change(_record: object, data: dict[str, object]) -> None:
        if "version" in data:
            data["version"] = "0.0.1"

    report = verify(tampered(RECORDED, tmp_path / "other", change), Catalog.load())
    again = verify(tmp_path / "other", Catalog.load(), rerender=True)

    assert report.equal
    assert again.equal
    assert report.checked > 5
    assert again.checked == 0


def test_a_changed_rendering_of_another_version_is_found_by_its_digest(tmp_path: Path) -> None:
    def change(_record: object, data: dict[str, object]) -> None:
        if "version" in data:
            data["version"] = "0.0.1"
        if "profile" in data and "messages" in data:
            data["messages"] = json.loads(json.dumps(data["messages"]).replace("Look around", "Look aside"))

    report = verify(tampered(RECORDED, tmp_path / "other", change), Catalog.load())

    assert report.found is not None
    assert report.found.divergence.where.startswith("message 1 block 1 or later")


@pytest.mark.moves_prefix("a message is lost", times=1)
def test_a_damaged_session_says_so_and_goes_on_being_proved_where_it_was_mended(
    speaker: Callable[..., Speaker],
) -> None:
    person = speaker(lambda _request: "Fine.", minimum=1)
    for words in ("one", "two", "three"):
        person.say(words)
    path = person.folder / "journal.jsonl"
    seq = next(r.seq for r in read_records(path) if r.kind == "message" and "two" in json.dumps(r.data))
    person.leave()
    lines = path.read_bytes().split(b"\n")
    number = next(i for i, line in enumerate(lines) if f'"seq":{seq},'.encode() in line)
    lines[number] = lines[number].replace(b"two", b"too")
    path.write_bytes(b"\n".join(lines))
    person.come_back()
    person.say("four")

    report = verify(person.folder, Catalog.load())

    assert not report.equal
    assert "checksum" in report.damage[0]
    assert report.found is None
    assert report.unproved == 2  # those whose conversation held the lost words
    assert report.requests == 2  # the one before it, and the one after it was mended


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["x", "--execute", "--from", "1"], "--execute and --from exclude each other"),
        (["x", "--allow", "shell(*)"], "--allow and --permission-mode need --execute or --from K"),
        (["x", "--permission-mode", "plan"], "--allow and --permission-mode need --execute or --from K"),
        (["x", "--from", "two"], "must be the number of a request, from 1 on, not 'two'"),
        (["x", "--from", "0"], "must be the number of a request, from 1 on, not '0'"),
        (["x", "--from", "-1"], "must be the number of a request, from 1 on, not '-1'"),
        (["x" * 5_000], "no session begins with `xxx"),
        (["a\0b"], "no session begins with"),
        (["./" + "x" * 5_000], "holds no journal.jsonl"),
        ([str(RECORDED / "journal.jsonl")], "is a file: name the folder that it is in"),
    ],
)
def test_what_was_typed_wrong_is_one_line_that_says_what_to_do(lab: Lab, words: list[str], told: str) -> None:
    ran = lab.run("replay", *words)

    assert ran.code in (1, 2)
    assert len(ran.lines) == 1, ran.err
    assert told in ran.lines[0]


def test_a_sub_agent_is_looked_at_and_not_gone_on_with(lab: Lab) -> None:
    caller = lab.state / "harness" / "sessions" / "20260101-000000-aa"
    shutil.copytree(RECORDED, caller)
    shutil.copytree(RECORDED, caller / "agents" / "20260101-000001-bb")

    assert lab.run("replay", "20260101-000001-bb").code == 0
    assert "is a sub-agent, which cannot be gone on with" in lab.run("replay", "20260101-000001", "--from", "1").err
