"""`harness replay ID --from K`: another way from a request on, live, in a fork and in scratch copies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.simulator import Fault
from tests.conftest import Start
from tests.delegating import WRITER, Brain, skill
from tests.delegating import call as delegated
from tests.e2e.lab import Lab, Script, call


def brain(request: dict[str, Any]) -> Any:
    """Writes what it was told last to word.txt, then ends."""
    last = request["messages"][-1]["content"][-1]
    text = "".join(part["text"] for part in last["content"]) if last["type"] == "tool_result" else last["text"]
    if last["type"] == "tool_result" and "word is" not in text:
        return "Done."
    if "word is" in text or text == "Go on.":
        result = next(
            (
                block["content"][0]["text"]
                for message in reversed(request["messages"])
                for block in message["content"]
                if block["type"] == "tool_result"
            ),
            "word is said",
        )
        said = text if "word is" in text else result
        return [call("write", path="word.txt", content=said.split("word is ")[-1].split("\n")[0] + "\n")]
    return [call("read", path="notes.txt")]


@pytest.fixture
def lab(tmp_path: Path, isolation: Path) -> Lab:
    made = Lab(tmp_path, isolation, "http://127.0.0.1:9")
    made.project.mkdir()
    (made.project / "notes.txt").write_text("the word is red\n")
    return made


@pytest.fixture
def recorded(lab: Lab, simulator: Start) -> Lab:
    lab.url = simulator(brain, minimum=1).url
    ran = lab.run("-p", "Look for it.")
    assert ran.code == 0, ran.err
    assert (lab.project / "word.txt").read_text() == "red\n"
    return lab


def went(lab: Lab, *flags: str) -> dict[str, Any]:
    ran = lab.run("replay", lab.sessions()[0].name, "--json", *flags)
    assert ran.out, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    assert ran.code == 0, (found, ran.err)
    return found


@pytest.mark.moves_prefix("another way is a fork, and the first one goes on beside it")
def test_whoever_continues_in_the_workspace_does_not_get_the_other_way(recorded: Lab) -> None:
    (first,) = recorded.sessions()
    found = went(recorded, "--from", "1", "--edit", "Look for another one.")
    there = Path(found["folder"]) / "other"

    here = recorded.run("-c", "-p", "the word is green")
    assert here.session == first.name
    elsewhere = recorded.run("-c", "-p", "the word is grey", cwd=there)
    assert elsewhere.session == found["session"] != first.name
    assert (recorded.project / "word.txt").read_text() == "green\n"
    assert (there / "word.txt").read_text() == "grey\n"
    for name in (first.name, found["session"]):
        assert recorded.run("replay", name).code == 0
    shutil.rmtree(found["folder"])


@pytest.mark.moves_prefix("another result is an epoch of its own", times=1)
def test_another_result_gives_other_files_and_the_first_session_stays(recorded: Lab) -> None:
    (first,) = recorded.sessions()
    journal = (first / "journal.jsonl").read_bytes()
    (recorded.project / "word.txt").write_text("changed since\n")

    found = went(recorded, "--from", "2", "--edit", "the word is blue\n", "--verify", "cat word.txt")

    assert found["files"] == [{"path": "word.txt", "how": "differs"}]
    assert found["verify"]["recorded"] == {"exit_code": 0, "last_line": "red"}
    assert found["verify"]["other"] == {"exit_code": 0, "last_line": "blue"}
    assert found["recorded"]["requests"] == found["other"]["requests"] == 2
    assert found["other"]["read_tokens"] > 0
    assert found["other"]["cost_usd"] > 0
    assert (recorded.project / "word.txt").read_text() == "changed since\n"
    assert (first / "journal.jsonl").read_bytes() == journal
    assert recorded.run("replay", found["session"]).code == 0


def test_other_words_with_another_model(recorded: Lab) -> None:
    found = went(recorded, "--from", "1", "--edit", "The word is green", "--model", "opus")

    assert found["other"]["requests"] == 2
    word = Path(found["folder"]) / "other" / "word.txt"
    assert word.read_text() == "green\n"
    # two sessions of one second are in no order
    (other,) = (path for path in recorded.sessions() if path.name == found["session"])
    assert {r.data["model"] for r in recorded.records(other) if r.kind == "request"} == {"anthropic/claude-opus-5-5"}


def test_a_request_that_is_not_there_is_one_line(recorded: Lab) -> None:
    ran = recorded.run("replay", recorded.sessions()[0].name, "--from", "9")

    assert ran.code == 2
    assert ran.lines == ["harness: there is no request 9: this session has 3; name one from 1 to 3"]


@pytest.mark.branches("the other way is a fork", times=1)
def test_a_file_that_was_read_before_the_request_may_be_edited_after_it(lab: Lab, simulator: Start) -> None:
    edit = call("edit", path="notes.txt", old="red", new="blue")
    lab.url = simulator(Script([call("read", path="notes.txt")], [edit], "Done."), minimum=1).url
    assert lab.run("-p", "Make it blue.").code == 0

    found = went(lab, "--from", "2")

    assert found["files"] == []
    assert (Path(found["folder"]) / "other" / "notes.txt").read_text() == "the word is blue\n"


@pytest.mark.parametrize("flags", [("--edit", "no"), ("--model", "opus"), ("--effort", "low"), ("--verify", "true")])
def test_what_belongs_to_another_way_needs_the_request_it_goes_on_from(lab: Lab, flags: tuple[str, str]) -> None:
    ran = lab.run("replay", "x", *flags)

    assert ran.code == 2
    assert ran.lines == [f"harness: {flags[0]} needs --from K: the request to go on from"]


def test_words_that_are_none_are_refused(recorded: Lab) -> None:
    for step in ("1", "2"):
        ran = recorded.run("replay", recorded.sessions()[0].name, "--from", step, "--edit", " \n")

        assert ran.code == 2
        assert ran.lines == ["harness: --edit is empty: give it what the model gets there instead"]


@pytest.mark.refusals("what was begun there is told")
def test_what_is_left_of_a_way_that_fails_is_told(recorded: Lab, simulator: Start) -> None:
    (first,) = recorded.sessions()
    sim = simulator(brain, minimum=1)
    recorded.url = sim.url
    scratch = recorded.folder / "scratch"
    scratch.mkdir()

    # where nothing could be asked there is nothing to keep
    for flags, key in (((), None), (("--model", "nobody/x"), "key")):
        env = {"TMPDIR": str(scratch), "ANTHROPIC_API_KEY": key}
        refused = recorded.process("replay", first.name, "--from", "2", *flags, env=env)
        assert (refused.code, len(refused.lines)) == (2, 1)
        assert (recorded.sessions(), list(scratch.iterdir())) == ([first], [])
        assert list((first / "forks").iterdir()) == []

    sim.fault(Fault("status", status=401))
    refused = recorded.process("replay", first.name, "--from", "2", env={"TMPDIR": str(scratch)})
    (fork,) = set(recorded.sessions()) - {first}
    (folder,) = scratch.iterdir()

    assert refused.code == 1
    assert refused.lines[0] == f"harness: what was begun stays: session {fork.name}, files in {folder}"

    shutil.rmtree(folder)
    shutil.rmtree(recorded.state / "harness" / "snapshots")
    gone = recorded.process("replay", first.name, "--from", "2", env={"TMPDIR": str(scratch)})

    assert gone.code == 1
    assert "no longer in the store" in gone.err
    assert list(scratch.iterdir()) == []


@pytest.mark.branches("sub-agents, and the other way is a fork", times=3)
def test_what_sub_agents_were_billed_is_counted_on_both_sides(lab: Lab, simulator: Start) -> None:
    skill(lab.project, "part", WRITER)
    tasks = {"beta": ([call("write", path="beta.txt", content="beta\n")], "Beta wrote it.")}
    caller = ([delegated("part", "beta")], "Done.")
    lab.url = simulator(Brain(caller, tasks), minimum=1).url
    assert lab.run("-p", "Write it.").code == 0

    found = went(lab, "--from", "1")

    assert found["recorded"]["requests"] == found["other"]["requests"] == 4
    assert found["recorded"]["output_tokens"] == found["other"]["output_tokens"]


@pytest.mark.branches("the other way is a fork", times=1)
def test_a_check_may_say_anything_and_is_told_nothing(recorded: Lab) -> None:
    noise = "head -c 3000000 /dev/zero; cat; printf '\\033[2J'; exit 3"

    ran = recorded.run("replay", recorded.sessions()[0].name, "--from", "2", "--verify", noise)

    assert ran.code == 0
    assert "check as recorded   exit 3: " in ran.out
    assert "\x1b" not in ran.out
    assert len(ran.out) < 3_000
