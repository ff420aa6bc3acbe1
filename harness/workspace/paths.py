"""Where a path leads: resolving what was typed, and telling inside from outside and protected from free.

Invariant: every answer is about the place the kernel would reach, symlinks followed, also when the last parts
of the path do not exist yet; a spelling (case, Unicode form, trailing dots, invisible characters) never
changes an answer.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError

PROTECTED = (".git", ".harness")
"""Folders whose content decides what runs (hooks, settings): written by no tool, even if absent."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders a session may edit.

    root: the workspace. extra: further folders, given with --add-dir. cwd: what relative paths start from.
    home: what a leading `~` stands for; None where there is none. personal: folders of the person's that hold what
    every session is told: written only with their yes. All absolute.
    """

    root: Path
    extra: tuple[Path, ...] = ()
    cwd: Path = Path()
    home: Path | None = None
    personal: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.cwd == Path():
            object.__setattr__(self, "cwd", self.root)

    def resolve(self, path_text: str) -> Path:
        """The absolute path that was meant, symlinks not followed.

        `..` is removed only where that leads to the same place (behind a symlink it would not).

        Raises:
            UsageError: empty, a NUL character, or `~` without a home folder.
        """
        if not path_text:
            raise UsageError('the path is empty; "." is the working folder')
        if "\0" in path_text:
            raise UsageError("the path contains a NUL character, which no file name can")
        try:
            os.fsencode(path_text)
        except UnicodeEncodeError:
            raise UsageError("the path contains half a character, which no file name can") from None
        raw = os.path.join(self.cwd, self._expanded(path_text))  # noqa: PTH118 - Path() would change "a/." and "a/"
        real = os.path.realpath(raw)
        flat = os.path.normpath(raw)
        return Path(flat if os.path.realpath(flat) == real else real)

    def _expanded(self, text: str) -> str:
        if text != "~" and not text.startswith("~/"):
            return text
        if self.home is None:
            raise UsageError("~ cannot be used: no home folder is known; give the absolute path")
        return str(self.home) + text[1:]

    def real(self, path: Path) -> Path:
        """Where `path` leads, symlinks followed, also with missing last parts; a loop stays as it is."""
        return Path(os.path.realpath(path))

    def key(self, path: Path) -> str:
        """The name of that place in facts: text that JSON can carry, also where the file name is not UTF-8."""
        return os.fsencode(self.real(path)).decode("utf-8", "backslashreplace")

    def inside(self, path: Path) -> bool:
        """Whether the place `path` leads to lies in the root or an extra folder, or is one of them."""
        return self._base(path) is not None

    def protected(self, path: Path) -> bool:
        """Whether `path`, as spelled or as resolved, is or lies in a protected folder of the workspace.

        Outside the workspace every part of the path counts.
        """
        spelled = Path(os.path.normpath(path))
        real = _real(path)
        base = self._base(path)
        tails = [spelled.parts, real.parts]
        if base is not None:
            tails[1] = real.relative_to(base).parts
            for folder in (_real(base), base, *self.extra, self.root):
                if spelled.is_relative_to(folder):
                    tails[0] = spelled.relative_to(folder).parts
                    break
        if any(_plain(part) in PROTECTED for parts in tails for part in parts):
            return True
        # A protected folder may itself be a symlink to an innocent name beside it.
        return any(_leads_to(folder / name, real) for folder in (self.root, *self.extra) for name in PROTECTED)

    def asked(self, path: Path) -> bool:
        """Whether a write there waits for the person: it would change what later sessions are told to do."""
        real = _real(path)
        own = (_real(folder) for folder in (*self.personal, self.root / ".harness" / "skills"))
        return any(real.is_relative_to(folder) for folder in own)

    def project_note(self, path: Path) -> bool:
        """Whether `path` leads to a file of the project's memory: nothing but that is written in .harness."""
        real = _real(path)
        # the folder as it is called, not where it may lead: one that is a symlink is not the project's
        return real.suffix == ".md" and real.parent == _real(self.root) / ".harness" / "memory"

    def shown(self, path: Path) -> str:
        """The short form for texts: relative to the working folder where it lies below, else absolute."""
        return str(path.relative_to(self.cwd)) if path.is_relative_to(self.cwd) else str(path)

    def _base(self, path: Path) -> Path | None:
        if "\0" in str(path):
            return None
        real = _real(path)
        bases = (_real(folder) for folder in (self.root, *self.extra))
        return next((base for base in bases if real.is_relative_to(base)), None)


def _real(path: Path) -> Path:
    # Not Path.resolve(): before Python 3.13 that raises on a symlink loop.
    return Path(os.path.realpath(path))


def _plain(part: str) -> str:
    """A path part as the most forgiving file systems compare it: no case, marks, final dots."""
    folded = unicodedata.normalize("NFKC", part).casefold()
    seen = "".join(letter for letter in folded if unicodedata.category(letter) not in ("Cf", "Cc", "Mn"))
    # "git~1" is the short name FAT gives to ".git".
    return ".git" if seen.rstrip(". ") == "git~1" else seen.rstrip(". ")


def _leads_to(link: Path, real: Path) -> bool:
    return link.is_symlink() and real.is_relative_to(_real(link))
