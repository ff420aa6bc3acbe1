"""Giving a session a title: one more record in its journal.

Invariant: the record is the last title that counts; to be renamed is no use, so what was last used stays so.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from harness.conversation.journal import FORMAT, Journal
from harness.errors import JournalError, UsageError, storage_error
from harness.seam import Seam
from harness.sessions.figures import title_of
from harness.tools.output import visible


def checked(title: str) -> str:
    """A title as it is kept: one line, nothing in it acts.

    Raises:
        UsageError: nothing is left of it.
    """
    kept = visible(title_of(title))
    if not kept:
        raise UsageError("the title is empty; say what the session is about")
    return kept


def rename(folder: Path, title: str, seam: Seam) -> str:
    """Rename a session that no process works in; gives the title as it is kept.

    Raises:
        JournalBusy: a process works in it.
        JournalError: it cannot be written, or a newer version wrote it.
    """
    kept = checked(title)
    path = folder / "journal.jsonl"
    try:
        before = path.stat()
    except OSError as error:
        raise storage_error(error, path) from error
    journal = Journal.open(folder, seam)
    try:
        formats = [record.data.get("format", 0) for record in journal.load() if record.kind == "session"]
        if any(number > FORMAT for number in formats):
            raise JournalError(f"session {folder.name} was written by a newer version; update to rename it")
        journal.append("title", {"title": kept})
        asyncio.run(journal.sync())
    finally:
        journal.close()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return kept
