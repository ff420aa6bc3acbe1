"""The real program, ended at its terminal while it waits for the person: nothing that waited counts as begun."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.conversation.history import INTERRUPTED
from harness.providers.catalog import Catalog
from harness.replay.verify import verify
from harness.simulator import Simulator
from tests.delegating import WRITER, Brain, skill, tool
from tests.delegating import call as delegate
from tests.e2e.lab import Script, call, result_text, results
from tests.ui.conftest import Sit
from tests.ui.glass import Sitting
from tests.waiting import PATIENCE

Start = Callable[..., Simulator]
Ways = Callable[[Sitting, Simulator, str], None]
ASK, YOLO = ("--permission-mode", "ask"), ("--permission-mode", "yolo")
QUIET = 0.7
"""Longer than `questions.SETTLE`."""


@pytest.fixture(params=["killed, gone on with in the terminal", "terminal closed, gone on with by -p"])
def go_on(request: pytest.FixtureRequest, sit: Sit, isolation: Path) -> Ways:
    """Ends the program, resumes it, sees what is told of the calls, and has the journal proved."""

    def way(it: Sitting, vendor: Simulator, told: str) -> None:
        if request.param.startswith("killed"):
            it.process.kill()
            it.process.wait(PATIENCE)
            again = sit(vendor, "-c", *YOLO, columns=160)
            again.until(f"the last turn was cut off at step 1: {told}; go on with it: /continue")
            again.type("/continue\r")
            again.until("all is done")
            again.type("/quit\r")
        else:
            it.hang_up()
            it.process.wait(PATIENCE)
            again = sit(vendor, "-c", "-p", *YOLO)
        assert again.end() == 0
        assert "all is done" in again.glass.text
        (session,) = (isolation / ".local" / "state" / "harness" / "sessions").glob("[!.]*")
        assert verify(session, Catalog.load(None)).equal

    return way


def told(vendor: Simulator, request: int = -1) -> list[str]:
    """The last results in a request."""
    return [result_text(result) for result in results(vendor.requests[request].json)]


def test_a_call_whose_permission_waits_has_not_run(go_on: Ways, simulator: Start, sit: Sit, tmp_path: Path) -> None:
    vendor = simulator(Script([call("shell", command="echo 1 >> log")], "all is done"))
    it = sit(vendor, *ASK)
    it.type("go\r")
    it.until("│ echo 1 >> log")

    go_on(it, vendor, "shell not run")

    assert told(vendor) == [INTERRUPTED]
    assert not (tmp_path / "project" / "log").exists()


def test_nor_have_those_behind_one_that_was_granted(go_on: Ways, simulator: Start, sit: Sit, tmp_path: Path) -> None:
    vendor = simulator(Script([call("shell", command=f"echo {n} >> log") for n in (1, 2, 3)], "all is done"))
    it = sit(vendor, *ASK)
    it.type("go\r")
    it.until("│ echo 1 >> log")
    it.listen(QUIET)
    it.type("y")
    it.until("│ echo 2 >> log")

    go_on(it, vendor, "shell done; 2 shell not run")

    assert told(vendor)[1:] == [INTERRUPTED, INTERRUPTED]
    assert (tmp_path / "project" / "log").read_text() == "1\n"


@pytest.mark.branches(reason="a sub-agent begins anew", times=1)
def test_nor_has_a_sub_agents_call(go_on: Ways, simulator: Start, sit: Sit, tmp_path: Path) -> None:
    brain = Brain(
        [[delegate("outer", "alpha")], "all is done"],
        {"alpha": [[tool("shell", command="echo 1 >> log")], "It is not done."]},
    )
    vendor = simulator(brain)
    it = sit(vendor, *ASK)
    skill(tmp_path / "project", "outer", WRITER + "allowed-tools: shell\n")
    it.type("go\r")
    it.until("The sub-agent outer wants to run shell")

    go_on(it, vendor, "invoke_skill may have run")

    assert (told(vendor, 2), told(vendor)) == ([INTERRUPTED], ["It is not done."])
    assert len(vendor.requests) == 4
    assert not (tmp_path / "project" / "log").exists()


def test_a_question_that_waits_is_to_be_asked_again(go_on: Ways, simulator: Start, sit: Sit) -> None:
    vendor = simulator(Script([call("ask_user", question="Which colour?", options=["red", "green"])], "all is done"))
    it = sit(vendor, *YOLO)
    it.type("go\r")
    it.until("│ Which colour?")

    go_on(it, vendor, "ask_user not run")

    assert told(vendor) == [INTERRUPTED]
