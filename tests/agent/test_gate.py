"""Mode `ask`: the person decides, once or for the session, and what they allow is a rule that can be read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.agent.gate import Gate
from harness.conversation.events import Permission
from harness.workspace.paths import Workspace
from harness.workspace.permissions import Subject, parse_rules, path_subject


class Person:
    """Answers from a list, and remembers what was asked."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.asked: list[Permission] = []

    async def __call__(self, permission: Permission) -> str:
        self.asked.append(permission)
        return self._answers.pop(0)


def shell(command: str) -> Subject:
    return Subject("shell", command=command)


def permit(gate: Gate, *subjects: Subject) -> list[str]:
    return [asyncio.run(gate.permit(subject.kind, subject)) for subject in subjects]


def gate(tmp_path: Path, person: Person | None, *rules: str) -> Gate:
    return Gate("ask", parse_rules(rules), Workspace(tmp_path), person)


def test_reads_are_not_asked_for(tmp_path: Path) -> None:
    person = Person()
    assert permit(gate(tmp_path, person), path_subject(Workspace(tmp_path), "read", "/etc/hosts")) == [""]
    assert person.asked == []


@pytest.mark.parametrize(
    ("command", "rule", "also", "not_also"),
    [
        ("pytest -q tests", "shell(pytest *)", "pytest", "pytest; rm x"),
        ("git status --short", "shell(git status *)", "git status", "git push"),
        ("python3 hello.py", "shell(python3 hello.py)", "python3 hello.py", "python3 -c 1"),
    ],
)
def test_a_session_grant_admits_what_its_rule_says(
    tmp_path: Path, command: str, rule: str, also: str, not_also: str
) -> None:
    person = Person("session", "no")
    allowed, again, other = permit(gate(tmp_path, person), shell(command), shell(also), shell(not_also))

    assert (allowed, again) == ("", "")
    assert other.startswith("refused: the person said no")
    assert person.asked == [Permission("shell", command, rule), Permission("shell", not_also, person.asked[1].rule)]


@pytest.mark.parametrize("command", ["a && b", "sudo ls", "bash -c ls", "find . -delete", "echo $(x)", "A=1 make"])
def test_what_no_rule_can_hold_is_allowed_once_only(tmp_path: Path, command: str) -> None:
    person = Person("once", "session")
    first, second = permit(gate(tmp_path, person), shell(command), shell(command))

    assert first == ""
    assert second.startswith("refused")
    assert [permission.rule for permission in person.asked] == ["", ""]


def test_writes_show_what_they_write_and_can_be_allowed_for_the_workspace(tmp_path: Path) -> None:
    space, person = Workspace(tmp_path), Person("session", "no", "once")
    one, two = (path_subject(space, "write", name, "+ x") for name in ("a.py", "deep/b.py"))
    hook, outside = (path_subject(space, "write", name) for name in (".git/hooks/pre-commit", "/etc/x"))

    first, second, third, fourth = permit(gate(tmp_path, person), one, two, hook, outside)

    assert (first, second, fourth) == ("", "", "")
    assert third.startswith("refused")
    assert person.asked[0] == Permission("write", f"{tmp_path}/a.py\n+ x", "write(**)")
    assert [permission.rule for permission in person.asked[1:]] == ["", ""]


def test_rules_from_the_start_are_not_asked_for(tmp_path: Path) -> None:
    person = Person()
    assert permit(gate(tmp_path, person, "shell(ls *)"), shell("ls -l")) == [""]


def test_where_nobody_is_there_the_refusal_names_the_flag(tmp_path: Path) -> None:
    (refused,) = permit(gate(tmp_path, None), shell("ls"))
    assert "--permission-mode edit or yolo" in refused
