"""Each bundled skill in a session: a scripted model does with real tools what the skill says, in a real repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.knowledge.skill_format import parse
from harness.knowledge.skills import bundled_dir
from harness.simulator import Simulator
from tests.delegating import Brain
from tests.delegating import call as delegating
from tests.e2e.conftest import Start
from tests.e2e.lab import Lab, Script, call, texts

YOLO = ("--permission-mode", "yolo")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(lab: Lab) -> Path:
    lab.extra |= {
        f"GIT_{role}_{what}": f"{role.lower()}@example.invalid"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    (lab.project / "greet.py").write_text('def greet(name):\n    return "Hello, " + name\n')
    (lab.project / "test_greet.py").write_text('from greet import greet\n\nassert greet("Ada") == "Hello, Ada"\n')
    git(lab.project, "init", "-q")
    git(lab.project, "add", "-A")
    git(lab.project, "commit", "-qm", "Greet by name")
    return lab.project


def shell(command: str) -> Any:
    return call("shell", command=command)


def sound(sim: Simulator) -> list[str]:
    """What all calls gave; none of them failed."""
    found = []
    for message in sim.requests[-1].json["messages"]:
        for part in message["content"]:
            if part["type"] == "tool_result":
                assert not part.get("is_error"), part
                found += [one["text"] for one in part["content"]]
    return found


def test_explore_looks_apart_and_changes_nothing(lab: Lab, vendor: Start, repository: Path) -> None:
    looking = [
        [call("glob", pattern="**/*.py"), call("grep", pattern="def greet")],
        [call("read", path="greet.py"), shell("touch made")],
        "It joins two texts: greet.py:2.",
    ]
    asking = [[delegating("explore", "greeting")], "It joins two texts."]
    sim = vendor(Brain(asking, {"greeting": looking}), branches=True)

    ran = lab.run("-p", "/explore how a greeting is made", *YOLO)

    assert (ran.code, ran.out) == (0, "It joins two texts.\n")
    first, last = sim.requests[0].json, sim.requests[-1].json
    assert "[The person calls the skill explore with the next message. Call invoke_skill for it.]" in texts(first)
    # the report alone, not what was read for it
    assert sound(sim) == ["It joins two texts: greet.py:2."]
    apart = texts(sim.requests[3].json)
    assert 'return "Hello, " + name' in apart
    assert "refused: the skill explore allows only: read, glob, grep, todo" in apart
    assert "Hello" not in texts(last)
    assert git(repository, "status", "--short") == ""


def test_review_sees_the_whole_change(lab: Lab, vendor: Start, repository: Path) -> None:
    (repository / "greet.py").write_text('def greet(name):\n    return "Hello, " + name.strip\n')
    git(repository, "commit", "-qam", "Strip names")
    sim = vendor(
        Script(
            [shell("git show --stat HEAD"), shell("git show HEAD")],
            [call("read", path="greet.py"), call("grep", pattern="greet\\(")],
            [shell(f"{sys.executable} test_greet.py; echo exit $?")],
            "blocker, greet.py:2: a method is added to a text.",
        )
    )

    ran = lab.run("-p", "/review the last commit", *YOLO)

    assert ran.code == 0
    assert any("name.strip" in one for one in sound(sim))
    assert any("TypeError" in one and "exit 1" in one for one in sound(sim))
    assert git(repository, "status", "--short", "--untracked-files=no") == ""


def test_commit_makes_one_commit_of_what_was_named(lab: Lab, vendor: Start, repository: Path) -> None:
    (repository / "greet.py").write_text('def greet(name):\n    return f"Hello, {name}"\n')
    (repository / "notes.txt").write_text("mine\n")
    message = "Build the greeting by a format string\n\nAdding texts failed for anything that is none."
    sim = vendor(
        Script(
            [
                shell("git status --short"),
                shell("git diff"),
                shell("git diff --staged"),
                shell("git log --oneline -10"),
            ],
            [shell(f"PYTHONDONTWRITEBYTECODE=1 {sys.executable} test_greet.py")],
            [shell("git add greet.py"), shell("git diff --staged")],
            [shell(f"git commit -F - <<'EOF'\n{message}\nEOF")],
            [shell("git show --stat HEAD"), shell("git status --short")],
            "Committed; notes.txt was left out.",
        )
    )

    ran = lab.run("-p", "/commit the format string", *YOLO)

    assert ran.code == 0
    sound(sim)
    assert git(repository, "log", "-1", "--format=%B").strip() == message
    assert git(repository, "show", "--name-only", "--format=", "HEAD").split() == ["greet.py"]
    assert git(repository, "status", "--short") == "?? notes.txt\n"


NEW_SKILL = """---
name: release-notes
description: "Draft release notes: what changed since the last tag. Use when asked for notes or a release summary."
argument-hint: "[version]"
---

