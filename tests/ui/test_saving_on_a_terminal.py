"""A snapshot that takes long, on a real PTY: a person sees what the first writing call waits for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.agent.checkpoints import SAVING
from harness.simulator import Simulator
from tests.delegating import WRITER, Brain, skill
from tests.delegating import call as delegated
from tests.e2e.lab import Script, call
from tests.ui.conftest import Sit, SlowGit

Start = Callable[..., Simulator]


def test_the_first_writing_call_says_what_it_waits_for(
    simulator: Start, sit: Sit, slow_git: SlowGit, tmp_path: Path
) -> None:
    write = [call("write", path="new.txt", content="x")]
    it = sit(simulator(Script(write, "Written.", write, "Again.")), columns=120)
    slow_git.hold()

    it.type("write\r")
    it.until(lambda it: it.shown(f"↳ {SAVING}"))
    slow_git.let_go()
    it.until("✓ write new.txt")
    it.until(lambda it: not it.shown(SAVING))
    it.until("Written.")

    assert len(list(tmp_path.rglob("new.txt"))) == 1


def test_a_run_of_one_task_says_it_on_one_row(simulator: Start, sit: Sit, slow_git: SlowGit) -> None:
    slow_git.hold()
    write = [call("write", path="new.txt", content="x")]
    it = sit(simulator(Script(write, "Written.")), "-p", "write", columns=120)
    it.until(lambda it: it.shown(f"… {SAVING}"))
    slow_git.let_go()

    assert it.end() == 0
    *_, done, answer, _ = it.glass.text.splitlines()
    assert done.startswith("· write new.txt")
    assert answer == "Written."
    assert SAVING not in it.glass.text
    assert it.glass.unknown == []


@pytest.mark.branches(reason="a sub-agent begins anew", times=1)
def test_a_sub_agent_says_it_too(simulator: Start, sit: Sit, slow_git: SlowGit, tmp_path: Path) -> None:
    brain = Brain([[delegated("make", "one")], "All made."], {"one": [[call("shell", command="touch made")], "I did."]})
    it = sit(simulator(brain), columns=120)
    project = tmp_path / "project"
    skill(project, "make", WRITER)
    slow_git.hold()

    it.type("make it\r")
    it.until(lambda it: any("↳ make: turn 1" in line and line.endswith(SAVING) for line in it.glass.lines))
    slow_git.let_go()
    it.until("All made.")

    it.until(lambda it: not it.shown(SAVING))
    assert (project / "made").exists()


def test_ctrl_c_while_it_saves_stops_the_turn_and_the_next_one_works(
    simulator: Start, sit: Sit, slow_git: SlowGit, tmp_path: Path
) -> None:
    write = [call("write", path="new.txt", content="x")]
    it = sit(simulator(Script(write, "The next answer.")), columns=120)
    slow_git.hold()

    it.type("write\r")
    it.until(lambda it: it.shown(f"↳ {SAVING}"))
    it.type("\x03")
    it.until("✗ stopped")
    it.until(lambda it: not it.shown(SAVING))
    slow_git.let_go()
    it.type("go on\r")
    it.until("The next answer.")

    assert not (tmp_path / "project" / "new.txt").exists()
