"""Finds skills and reads one when it is called for.

Invariant: a skill is a folder whose name is the skill's, with a SKILL.md; the first place that has a sound one wins:
project, user, bundled. Every file is read anew on every call, so a skill that was just dropped in is found; a
malformed one is reported and never raises while listing. What a skill says of itself that was changed behind the
person's back reaches no model before they have confirmed it.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.errors import SkillError
from harness.knowledge import skill_pins
from harness.knowledge.files import Content, Refusal, read, shorten, visible
from harness.knowledge.skill_format import MAX_SKILL_BYTES, NAME, NAME_RULE, Manifest, Parsed, parse

MAX_DESCRIPTION_BYTES = 300
MAX_LISTED = 30
MAX_LISTING_BYTES = 8 * 1024
MAX_FOLDERS = 1000
"""In one place, by name; what is behind them is reported and not read."""

CHANGED = "changed since it was added; the person is asked before it can be used"

Place = Literal["project", "user", "bundled"]


@dataclass(frozen=True, slots=True)
class Skill:
    """A skill as listed. `path`: its SKILL.md on this machine, never for the prefix. `digest`: its sha256."""

    name: str
    description: str
    path: Path
    place: Place
    digest: str
    user_invocable: bool = True
    model_invocable: bool = True
    argument_hint: str = ""


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

    @property
    def listed(self) -> tuple[Skill, ...]:
        """Those that a model may call."""
        return tuple(skill for skill in self.skills if skill.model_invocable)


@dataclass(frozen=True, slots=True)
class SkillText:
    """A skill as read for use.

    changed: how its files differ from those that the person added, one line each; empty where they do not.
    """

    name: str
    body: str
    path: Path
    place: Place
    manifest: Manifest
    changed: tuple[str, ...] = ()


def bundled_dir() -> Path:
    """The skills that come with the program: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "bundled_skills"
    return installed if installed.is_dir() else package.parent / "skills"


def discover(root: Path, config_dir: Path, home: Path | None = None) -> SkillIndex:
    """All skills. Reads every SKILL.md; never raises for what is in one.

    Args:
        home: the person's; its .claude/skills and .agents/skills are places too. None: they are not.
    """
    skills: dict[str, Skill] = {}
    problems: dict[Path, SkillProblem] = {}
    pinned = skill_pins.entry_files(config_dir)
    for place, folder, within in _places(root, config_dir, home):
        names = _folders(folder, within)
        if len(names) > MAX_FOLDERS:
            reason = f"{len(names):,} entries; only the first {MAX_FOLDERS:,} are read"
            problems.setdefault(folder, SkillProblem(folder, place, reason))
        for name in names[:MAX_FOLDERS]:
            path = folder / name / "SKILL.md"
            match _read(path, name, within):
                case None:
                    pass
                case str(reason):
                    problems.setdefault(path, SkillProblem(path, place, reason))
                case _Sound(manifest, _, digest):
                    ours = folder == config_dir / "skills"
                    changed = ours and (pinned is None or pinned.get(name, digest) != digest)
                    skills.setdefault(name, _listed(manifest, path, place, digest, changed=changed))
    return SkillIndex(tuple(skills[name] for name in sorted(skills)), tuple(problems.values()))


def _listed(manifest: Manifest, path: Path, place: Place, digest: str, *, changed: bool) -> Skill:
    description = CHANGED if changed else shorten(manifest.description, MAX_DESCRIPTION_BYTES)
    hint = "" if changed else shorten(manifest.argument_hint, 80)
    flags = (manifest.user_invocable, manifest.model_invocable)
    return Skill(manifest.name, description, path, place, digest, *flags, hint)


def listing(index: SkillIndex) -> str:
    """The skill list of the session block: one line each, by name, bounded; empty where there is none.

    Where there are too many, the names of the others stand on the last line, as far as there is room.
    """
    listed = index.listed
    lines = [f"- {skill.name}: {skill.description}" for skill in listed[:MAX_LISTED]]
    while len("\n".join(lines).encode()) > MAX_LISTING_BYTES - 1024:
        lines.pop()
    if rest := [skill.name for skill in listed[len(lines) :]]:
        lines.append(f"- and {len(rest)} more: {shorten(', '.join(rest), 1000)}")
    return "\n".join(lines)


def load(name: str, root: Path, config_dir: Path, home: Path | None = None) -> SkillText:
    """The named skill, read now. Raises SkillError, which names what is near or what is wrong."""
    if not NAME.fullmatch(name):
        raise SkillError(f"no skill {visible(name)!r:.80}: {NAME_RULE}")
    wrong = ""
    for place, folder, within in _places(root, config_dir, home):
        path = folder / name / "SKILL.md"
        match _read(path, name, within):
            case None:
                pass
            case str(reason):
                wrong = wrong or f"skill `{name}` ({place}) cannot be used: {reason}"
            case _Sound(manifest, parsed, digest):
                changed = skill_pins.changes(config_dir, name, digest) if folder == config_dir / "skills" else ()
                return SkillText(name, parsed.body, path, place, manifest, changed)
    if wrong:
        raise SkillError(wrong)
    names = [skill.name for skill in discover(root, config_dir, home).skills]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or names[:MAX_LISTED]
    raise SkillError(f"no skill `{name}`" + (f"; there is: {', '.join(near)}" if near else "; there are none"))


# ------------------------------------------------------------------------------------------------ one skill


def _places(root: Path, config_dir: Path, home: Path | None) -> Iterator[tuple[Place, Path, Path | None]]:
    """Each place's folder, strongest first, and the folder that its symlinks may not leave."""
    for name in (".harness", ".claude", ".agents"):
        yield "project", root / name / "skills", root
    yield "user", config_dir / "skills", None
    if home is not None:
        # what the person has for other programs of the kind
        for name in (".claude", ".agents"):
            yield "user", home / name / "skills", None
    yield "bundled", bundled_dir(), None


def _folders(folder: Path, within: Path | None) -> list[str]:
    try:
        if within is not None and not folder.resolve().is_relative_to(within.resolve()):
            return []
        return sorted(os.listdir(folder))  # noqa: PTH208 - names only, and thousands of them
    except (OSError, RuntimeError):
        return []


@dataclass(frozen=True, slots=True)
class _Sound:
    manifest: Manifest
    parsed: Parsed
    digest: str


def _read(path: Path, name: str, within: Path | None) -> _Sound | str | None:
    """The skill, or what is wrong with it, or None where there is none."""
    match read(path, MAX_SKILL_BYTES + 1, within):
        case Content(data=data):
            parsed = parse(data, name)
            if parsed.manifest is None:
                return parsed.fatal
            return _Sound(parsed.manifest, parsed, hashlib.sha256(data).hexdigest())
        case Refusal(reason):
            return f"SKILL.md: {reason}"
        case _:
            return None


def digests(index: SkillIndex) -> Mapping[str, str]:
    """The listed skills and the sha256 of each: what a session remembers of them."""
    return {skill.name: skill.digest for skill in index.listed}


class Skills:
    """The skills of one run: its project's, its person's and the bundled ones. `fill`: finishes one that is read."""

    def __init__(
        self,
        root: Path,
        config_dir: Path,
        home: Path | None,
        fill: Callable[[SkillText], SkillText] = lambda skill: skill,
    ) -> None:
        self._where = (root, config_dir, home)
        self._fill = fill
        self.config_dir = config_dir

    def discover(self) -> SkillIndex:
        """See `discover`."""
        return discover(*self._where)

    def load(self, name: str) -> SkillText:
        """See `load`."""
        return self._fill(load(name, *self._where))
