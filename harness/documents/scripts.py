"""The person's copies of the conversion scripts: made on first use, theirs to repair, kept by an upgrade.

Invariant: a copy that is not byte for byte what this program once shipped is never overwritten or removed but by
`reset`, which keeps it beside; a copy that is, follows each new version by itself.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from harness.conversation.private_files import write_whole
from harness.documents.folders import Folders, locked, unwritable
from harness.errors import DocumentError, UsageError
from harness.knowledge.skills import bundled_dir
from harness.workspace import files

SHARED = "sections.py"
"""What every script imports."""

NAMES = (SHARED, "pdf_to_text.py", "word_to_text.py", "excel_to_text.py", "powerpoint_to_text.py")

_LARGEST = 1024 * 1024
_ORIGINS = "origins.json"


@dataclass(frozen=True, slots=True)
class Script:
    """A copy. source: its bytes. repaired: not as shipped. behind: what is shipped now is not what it came from."""

    path: Path
    source: bytes
    repaired: bool = False
    behind: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of the copy, in hex."""
        return hashlib.sha256(self.source).hexdigest()

    def note(self) -> str:
        """What is to be said of this copy; "" where it is as shipped."""
        if not self.repaired:
            return ""
        if not self.behind:
            return f"{self.path.name} is your repaired copy"
        return (
            f"{self.path.name} is your repaired copy, kept although this version brings a new one: diff {self.path} "
            f"{shipped_folder() / self.path.name}; to take the new one: harness documents reset {self.path.name}"
        )


def shipped_folder() -> Path:
    """The scripts as this version brings them."""
    return bundled_dir() / "documents" / "scripts"


def copies(folders: Folders, shipped: Path) -> dict[str, Script]:
    """The person's copies by name, made or brought up to date where they may be.

    shipped: the folder of the scripts as they come with the program.

    Raises:
        DocumentError: they cannot be written or read.
    """
    try:
        files.private_folder(folders.scripts)
        with locked(folders.data):
            origins = _origins(folders)
            found = {name: _copy(folders.scripts / name, (shipped / name).read_bytes(), origins) for name in NAMES}
            _keep(folders, origins)
    except OSError as error:
        raise unwritable(error, folders.scripts, "XDG_DATA_HOME") from None
    return found


def reset(name: str, folders: Folders, shipped: Path) -> Path | None:
    """Takes the shipped script in place of the person's copy; gives where that one is kept, None if it was as shipped.

    Raises:
        UsageError: no script of that name. DocumentError: it cannot be written.
    """
    if name not in NAMES:
        raise UsageError(f"no script `{name:.80}`; there is: {', '.join(NAMES)}")
    copy = copies(folders, shipped)[name]
    if not copy.repaired:
        return None
    source = (shipped / name).read_bytes()
    try:
        with locked(folders.data):
            beside = next(
                path
                for number in range(1, 10_000)
                if not os.path.lexists(path := copy.path.with_name(f"{name}.kept-{number}"))
            )
            copy.path.rename(beside)
            write_whole(copy.path, source)
            origins = _origins(folders)
            origins[name] = hashlib.sha256(source).hexdigest()
            _keep(folders, origins)
    except OSError as error:
        raise unwritable(error, folders.scripts, "XDG_DATA_HOME") from None
    return beside


def _copy(path: Path, shipped: bytes, origins: dict[str, str]) -> Script:
    """One copy; `origins` then says what it came from."""
    fresh = hashlib.sha256(shipped).hexdigest()
    source = _read(path)
    digest = hashlib.sha256(source).hexdigest() if source is not None else ""
    if source is None or (digest == origins.get(path.name) and digest != fresh):
        write_whole(path, shipped)
        source, digest = shipped, fresh
    if digest == fresh:
        origins[path.name] = fresh
        return Script(path, source)
    return Script(path, source, repaired=True, behind=origins.get(path.name) != fresh)


def _read(path: Path) -> bytes | None:
    """The copy as it is; None where nothing is."""
    try:
        with files.opened(path) as file:
            data = files.load(file, _LARGEST + 1)
    except FileNotFoundError:
        if path.is_symlink():
            raise DocumentError(f"{path} is a symlink to nothing; remove it to get the shipped script") from None
        return None
    except files.NotRegular as problem:
        raise DocumentError(f"{path} {files.reason(problem)}; remove it to get the shipped script") from None
    if len(data) > _LARGEST:
        raise DocumentError(f"{path} is larger than 1 MB, so no script; remove it to get the shipped one")
    return data


def _origins(folders: Folders) -> dict[str, str]:
    """Name to the SHA-256 of the shipped script that each copy came from; damaged: as if nothing were known."""
    try:
        with files.opened(folders.data / _ORIGINS) as file:
            found = json.loads(files.load(file, _LARGEST))
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: digest for name, digest in found.items() if name in NAMES and isinstance(digest, str)}


def _keep(folders: Folders, origins: dict[str, str]) -> None:
    if origins != _origins(folders):
        write_whole(folders.data / _ORIGINS, json.dumps(origins, indent=1, sort_keys=True).encode() + b"\n")
