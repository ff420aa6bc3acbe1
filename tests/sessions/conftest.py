"""Sessions on the disk, made by the parts that make them; and a lab in which a vendor is spoken to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import pytest

from harness.agent.session import Session
from harness.conversation.blocks import Block, Message, Tag, Text
from harness.conversation.request import FrozenPrefix
from harness.prompt.prefix import assemble
from harness.seam import Seam
from harness.simulator import Simulator
from tests.e2e.lab import Lab, Script, call

Make = Callable[..., Path]
Said = Sequence[tuple[Tag, str | Block]]


@pytest.fixture
def lab(tmp_path: Path, isolation: Path) -> Lab:
    made = Lab(tmp_path, isolation, "http://127.0.0.1:9")
    made.project.mkdir()
    return made


@pytest.fixture
def spoken(lab: Lab, simulator: Callable[..., Simulator]) -> Lab:
    """A lab with two sessions of a vendor: a task with tools, and one that went on."""
    answers = [{"text": "I will **look**."}, call("shell", command="echo hi"), call("read", path="big.txt")]
    (lab.project / "big.txt").write_text("".join(f"line {number} needle\n" for number in range(6000)))
    done = "All done: <b>bold</b> \x1b[31mred\u202e."
    for later, task in ((0, "fix the <i>parser</i>\nplease"), (60, "überprüfe alles")):
        # a vendor each: a second session is another line
        lab.url = simulator(Script(answers, done), minimum=1).url
        assert lab.run("-p", task, "--permission-mode", "yolo", offset=later).code == 0
    assert lab.run("-c", "-p", "and go on", "--permission-mode", "yolo", offset=60).code == 0
    return lab


@pytest.fixture
def state(isolation: Path) -> Path:
    return isolation / ".local" / "state" / "harness"


@pytest.fixture
def make(state: Path, tmp_path: Path) -> Make:
    """Makes a session: `make(("person", "hi"), ("answer", "ho"), root=…)` gives its folder."""

    numbers = count()

    def session(*said: tuple[Tag, str | Block], root: Path = tmp_path, title: str = "") -> Path:
        seam = Seam()
        about = {"cwd": str(root), "root": str(root)}
        made = Session.create(state / "sessions" / f"20260101-{next(numbers):06}-0123abcd", seam, prefix(), about)
        for tag, what in said:
            made.add(Message(tag, (Text(what) if isinstance(what, str) else what,)))
        if title:
            made.record("title", {"title": title})
        made.close()
        return made.journal.folder

    return session


def prefix() -> FrozenPrefix:
    return assemble([], "You are a coding agent.", "")
