"""Bench: what sessions of several shapes read, beside what the simulator's own books say that a perfect cache reads.

Invariant: the simulator is its own process; the perfect cache is its reckoning, not ours.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.app import App
from harness.audit.cost import prompt_cost
from harness.commands.demo import simulator
from harness.commands.demo_task import TASK, files, scenario, write
from harness.commands.simulated import SimulatedSeam
from harness.conversation.blocks import Usage
from harness.conversation.events import nobody
from harness.options import Options
from harness.providers.catalog import find
from harness.seam import Seam

MODEL = "anthropic/claude-sonnet-5-5"
FANOUT = 24


class _BenchSeam(SimulatedSeam):
    """The simulated machine with a clock that can be moved."""

    def __init__(self, outer: Seam, folder: Path, url: str) -> None:
        super().__init__(outer, folder, url)
        self.ahead = 0.0
        self._url = url

    def now(self) -> float:
        """Wall clock, moved."""
        return super().now() + self.ahead

    def advance(self, seconds: float) -> None:
        """Move the clocks of both sides."""
        self.ahead += seconds
        _call(f"{self._url}/_sim/clock", {"advance": seconds})


def measure(folder: Path, outer: Seam) -> list[dict[str, Any]]:
    """One row for each shape of session: tokens, and USD of all prompts."""
    shapes = {
        "a task: the demo": _demo,
        "three runs joined by -c": _joined,
        "the third run after midnight": _midnight,
        f"{FANOUT} calls in one answer, twice": _fanout,
        "three sessions in three folders": _folders,
    }
    rows: list[dict[str, Any]] = []
    for name, shape in shapes.items():
        where = folder / str(len(rows))
        where.mkdir()
        with simulator(where, _script()) as url:
            shape(where, _BenchSeam(outer, where, url))
            books = [book for book in _call(f"{url}/_sim/requests") if book["kind"] == "mainline"]
        rows.append(_row(name, books))
    return rows


def _row(name: str, books: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    model = find(MODEL)
    read = sum(book["usage"]["cache_read_input_tokens"] for book in books)
    ideal = sum(book["perfect_read"] for book in books)
    ours = [Usage(b["usage"]["input_tokens"], b["usage"]["cache_read_input_tokens"],
                  b["usage"]["cache_creation_input_tokens"]) for b in books]  # fmt: skip
    best = [Usage(read=b["perfect_read"], written_short=b["prompt_tokens"] - b["perfect_read"]) for b in books]
    return {
        "requests": len(books),
        "prompt": sum(book["prompt_tokens"] for book in books),
        "read": read,
        "perfect": ideal,
        "ratio": f"{read / ideal:.3f}",
        "input USD": sum(prompt_cost(model, usage) or 0 for usage in ours),
        "perfect USD": sum(prompt_cost(model, usage) or 0 for usage in best),
        "what": name,
    }


def _run(seam: Seam, folder: Path, task: str, *, go_on: bool = False) -> None:
    """One run of the program, as `harness -p` makes it."""

    async def run() -> None:
        options = Options(cwd=folder, continue_last=go_on, model=MODEL, permission_mode="yolo")
        app = App(options, seam, nobody)
        try:
            async for _ in app.agent.turn(task):
                pass
        finally:
            await app.close()

    asyncio.run(run())


def _repository(folder: Path, name: str = "work") -> Path:
    root = (folder / name).resolve()
    write(root)
    return root


def _demo(folder: Path, seam: _BenchSeam) -> None:
    _run(seam, _repository(folder), TASK)


def _joined(folder: Path, seam: _BenchSeam) -> None:
    root = _repository(folder)
    for number in range(3):
        _run(seam, root, f"joined, step {number}", go_on=number > 0)
        seam.advance(60)


def _midnight(folder: Path, seam: _BenchSeam) -> None:
    root = _repository(folder)
    # two to three minutes before midnight, wherever this machine is
    today = seam.today()
    while seam.today() == today:
        seam.advance(60)
    seam.advance(86_400 - 180)
    for number in range(3):
        _run(seam, root, f"joined, step {number}", go_on=number > 0)
        seam.advance(100)


def _fanout(folder: Path, seam: _BenchSeam) -> None:
    _run(seam, _repository(folder), "fan out")


def _folders(folder: Path, seam: _BenchSeam) -> None:
    for name in ("one", "two", "three"):
        _run(seam, _repository(folder, name), "joined, step 0")


def _script() -> dict[str, Any]:
    """The demo's script, and those of the other shapes."""
    reads = [{"call": "read", "input": {"path": f"shop/rates/{name}.py"}} for name in sorted(_names())[:FANOUT]]
    look = [{"call": "grep", "input": {"pattern": "RATE"}}, {"call": "read", "input": {"path": "RATES.md"}}]
    fan = [{"answer": reads}, {"answer": reads}, {"answer": [{"text": "Read them all, twice."}]}]
    step = [{"answer": [{"text": "I look."}, *look]}, {"answer": [{"text": "I looked."}]}]
    extra = [{"match": "fan out", "turns": fan}, {"match": "joined", "turns": step * 3}]
    return {"conversations": [*scenario()["conversations"], *extra]}


def _names() -> list[str]:
    return [path[11:-3] for path in files() if path.startswith("shop/rates/") and "__" not in path]


def _call(url: str, value: Any = None) -> Any:
    data = None if value is None else json.dumps(value).encode("utf-8")
    with urllib.request.urlopen(url, data) as response:  # noqa: S310 - the loopback address that the simulator printed
        return json.load(response)
