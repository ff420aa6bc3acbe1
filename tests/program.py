"""A copy of the program with changes in it: an older or newer build, or one with a planted fault.

Invariant: what was compiled of the unchanged files comes along, so that a run of the copy starts as fast as one of the
original; of a changed file nothing does.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def changed_program(folder: Path, changes: Mapping[str, Callable[[str], str]]) -> Path:
    """Put the copy into a folder, which is given back. changes: by file below `harness/`, its old text to its new."""
    # Python writes compiled files under another name first
    shutil.copytree(ROOT / "harness", folder / "harness", ignore=shutil.ignore_patterns("*.pyc.*"))
    for name, change in changes.items():
        path = folder / "harness" / name
        path.write_text(change(path.read_text()))
        for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            stale.unlink()
    return folder
