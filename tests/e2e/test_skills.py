"""`harness -p "/name words"` as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Start
from tests.e2e.lab import Lab, Script, texts


def put(lab: Lab, name: str, front: str = "", body: str = "Ship $ARGUMENTS.") -> Path:
    path = lab.project / ".agents" / "skills" / name / "SKILL.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\nname: {name}\ndescription: Ships it.\n{front}---\n{body}\n")
    return path


def test_a_skill_called_by_its_name_in_one_task(lab: Lab, vendor: Start) -> None:
    put(lab, "deploy")
    sim = vendor(Script("Shipped.", "It did."))

    first = lab.run("-p", "/deploy to production")
    second = lab.run("-p", "Did it work?", "-c")

    assert (first.code, first.out, second.code) == (0, "Shipped.\n", 0)
    assert "Ship to production.\n</skill>\nTask: to production" in texts(sim.requests[0].json)
    assert "Ship to production." in texts(sim.requests[1].json)
    assert texts(sim.requests[0].json).endswith("/deploy to production")


def test_with_a_schema_too(lab: Lab, vendor: Start) -> None:
    put(lab, "deploy")
    (lab.folder / "schema.json").write_text('{"type": "integer"}')
    sim = vendor(Script("7"))

    ran = lab.run("-p", "/deploy it", "--json-schema", str(lab.folder / "schema.json"))

    assert (ran.code, ran.out) == (0, "7\n")
    assert "Ship it." in texts(sim.requests[0].json)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("/depoly it", "no skill /depoly; /deploy?"),
        ("/hidden it", "is for the model alone"),
        ("/broken it", "skill `broken` (project) cannot be used: SKILL.md:1: front matter has no `description`"),
    ],
)
def test_what_cannot_be_called_ends_with_one_line(lab: Lab, vendor: Start, words: str, says: str) -> None:
    put(lab, "deploy")
    put(lab, "hidden", "user-invocable: false\n")
    put(lab, "broken").write_text("---\nname: broken\n---\n")
    sim = vendor(Script("Hm."))

    ran = lab.run("-p", words)

    assert ran.code == 2
    assert len(ran.lines) == 1
    assert says in ran.lines[0]
    assert sim.requests == []


def test_skills_that_cannot_be_used_are_said_and_break_nothing(lab: Lab, vendor: Start) -> None:
    put(lab, "broken").write_text("---\nname: broken\n---\n")
    vendor(Script("Done."))

    ran = lab.run("-p", "hello")

    assert (ran.code, ran.out) == (0, "Done.\n")
    assert [line for line in ran.err.splitlines() if "cannot be used" in line] == [
        f"! a skill cannot be used: {lab.project}/.agents/skills/broken: SKILL.md:1: front matter has no `description`"
    ]
