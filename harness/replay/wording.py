"""A verification in words, for who runs it as a test.

Invariant: what a session file says is escaped; nothing in it acts on a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness import __version__
from harness.providers.catalog import Catalog
from harness.replay.report import Report
from harness.replay.verify import verify
from harness.tools.output import one_line


def told(folder: Path, *, rerender: bool) -> str:
    """What is not as it was recorded in the session of that folder; "" where all of it is proved.

    Raises:
        ReplayFailed: there is no session.
    """
    report = verify(folder, Catalog.load(), rerender=rerender)
    return "\n".join(lines(report))


def lines(report: Report) -> Iterator[str]:
    """What is wrong, a line for each thing."""
    for damage in report.damage:
        yield f"! damaged: {one_line(damage, 400)}"
    if report.more:
        yield f"! damaged: {report.more:,} more places"
    if report.unproved:
        yield f"! {report.unproved} requests cannot be proved, for what they were made of is lost"
    if (found := report.found) is not None:
        yield f"DIVERGES at request {found.request}, record {found.record}: {one_line(found.divergence.where)}"
        yield f"  {one_line(found.divergence.diff, 400)}"
        yield f"  {one_line(found.divergence.cause, 400)}"
        if report.other:
            it = f"harness {one_line(report.other, 40)}"
            way = f"{it}, or without rerendering," if report.rerendered else it
            yield f"  or {it}, which recorded it, did it otherwise than this one ({__version__}):"
            yield f"  replay it with {way} to know"
