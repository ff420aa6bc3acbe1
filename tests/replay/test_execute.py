"""`harness replay ID --execute`: tools run again in scratch copies; nothing runs that was not asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Start, vendor  # noqa: F401 - a fixture
from tests.e2e.lab import Lab, Script, call

ANSWERS = (
    [call("read", path="notes.txt"), call("glob", pattern="*")],
    [call("edit", path="notes.txt", old="one", new="two")],
    [call("shell", command="echo made > made.txt; cat notes.txt")],
    "First turn done.",
    [call("read", path="made.txt"), call("write", path="more.txt", content="more\n")],
    "Second turn done.",
)


@pytest.fixture
def lab(tmp_path: Path, isolation: Path) -> Lab:
    made = Lab(tmp_path, isolation, "http://127.0.0.1:9")
    made.project.mkdir()
    (made.project / "notes.txt").write_text("one\n")
    return made


@pytest.fixture
def recorded(lab: Lab, vendor: Start) -> Lab:  # noqa: F811 - a fixture
    vendor(Script(*ANSWERS))
    for words in (["-p", "first"], ["-c", "-p", "second"]):
        assert lab.run(*words, "--permission-mode", "yolo").code == 0
    return lab


def replayed(lab: Lab, *flags: str) -> dict[str, Any]:
    ran = lab.run("replay", lab.sessions()[-1].name, "--json", *flags)
    found: dict[str, Any] = json.loads(ran.out)
    return found | {"code": ran.code}


def files(lab: Lab) -> dict[str, str]:
    return {path.name: path.read_text() for path in lab.project.iterdir() if path.is_file()}


def test_outputs_are_the_same_from_the_files_of_each_turn(recorded: Lab) -> None:
    (recorded.project / "notes.txt").write_text("changed since\n")
    before = files(recorded)

    found = replayed(recorded, "--execute", "--allow", "shell(echo *)", "--allow", "shell(cat *)")
    states = [(one["tool"], one["state"]) for one in found["calls"]]

    assert [state for tool, state in states if tool != "shell"] == ["same"] * 5, found["calls"]
    assert ("shell", "refused") in states  # a redirection never matches a rule
    assert files(recorded) == before


def test_shell_is_refused_without_a_rule_and_plan_writes_nothing(recorded: Lab) -> None:
    edit = {one["tool"]: one["state"] for one in replayed(recorded, "--execute")["calls"]}
    plan = {one["tool"]: one["state"] for one in replayed(recorded, "--execute", "--permission-mode", "plan")["calls"]}

    assert edit["shell"] == "refused"
    assert edit["edit"] == edit["write"] == "same"
    assert plan["shell"] == plan["edit"] == plan["write"] == "refused"


def test_nothing_runs_without_the_flag(recorded: Lab) -> None:
    before = files(recorded)

    found = replayed(recorded)

    assert found["code"] == 0
    assert "calls" not in found
    assert files(recorded) == before


def test_an_output_that_differs_is_told_with_its_place(lab: Lab, vendor: Start) -> None:  # noqa: F811 - a fixture
    vendor(Script([call("write", path="a.txt", content="a\n")], [call("shell", command="date +%s%N")], "Done."))
    assert lab.run("-p", "go", "--permission-mode", "yolo").code == 0

    ran = lab.run("replay", lab.sessions()[-1].name, "--execute", "--allow", "shell(date *)")

    assert ran.code == 1
    assert "call 2 (shell) differs: at byte " in ran.out
    assert "run again         2 calls: 1 differs, 1 same" in ran.out


def test_a_file_read_in_one_turn_may_be_edited_in_the_next(lab: Lab, vendor: Start) -> None:  # noqa: F811 - a fixture
    vendor(
        Script(
            [call("read", path="notes.txt")],
            [call("edit", path="notes.txt", old="one", new="two")],
            "First turn done.",
            [call("edit", path="notes.txt", old="two", new="three")],
            "Second turn done.",
        )
    )
    for words in (["-p", "first"], ["-c", "-p", "second"]):
        assert lab.run(*words).code == 0

    found = replayed(lab, "--execute")

    assert [one["state"] for one in found["calls"]] == ["same"] * 3, found["calls"]
    assert found["code"] == 0


def test_a_refusal_names_only_what_this_command_takes(lab: Lab, vendor: Start) -> None:  # noqa: F811 - a fixture
    outside = str(lab.folder / "outside.txt")
    answers = [
        call("shell", command="wc -l notes.txt"),
        call("shell", command="cat notes.txt | wc"),
        call("write", path=outside, content="x\n"),
        call("write", path=".harness/settings.toml", content="x\n"),
        call("edit", path="notes.txt", old="one", new="two"),
    ]
    vendor(Script(answers, "Done."))
    assert lab.run("-p", "go", "--permission-mode", "yolo").code == 0

    edit = [one["detail"] for one in replayed(lab, "--execute")["calls"] if one["state"] == "refused"]
    plan = [
        one["detail"]
        for one in replayed(lab, "--execute", "--permission-mode", "plan")["calls"]
        if one["state"] == "refused"
    ]

    assert len(edit) == 4
    assert len(plan) == 5
    for detail in (*edit, *plan):
        assert "yolo" not in detail
        assert "--add-dir" not in detail
        assert "the person can start" not in detail
    assert "give --allow 'shell(wc *)'" in edit[0]
    assert all("give --permission-mode edit" in detail for detail in plan)


@pytest.fixture
def only_read(lab: Lab, vendor: Start) -> Lab:  # noqa: F811 - a fixture
    vendor(Script([call("read", path="notes.txt"), call("glob", pattern="*")], "Read."), branches=True)
    assert lab.run("-p", "read it").code == 0
    assert not [record for record in lab.records() if record.kind == "snapshot"]
    return lab


def test_a_session_that_changed_nothing_runs_on_the_files_as_they_are(only_read: Lab) -> None:
    session = only_read.sessions()[-1].name
    same = only_read.run("replay", session, "--execute")
    assert (same.code, same.lines) == (
        0,
        ["harness: the session saved no files: those of its workspace as it is now are used"],
    )
    assert "run again         2 calls: 2 same" in same.out
    (only_read.project / "notes.txt").write_text("changed since\n")
    found = replayed(only_read, "--execute")
    assert [one["state"] for one in found["calls"]] == ["differs", "same"]

    ran = only_read.run("replay", session, "--from", "2", "--edit", "other words", "--json")
    assert ran.code == 0, ran.err
    other = json.loads(ran.out)
    assert (Path(other["folder"]) / "recorded" / "notes.txt").read_text() == "changed since\n"
    assert other["end"]["answer"] == "Read."

    only_read.project.rename(only_read.folder / "elsewhere")
    gone = only_read.run("replay", session, "--execute", cwd=only_read.folder)
    assert gone.code == 1
    assert gone.lines == [f"harness: the session saved no files, and {only_read.project} is not there any more"]
