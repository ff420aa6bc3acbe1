"""Recorded sessions that somebody changed: in the journal, whose chain is then whole again, or in the program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.conversation.lines import Record, format_line, line_digest, read_records

ROOT = Path(__file__).resolve().parents[2]
Change = Callable[[Record, dict[str, Any]], None]
"""Changes the data of a record in place."""


def tampered(session: Path, to: Path, change: Change) -> Path:
    """A copy of a session in which every record went through `change`; checksums and chain are as they must be."""
    shutil.copytree(session, to)
    path = to / "journal.jsonl"
    previous, lines = "", []
    for record in list(read_records(path)):
        data = json.loads(json.dumps(record.data))
        change(record, data)
        lines.append(format_line(replace(record, data=data), previous))
        previous = line_digest(lines[-1][:-1])
    assert path.read_bytes() != b"".join(lines), "nothing was changed"
    path.write_bytes(b"".join(lines))
    return to


def replayed_by(folder: Path, session: Path, file: str, old: str, new: str) -> dict[str, Any]:
    """What `harness replay --json` of a copy of the program says in which one place of one file was changed."""
    shutil.copytree(ROOT / "harness", folder / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "harness" / file
    text = path.read_text()
    assert text.count(old) == 1, f"{file} has {text.count(old)} times {old!r}"
    path.write_text(text.replace(old, new))
    words = [sys.executable, "-m", "harness", "replay", str(session), "--json"]
    environment = {name: os.environ[name] for name in ("PATH", "HOME")}
    ran = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1, (ran.returncode, ran.stdout, ran.stderr)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found
