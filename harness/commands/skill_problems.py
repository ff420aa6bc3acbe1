"""What a run says at its beginning of skills that cannot be used.

Invariant: one line each, few of them, and nothing else of the run depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.app import App
from harness.ui.plain import one_line

SHOWN = 3


def problems(app: App) -> Iterator[str]:
    """What cannot be used and why: the first few."""
    found = app.skills.discover().problems
    for problem in found[:SHOWN]:
        yield f"a skill cannot be used: {one_line(str(problem.path.parent), 200)}: {one_line(problem.reason, 200)}"
    if found[SHOWN:]:
        yield f"{len(found) - SHOWN} more skills cannot be used: harness skills list"
