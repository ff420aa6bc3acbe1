"""Bench: what a compaction reads, how many turns are cold after it, what is left; and what it saves over pauses.

Invariant: simulated vendor, one clock for both sides; nothing waits in real time, and every figure is from bills.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from harness.app import App
from harness.commands.simulated import SimulatedSeam
from harness.conversation.events import ResponseDone, nobody
from harness.options import Options
from harness.seam import Seam
from harness.simulator import Clock, Rules, Simulator, said

MODELS = ("anthropic/claude-opus-5-5", "anthropic/claude-sonnet-5-5")
PAUSES = (1, 4, 6, 10, 30, 60)
"""Minutes."""
FILES, TURNS = 6, 4
SUMMARY = "# Task\nRead the notes, part by part.\n# State\n" + "Read one more part; nothing was changed.\n" * 60


def _model(request: dict[str, Any]) -> Any:
    """Reads some files for every turn; sums up where it is asked to."""
    spoken = said(request)
    last = "".join(spoken[-1].texts)
    if "[Side request" in last:
        return SUMMARY
    if spoken[-1].speaker == "user" and "Read" in last:
        return [{"call": "read", "input": {"path": f"notes{n}.txt"}} for n in range(FILES)]
    return "Read them."


class _Clocked(SimulatedSeam):
    """The simulated machine with the simulator's clock."""

    def __init__(self, outer: Seam, folder: Path, simulator: Simulator) -> None:
        super().__init__(outer, folder, simulator.url)
        self._clock, self._begun = simulator.clock, outer.now()

    def now(self) -> float:
        """The simulator's."""
        return self._begun + self._clock.now()

    def advance(self, seconds: float) -> None:
        """Let time pass for both sides."""
        self._clock.advance(seconds)


def measure(folder: Path, outer: Seam) -> list[dict[str, Any]]:
    """Rows: one compaction; then, for each model and pause, USD with and without idle compaction."""
    rows = _one(folder / "one", outer)
    for model in MODELS:
        for minutes in PAUSES:
            with_idle, without = (
                _paused(folder / f"{len(rows)}-{idle}", outer, model, 60.0 * minutes, idle=idle)
                for idle in (True, False)
            )
            ratio = f"{with_idle / without:.2f}"
            what = f"USD, idle compaction/none: {TURNS} x {minutes} min, {model.rpartition('/')[2]}"
            rows.append({"value": with_idle, "beside": without, "ratio": ratio, "what": what})
    return rows


def _one(folder: Path, outer: Seam) -> list[dict[str, Any]]:
    """One compaction on request."""

    async def run(app: App, _: _Clocked) -> list[dict[str, Any]]:
        for _turn in range(TURNS):
            await _say(app)
        before = app.session.requests.last_prompt
        asked = [event async for event in app.compaction.compactor.run("bench") if isinstance(event, ResponseDone)]
        after = [await _say(app, "Sum it up.") for _ in range(3)]
        cold = sum(one.usage.read < one.usage.prompt // 2 for one in after)
        system = after[0].usage.read
        left, request = after[0].usage.prompt - system, asked[0].usage
        return [
            _row(request.read, request.prompt, "tokens of its request: read, of all"),
            _row(left, before, "tokens left after the system blocks, of the prompt before"),
            _row(cold, len(after), "requests after it that were mostly cold, of those made"),
            _row(system, after[0].usage.prompt, "tokens of the first request after it: read, of all"),
        ]

    rows: list[dict[str, Any]] = asyncio.run(_with_app(folder, outer, MODELS[0], run, idle=False))
    return rows


def _row(value: int, beside: int, what: str) -> dict[str, Any]:
    return {"value": value, "beside": beside, "ratio": f"{value / beside:.3f}", "what": what}


def _paused(folder: Path, outer: Seam, model: str, pause: float, *, idle: bool) -> float:
    """USD of a session with pauses in between."""

    async def run(app: App, seam: _Clocked) -> float:
        for _ in range(TURNS):
            await _say(app)
            await _wait(app, seam, pause)
        await _say(app)
        return app.session.totals.cost or 0.0

    return float(asyncio.run(_with_app(folder, outer, model, run, idle=idle)))


async def _wait(app: App, seam: _Clocked, pause: float) -> None:
    """Nobody is there: what the terminal would do then."""
    delay = app.compaction.idle_delay()
    if delay is not None and delay < pause:
        seam.advance(delay)
        async for _ in app.compaction.idle():
            pass
        pause -= delay
    seam.advance(pause)


async def _with_app(folder: Path, outer: Seam, model: str, run: Any, *, idle: bool) -> Any:
    project = _prepared(folder, idle=idle)
    simulator = Simulator(_model, Rules(), clock=Clock(ticking=False))
    simulator.start()
    try:
        seam = _Clocked(outer, folder, simulator)
        app = App(Options(cwd=project, model=model, permission_mode="yolo"), seam, nobody)
        try:
            return await run(app, seam)
        finally:
            await app.close()
    finally:
        simulator.stop()


def _prepared(folder: Path, *, idle: bool) -> Path:
    """Settings, and a project of some long files; the project."""
    config, project = folder / "config" / "harness", folder / "project"
    config.mkdir(parents=True)
    project.mkdir()
    settings = f"[compaction]\nidle = {str(idle).lower()}\ncost_from = 0\n[snapshots]\nenabled = false\n"
    (config / "config.toml").write_text(settings)
    for number in range(FILES):
        (project / f"notes{number}.txt").write_text("".join(f"note {n}: {'x' * 30}\n" for n in range(900)))
    return project


async def _say(app: App, words: str = "Read on.") -> ResponseDone:
    """One turn; its last bill."""
    done = [event async for event in app.agent.turn(words) if isinstance(event, ResponseDone)]
    return done[-1]
