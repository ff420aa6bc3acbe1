"""A fork that is killed while it is made: nothing takes it for a session, and nothing that ran runs again in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.e2e.conftest import Start
from tests.e2e.lab import Lab, Script, call

KILLED = """
import os, signal, sys
from pathlib import Path
from harness.cli import run
from harness.seam import Seam

class Killed(Seam):
    def now(self):
        if len([*Path(sys.argv[1]).rglob("journal.jsonl")]) > 1:  # nothing but the records of the other are in it
            os.kill(os.getpid(), signal.SIGKILL)
        return super().now()

run(sys.argv[2:], Killed())
"""
YOLO = ("--permission-mode", "yolo")


@pytest.mark.parametrize("way", [("-c", "--fork", "-p", "in a copy"), ("replay", "ID", "--from", "2")])
def test_it_is_no_session_and_the_next_one_removes_it(way: tuple[str, ...], lab: Lab, vendor: Start) -> None:
    steps = [[call("shell", command=f"echo {n} >> log")] for n in (1, 2)]
    sim = vendor(Script(*steps, "end", "again", "copied"), branches=True)
    assert lab.run("-p", "go", *YOLO).code == 0
    (session,) = lab.sessions()
    words = [session.name if word == "ID" else word for word in way]

    run = [sys.executable, "-c", KILLED, str(lab.state), *words]
    killed = subprocess.run(run, cwd=lab.project, env=lab.environment(), capture_output=True, check=False)

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (left,) = session.parent.glob(".fork-*")
    listed = lab.run("sessions", "--all")
    assert "1 session" in listed.out, listed.out
    again = lab.run("-c", "-p", "more", *YOLO)
    assert (again.code, again.out, again.session) == (0, "again\n", session.name)
    assert (lab.project / "log").read_text() == "1\n2\n"
    assert len(sim.requests) == 4

    os.utime(left, (0, 0))
    assert lab.run("-c", "--fork", "-p", "in a copy", *YOLO).out == "copied\n"

    assert not left.exists()
    assert len(lab.sessions()) == 2


def test_one_that_cannot_go_on_leaves_no_word_of_it(lab: Lab, vendor: Start) -> None:
    vendor(Script("one", "two"))
    assert lab.run("-p", "go").code == 0
    (session,) = lab.sessions()

    assert lab.run("-c", "--fork", "-p", "more", env={"ANTHROPIC_API_KEY": None}).code == 2

    assert lab.sessions() == [session]
    assert [*(session / "forks").iterdir()] == []
