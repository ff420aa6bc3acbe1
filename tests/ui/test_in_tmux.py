"""What a person sees in a real terminal program, wide and narrow."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ui.glass import ROOT
from tests.ui.test_panels_on_a_terminal import QUIET
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]


class Tmux:
    """One pane of a server of its own."""

    def __init__(self, socket: Path, columns: int, rows: int, command: str) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        self("new-session", "-d", "-x", str(columns), "-y", str(rows), f"{command}; echo ended; stty -a; read line")

    def __call__(self, *words: str) -> str:
        return subprocess.run([*self._tmux, *words], check=True, capture_output=True, text=True).stdout

    def keys(self, *names: str) -> None:
        self("send-keys", *names)

    def until(self, text: str) -> None:
        """Wait for a text, on the screen or above it."""
        wait_for(lambda: text in self("capture-pane", "-p", "-S", "-"))

    def rows(self) -> list[str]:
        """What is on the screen."""
        return [line.rstrip() for line in self("capture-pane", "-p").rstrip("\n").split("\n")]

    def panel(self) -> str:
        """What it asks about."""
        return "".join(line[4:] for line in self.rows() if line.startswith(("  │ ", "  ┆ ")))


@pytest.fixture
def tmux(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int, int], Tmux]]:
    permissions = tmp_path / "permissions.json"
    permissions.write_text(json.dumps(["cd build && rm -rf " + "very/long/path/" * 4 + "; ls" + " " * 5000 + "; rm x"]))
    words = [sys.executable, str(ROOT / "tests" / "ui" / "scripted.py"), str(permissions)]
    panes: list[Tmux] = []

    def start(columns: int, rows: int) -> Tmux:
        command = f"cd {shlex.quote(str(tmp_path))}; PYTHONPATH={shlex.quote(str(ROOT))} {shlex.join(words)}"
        panes.append(Tmux(tmp_path_factory.mktemp("t") / "s", columns, rows, command))
        return panes[-1]

    yield start
    for pane in panes:
        pane("kill-server")


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 12)])
def test_the_screen(tmux: Callable[[int, int], Tmux], columns: int, rows: int) -> None:
    pane = tmux(columns, rows)
    pane.until("anthropic/test · ask")

    pane.keys("allow 0", "Enter")
    pane.until("y once · s this session · n no")
    wait_for(lambda: pane.rows()[-2] == "● waiting for your answer")
    wait_for(lambda: pane.rows()[-1].startswith("anthropic/test · ask"))
    wait_for(lambda: pane.panel() == "cd build && rm -rf " + "very/long/path/" * 4 + "; ls⟨5,000 spaces⟩; rm x")
    time.sleep(QUIET)
    pane.keys("y")
    pane.until("! answer: once")

    pane.keys("/", "Tab")
    pane.until("/cache")
    pane.keys("C-c", "/quit", "Enter")
    pane.until("extproc")  # the last word of `stty -a`
    after = pane("capture-pane", "-p", "-J", "-S", "-").split("ended")[-1].replace("\n", " ")
    assert " icanon" in after
    assert " echo " in after
