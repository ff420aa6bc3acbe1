"""`harness skills check`: every fault of a skill, as `file:line: level: what`.

Invariant: it reads and never follows: a link, a pipe or a folder too deep is itself a fault.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.audit.report import counted
from harness.errors import SkillError, UsageError
from harness.knowledge.files import Content, Refusal, read
from harness.knowledge.skill_format import MAX_SKILL_BYTES, Finding
from harness.knowledge.skill_format import check as check_text
from harness.knowledge.skill_tree import scan
from harness.ui.plain import one_line

MAX_SHOWN = 200
"""Findings of one skill."""

_LINK = re.compile(r"\]\(([^)\s#?]+)[^)]*\)")


def check(paths: Sequence[Path], cwd: Path) -> int:
    """Check skills, and print what is found; 1 where there is an error.

    Args:
        paths: skills, or folders of skills. cwd: what is printed is relative to it.

    Raises:
        UsageError: a path is neither.
    """
    errors = warnings = skills = 0
    for folder in dict.fromkeys(one for path in paths for one in _skills(path)):
        skills += 1
        found = sorted(_findings(folder), key=lambda one: one.line)
        errors += sum(one.level != "warning" for one in found)
        warnings += sum(one.level == "warning" for one in found)
        shown = one_line(os.path.relpath(folder / "SKILL.md", cwd))
        for one in found[:MAX_SHOWN]:
            level = "warning" if one.level == "warning" else "error"
            print(f"{shown}:{one.line}: {level}: {one_line(one.text)}")
    print(f"{counted(skills, 'skill')}, {counted(errors, 'error')}, {counted(warnings, 'warning')}")
    return 1 if errors else 0


def _skills(path: Path) -> Iterator[Path]:
    """The folders of skills at a path."""
    if path.name == "SKILL.md" and not path.is_dir():
        path = path.parent
    if os.path.lexists(path / "SKILL.md"):
        yield path.resolve() if path.name in ("", ".", "..") else path
        return
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208 - names only
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name a skill's folder, or a folder of skills") from error
    found = [path / name for name in names if os.path.lexists(path / name / "SKILL.md")]
    if not found and names:
        raise UsageError(f"{path}: no SKILL.md there, nor in its folders")
    yield from found


def _findings(folder: Path) -> Iterator[Finding]:
    match read(folder / "SKILL.md", MAX_SKILL_BYTES + 1):
        case Content(data=data):
            yield from check_text(data, folder.name)
            yield from _links(folder, data.decode(errors="replace"))
        case Refusal(reason):
            yield Finding(1, "fatal", reason)
        case _:
            yield Finding(1, "fatal", "is gone")
    try:
        scan(folder)
    except SkillError as error:
        yield Finding(1, "error", f"in its folder: {error}")


def _links(folder: Path, text: str) -> Iterator[Finding]:
    """Links to files that are not there, or not in the skill."""
    for number, line in enumerate(text.split("\n"), 1):
        for target in _LINK.findall(line):
            if ":" in target or target.startswith("/"):
                continue
            parts = Path(target).parts
            if ".." in parts:
                yield Finding(number, "warning", f"the link `{target:.80}` leads out of the skill")
            elif "\0" in target or not os.path.lexists(folder / target):
                yield Finding(number, "warning", f"the link `{target:.80}` leads to no file of the skill")
