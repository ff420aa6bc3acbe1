"""Sub-agents on a real PTY: who asks for permission."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.simulator import Simulator
from tests.delegating import WRITER, Brain, call, skill, tool
from tests.ui.conftest import Sit
from tests.ui.glass import Sitting

Start = Callable[..., Simulator]
PAUSE = 0.6


def asked(it: Sitting, title: str, command: str, answer: str) -> None:
    it.until(f"? {title}\n  │ {command}\n")
    it.listen(PAUSE)
    it.type(answer)


@pytest.mark.branches(reason="two sub-agents begin anew", times=2)
def test_a_question_for_permission_says_which_sub_agent_asks(simulator: Start, sit: Sit, tmp_path: Path) -> None:
    project = tmp_path / "project"
    brain = Brain(
        [[tool("shell", command="touch mine")], [call("outer", "alpha")], "All done."],
        {
            "alpha": [[call("inner", "beta")], [tool("shell", command="touch outer")], "It is done."],
            "beta": [[tool("shell", command="touch inner")], "It is not done."],
        },
    )
    vendor = simulator(brain)
    it = sit(vendor, "--permission-mode", "ask", columns=120)
    skill(project, "outer", WRITER + "allowed-tools: shell invoke_skill\n")
    skill(project, "inner", WRITER + "allowed-tools: shell\n")

    it.type("go\r")
    asked(it, "shell asks for permission (this session: shell(touch mine *)):", "touch mine", "y")
    asked(it, "The sub-agent inner wants to run shell (this session: shell(touch inner *)):", "touch inner", "n")
    asked(it, "The sub-agent outer wants to run shell (this session: shell(touch outer *)):", "touch outer", "s")
    it.until("All done.")

    assert sorted(path.name for path in project.iterdir() if path.is_file()) == ["mine", "outer"]
