"""Runs with sub-agents that are killed or interrupted while one of them works."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from harness.simulator import Simulator
from tests.delegating import FORK, FRESH, WRITER, Brain, cut_journal, records, skill
from tests.delegating import call as delegated
from tests.e2e.lab import ROOT, Lab, call, texts
from tests.waiting import PATIENCE, assert_gone, nap, wait_for

Start = Callable[..., Simulator]


def begun(lab: Lab, vendor: Start, front: str, *later: object, naps: Sequence[str] = ("20", "21")) -> Simulator:
    """A project with a skill whose sub-agent runs a command that takes long."""
    skill(lab.project, "make", front)
    command = "sleep {} & touch ready; sleep {}".format(*naps)
    tasks = {"one": [[call("shell", command=command)], "Done."]}
    return vendor(Brain([[delegated("make", "one")], *later], tasks), branches=True)


@pytest.mark.parametrize("front", [WRITER, "context: fork\n"], ids=["fresh", "fork"])
def test_after_a_kill_the_call_may_have_run_and_is_not_run_again(lab: Lab, vendor: Start, front: str) -> None:
    sim = begun(lab, vendor, front, "I go on.")
    with lab.spawn("-p", "go", "--permission-mode", "yolo") as running:
        wait_for((lab.project / "ready").exists)
        running.kill()
    before = len(sim.requests)
    ran = lab.run("-c", "-p", "go on", "--output-format", "json")

    (session,) = lab.sessions()
    assert "may have run" in texts(sim.requests[-1].json)
    assert len(sim.requests) == before + 1
    (lost,) = records(session, "subagent")
    (child,) = (session / "agents").iterdir()
    assert (lost.data["child"], lost.data["end"], lost.data["requests"]) == (child.name, "lost", 1)
    assert json.loads(ran.out)["totals"]["requests"] == len(sim.requests)
    again = lab.run("-c", "-p", "and on")
    assert again.code == 0
    assert len(records(session, "subagent")) == 1


@pytest.mark.parametrize("front", [WRITER, "context: fork\n"], ids=["fresh", "fork"])
def test_after_a_kill_the_sub_agent_goes_on_with_the_turn(lab: Lab, vendor: Start, front: str) -> None:
    sim = begun(lab, vendor, front, "I go on.")
    with lab.spawn("-p", "go", "--permission-mode", "yolo") as running:
        wait_for((lab.project / "ready").exists)
        running.kill()
    (lab.project / "ready").unlink()
    before = len(sim.requests)
    ran = lab.run("-c", "-p", "--permission-mode", "yolo", "--output-format", "json")

    assert ran.code == 0, ran.err
    # one request of the sub-agent, which was told of its command, and one of its caller, which got its report
    told, reported = (texts(request.json) for request in sim.requests[before:])
    assert "may have run" in told
    assert "may have run" not in reported
    assert not (lab.project / "ready").exists()
    (session,) = lab.sessions()
    assert [record.data["end"] for record in records(session, "subagent")] == ["lost", "done"]
    assert json.loads(ran.out)["totals"]["requests"] == len(sim.requests)
    assert lab.run("replay", session.name).code == 0


def test_an_interruption_leaves_no_process_and_a_session_that_goes_on(lab: Lab, vendor: Start) -> None:
    naps = nap(), nap()
    sim = begun(lab, vendor, FORK.replace("grep", "shell"), "I go on.", naps=naps)
    with lab.spawn("-p", "go", "--permission-mode", "yolo") as running:
        wait_for((lab.project / "ready").exists)
        running.send_signal(signal.SIGINT)
        assert running.wait(PATIENCE) == 130
    assert_gone(*naps)
    (session,) = lab.sessions()
    assert [record.data["end"] for record in records(session, "subagent")] == ["interrupted"]
    assert lab.run("-c", "-p", "go on").code == 0
    assert "may have run" in texts(sim.requests[-1].json)


_WATCHED = """
import collections, json, os, sys
read = collections.Counter()
def hook(event, args):
    if event == "open" and str(args[0]).endswith("journal.jsonl") and args[2] & os.O_ACCMODE == os.O_RDONLY:
        read[str(args[0])] += 1
sys.addaudithook(hook)
from harness.cli import run
from harness.seam import Seam
code = run(sys.argv[2:], Seam())
with open(sys.argv[1], "w") as told:
    json.dump(read, told)
sys.exit(code)
"""
"""The program, which tells how often it opened each journal to read it."""


def test_only_those_that_were_cut_off_are_read_again(lab: Lab, vendor: Start) -> None:
    skill(lab.project, "look", FRESH)
    first, second = ("one", "two", "three"), ("four", "five")
    tasks = {task: [[call("glob", pattern="*")], f"{task} done."] for task in (*first, *second)}
    caller = [[delegated("look", task) for task in first], [delegated("look", task) for task in second], "All done."]
    vendor(Brain(caller, tasks), branches=True)
    assert lab.run("-p", "go", "--permission-mode", "yolo").code == 0
    (session,) = lab.sessions()
    ended = {record.data["child"] for record in records(session, "subagent")[: len(first)]}
    cut_journal(session, "intent", -1)

    words = [sys.executable, "-c", _WATCHED, str(lab.folder / "read"), "-c", "-p", "--permission-mode", "yolo"]
    env = lab.environment() | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(words, cwd=lab.project, env=env, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "All done.\n"), ran.stderr
    read = json.loads((lab.folder / "read").read_text())
    often = {folder.name: read[str(folder / "journal.jsonl")] for folder in (session / "agents").iterdir()}
    assert len(often) == len(first) + len(second)
    # once for what they cached; those that were cut off to see that they were born, to count them in, and to go on
    assert {name: 1 if name in ended else 4 for name in often} == often
