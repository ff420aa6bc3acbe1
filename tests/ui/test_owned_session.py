"""A session that another process has, on a real terminal: what the person is asked, and what each answer does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from harness.conversation.journal import Journal
from harness.conversation.lines import read_records
from harness.seam import Seam
from harness.simulator import Simulator
from tests.e2e.lab import Forks, Lab, Script
from tests.ui.glass import Sitting

Start = Callable[..., Simulator]
Ask = Callable[[str], Sitting]

ELSEWHERE = '{"pid": 5, "host": "elsewhere", "boot": "b", "started": "1"}'


@pytest.fixture
def lab(tmp_path: Path, isolation: Path, simulator: Start) -> Lab:
    """A project with one session of one turn."""
    made = Lab(tmp_path, isolation, simulator(Script("one", "two", "three")).url)
    made.project.mkdir()
    assert made.run("-p", "first").code == 0
    return made


@pytest.fixture
def ask(lab: Lab, forked: Forks) -> Iterator[Ask]:
    """Starts `harness -c` and waits for the words given."""
    with ExitStack() as stack:

        def start(until: str) -> Sitting:
            env = lab.environment({"PATH": os.environ["PATH"]})
            arguments = ["-m", "harness", "-c", "--permission-mode", "yolo"]
            sitting = stack.enter_context(Sitting(arguments, env, lab.project, 200, 24, forked))
            sitting.until(until)
            return sitting

        yield start


@pytest.fixture
def owner(lab: Lab) -> Iterator[Journal]:
    """The session, in use by this process."""
    with closing(Journal.open(lab.sessions()[0], Seam())) as journal:
        yield journal


def kinds(session: Path) -> list[str]:
    return [record.kind for record in read_records(session / "journal.jsonl")]


def test_a_copy_of_a_session_in_use(lab: Lab, owner: Journal, ask: Ask) -> None:
    (original,) = lab.sessions()
    records = [*owner.load()]

    it = ask("Go on in a [c]opy, or leave (Enter)?")
    assert f"session {original.name} is in use by process {os.getpid()} on " in it.glass.text
    it.type("c\r")
    it.ready()
    assert "goes on; requests so far: 1" in it.glass.text
    it.type("second\r")
    it.until("two\n")
    it.type("/quit\r")
    assert it.end() == 0

    owner.append("note", {})
    owner.close()
    (copy,) = {*lab.sessions()} - {original}  # named by the second: either may sort first
    assert kinds(original) == [record.kind for record in records] + ["note"]
    assert kinds(copy).count("response") == 2


@pytest.mark.usefixtures("owner")
def test_leaving_takes_nothing(lab: Lab, ask: Ask) -> None:
    (original,) = lab.sessions()

    it = ask("or leave (Enter)?")
    it.type("\r")
    it.until(f"harness -r {original.name} --fork")

    assert it.end() == 1
    assert lab.sessions() == [original]


@pytest.mark.usefixtures("owner")
def test_ctrl_c_leaves(ask: Ask) -> None:
    it = ask("or leave (Enter)?")
    it.type("\x03")

    assert it.end() == 130


@pytest.mark.parametrize(("answer", "copies", "told"), [("t", 0, "requests so far: 1"), ("c", 1, "requests so far: 1")])
def test_an_owner_on_another_machine(lab: Lab, ask: Ask, answer: str, copies: int, told: str) -> None:
    (original,) = lab.sessions()
    (original / "lock").write_text(ELSEWHERE)

    it = ask("[t]ake it, go on in a [c]opy, or leave (Enter)?")
    it.type(f"{answer}\r")
    it.ready()
    assert told in it.glass.text
    it.type("/quit\r")

    assert it.end() == 0
    assert len(lab.sessions()) == 1 + copies
    assert (ELSEWHERE in (original / "lock").read_text()) == (answer == "c")


def test_nobody_is_asked_without_a_terminal(lab: Lab) -> None:
    (original,) = lab.sessions()
    (original / "lock").write_text(ELSEWHERE)

    ran = lab.run("-c", "-p", "second")

    assert ran.code == 1
    (line,) = ran.lines
    assert f"remove {original / 'lock'}" in line
    assert lab.sessions() == [original]
