"""Programs on a PTY: the real one against a pretend vendor, and a screen that only follows orders."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.simulator import Simulator
from tests.e2e.lab import Forks
from tests.ui.glass import ROOT, Sitting

Sit = Callable[..., Sitting]


@pytest.fixture
def sittings() -> Iterator[ExitStack]:
    with ExitStack() as open_ones:
        yield open_ones


@pytest.fixture
def sit(sittings: ExitStack, tmp_path: Path, forked: Forks) -> Sit:
    """Starts the real program: `sit(vendor, "--model", "opus", columns=40)`; waits for its input line.

    With `-p` there is none. ahead: what is typed before the program has begun, which then begins from nothing.
    """
    project = tmp_path / "project"
    project.mkdir()

    def start(vendor: Simulator, *flags: str, columns: int = 80, rows: int = 24, ahead: str = "") -> Sitting:
        names = ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "PATH")
        env = {name: os.environ[name] for name in names}
        env |= {"ANTHROPIC_API_KEY": "sk-test-1", "ANTHROPIC_BASE_URL": vendor.url}
        arguments = ["-m", "harness", *(flags or ("--permission-mode", "yolo"))]
        source = None if ahead else forked
        sitting = sittings.enter_context(Sitting(arguments, env, project, columns, rows, source))
        if ahead:
            sitting.type(ahead)
            sitting.until("/help")
        elif "-p" not in flags:
            sitting.ready()
        return sitting

    return start


@pytest.fixture
def orders(sittings: ExitStack, tmp_path: Path, forked: Forks) -> Sit:
    """Starts `scripted.py` with a list of what permission is asked for; waits for its input line."""

    def start(
        permissions: Sequence[str] = ("rm -rf build",), columns: int = 80, rows: int = 24, *, answers: bool = True
    ) -> Sitting:
        path = tmp_path / "permissions.json"
        path.write_text(json.dumps(list(permissions)))
        arguments = [str(ROOT / "tests" / "ui" / "scripted.py"), str(path)]
        env = {"PATH": os.environ["PATH"]}
        sitting = sittings.enter_context(Sitting(arguments, env, tmp_path, columns, rows, forked, answers=answers))
        sitting.ready()
        return sitting

    return start
