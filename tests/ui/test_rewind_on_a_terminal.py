"""/undo, /redo and /rewind in the real program on a real PTY: the conversation and the files."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.simulator import Simulator
from tests.e2e.lab import Script, call
from tests.ui.conftest import Sit
from tests.ui.glass import Sitting
from tests.ui.test_session_on_a_terminal import said

Start = Callable[..., Simulator]


def shell(command: str) -> list[object]:
    return [call("shell", command=command)]


def done(it: Sitting, words: str, answer: str) -> None:
    """Say something and wait for the end of its turn."""
    before = it.glass.text.count(answer + "\n")
    it.type(words + "\r")
    it.until(lambda it: it.glass.text.count(answer + "\n") > before)
    it.ready()


def test_the_last_turn_is_undone_and_redone(simulator: Start, sit: Sit, tmp_path: Path) -> None:
    project = tmp_path / "project"
    vendor = simulator(Script(shell("rm notes; echo 1 > made"), "Gone.", shell("echo 2 > made"), "Changed."))
    it = sit(vendor, columns=110)
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    (project / "notes").write_text("never committed")

    it.type("/undo\r")
    it.until("there is no turn to undo")
    done(it, "tidy up", "Gone.")
    done(it, "go on", "Changed.")
    it.type("/undo\r")
    it.until("undone: go on\n1 file put back: made\n/redo brings it back\n")
    assert (project / "made").read_text() == "1\n"
    it.type("/undo\r")
    it.until("undone: tidy up\n2 files put back: made, notes\n")
    assert (project / "notes").read_text() == "never committed"
    assert not (project / "made").exists()
    it.type("/undo\r")
    it.until(lambda it: it.glass.text.count("there is no turn to undo") == 2)

    it.type("/redo\r")
    it.until("there again: tidy up\n2 files put back: made, notes\n")
    (project / "made").write_text("mine")
    it.type("/redo\r")
    it.until("there again: go on\n1 file put back: made\n! changed since by you or another program; /redo has your")
    assert (project / "made").read_text() == "2\n"
    it.type("/redo\r")
    it.until("there is nothing to redo")
    done(it, "and?", "done")
    assert said(vendor) == ["tidy up", "go on", "and?"]


@pytest.mark.moves_prefix("rewinding is an epoch", times=1)
def test_rewinding_to_a_turn_in_one_or_both(simulator: Start, sit: Sit, tmp_path: Path) -> None:
    project = tmp_path / "project"
    answers = (shell("echo 1 > a"), "One.", shell("echo 2 > a; echo 2 > b"), "Two.", "Three.")
    it = sit(vendor := simulator(Script(*answers)), columns=110)
    for words, answer in (("first", "One."), ("second", "Two."), ("third", "Three.")):
        done(it, words, answer)

    it.type("/rewind\r")
    it.until("   1 first (changed files)\n   2 second (changed files)\n   3 third\n/rewind N goes back")
    for wrong in ("/rewind x", "/rewind 2 everything", "/rewind 9"):
        it.type(wrong + "\r")
    it.until("there is no turn 9; /rewind lists them")
    assert it.glass.text.count("write /rewind N, or") == 2

    it.type("/rewind 2 files\r")
    it.until("the files are as before turn 2: second\n2 files put back: a, b\n/redo brings these files back\n")
    assert (project / "a").read_text() == "1\n"
    it.type("/redo\r")
    it.until("the files are as before the last /rewind\n2 files put back: a, b\n")
    assert (project / "b").read_text() == "2\n"

    it.type("/rewind 3 conversation\r")
    it.until("the conversation is as before turn 3: third\n")
    assert (project / "a").read_text() == "2\n"
    it.type("/rewind 1\r")
    it.until("conversation and files are as before turn 1: first\n2 files put back: a, b\n")
    assert list(project.glob("?")) == []
    it.type("/rewind\r")
    it.until("   3 third (left behind)\n")
    done(it, "anew", "One.")
    assert said(vendor) == ["anew"]


def test_where_files_are_not_saved_the_conversation_goes_back_and_it_is_said(simulator: Start, sit: Sit) -> None:
    it = sit(simulator(Script("One.")), "--no-session", columns=110)
    done(it, "first", "One.")
    it.type("/undo\r")
    it.until("undone: first\nthe files stay: --no-session was given\n")
