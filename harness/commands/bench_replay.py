"""Bench: what it takes to prove a long session, and what the digest of each body costs.

Invariant: the session is a real one, with a tool call in every step; proving it opens no connection.
"""

from __future__ import annotations

import asyncio
import hashlib
import statistics
from contextlib import aclosing
from pathlib import Path
from typing import Any

from harness.app import App
from harness.commands.simulated import SimulatedSeam
from harness.conversation.events import nobody
from harness.options import Options
from harness.providers.catalog import Catalog
from harness.replay.verify import verify
from harness.seam import Seam
from harness.simulator import Rules, Simulator, said

STEPS = 200
MB = 1_000_000


class _Model:
    """Reads a file in every step, then ends; sums up where it is asked to."""

    def __init__(self) -> None:
        self._steps = 0

    def __call__(self, request: dict[str, Any]) -> Any:
        """The next answer."""
        if "[Side request" in "".join(said(request)[-1].texts):
            return "The notes are read line by line; go on with the next line."
        self._steps += 1
        if self._steps >= STEPS:
            return "All read."
        call = {"call": "read", "input": {"path": "notes.txt", "offset": self._steps % 50 + 1}}
        return [{"text": f"Step {self._steps}."}, call]


def measure(folder: Path, outer: Seam, runs: int) -> list[dict[str, Any]]:
    """Seconds to prove a session; milliseconds of a body's digest. Median, smallest, largest."""
    work = folder / "work"
    work.mkdir()
    (work / "notes.txt").write_text("one line of the notes that are read again and again\n" * 120)
    simulator = Simulator(_Model(), Rules(minimum=1))
    simulator.start()
    try:
        session = asyncio.run(_record(work.resolve(), SimulatedSeam(outer, folder, simulator.url)))
    finally:
        simulator.stop()
    times = []
    for _ in range(runs):
        begun = outer.monotonic()
        report = verify(session, Catalog.load())
        times.append(outer.monotonic() - begun)
    equal = "all equal" if report.equal else "NOT EQUAL"
    what = f"s to prove {report.requests} requests of {report.blocks:,} blocks: {equal}, {report.bodies} by their body"
    return [_row(times, what), *(_digest(size, outer, runs) for size in (MB // 2, 5 * MB))]


def _digest(size: int, outer: Seam, runs: int) -> dict[str, Any]:
    body, times = bytes(size), []
    for _ in range(max(runs, 5)):
        begun = outer.monotonic()
        hashlib.sha256(body).hexdigest()
        times.append((outer.monotonic() - begun) * 1000)
    return _row(times, f"ms for the digest of a body of {size / MB:g} MB")


def _row(times: list[float], what: str) -> dict[str, Any]:
    return {"median": statistics.median(times), "min": min(times), "max": max(times), "what": what}


async def _record(work: Path, seam: Seam) -> Path:
    app = App(Options(cwd=work), seam, nobody)
    try:
        async with aclosing(app.agent.turn("Read the notes.")) as events:
            async for _ in events:
                pass
        return app.session.journal.folder
    finally:
        await app.close()
