"""Finds skills and reads one when it is called for.

Invariant: a skill is a folder whose name is the skill's, with a SKILL.md; the first place that has a sound
one wins: project, user, bundled. Nothing is kept between two calls, so a skill that was just dropped in is
found; a malformed one is reported and never raises while listing.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from harness.errors import SkillError
from harness.knowledge.files import Refusal, read, shorten, visible

MAX_SKILL_BYTES = 64 * 1024
MAX_FRONT_MATTER_BYTES = 8 * 1024
MAX_DESCRIPTION_BYTES = 300
MAX_LISTED = 30

_MAX_FOLDERS = 1000
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
_NAME_RULE = "a skill's name has lower-case letters, digits and hyphens, at most 64"
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)??---[ \t]*(?:\n|\Z)", re.DOTALL)

Place = Literal["project", "user", "bundled"]


@dataclass(frozen=True, slots=True)
class Skill:
    """A skill as listed. `path`: its SKILL.md on this machine, never for the prefix. `digest`: its sha256."""

    name: str
    description: str
    path: Path
    place: Place
    digest: str


@dataclass(frozen=True, slots=True)
class SkillProblem:
    """A folder that looks like a skill and is none."""

    path: Path
    place: Place
    reason: str


@dataclass(frozen=True, slots=True)
class SkillIndex:
    """What `discover` found: sound skills by name, the others in the order of places."""

    skills: tuple[Skill, ...]
    problems: tuple[SkillProblem, ...]


@dataclass(frozen=True, slots=True)
class SkillText:
    """A skill as read for use. `metadata`: its front matter as written (strings, lists, tables)."""

    name: str
    body: str
    path: Path
    place: Place
    metadata: Mapping[str, Any]


def bundled_dir() -> Path:
    """The skills that come with the program: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "bundled_skills"
    return installed if installed.is_dir() else package.parent / "skills"


def discover(root: Path, config_dir: Path) -> SkillIndex:
    """All skills. Reads every SKILL.md; never raises for what is in one."""
    skills: dict[str, Skill] = {}
    problems: list[SkillProblem] = []
    for place, folder, within in _places(root, config_dir):
        for name in _folders(folder, within):
            path = folder / name / "SKILL.md"
            match _parse(path, name, within):
                case None:
                    pass
                case str(reason):
                    problems.append(SkillProblem(path, place, reason))
                case _Parsed(metadata, _, digest):
                    # One line, whatever the front matter folded.
                    description = shorten(" ".join(metadata["description"].split()), MAX_DESCRIPTION_BYTES)
                    skills.setdefault(name, Skill(name, description, path, place, digest))
    return SkillIndex(tuple(skills[name] for name in sorted(skills)), tuple(problems))


def listing(index: SkillIndex) -> str:
    """The skill list of the session block: one line each, bounded; empty where there is none."""
    lines = [f"- {skill.name}: {skill.description}" for skill in index.skills[:MAX_LISTED]]
    if len(index.skills) > MAX_LISTED:
        lines.append(f"- and {len(index.skills) - MAX_LISTED} more")
    return "\n".join(lines)


def load(name: str, root: Path, config_dir: Path) -> SkillText:
    """The named skill, read now. Raises SkillError, which names what is near or what is wrong."""
    if not _NAME.fullmatch(name):
        raise SkillError(f"no skill {visible(name)!r:.80}: {_NAME_RULE}")
    wrong = ""
    for place, folder, within in _places(root, config_dir):
        path = folder / name / "SKILL.md"
        match _parse(path, name, within):
            case None:
                pass
            case str(reason):
                wrong = wrong or f"skill `{name}` ({place}) cannot be used: {reason}"
            case _Parsed(metadata, body, _):
                return SkillText(name, body, path, place, metadata)
    if wrong:
        raise SkillError(wrong)
    names = [skill.name for skill in discover(root, config_dir).skills]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or names[:MAX_LISTED]
    raise SkillError(f"no skill `{name}`" + (f"; there is: {', '.join(near)}" if near else "; there are none"))


# ------------------------------------------------------------------------------------------------ one skill


@dataclass(frozen=True, slots=True)
class _Parsed:
    metadata: Mapping[str, Any]
    body: str
    digest: str


class _FlatLoader(yaml.BaseLoader):
    """Builds strings, lists and dicts only, and no value twice: a few aliases can stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)


def _places(root: Path, config_dir: Path) -> Iterator[tuple[Place, Path, Path | None]]:
    """Each place's folder, strongest first, and the folder that its symlinks may not leave."""
    for name in (".harness", ".claude", ".agents"):
        yield "project", root / name / "skills", root
    yield "user", config_dir / "skills", None
    yield "bundled", bundled_dir(), None


def _folders(folder: Path, within: Path | None) -> list[str]:
    try:
        if within is not None and not folder.resolve().is_relative_to(within.resolve()):
            return []
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in itertools.islice(entries, _MAX_FOLDERS))
    except (OSError, RuntimeError):
        return []


def _parse(path: Path, name: str, within: Path | None) -> _Parsed | str | None:
    """The skill, or what is wrong with it, or None where there is none."""
    content = read(path, MAX_SKILL_BYTES + 1, within)
    if content is None:
        return None
    if isinstance(content, Refusal):
        return f"SKILL.md: {content.reason}"
    if not _NAME.fullmatch(name):
        return f"folder name: {_NAME_RULE}"
    if len(content.data) > MAX_SKILL_BYTES:
        return f"SKILL.md: larger than {MAX_SKILL_BYTES} bytes"
    text = visible(content.data.decode(errors="replace"))
    front = _FRONT_MATTER.match(text)
    if front is None:
        return "SKILL.md: does not begin with front matter between two lines of `---`"
    metadata = _metadata(front[1] or "")
    if isinstance(metadata, str):
        return f"SKILL.md: {metadata}"
    if metadata.get("name", name) != name:
        return f"SKILL.md: `name` is {metadata['name']!r:.80}, but the folder is `{name}`"
    return _Parsed(metadata, text[front.end() :].strip("\n"), hashlib.sha256(content.data).hexdigest())


def _metadata(text: str) -> dict[str, Any] | str:
    if len(text.encode()) > MAX_FRONT_MATTER_BYTES:
        return f"front matter is larger than {MAX_FRONT_MATTER_BYTES} bytes"
    try:
        found = yaml.load(text, Loader=_FlatLoader)  # noqa: S506 - a BaseLoader builds no objects
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        # The first line of the file is the `---`.
        where = f" at line {mark.line + 2}" if mark else ""
        what = getattr(error, "problem", None) or (
            str(error) if isinstance(error, yaml.YAMLError) else "nested too deeply"
        )
        return shorten(f"front matter is not valid YAML{where}: {what}", 200)
    if not isinstance(found, dict):
        return "front matter is not a table of `key: value` lines"
    description = found.get("description")
    if not isinstance(description, str) or not description.strip():
        return "front matter has no `description`"
    return found
