"""The real program, killed at a chosen moment of a slash command: what it leaves is told, and mended by one command."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from harness.providers.catalog import Catalog
from harness.replay.verify import verify
from harness.simulator import Answer, Simulator
from tests.e2e.lab import Forks, Script
from tests.ui.conftest import Sit
from tests.ui.glass import ROOT, Sitting
from tests.ui.test_compaction_on_a_terminal import Talker, reasons, say
from tests.ui.test_rewind_on_a_terminal import done, shell
from tests.waiting import PATIENCE

Start = Callable[..., Simulator]
Strike = Callable[[Simulator, str, str], Sitting]
YOLO = ("--permission-mode", "yolo")


@pytest.fixture
def struck(sittings: ExitStack, tmp_path: Path, forked: Forks, sit: Sit) -> Strike:  # noqa: ARG001 - makes the folder
    """Starts the program; at the first event of that name with such an argument it is killed (tests/e2e/struck.py)."""

    def start(vendor: Simulator, event: str, pattern: str) -> Sitting:
        env = {name: os.environ[name] for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "PATH")}
        env |= {"ANTHROPIC_API_KEY": "sk-test-1", "ANTHROPIC_BASE_URL": vendor.url}
        arguments = [str(ROOT / "tests" / "e2e" / "struck.py"), "SIGKILL", event, pattern, *YOLO]
        it = sittings.enter_context(Sitting(arguments, env, tmp_path / "project", 120, 24, forked))
        it.ready()
        return it

    return start


def killed(it: Sitting) -> None:
    """It was."""
    assert it.process.wait(PATIENCE) == -signal.SIGKILL


def sessions(home: Path) -> list[Path]:
    return [*(home / ".local" / "state" / "harness" / "sessions").glob("[!.]*")]


def files(project: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in project.glob("?")}


BEFORE, AFTER = {"a": "1", "b": "1", "c": "1"}, {"a": "2\n", "b": "2\n", "d": "2\n"}


def proved(isolation: Path) -> None:
    """There is one session, and it replays."""
    (session,) = sessions(isolation)
    assert verify(session, Catalog.load(None)).equal


def changed(it: Sitting, project: Path) -> None:
    for name, text in BEFORE.items():
        (project / name).write_text(text)
    done(it, "change", "Changed.")
    assert files(project) == AFTER


def test_an_undo_that_was_killed_between_two_files(
    simulator: Start, struck: Strike, sit: Sit, tmp_path: Path, isolation: Path
) -> None:
    project = tmp_path / "project"
    vendor = simulator(Script(shell("rm c; for f in a b d; do echo 2 > $f; done"), "Changed.", "seen"))
    it = struck(vendor, "os.rename", "^b'b'$")
    changed(it, project)
    it.type("/undo\r")
    killed(it)
    assert files(project) == {"a": "1", "b": "2\n"}

    again = sit(vendor, "-c", *YOLO, columns=140)
    again.until("! /undo was cut off while it put files back: some are back, others are not; /undo again goes on")
    again.type("/undo\r")
    again.until("undone: change\n2 files put back: b, c\n/redo brings it back")
    assert files(project) == BEFORE
    again.type("/redo\r")
    again.until("there again: change\n4 files put back: a, b, c, d\n")
    assert files(project) == AFTER
    again.type("/quit\r")
    assert again.end() == 0

    proved(isolation)
    last = sit(vendor, "-c", "-p", "look", *YOLO)
    assert last.end() == 0
    assert "cut off" not in last.glass.text


def test_a_rewind_that_was_killed_between_two_files(
    simulator: Start, struck: Strike, sit: Sit, tmp_path: Path, isolation: Path
) -> None:
    project = tmp_path / "project"
    vendor = simulator(Script(shell("rm c; for f in a b d; do echo 2 > $f; done"), "Changed."))
    it = struck(vendor, "os.rename", "^b'b'$")
    changed(it, project)
    it.type("/rewind 1\r")
    killed(it)

    again = sit(vendor, "-c", *YOLO, columns=140)
    again.until("! /rewind was cut off while it put files back: some are back, others are not; /rewind again goes on")
    again.type("/rewind 1\r")
    again.until("conversation and files are as before turn 1: change\n2 files put back: b, c\n")
    assert files(project) == BEFORE
    again.type("/redo\r")
    again.until("the files are as before the last /rewind\n4 files put back: a, b, c, d\n")
    assert files(project) == AFTER
    again.type("/quit\r")
    assert again.end() == 0
    proved(isolation)


def test_a_compaction_that_was_killed_before_its_epoch(
    simulator: Start, struck: Strike, sit: Sit, isolation: Path
) -> None:
    vendor = simulator(Talker())
    it = struck(vendor, "os.rename", r"archive/0001\.md$")
    for number in range(3):
        say(it, f"words {number}")
    it.type("/compact\r")
    killed(it)

    again = sit(vendor, "-c", *YOLO, columns=120)
    assert "cut off" not in again.glass.text
    say(again, "words after")  # the prefix watch sees that it extends what was sent
    again.type("/quit\r")
    assert again.end() == 0
    assert reasons(isolation) == ["start"]
    proved(isolation)


@pytest.mark.parametrize(
    ("event", "place", "made"),
    [("os.rename", r"/\.fork-[^/]*/[^/]*$", 1), ("open", r"/forks/[^/]*$", 2)],
    ids=["before it had its name", "before its parent knew of it"],
)
def test_a_copy_that_was_killed_when_it_was_made(
    event: str,
    place: str,
    made: int,
    simulator: Start,
    struck: Strike,
    sit: Sit,
    tmp_path: Path,
    isolation: Path,
) -> None:
    vendor = simulator(Script(shell("echo 1 >> log"), "One.", shell("echo 2 >> log"), "Two."))
    it = struck(vendor, event, place)
    done(it, "first", "One.")
    it.type("/fork\r")
    killed(it)
    assert len(sessions(isolation)) == made

    again = sit(vendor, "-c", *YOLO, columns=120)
    done(again, "second", "Two.")
    again.type("/quit\r")
    assert again.end() == 0
    assert (tmp_path / "project" / "log").read_text() == "1\n2\n"
    for session in sessions(isolation):
        assert verify(session, Catalog.load(None)).equal


def test_an_export_that_was_killed_leaves_the_session_as_it_was(
    simulator: Start, struck: Strike, sit: Sit, isolation: Path
) -> None:
    vendor = simulator(Script("One.", "Two."))
    it = struck(vendor, "os.rename", r"x\.tar\.gz$")
    done(it, "first", "One.")
    it.type("/export x.tar.gz\r")
    killed(it)

    again = sit(vendor, "-c", *YOLO, columns=120)
    again.type("/export y.tar.gz\r")
    again.until("1 request written to")
    done(again, "second", "Two.")
    again.type("/quit\r")
    assert again.end() == 0
    proved(isolation)


@pytest.mark.parametrize("way", ["terminal", "-p"])
def test_another_model_that_was_asked_and_has_not_answered(
    way: str, simulator: Start, sit: Sit, isolation: Path
) -> None:
    asked = threading.Event()

    def brain(request: dict[str, Any]) -> Any:
        if "second" not in str(request["messages"]):
            return "One."
        if not asked.is_set():
            asked.set()
            return Answer(({"text": "word " * 200},), delay=0.5)
        return "all is done"

    vendor = simulator(brain)
    it = sit(vendor, *YOLO, columns=120)
    done(it, "first", "One.")
    it.type("/model opus\r")
    it.until("going on with")
    it.type("second\r")
    it.until(lambda _: asked.is_set())
    it.process.kill()
    it.process.wait(PATIENCE)

    if way == "-p":
        again = sit(vendor, "-c", "-p", *YOLO)
    else:
        again = sit(vendor, "-c", *YOLO, columns=120)
        again.until("the last turn was cut off at step 1; go on with it: /continue")
        again.type("/continue\r")
        again.until("all is done")
        again.type("/quit\r")
    assert again.end() == 0
    assert "all is done" in again.glass.text
    assert [request.json["model"] for request in vendor.requests] == ["claude-sonnet-5-5", *["claude-opus-5-5"] * 2]
    proved(isolation)
