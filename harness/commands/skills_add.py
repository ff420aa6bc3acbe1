"""`harness skills add`: a skill that somebody else wrote becomes one of the person's, pinned to what they were shown.

Invariant: what is installed is what was shown and hashed, file by file, and nothing of it is there before a clear yes.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.commands.arguments import Parser
from harness.commands.skill_sources import MAX_ENTRIES, bring, is_url
from harness.errors import SkillError, UsageError
from harness.knowledge import skill_pins
from harness.knowledge.files import Content, hidden, read
from harness.knowledge.skill_format import MAX_SKILL_BYTES, NAME, Manifest, check, parse
from harness.knowledge.skill_pins import Pin
from harness.knowledge.skill_tree import TreeFile, marks, scan
from harness.knowledge.skills import bundled_dir
from harness.seam import Seam
from harness.ui.plain import one_line
from harness.workspace.scratch import scratch

SHOWN_FILES = 40
_DEPTH = 3
"""How deep in a source skills are looked for: `skills/NAME`, `plugins/NAME/skills/NAME` are not rare."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A skill that could be added."""

    folder: Path
    manifest: Manifest
    files: tuple[TreeFile, ...]


def add(arguments: Sequence[str], seam: Seam, config_dir: Path) -> int:
    """Add a skill, or several; 1 where the person said no.

    Raises:
        HarnessError: the source cannot be used; nothing was added.
    """
    parser = Parser(prog="harness skills add", allow_abbrev=False)
    parser.add_argument("source", metavar="SOURCE", help="a folder, a .zip file, or a git URL (https, ssh, file)")
    parser.add_argument("--skill", metavar="NAME", action="append", default=[], help="which, where it has several")
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--ref", metavar="REF", default="", help="a branch or tag of a git repository")
    parser.add_argument("--replace", action="store_true", help="in place of one of yours with that name")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    flags = parser.parse_args(arguments)
    skills = config_dir / "skills"
    with _staging(config_dir) as staging:
        held = bring(flags.source, seam.cwd() / flags.source, staging / "source", flags.ref, seam.environment())
        folders = _chosen(_folders(held), flags.skill, everything=flags.all)
        offers = [_offer(folder, staging / "copies", number) for number, folder in enumerate(folders)]
        for offer in offers:
            _refuse_taken(offer.manifest.name, skills, offers, replace=flags.replace)
        for offer in offers:
            for line in _shown(offer, skills, flags.source):
                print(" " * (len(line) - len(line.lstrip(" "))) + one_line(line))
        if not agreed(f"Add {', '.join(offer.manifest.name for offer in offers)} to {skills}?", yes=flags.yes):
            print("nothing was added")
            return 1
        day = seam.today().isoformat()
        source = flags.source if is_url(flags.source) else str((seam.cwd() / flags.source).resolve())
        for offer in offers:
            _install(offer, config_dir, staging, Pin(source, day, marks(offer.files)))
            name = offer.manifest.name
            print(f"added {name}" + (f"; call it by /{name}" if offer.manifest.user_invocable else ""))
    return 0


