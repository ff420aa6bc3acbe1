"""What was added, from where, and with which content: `skills.lock` beside the person's `skills` folder.

Invariant: only what `harness skills add` brought is in it, file by file; a skill whose files are not those is told
apart before a word of it is used. Skills of a project and those that a person wrote are not pinned: the project's
repository and the person answer for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.conversation.private_files import write_whole
from harness.errors import SkillError
from harness.knowledge.files import Content, Refusal, read
from harness.knowledge.skill_tree import marks, scan

LOCK = "skills.lock"
_MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pin:
    """One added skill. source: as it was named. added: the day. files: path to mark (`TreeFile.mark`)."""

    source: str
    added: str
    files: Mapping[str, str]


def pins(config_dir: Path) -> dict[str, Pin]:
    """All pins, by name.

    Raises:
        SkillError: the file is damaged: nobody can tell what was changed.
    """
    path = config_dir / LOCK
    match read(path, _MAX_BYTES + 1):
        case None:
            return {}
        case Content(data=data) if len(data) <= _MAX_BYTES:
            try:
                return {str(name): _pin(one) for name, one in json.loads(data)["skills"].items()}
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                pass
        case Refusal() | Content():
            pass
    raise SkillError(f"{path} is damaged: remove it, and add again what `harness skills add` had added")


def _pin(data: Mapping[str, Any]) -> Pin:
    return Pin(str(data["source"]), str(data["added"]), {str(key): str(one) for key, one in data["files"].items()})


def write(config_dir: Path, found: Mapping[str, Pin]) -> None:
    """Replace the file.

    Raises:
        SkillError: it cannot be written.
    """
    skills = {
        name: {"source": pin.source, "added": pin.added, "files": dict(sorted(pin.files.items()))}
        for name, pin in sorted(found.items())
    }
    text = json.dumps({"format": 1, "skills": skills}, indent=1, ensure_ascii=True) + "\n"
    try:
        config_dir.mkdir(parents=True, exist_ok=True)
        write_whole(config_dir / LOCK, text.encode("ascii"))
    except OSError as error:
        raise SkillError(f"cannot write {config_dir / LOCK}: {error.strerror}") from error


def entry_files(config_dir: Path) -> Mapping[str, str] | None:
    """The sha256 of each pinned SKILL.md; None where the pins cannot be read."""
    try:
        return {name: pin.files.get("SKILL.md", "").removesuffix("+x") for name, pin in pins(config_dir).items()}
    except SkillError:
        return None


def changes(config_dir: Path, name: str, digest: str) -> tuple[str, ...]:
    """How a skill's files differ from its pin, one line each; () where they do not, or it has none.

    Args:
        digest: the sha256 of the SKILL.md that was read: it, and no later one, is what is used.

    Raises:
        SkillError: the pins cannot be read.
    """
    pin = pins(config_dir).get(name)
    if pin is None:
        return ()
    try:
        now = marks(scan(config_dir / "skills" / name))
    except SkillError as problem:
        return (str(problem),)
    if now.get("SKILL.md", "").removesuffix("+x") != digest:
        now["SKILL.md"] = digest
    lines = []
    for path in sorted({*now, *pin.files}):
        if path not in now:
            lines.append(f"removed: {path}")
        elif path not in pin.files:
            lines.append(f"new: {path}")
        elif now[path] != pin.files[path]:
            lines.append(f"changed: {path}")
    return tuple(lines)


def current(config_dir: Path, name: str) -> Mapping[str, str]:
    """The marks of a skill's files as they are now.

    Raises:
        SkillError: not all of them are ordinary files, or they are too many.
    """
    try:
        return marks(scan(config_dir / "skills" / name))
    except SkillError as problem:
        raise SkillError(f"skill `{name}` cannot be used: {problem}") from problem


def accept(config_dir: Path, name: str, files: Mapping[str, str]) -> None:
    """Pin a skill to these files: those that the person confirmed, whatever is there by now.

    Raises:
        SkillError: it is not pinned, or the pins cannot be written.
    """
    found = pins(config_dir)
    if name not in found:
        raise SkillError(f"skill `{name}` is not pinned: `harness skills add` did not bring it")
    found[name] = replace(found[name], files=files)
    write(config_dir, found)
