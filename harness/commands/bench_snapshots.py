"""Bench: saving the files of a large workspace: for the first time, unchanged, after one change, and putting it back.

Invariant: real files and real git; the tree is made before the clock starts.
"""

from __future__ import annotations

import asyncio
import hashlib
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.seam import Seam
from harness.workspace.shadow import find_git
from harness.workspace.snapshots import Snapshots, Step

FILES = 50_000
FOLDERS = 2_500
MOST_RUNS = 3
"""A first snapshot takes long."""


def measure(folder: Path, seam: Seam, runs: int) -> list[dict[str, Any]]:
    """Seconds; median, smallest, largest.

    Raises:
        UsageError: git is not here.
    """
    root = folder / "tree"
    git = find_git(seam.environment().get("PATH", ""), root)
    if git is None:
        raise UsageError("the part snapshots needs git: install it")
    size = _make(root)
    times: dict[str, list[float]] = {"first": [], "unchanged": [], "one file changed": [], "one file put back": []}
    for number in range(min(runs, MOST_RUNS)):
        snapshots = Snapshots(git, folder / f"store{number}", root)
        for name, seconds in zip(times, asyncio.run(_run(snapshots, root, number, seam)), strict=True):
            times[name].append(seconds)
    what = {"first": f"first snapshot of {FILES:,} files, {size // 1_000_000} MB"}
    return [
        {"median s": statistics.median(row), "min": min(row), "max": max(row), "what": what.get(name, name)}
        for name, row in times.items()
    ]


def _make(root: Path) -> int:
    """Text that compresses as source code does, different in every file; gives its bytes."""
    size = 0
    for number in range(FILES):
        path = root / f"d{number % FOLDERS // 50}" / f"e{number % 50}" / f"f{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = 5 + number * 7919 % 140
        names = [hashlib.sha256(b"%d %d" % (number, line)).hexdigest()[:12] for line in range(lines)]
        size += path.write_text("".join(f"    self.{name} = value\n" for name in names))
    return size


async def _run(snapshots: Snapshots, root: Path, number: int, seam: Seam) -> Sequence[float]:
    day = f"{seam.today():%Y%m%d}"
    begun = seam.monotonic()
    await snapshots.take(day)
    first = seam.monotonic()
    before = await snapshots.take(day)
    unchanged = seam.monotonic()
    await asyncio.to_thread((root / "d1" / "e1" / "changed.py").write_text, f"changed = {number}\n")
    one = seam.monotonic()
    after = await snapshots.take(day)
    changed = seam.monotonic()
    await snapshots.restore([Step(before.tree, after.tree)], day)
    return first - begun, unchanged - first, changed - one, seam.monotonic() - changed
