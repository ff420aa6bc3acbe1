"""Recorded sessions that somebody changed: in the journal, whose chain is then whole again, or in the program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.conversation.lines import Record, format_line, line_digest, read_records
from tests.program import changed_program

Change = Callable[[Record, dict[str, Any]], None]
"""Changes the data of a record in place."""


def tampered(session: Path, to: Path, change: Change) -> Path:
    """A copy of a session in which every record went through `change`; checksums and chain are as they must be."""
    shutil.copytree(session, to)
    records, before = [], (to / "journal.jsonl").read_bytes()
    for record in read_records(to / "journal.jsonl"):
        data = json.loads(json.dumps(record.data))
        change(record, data)
        records.append(replace(record, data=data))
    written(to, records)
    assert (to / "journal.jsonl").read_bytes() != before, "nothing was changed"
    return to


def written(session: Path, records: Iterable[Record]) -> None:
    """Put records in the place of a session's; checksums and chain are as they must be."""
    previous, lines = "", []
    for record in records:
        lines.append(format_line(record, previous))
        previous = line_digest(lines[-1][:-1])
    (session / "journal.jsonl").write_bytes(b"".join(lines))


def replayed_by(folder: Path, session: Path, file: str, old: str, new: str, *flags: str) -> dict[str, Any]:
    """What `harness replay --json` of a copy of the program says in which one place of one file was changed."""

    def change(text: str) -> str:
        assert text.count(old) == 1, f"{file} has {text.count(old)} times {old!r}"
        return text.replace(old, new)

    changed_program(folder, {file: change})
    words = [sys.executable, "-m", "harness", "replay", str(session), "--json", *flags]
    environment = {name: os.environ[name] for name in ("PATH", "HOME")}
    ran = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    assert ran.returncode == (0 if found["equal"] else 1)
    return found
