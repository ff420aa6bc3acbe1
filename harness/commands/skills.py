"""`harness skills`: what there is, whether it is sound, and adding what others wrote.

Invariant: nothing that a skill says of itself reaches the terminal unescaped; only `add`, `accept` and `remove` change
anything, only among the person's own skills, and not before a clear yes.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.commands.arguments import Parser, subcommand
from harness.commands.skills_add import add, agreed
from harness.commands.skills_check import check
from harness.config import config_dir
from harness.errors import SkillError
from harness.knowledge import skill_pins
from harness.knowledge.project import find_root
from harness.knowledge.skill_format import NAME
from harness.knowledge.skills import Skills, SkillText
from harness.seam import Seam
from harness.tools.output import visible
from harness.ui.plain import one_line

_ABOUT = """\
harness skills [list]         what there is here, and what cannot be used
harness skills show NAME      one of them: where it is, what it says
harness skills check [PATH…]  faults by the specification, as file:line; exit 1 on errors
harness skills add SOURCE     a folder, a .zip file, or a git URL (https, ssh, file): shows it, asks, pins its content
harness skills accept NAME    pin an added skill as it is now
harness skills remove NAME    remove one of your own

Each command has --help."""


@dataclass(frozen=True, slots=True)
class Here:
    """Where the command runs."""

    seam: Seam
    root: Path
    config_dir: Path

    @property
    def skills(self) -> Skills:
        """The skills of a session that would begin here."""
        return Skills(self.root, self.config_dir, self.seam.home())


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Run the command; the exit code."""
    if (meant := subcommand("harness skills", arguments, _COMMANDS, _ABOUT, "list")) is None:
        return 0
    name, rest = meant
    return _COMMANDS[name](rest, Here(seam, find_root(seam.cwd()), config_dir(seam.environment())))


def _list(arguments: Sequence[str], here: Here) -> int:
    Parser(prog="harness skills list", allow_abbrev=False).parse_args(arguments)
    index = here.skills.discover()
    width = max((len(skill.name) for skill in index.skills), default=0)
    for skill in index.skills:
        who = "" if skill.user_invocable else " (model only)" if skill.model_invocable else " (nobody may call it)"
        who = who or ("" if skill.model_invocable else " (person only)")
        print(f"{skill.name:{width}}  {skill.place:7}  {one_line(skill.description, 300)}{who}")
    for problem in index.problems:
        sys.stderr.write(f"cannot be used: {one_line(str(problem.path.parent))}: {one_line(problem.reason)}\n")
    return 0


def _show(arguments: Sequence[str], here: Here) -> int:
    name = _name("show", arguments)
    skill = here.skills.load(name)
    for line in _about(skill, here):
        print(one_line(line))
    print()
    sys.stdout.write(visible(skill.body) + "\n")
    return 0


def _about(skill: SkillText, here: Here) -> Iterator[str]:
    manifest, runs_as = skill.manifest, skill.manifest.runs_as
    tools = ", ".join(map(str, runs_as.allowed_tools)) if runs_as.allowed_tools else ""
    facts = {
        "name": skill.name,
        "description": manifest.description,
        "place": f"{skill.place}: {skill.path.parent}",
        "license": manifest.license,
        "compatibility": manifest.compatibility,
        "runs as": "" if runs_as.context == "inline" else runs_as.context,
        "model": runs_as.model,
        "agent": runs_as.agent,
        "written for the tools": tools,
        "arguments": manifest.argument_hint,
        "called by": _callers(skill),
        **{f"metadata {key}": value for key, value in manifest.metadata.items()},
    }
    pin = skill_pins.pins(here.config_dir).get(skill.name) if skill.path.is_relative_to(here.config_dir) else None
    if pin is not None:
        facts["added"] = f"{pin.added} from {pin.source}"
    yield from (f"{key}: {value}" for key, value in facts.items() if value)
    yield from (f"not as it was added: {line}" for line in skill.changed)


def _callers(skill: SkillText) -> str:
    person, model = skill.manifest.user_invocable, skill.manifest.model_invocable
    return "" if person and model else "the person alone" if person else "the model alone" if model else "nobody"


def _check(arguments: Sequence[str], here: Here) -> int:
    parser = Parser(prog="harness skills check", allow_abbrev=False)
    parser.add_argument("paths", metavar="PATH", nargs="*", help="a skill, or a folder of skills; all of them here")
    paths = [here.seam.cwd() / path for path in parser.parse_args(arguments).paths]
    places = [here.root / name / "skills" for name in (".harness", ".claude", ".agents")]
    return check(paths or [place for place in (*places, here.config_dir / "skills") if place.is_dir()], here.seam.cwd())


def _add(arguments: Sequence[str], here: Here) -> int:
    return add(arguments, here.seam, here.config_dir)


def _accept(arguments: Sequence[str], here: Here) -> int:
    parser = Parser(prog="harness skills accept", allow_abbrev=False)
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    flags = parser.parse_args(arguments)
    folder = _own(flags.name, here)
    pin = skill_pins.pins(here.config_dir).get(flags.name)
    if pin is None:
        raise SkillError(f"skill `{flags.name}` is not pinned: `harness skills add` did not bring it")
    files = skill_pins.current(here.config_dir, flags.name)
    lines = skill_pins.changes(here.config_dir, flags.name, files.get("SKILL.md", "").removesuffix("+x"))
    if not lines:
        print(f"skill {flags.name} is as it was added")
        return 0
    for line in lines:
        print(one_line(line))
    print(f"look at it: {one_line(str(folder))}")
    if not agreed("Use it as it is now?", yes=flags.yes):
        print("nothing was changed")
        return 1
    skill_pins.accept(here.config_dir, flags.name, files)
    print(f"skill {flags.name} is pinned as it is now")
    return 0


def _remove(arguments: Sequence[str], here: Here) -> int:
    parser = Parser(prog="harness skills remove", allow_abbrev=False)
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    flags = parser.parse_args(arguments)
    folder = _own(flags.name, here)
    pins = skill_pins.pins(here.config_dir)
    what = "its link" if folder.is_symlink() else "its folder, which no undo brings back:"
    if not agreed(f"Remove {what} {one_line(str(folder))}?", yes=flags.yes):
        print("nothing was changed")
        return 1
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder)
    if pins.pop(flags.name, None) is not None:
        skill_pins.write(here.config_dir, pins)
    print(f"skill {flags.name} is removed")
    return 0


def _own(name: str, here: Here) -> Path:
    """The folder of one of the person's own skills.

    Raises:
        SkillError: there is none of that name.
    """
    folder = here.config_dir / "skills" / name
    if not NAME.fullmatch(name) or not (folder.is_symlink() or folder.is_dir()):
        raise SkillError(f"no skill {name!r:.80} in {here.config_dir / 'skills'}; only those there are yours to change")
    return folder


def _name(command: str, arguments: Sequence[str]) -> str:
    parser = Parser(prog=f"harness skills {command}", allow_abbrev=False)
    parser.add_argument("name", metavar="NAME")
    name: str = parser.parse_args(arguments).name
    return name


_COMMANDS: dict[str, Callable[[Sequence[str], Here], int]] = {
    "list": _list,
    "show": _show,
    "check": _check,
    "add": _add,
    "accept": _accept,
    "remove": _remove,
}
