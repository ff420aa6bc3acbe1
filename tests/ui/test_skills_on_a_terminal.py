"""`/name` of a skill on a real PTY."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.knowledge import skill_pins
from harness.knowledge.skill_pins import Pin
from harness.knowledge.skill_tree import marks, scan
from harness.simulator import Simulator
from tests.e2e.lab import Script
from tests.ui.conftest import Sit
from tests.ui.test_session_on_a_terminal import LONG, said, slow

QUIET = 0.7
"""Seconds after which a key answers a question."""

Start = Callable[..., Simulator]


def put(folder: Path, name: str, front: str = "", body: str = "Ship $ARGUMENTS.") -> Path:
    path = folder / name / "SKILL.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"---\nname: {name}\ndescription: Ships \x1b[31mit.\n{front}---\n{body}\n".replace("\x1b", "\u202e")
    )
    return path.parent


def test_a_skill_is_completed_called_and_listed(simulator: Start, sit: Sit, tmp_path: Path) -> None:
    skills = tmp_path / "project" / ".claude" / "skills"
    vendor = simulator(Script("Shipped.", "Again.", "Later."))
    it = sit(vendor, columns=140)
    put(skills, "deploy", "argument-hint: '[where]'\n")  # after the session began
    put(skills, "quit", "")
    put(skills, "hidden", "user-invocable: false\n")

    it.type("/dep\t")
    it.until("> /deploy")
    it.type("production\r")
    it.until("Shipped.")
    it.until(lambda it: it.shown("read "))
    it.type("/help\r")
    it.until("/deploy [where]")
    it.until("skill: Ships \\u202e[31mit.")
    it.type("/hidden now\r")
    it.until("no command /hidden")
    it.type("/quit\r")  # the screen's own, not the skill

    assert it.end() == 0
    told, words = said(vendor)[-2:]
    assert words == "/deploy production"
    assert "Ship production.\n</skill>" in told
    assert "\u202e" not in it.glass.text
    assert it.glass.text.count("/quit ") == 1
    assert it.glass.unknown == []


def test_a_skill_that_is_typed_during_a_turn_waits_for_its_end(simulator: Start, sit: Sit, tmp_path: Path) -> None:
    put(tmp_path / "project" / ".harness" / "skills", "deploy")
    vendor = simulator(Script(slow(LONG, delay=0.05), "Shipped."))
    it = sit(vendor, columns=140)

    it.type("tell\r")
    it.until("word3")
    it.type("/deploy it\r")
    it.until("after this turn")
    it.until("Shipped.")
    it.type("/quit\r")

    assert it.end() == 0
    assert said(vendor)[-1] == "/deploy it"
    assert len(vendor.requests) == 2


def test_a_changed_skill_is_asked_about_and_pinned_anew(simulator: Start, sit: Sit, isolation: Path) -> None:
    config = isolation / ".config" / "harness"
    folder = put(config / "skills", "deploy")
    skill_pins.write(config, {"deploy": Pin("x", "2026-01-01", marks(scan(folder)))})
    (folder / "run.sh").write_text("true\n")
    vendor = simulator(Script("Shipped.", "Again."))
    it = sit(vendor, columns=200)

    it.type("/deploy it\r")
    it.until("is not as you added it (new: run.sh)")
    it.listen(QUIET)
    it.type("2")
    it.until("changed since it was added")
    assert vendor.requests == []
    it.type("/deploy it\r")
    it.until(lambda it: it.glass.text.count("is not as you added it") == 2)
    it.listen(QUIET)
    it.type("1")
    it.until("Shipped.")
    it.until(lambda it: it.shown("read "))
    it.type("/deploy once more\r")
    it.until("Again.")
    it.type("/quit\r")

    assert it.end() == 0
    assert it.glass.text.count("is not as you added it") == 2
    assert set(skill_pins.pins(config)["deploy"].files) == {"SKILL.md", "run.sh"}


def test_skills_that_cannot_be_used_are_told_in_a_few_lines(simulator: Start, sit: Sit, tmp_path: Path) -> None:
    for number in range(5):
        folder = tmp_path / "project" / ".harness" / "skills" / f"bad-{number}"
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_text("nothing")
    it = sit(simulator(Script("Hm.")), columns=200)

    it.until("bad-2: SKILL.md:1: does not begin with front matter")
    it.until("! 2 more skills cannot be used: harness skills list")
    it.type("/bad-1 it\r")
    it.until("no command /bad-1")
    it.type("hello\r")
    it.until("Hm.")
    it.type("/quit\r")

    assert it.end() == 0
