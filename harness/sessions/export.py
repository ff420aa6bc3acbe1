"""Exports: a session as one file, in the form that is asked for.

Invariant: no file is overwritten, only its owner can read it, and after a failure nothing of it stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from harness.errors import UsageError
from harness.sessions import archive, export_html, export_json, export_markdown
from harness.sessions.figures import Figures
from harness.sessions.transcript import Transcript
from harness.workspace import files

FORMATS = {"md": export_markdown.pieces, "json": export_json.pieces, "html": export_html.pieces}
SESSION = "session"
"""The form of a session that can be carried elsewhere: see `portable`."""
_ENDINGS = {".md": "md", ".markdown": "md", ".json": "json", ".html": "html", ".htm": "html"}


def pieces(folder: Path, figures: Figures, form: str) -> Iterator[str]:
    """A session in one of `FORMATS`, piece by piece.

    Raises:
        JournalError: its journal cannot be read.
    """
    return FORMATS[form](figures, Transcript(folder))


def form_of(path: Path) -> str:
    """The form that a file's name asks for: one of `FORMATS`, or `SESSION`.

    Raises:
        UsageError: none that is known.
    """
    form = SESSION if archive.named_so(path) else _ENDINGS.get(path.suffix.lower())
    if form is None:
        raise UsageError(f"{path.name:.80}: end the name in .md, .json, .html or .tar.gz")
    return form


def write(folder: Path, figures: Figures, form: str, path: Path) -> None:
    """Export into a new file; folders above it are made.

    Raises:
        UsageError: it exists, or cannot be written.
        JournalError: the session cannot be read.
    """
    try:
        if not path.parent.exists():  # a file in its place is no export that exists
            path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} exists; choose another name or remove it") from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {files.reason(error)}") from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.writelines(pieces(folder, figures, form))
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UsageError(f"cannot write {path}: {files.reason(error)}") from error
        raise
