"""Memory and skills are written where the person says so: what each mode says, and no way round it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.agent.gate import Gate
from harness.config_values import Mode
from harness.conversation.events import Permission
from harness.workspace.paths import Workspace
from harness.workspace.permissions import Allowed, Asks, Decision, Refused, decide, parse_rules, path_subject


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    root = tmp_path / "project"
    (root / ".harness").mkdir(parents=True)
    own = tmp_path / "home" / "config"
    return Workspace(root, home=tmp_path / "home", personal=(own / "memory", own / "skills"))


def written(space: Workspace, mode: Mode, path: str, *rules: str) -> Decision:
    return decide(mode, parse_rules(rules), path_subject(space, "write", path, "+ words"), space)


MODES = {
    "~/config/memory/editor.md": ("plan no", "ask asks", "edit asks", "yolo yes"),
    "~/config/skills/deploy/SKILL.md": ("plan no", "ask asks", "edit asks", "yolo yes"),
    ".harness/skills/deploy/SKILL.md": ("plan no", "ask asks", "edit asks", "yolo yes"),
    ".harness/memory/releases.md": ("plan no", "ask asks", "edit yes", "yolo yes"),
    ".harness/memory/run.sh": ("plan no", "ask asks", "edit no", "yolo yes"),
    ".harness/memory/a/b.md": ("plan no", "ask asks", "edit no", "yolo yes"),
    ".harness/config.toml": ("plan no", "ask asks", "edit no", "yolo yes"),
    ".harness/memory/../config.md": ("plan no", "ask asks", "edit no", "yolo yes"),
    "~/config/config.toml": ("plan no", "ask asks", "edit no", "yolo yes"),
    "~/config/memory/../config.toml": ("plan no", "ask asks", "edit no", "yolo yes"),
}


@pytest.mark.parametrize("path", MODES)
def test_what_each_mode_says(space: Workspace, path: str) -> None:
    kinds = {Refused: "no", Asks: "asks", Allowed: "yes"}
    modes: tuple[Mode, ...] = ("plan", "ask", "edit", "yolo")

    assert tuple(f"{mode} {kinds[type(written(space, mode, path))]}" for mode in modes) == MODES[path]


def test_a_memory_folder_that_leads_elsewhere_is_not_the_projects(space: Workspace) -> None:
    for target in (space.root / ".git" / "hooks", space.root.parent / "elsewhere"):
        target.mkdir(parents=True)
        link = space.root / ".harness" / "memory"
        link.symlink_to(target)
        assert isinstance(written(space, "edit", ".harness/memory/a.md"), Refused)
        link.unlink()


def test_a_grant_for_the_workspace_never_means_the_persons_own(tmp_path: Path) -> None:
    """At home, where their folders lie within the workspace."""
    home = tmp_path / "home"
    (home / "config" / "memory").mkdir(parents=True)
    space = Workspace(home, home=home, personal=(home / "config" / "memory",))

    for mode in ("ask", "edit"):
        asked = written(space, mode, "config/memory/a.md", "write(**)")
        assert isinstance(asked, Asks)
        assert asked.grant is None
        assert asked.what.endswith("a.md\n+ words")
        assert written(space, mode, "config/memory/a.md", "write(~/config/memory/*)") == Allowed()
        assert written(space, mode, "config/other.md", "write(**)") == Allowed()


def test_where_nobody_is_there_the_refusal_names_the_rule(space: Workspace) -> None:
    asked: list[Permission] = []

    async def yes(permission: Permission) -> str:
        asked.append(permission)
        return "once"

    subject = path_subject(space, "write", "~/config/memory/editor.md", "+ words")
    said = asyncio.run(Gate("edit", (), space).permit("write", subject))
    folder = space.home / "config" / "memory" if space.home else None

    assert "nobody is there" in said
    assert f"--allow 'write({folder}/*)'" in said
    assert asyncio.run(Gate("edit", parse_rules([f"write({folder}/*)"]), space).permit("write", subject)) == ""
    assert asyncio.run(Gate("edit", (), space, yes).permit("write", subject)) == ""
    assert [one.rule for one in asked] == [""]