1. `git log --oneline`: one line for each change that a user sees, under the title `$1`.
"""


def test_skill_creator_makes_one_that_is_sound_and_can_be_called_at_once(
    lab: Lab, vendor: Start, repository: Path
) -> None:
    path = ".harness/skills/release-notes/SKILL.md"
    sim = vendor(
        Script(
            [call("write", path=path, content=NEW_SKILL)],
            [shell(f"{sys.executable} -m harness skills check .harness/skills/release-notes")],
            "Made /release-notes.",
            [shell("git log --oneline")],
            "# 1.0\n- Greet by name",
        )
    )
    lab.extra["PYTHONPATH"] = str(bundled_dir().parent)

    made = lab.run("-p", "/skill-creator notes of a release", *YOLO)
    used = lab.run("-p", "/release-notes 1.0", "-c", *YOLO)

    assert (made.code, used.code) == (0, 0)
    assert any("1 skill, 0 errors, 0 warnings" in one for one in sound(sim))
    first, last = texts(sim.requests[0].json), texts(sim.requests[-1].json)
    # what it says of placeholders is not itself filled in
    assert "`$ARGUMENTS`, `$1`, `$2` in the text" in first
    assert "under the title `1.0`" in last
    assert "Skill added: release-notes (Draft release notes: what changed" in last
    assert (repository / path).read_text() == NEW_SKILL


def test_new_project_from_nothing_to_a_first_commit(lab: Lab, vendor: Start, repository: Path) -> None:
    empty = lab.folder / "empty"
    empty.mkdir()
    manifest = '[project]\nname = "area"\nversion = "0.1.0"\ndescription = "Areas"\nrequires-python = ">=3.11"\n'
    test = f"PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=src {sys.executable} -m unittest discover -s tests"
    sim = vendor(
        Script(
            [call("glob", pattern="*"), shell("python3 --version; git status 2>&1 | head -1")],
            [
                call("write", path="pyproject.toml", content=manifest),
                call("write", path="src/area/__init__.py", content="def square(side):\n    return side * side\n"),
                call(
                    "write",
                    path="tests/test_area.py",
                    content="import unittest\n\nfrom area import square\n\n\nclass Area(unittest.TestCase):\n"
                    "    def test_square(self):\n        self.assertEqual(square(3), 9)\n",
                ),
                call("write", path=".gitignore", content="__pycache__/\n"),
                call("write", path="README.md", content=f"# area\n\n    {test}\n"),
                call("write", path="AGENTS.md", content="Test: see README.\n"),
            ],
            [shell(f"{test} 2>&1")],
            [
                shell(
                    "git init -q && git add .gitignore AGENTS.md README.md pyproject.toml src tests; git status --short"
                )
            ],
            [shell("git commit -qm 'Start area: areas of shapes' && git log --oneline")],
            "Made; one command tests it.",
        )
    )

    ran = lab.run("-p", "/new-project areas of shapes, a Python library", *YOLO, cwd=empty)

    assert ran.code == 0
    assert any("OK" in one for one in sound(sim))
    assert git(empty, "log", "--format=%s") == "Start area: areas of shapes\n"
    assert git(empty, "status", "--short") == ""
    assert git(repository, "log", "--format=%s") == "Greet by name\n"


def test_every_bundled_skill_is_listed_and_called_by_its_name(lab: Lab, vendor: Start) -> None:
    names = sorted(path.parent.name for path in bundled_dir().glob("*/SKILL.md"))
    sim = vendor(Script(*["Yes."] * len(names)), branches=True)

    for number, name in enumerate(names):
        assert lab.run("-p", f"/{name} it", *(["-c"] if number else [])).code == 0

    said = texts(sim.requests[-1].json)
    for name in names:
        manifest = parse((bundled_dir() / name / "SKILL.md").read_bytes()).manifest
        assert manifest is not None
        apart = manifest.runs_as.context != "inline"
        calls = f"[The person calls the skill {name} with the next message. "
        assert calls + ("Call invoke_skill for it.]" if apart else "Follow it.]") in said
        assert (f'<skill name="{name}"' in said) is not apart
