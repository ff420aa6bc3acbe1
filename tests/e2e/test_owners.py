"""One session, several real processes: refused, forked while it is in use, started in the same moment."""

from __future__ import annotations

import os
import re
import signal
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest

from harness.agent.session import Session
from harness.conversation.history import INTERRUPTED, MAY_HAVE_RUN
from harness.conversation.journal import Journal
from harness.conversation.lines import Record
from harness.seam import Seam
from harness.simulator import Answer
from tests.delegating import cut_journal
from tests.e2e.conftest import Start
from tests.e2e.lab import Fork, Forks, Lab, Script, call, result_text, results
from tests.waiting import wait_for


def beside(lab: Lab, name: str) -> Lab:
    """The same project and state for a run whose output goes to another folder."""
    made = Lab(lab.folder / name, lab.home, lab.url)
    made.folder.mkdir()
    return made


def begin(lab: Lab, forked: Forks, name: str, *arguments: str) -> Fork:
    return forked.start(beside(lab, name), *arguments, "--permission-mode", "yolo", cwd=lab.project)


def kinds(records: list[Record]) -> list[str]:
    return [record.kind for record in records]


def test_a_fork_of_a_session_that_works(lab: Lab, vendor: Start, forked: Forks) -> None:
    wait = "echo $$ > pid; while [ ! -e go ]; do sleep 0.02; done; rm go; echo over"
    big = "seq 20000"
    sim = vendor(
        lambda request: (
            Script("one", [call("shell", command=big)], [call("shell", command=wait)], "end")(request)
            if "in the copy" not in str(request["messages"][-1])
            else "copied"
        ),
        branches=True,
    )
    assert lab.run("-p", "first", "--permission-mode", "yolo").code == 0
    (original,) = lab.sessions()
    owner = begin(lab, forked, "owner", "-c", "-p", "work")
    wait_for((lab.project / "pid").exists)

    refused = lab.run("-c", "-p", "me too")
    copied = lab.run("-c", "--fork", "-p", "in the copy", "--permission-mode", "yolo")
    (lab.project / "go").touch()
    ended = owner.end()

    assert refused.code == 1
    assert f"in use by process {owner.pid} on " in refused.err
    assert refused.err.rstrip().endswith(f"harness -r {original.name} --fork")
    assert copied.code == 0, copied.err
    assert copied.out == "copied\n"
    assert (ended.code, ended.out) == (0, "end\n")
    (copy,) = {*lab.sessions()} - {original}
    assert kinds(lab.records(copy)).count("intent") == 2
    assert any("may have run" in str(request.json["messages"]) for request in sim.requests)
    # nothing of the fork is in the owner's journal, and still the owner knows it afterwards
    assert "forked" not in kinds(lab.records(original))
    session = resumed(original)
    assert session.relatives == [copy.name]
    assert [session.journal.warnings(), resumed(copy).journal.warnings()] == [[], []]
    assert lab.run("-r", original.name, "-p", "and on", "--permission-mode", "yolo").code == 0


@pytest.mark.parametrize(("owned", "told"), [(True, MAY_HAVE_RUN), (False, INTERRUPTED)])
def test_what_the_owner_of_a_session_may_be_about_to_run(owned: bool, told: str, lab: Lab, vendor: Start) -> None:
    sim = vendor(Script([call("shell", command="echo ran >> log")], "looked"), branches=True)
    assert lab.run("-p", "go", "--permission-mode", "yolo").code == 0
    (original,) = lab.sessions()
    cut_journal(original, "snapshot")  # behind the answer, when the files were saved for its call
    (lab.project / "log").unlink()

    with closing(Journal.open(original, Seam())) if owned else nullcontext():
        copied = lab.process("-c", "--fork", "-p", "--permission-mode", "yolo")

    assert (copied.code, copied.out) == (0, "looked\n"), copied.err
    (result,) = results(sim.requests[-1].json)
    assert result_text(result) == told
    assert not (lab.project / "log").exists()
    (copy,) = {*lab.sessions()} - {original}
    replayed = lab.run("replay", copy.name)
    assert replayed.code == 0, replayed.out


def resumed(folder: Path) -> Session:
    """A session as it is, let go of again."""
    session = Session.resume(folder, Seam())
    session.close()
    return session


def test_started_in_the_same_moment_exactly_one_goes_on(lab: Lab, vendor: Start, forked: Forks) -> None:
    hold = "while [ ! -e go ]; do sleep 0.02; done"
    vendor(Script("one", [call("shell", command=hold)], "end"))
    assert lab.run("-p", "first").code == 0
    (session,) = lab.sessions()

    runs = [begin(lab, forked, f"run-{number}", "-r", session.name, "-p", "work") for number in range(4)]
    wait_for(lambda: sum("in use by" in run.stderr.read_text() for run in runs if run.stderr.exists()) == 3)
    (lab.project / "go").touch()
    ended = {run.pid: run.end() for run in runs}

    (winner,) = [pid for pid, ran in ended.items() if ran.code == 0]
    for pid, ran in ended.items():
        assert pid == winner or (ran.code, re.findall(r"process (\d+) on", ran.err)) == (1, [str(winner)])
    assert resumed(session).journal.warnings() == []


def test_a_killed_owner_with_a_living_child_does_not_block(lab: Lab, vendor: Start, forked: Forks) -> None:
    vendor(Script([call("shell", command="echo $$ > pid; exec sleep 300")], "fine"))
    owner = begin(lab, forked, "owner", "-p", "work")
    wait_for((lab.project / "pid").exists)
    owner.signal(signal.SIGKILL)
    owner.end()
    child = int((lab.project / "pid").read_text())
    os.kill(child, 0)

    ran = lab.run("-c", "-p", "go on", "--permission-mode", "yolo")
    os.kill(child, signal.SIGKILL)

    assert ran.code == 0, ran.err


def slow_answer(request: dict[str, Any]) -> Answer:
    return Answer(({"text": f"{len(request['messages'])} " * 50},), delay=0.02)


def test_a_fork_of_a_session_that_streams(lab: Lab, vendor: Start, forked: Forks) -> None:
    vendor(slow_answer, branches=True)
    first = lab.run("-p", "first")
    assert first.code == 0
    owner = begin(lab, forked, "owner", "-c", "-p", "work", "--output-format", "stream-json")
    wait_for(lambda: owner.stdout.exists() and '"text"' in owner.stdout.read_text())

    copied = lab.run("-c", "--fork", "-p", "in the copy")

    assert owner.end().code == 0
    assert copied.code == 0, copied.err
    assert copied.session != first.session