def agreed(question: str, *, yes: bool) -> bool:
    """Whether the person says yes.

    Raises:
        UsageError: nobody is there to say it.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on; look at it, then add --yes")
    sys.stdout.write(f"{one_line(question)} [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@contextmanager
def _staging(config_dir: Path) -> Iterator[Path]:
    """A folder on the file system that skills are on, so that installing is one rename; removed in the end."""
    with ExitStack() as opened:
        try:
            config_dir.mkdir(parents=True, exist_ok=True)
            staging = opened.enter_context(scratch(config_dir, ".adding-"))
        except OSError as error:
            raise SkillError(f"cannot write {config_dir}: {error.strerror}") from error
        (staging / "source").mkdir()
        (staging / "copies").mkdir()
        yield staging


# ------------------------------------------------------------------------------------------------ what a source has


def _folders(source: Path) -> list[Path]:
    """The folders with a SKILL.md, the source itself before all others; links are not followed."""
    if os.path.lexists(source / "SKILL.md"):
        return [source]
    found: list[Path] = []
    looked = 0
    for folder, names, files in os.walk(source):
        depth = len(Path(folder).relative_to(source).parts)
        looked += len(names) + len(files)
        if looked > MAX_ENTRIES * 4:
            raise SkillError("too many files to look for skills in; name the skill's folder")
        if "SKILL.md" in files:
            found.append(Path(folder))
        names[:] = [] if "SKILL.md" in files or depth > _DEPTH else sorted(n for n in names if n != ".git")
    if not found:
        raise SkillError("no SKILL.md there, nor in its folders")
    return sorted(found)


def _chosen(folders: list[Path], names: Sequence[str], *, everything: bool) -> list[Path]:
    if everything or (len(folders) == 1 and not names):
        return folders
    known = ", ".join(sorted(folder.name for folder in folders))
    if not names:
        raise UsageError(f"there are {len(folders)} skills: {known:.600}; choose with --skill NAME, or --all")
    chosen = [folder for folder in folders if folder.name in names]
    if missing := sorted(set(names) - {folder.name for folder in chosen}):
        raise UsageError(f"no skill {missing[0]!r:.80} there; there is: {known:.600}")
    return chosen


def _offer(folder: Path, copies: Path, number: int) -> Offer:
    """A copy of a skill in our hands: what is shown cannot change any more.

    Raises:
        SkillError: it is not usable, or not all of it is ordinary files.
    """
    copy = copies / str(number)
    try:
        for file in scan(folder):
            _copy(folder / file.path, copy / file.path, executable=file.executable)
        files = scan(copy)
    except SkillError as error:
        raise SkillError(f"{folder.name}: {error}") from error
    except OSError as error:
        raise SkillError(f"{folder.name}: cannot be copied: {error.strerror}") from error
    content = read(copy / "SKILL.md", MAX_SKILL_BYTES + 1)
    parsed = parse(content.data if isinstance(content, Content) else b"")
    if parsed.manifest is None:
        raise SkillError(f"{folder.name} cannot be used: {parsed.fatal}")
    return Offer(copy, parsed.manifest, files)


def _copy(source: Path, target: Path, *, executable: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    # mode: never more than ours
    made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755 if executable else 0o644)
    with os.fdopen(handle, "rb") as file, os.fdopen(made, "wb") as copy:
        shutil.copyfileobj(file, copy)


def _refuse_taken(name: str, skills: Path, offers: Sequence[Offer], *, replace: bool) -> None:
    if sum(offer.manifest.name == name for offer in offers) > 1:
        raise SkillError(f"two of them are called `{name}`; choose one with --skill FOLDER")
    if not NAME.fullmatch(name):
        raise SkillError(f"`{name:.80}` is no name for a skill")
    if os.path.lexists(skills / name) and not replace:
        raise SkillError(f"you have a skill `{name}`; --replace puts this one in its place")


# ------------------------------------------------------------------------------------------------ showing, installing


def _shown(offer: Offer, skills: Path, source: str) -> Iterator[str]:
    """All that a person should know before they say yes."""
    manifest, runs_as = offer.manifest, offer.manifest.runs_as
    yield f"skill {manifest.name}, from {source}"
    yield f"  {manifest.description}"
    if manifest.license:
        yield f"  license: {manifest.license}"
    if manifest.compatibility:
        yield f"  needs: {manifest.compatibility}"
    if runs_as.context != "inline":
        yield f"  runs as a sub-agent ({runs_as.context}){f' on {runs_as.model}' if runs_as.model else ''}"
    if runs_as.allowed_tools:
        yield f"  written for the tools: {', '.join(map(str, runs_as.allowed_tools))}"
    if os.path.lexists(skills / manifest.name):
        yield f"  IN PLACE OF {skills / manifest.name}"
    elif (bundled_dir() / manifest.name).is_dir():
        yield "  comes before the bundled skill of that name"
    total = sum(file.size for file in offer.files)
    yield f"  files: {len(offer.files)}, {total:,} bytes in all"
    for file in offer.files[:SHOWN_FILES]:
        yield f"    {file.path}: {file.size:,} bytes{', a program' if file.executable else ''}"
    if offer.files[SHOWN_FILES:]:
        yield f"    and {len(offer.files) - SHOWN_FILES} more"
    yield from _warnings(offer)


def _warnings(offer: Offer) -> Iterator[str]:
    for file in offer.files:
        content = read(offer.folder / file.path, 1024 * 1024)
        if not isinstance(content, Content):
            continue
        if file.path == "SKILL.md":
            for finding in check(content.data)[:20]:
                yield f"  ! SKILL.md:{finding.line}: {finding.text}"
        elif b"\0" not in content.data[:8192]:
            for line, codes in hidden(content.data.decode(errors="replace"))[:5]:
                yield f"  ! {file.path}:{line}: characters that cannot be seen: {', '.join(codes)}"


def _install(offer: Offer, config_dir: Path, staging: Path, pin: Pin) -> None:
    """Put a skill in its place. The pin first: a crash in between leaves one that is asked about, not one that is not.

    Raises:
        SkillError: it cannot be written; what was there is still there.
    """
    name = offer.manifest.name
    place = config_dir / "skills" / name
    before = skill_pins.pins(config_dir)
    skill_pins.write(config_dir, before | {name: pin})
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(place):
            place.rename(staging / f"old-{name}")
        offer.folder.rename(place)
    except OSError as error:
        if (staging / f"old-{name}").exists() and not os.path.lexists(place):
            (staging / f"old-{name}").rename(place)
        skill_pins.write(config_dir, before)
        raise SkillError(f"cannot write {place}: {error.strerror}") from error
