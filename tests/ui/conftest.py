"""Programs on a PTY: the real one against a pretend vendor, and a screen that only follows orders."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.simulator import Simulator
from tests.e2e.lab import Forks
from tests.ui.glass import ROOT, Sitting

Sit = Callable[..., Sitting]


@dataclass(frozen=True)
class SlowGit:
    """A git that takes as long as the test wants: while it is held, each run of it waits."""

    folder: Path

    def hold(self) -> None:
        """Have the next run wait."""
        (self.folder / "hold").touch()

    @property
    def held(self) -> bool:
        """Whether a run waits, or one has."""
        return (self.folder / "held").exists()

    def let_go(self) -> None:
        """Have all of them go on."""
        (self.folder / "hold").unlink()


@pytest.fixture
def slow_git(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> SlowGit:
    """What the programs of this test find as git."""
    real = shutil.which("git")
    assert real
    made = SlowGit(tmp_path_factory.mktemp("git"))
    script = made.folder / "git"
    script.write_text(
        f"#!/bin/sh\nown={shlex.quote(str(made.folder))}\n"
        f'while [ -e "$own/hold" ]; do : > "$own/held"; sleep 0.02; done\nexec {shlex.quote(real)} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{made.folder}{os.pathsep}{os.environ['PATH']}")
    return made


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
