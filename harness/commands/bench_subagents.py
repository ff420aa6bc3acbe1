"""Bench: what first requests of sub-agents read, and what a skill that reads much adds to its caller's conversation.

Invariant: simulated vendor; every figure is from its own books, or from the bytes of the requests that it received.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.app import App
from harness.commands.simulated import SimulatedSeam
from harness.conversation.events import SubAgentDone, nobody
from harness.options import Options
from harness.seam import Seam
from harness.simulator import Received, Rules, Simulator, said

MODEL = "anthropic/claude-sonnet-5-5"
FILES = 40
AT_ONCE = 8
SKILLS = {
    "deep": "context: fork\nallowed-tools: read grep glob\n",
    "look": "context: fresh\nallowed-tools: read grep glob\n",
    "else": "context: fresh\nmodel: opus\nallowed-tools: read grep glob\n",
    "here": "",
}
_TASK = re.compile(r"^Task: (.+)$", re.MULTILINE)


def _model(request: dict[str, Any]) -> Any:
    """The person's words say which skill is called, and how often; whoever has a task `read` reads all files."""
    spoken = said(request)
    last = spoken[-1].every
    words = "".join(last)
    tasks = [match[1] for text in spoken[-1].every if (match := _TASK.search(text))]
    if words.startswith("call ") or (last and last[-1].startswith("call ")):
        _, skill, count, task = last[-1].split()
        return [{"call": "invoke_skill", "input": {"name": skill, "task": task}}] * int(count)
    if tasks and tasks[-1] == "read":
        return [{"call": "read", "input": {"path": f"notes{number}.txt"}} for number in range(FILES)]
    if tasks:
        time.sleep(0.05)  # an answer takes its time to begin
    return "Done, and this is all there is to say about it."


def measure(folder: Path, outer: Seam) -> list[dict[str, Any]]:
    """Rows: value, what it could be at most, ratio."""
    return [*_firsts(folder / "firsts", outer), *_bytes_added(folder, outer)]


def _firsts(folder: Path, outer: Seam) -> list[dict[str, Any]]:
    """What first requests read of what they could."""
    words = ["call here 1 read", "call deep 1 once", "call look 1 once", f"call look {AT_ONCE} once"]
    words += [f"call deep {AT_ONCE} once", f"call else {AT_ONCE} once"]
    turns = _said(folder, outer, words)
    rows = []
    for (requests, children), what in zip(
        turns[1:],
        (
            "a fork: tokens read by its first request, of its caller's whole prefix",
            "a fresh one: tokens read by its first request, of both system blocks",
            f"{AT_ONCE} fresh ones at once: of their first requests, hits",
            f"{AT_ONCE} forks at once: of their first requests, hits",
            f"{AT_ONCE} fresh ones at once of a model that was never called: of their first requests, hits",
        ),
        strict=True,
    ):
        firsts = requests[1 : 1 + len(children)]
        if len(children) == 1:
            read, best = firsts[0].read, requests[0].prompt_tokens if "fork" in what else _system(firsts[0])
        else:
            read, best = sum(one.read > 0 for one in firsts), len(firsts)
        rows.append({"value": read, "of": best, "ratio": f"{read / best:.3f}", "what": what})
    return rows


def _system(request: Received) -> int:
    """The tokens of tools and system blocks, as the simulator counts them."""
    return sum(block.tokens for block in request.blocks if block.level != "messages")


def _bytes_added(folder: Path, outer: Seam) -> list[dict[str, Any]]:
    """How much longer the caller's conversation is for a skill that reads all files."""
    added = {}
    for skill in ("look", "deep", "here"):
        ((requests, _),) = _said(folder / skill, outer, [f"call {skill} 1 read"])
        bodies = [len(json.dumps(one.json["messages"], ensure_ascii=False).encode()) for one in requests]
        added[skill] = bodies[-1] - bodies[0]
    names = {"look": "a fresh sub-agent", "deep": "a fork", "here": "the caller itself"}
    what, itself = f"bytes added by a skill that read {FILES} files", added["here"]
    return [
        {"value": count, "of": itself, "ratio": f"{count / itself:.4f}", "what": f"{what}: {names[skill]}"}
        for skill, count in added.items()
    ]


def _said(folder: Path, outer: Seam, words: Sequence[str]) -> list[tuple[list[Received], list[SubAgentDone]]]:
    """For each turn of one session, what the vendor received and which sub-agents ended."""
    project = folder / "project"
    for name, front in SKILLS.items():
        path = project / ".harness" / "skills" / name / "SKILL.md"
        path.parent.mkdir(parents=True)
        path.write_text(f"---\nname: {name}\ndescription: Does {name}.\n{front}---\nDo it.\n", "utf-8")
    for number in range(FILES):
        (project / f"notes{number}.txt").write_text(f"a line of notes, number {number}\n" * 60, "utf-8")
    simulator = Simulator(_model, Rules())
    simulator.start()
    try:
        return asyncio.run(_turns(folder, outer, simulator, words))
    finally:
        simulator.stop()


async def _turns(
    folder: Path, outer: Seam, simulator: Simulator, words: Sequence[str]
) -> list[tuple[list[Received], list[SubAgentDone]]]:
    options = Options(cwd=folder / "project", model=MODEL, permission_mode="yolo")
    app = App(options, SimulatedSeam(outer, folder, simulator.url), nobody)
    found = []
    try:
        for text in words:
            before = len(simulator.requests)
            events = [event async for event in app.agent.turn(text)]
            ended = [event for event in events if isinstance(event, SubAgentDone)]
            found.append((list(simulator.requests)[before:], ended))
    finally:
        await app.close()
    return found
