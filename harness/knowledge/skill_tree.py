"""The files of a skill's folder, counted and hashed, or why it may not be used.

Invariant: bounded in files, bytes and depth; nothing outside the folder is read, nothing but regular files opened.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import SkillError
from harness.knowledge.files import visible

MAX_FILES = 500
MAX_FILE_BYTES = 5 * 1024 * 1024
MAX_BYTES = 20 * 1024 * 1024
MAX_DEPTH = 8

_IGNORED = {"__pycache__", ".DS_Store", ".git"}
"""What running and looking leaves behind, and what a clone brings along; none of it is part of a skill."""


@dataclass(frozen=True, slots=True)
class TreeFile:
    """One file. path: from the skill's folder, with slashes. digest: its sha256."""

    path: str
    size: int
    digest: str
    executable: bool

    @property
    def mark(self) -> str:
        """What is remembered of it: content, and whether it is a program."""
        return self.digest + ("+x" if self.executable else "")


def scan(folder: Path) -> tuple[TreeFile, ...]:
    """All files, sorted by path.

    Raises:
        SkillError: a link, a device or a pipe is among them; there are too many, or they are too large or too deep.
    """
    found: list[TreeFile] = []
    total = 0
    for path, inside in _walk(folder, "", 0):
        file = _file(path, inside)
        total += file.size
        found.append(file)
        if len(found) > MAX_FILES:
            raise SkillError(f"more than {MAX_FILES} files")
        if total > MAX_BYTES:
            raise SkillError(f"more than {MAX_BYTES // 2**20} MB in all")
    return tuple(sorted(found, key=lambda file: file.path))


def marks(files: tuple[TreeFile, ...]) -> dict[str, str]:
    """What is remembered of a skill's files, by path."""
    return {file.path: file.mark for file in files}


def _walk(folder: Path, inside: str, depth: int) -> Iterator[tuple[Path, str]]:
    if depth > MAX_DEPTH:
        raise SkillError(f"folders are more than {MAX_DEPTH} deep")
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in _IGNORED:
                    continue
                path = f"{inside}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    yield from _walk(folder / entry.name, f"{path}/", depth + 1)
                else:
                    yield folder / entry.name, path
    except OSError as error:
        raise SkillError(f"{_shown(inside) or 'its folder'}: {error.strerror}") from error


def _file(path: Path, inside: str) -> TreeFile:
    try:
        if stat.S_ISLNK(path.lstat().st_mode):
            raise SkillError(f"{_shown(inside)}: a link; a skill is made of ordinary files")
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise SkillError(f"{_shown(inside)}: not a regular file")
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SkillError(f"{_shown(inside)}: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise SkillError(f"{_shown(inside)}: larger than {MAX_FILE_BYTES // 2**20} MB")
    executable = bool(status.st_mode & stat.S_IXUSR)
    return TreeFile(inside, len(data), hashlib.sha256(data).hexdigest(), executable)


def _shown(path: str) -> str:
    return visible(path.encode("utf-8", "replace").decode()).replace("\n", "\\n")[:200]
