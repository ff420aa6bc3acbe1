"""Bench: an evaluation of scripted tasks, run twice with cached responses: what the second run asks, costs and gives.

Invariant: the loop, the tools, the files, the HTTP and the accounting are real; only the model's words are scripted.
Both runs begin with the same files in the same folder; what differs between them is counted, not assumed.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

from harness.app import App
from harness.commands.simulated import SimulatedSeam
from harness.conversation.canonical import digest
from harness.conversation.events import TurnEnded, nobody
from harness.options import Options
from harness.seam import Seam
from harness.simulator import Clock, Rules, Simulator, said

TASKS = 30
MODEL = "anthropic/claude-sonnet-5-5"


def _model(request: dict[str, Any]) -> Any:
    """Reads, looks for more, edits, runs a check, reports; which file it is about is in the task."""
    spoken = said(request)
    answers = sum(message.speaker == "assistant" for message in spoken)
    words = " ".join(text for message in spoken if message.speaker == "user" for text in message.texts)
    number = int(words.rpartition("Task ")[2].split(":")[0])
    name = f"module_{number}.py"
    steps: list[Any] = [
        [{"thinking": f"Task {number}."}, {"text": "I look."}, {"call": "read", "input": {"path": name}}],
        [{"call": "grep", "input": {"pattern": "value"}}, {"call": "glob", "input": {"pattern": "*.py"}}],
        [{"call": "edit", "input": {"path": name, "old": "return 0", "new": f"return {number + 1}"}}],
        [{"call": "shell", "input": {"command": f"python3 {name}"}}],
        f"module_{number} returns {number + 1} now.",
    ]
    return steps[answers]


def measure(folder: Path, outer: Seam, tasks: int = TASKS) -> list[dict[str, Any]]:
    """Rows: of each run; then what differs between them."""
    simulator = Simulator(_model, Rules(), clock=Clock(ticking=False))
    simulator.start()
    try:
        seam = SimulatedSeam(outer, folder, simulator.url)
        return asyncio.run(_both(folder, seam, simulator, tasks))
    finally:
        simulator.stop()


async def _both(folder: Path, seam: Seam, simulator: Simulator, tasks: int) -> list[dict[str, Any]]:
    runs = [await _run(folder, seam, simulator, tasks) for _ in range(2)]
    rows = [{"first run": runs[0][name], "second run": runs[1][name], "what": name} for name in runs[0]["shown"]]
    for name in ("answers", "final files"):
        same = sum(one == other for one, other in zip(runs[0][name], runs[1][name], strict=True))
        rows.append({"first run": tasks, "second run": same, "what": f"{name}: tasks, identical in the second run"})
    return rows


async def _run(folder: Path, seam: Seam, simulator: Simulator, tasks: int) -> dict[str, Any]:
    """Every task once, each in a session of its own and in fresh files."""
    before, begun = len(simulator.requests), seam.monotonic()
    answers, files, cost, calls, served = [], [], 0.0, 0, 0
    for number in range(tasks):
        project = _project(folder / "project")
        app = App(Options(cwd=project, model=MODEL, permission_mode="yolo", response_cache="user"), seam, nobody)
        try:
            ends = [event async for event in app.agent.turn(f"Task {number}: correct it.") if _is_end(event)]
            totals = app.session.totals
        finally:
            await app.close()
        answers.append(ends)
        files.append({path.name: digest(path.read_bytes()) for path in sorted(project.glob("*.py"))})
        cost, calls, served = cost + (totals.cost or 0.0), calls + totals.requests, served + totals.served
    shown = {
        "model calls": calls,
        "of them vendor calls": len(simulator.requests) - before,
        "of them cached responses": served,
        "USD": cost,
        "seconds": seam.monotonic() - begun,
    }
    return {**shown, "shown": tuple(shown), "answers": answers, "final files": files}


def _is_end(event: object) -> bool:
    return isinstance(event, TurnEnded)


def _project(project: Path) -> Path:
    """The files as they are before any task."""
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir()
    for number in range(TASKS):
        text = f"def value():\n    return 0\n\n\nprint({number}, value())\n"
        (project / f"module_{number}.py").write_text(text)
    return project
