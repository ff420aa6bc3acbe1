"""`/continue` on a real PTY: a session whose program was killed in the middle of a turn."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.simulator import Fault, Simulator
from tests.e2e.lab import Script, call
from tests.ui.conftest import Sit
from tests.waiting import PATIENCE

Start = Callable[..., Simulator]
YOLO = ("--permission-mode", "yolo")


def test_a_killed_turn_goes_on(simulator: Start, sit: Sit, tmp_path: Path) -> None:
    vendor = simulator(
        Script(
            [call("shell", command="echo 1 >> log")],
            [call("shell", command="echo 2 >> log; touch ready; sleep 60"), call("write", path="b", content="b")],
            [call("shell", command="echo 3 >> log")],
            "all is done",
        )
    )
    it = sit(vendor, *YOLO, columns=120)
    it.type("three steps\r")
    it.until(lambda _: (tmp_path / "project" / "ready").exists())
    os.kill(it.process.pid, signal.SIGKILL)
    it.process.wait(PATIENCE)

    again = sit(vendor, *YOLO, "-c", columns=120)
    again.until("the last turn was cut off at step 2: shell may have run; write not run; go on with it: /continue")
    again.type("/continue\r")
    again.until("all is done")
    assert (tmp_path / "project" / "log").read_text().split() == ["1", "2", "3"]
    again.until(lambda it: it.shown("read "))
    again.type("/continue\r")
    again.until("nothing to go on with: the last turn of session")
    again.type("/quit\r")
    assert again.end() == 0


@pytest.mark.refusals("a fault that the test asks for")
def test_a_stopped_turn_and_a_failed_one_go_on(simulator: Start, sit: Sit) -> None:
    vendor = simulator(Script([call("shell", command="sleep 60")], "and done"))
    it = sit(vendor, *YOLO, columns=120)
    it.type("go\r")
    it.until("sleep 60")
    it.type("\x03")
    it.until("/continue goes on with it")
    it.type("half a word")
    it.until("half a word")
    it.type("\x03")
    vendor.fault(Fault("status", status=400, message="no such field"))
    it.type("/continue\r")
    it.until("no such field")
    it.until(lambda it: it.glass.text.count("/continue goes on with it") == 2)
    it.type("/continue\r")
    it.until("and done")
    it.type("/quit\r")
    assert it.end() == 0


def test_esc_stops_the_turn_and_keeps_the_line(simulator: Start, sit: Sit) -> None:
    vendor = simulator(Script([call("shell", command="sleep 60")], "and done"))
    it = sit(vendor, *YOLO, columns=120)
    it.type("go\r")
    it.until("sleep 60")
    it.type("half a word")
    it.until("half a word")
    it.type("\x1b")
    it.until("✗ stopped")
    it.until(lambda it: any(line.startswith("> half a word") for line in it.glass.lines))
    it.type("\x03/continue\r")
    it.until("and done")
    it.type("/quit\r")
    assert it.end() == 0
