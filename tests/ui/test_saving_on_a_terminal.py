"""The first snapshot of a large tree, on a real PTY: a person sees what the first writing call waits for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.agent.checkpoints import SAVING
from harness.simulator import Simulator
from tests.delegating import WRITER, Brain, skill
from tests.delegating import call as delegated
from tests.e2e.lab import Script, call
from tests.ui.conftest import Sit

Start = Callable[..., Simulator]
FILES = 20_000


def large(project: Path) -> None:
    """Different files in 200 folders."""
    for number in range(FILES):
        folder = project / f"d{number % 200}"
        if number < 200:
            folder.mkdir()
        (folder / f"f{number}.py").write_text(f"number = {number}\n" * 60)


def test_the_first_writing_call_says_what_it_waits_for(simulator: Start, sit: Sit, tmp_path: Path) -> None:
    write = [call("write", path="new.txt", content="x")]
    it = sit(simulator(Script(write, "Written.", write, "Again.")), columns=120)
    large(tmp_path / "project")

    it.type("write\r")
    it.until(lambda it: it.shown(f"↳ {SAVING}"))
    it.until("✓ write new.txt")
    assert not it.shown(SAVING)
    it.until("Written.")

    assert len(list(tmp_path.rglob("new.txt"))) == 1


def test_a_run_of_one_task_says_it_on_one_row(simulator: Start, sit: Sit, tmp_path: Path) -> None:
    large(tmp_path / "project")
    write = [call("write", path="new.txt", content="x")]
    it = sit(simulator(Script(write, "Written.")), "-p", "write", columns=120)
    it.until(lambda it: f"… {SAVING}".encode() in it.raw)

    assert it.end() == 0
    *_, done, answer, _ = it.glass.text.splitlines()
    assert done.startswith("· write new.txt")
    assert answer == "Written."
    assert SAVING not in it.glass.text
    assert it.glass.unknown == []


@pytest.mark.branches(reason="a sub-agent begins anew", times=1)
def test_a_sub_agent_says_it_too(simulator: Start, sit: Sit, tmp_path: Path) -> None:
    brain = Brain([[delegated("make", "one")], "All made."], {"one": [[call("shell", command="touch made")], "I did."]})
    it = sit(simulator(brain), columns=120)
    project = tmp_path / "project"
    skill(project, "make", WRITER)
    large(project)

    it.type("make it\r")
    it.until(lambda it: any("↳ make: turn 1" in line and line.endswith(SAVING) for line in it.glass.lines))
    it.until("All made.")

    assert not it.shown(SAVING)
    assert (project / "made").exists()


def test_ctrl_c_while_it_saves_stops_the_turn_and_the_next_one_works(
    simulator: Start, sit: Sit, tmp_path: Path
) -> None:
    write = [call("write", path="new.txt", content="x")]
    it = sit(simulator(Script(write, "The next answer.")), columns=120)
    large(tmp_path / "project")

    it.type("write\r")
    it.until(lambda it: it.shown(f"↳ {SAVING}"))
    it.type("\x03")
    it.until("✗ stopped")
    assert not it.shown(SAVING)
    it.type("go on\r")
    it.until("The next answer.")

    assert not (tmp_path / "project" / "new.txt").exists()
