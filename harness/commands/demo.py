"""`harness demo`: the main job, on a small real repository, against the simulator in its own process.

Invariant: the loop, the tools, the HTTP and the accounting are the real ones; only the model's words are scripted, and
the demo says so. Its exit code says whether the repository's test passes in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.app import App
from harness.audit.cost import prompt_cost, total
from harness.audit.report import hit_rate, money, percent, tokens
from harness.commands.arguments import Parser
from harness.commands.demo_task import TASK, scenario, write
from harness.commands.simulated import SimulatedSeam
from harness.conversation.blocks import Usage
from harness.conversation.events import ResponseDone, TurnEnded, nobody
from harness.errors import HarnessError
from harness.options import Options
from harness.providers.facts import Model
from harness.seam import Seam
from harness.tools.output import visible
from harness.ui.plain import PlainProgress
from harness.ui.tables import print_table

COLUMNS = ("#", "prompt", "read", "written", "uncached", "hit", "cost", "verdict")


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Run the demo; 0 when the repository's test passes."""
    parser = Parser(prog="harness demo", description="A real task against a simulated vendor.")
    parser.add_argument("--keep", action="store_true", help="keep the repository and the session")
    parser.add_argument(
        "--model", default="sonnet", help="whose prices and cache rules are simulated; of Anthropic or OpenAI"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    flags = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="harness-demo-"))
    try:
        return _demo(folder, flags, seam)
    finally:
        if flags.keep:
            sys.stderr.write(f"kept: {folder}\n")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _demo(folder: Path, flags: argparse.Namespace, outer: Seam) -> int:
    repository = folder / "shop"
    _make_repository(repository)
    say = sys.stderr.write
    say(
        "A repository with failing tests, a simulated vendor, the real loop. Only the model's words are scripted.\n"
        f"> {TASK}\n\n"
    )
    with simulator(folder, scenario()) as url:
        seam = SimulatedSeam(outer, folder, url)
        options = Options(cwd=repository.resolve(), model=flags.model, allow=("shell(python3 -m unittest *)",))
        app = App(options, seam, nobody)
        responses, end = asyncio.run(_run(app))
        books = _get(f"{url}/_sim/requests")
    passed = _test_passes(repository)
    if flags.json:
        _print_json(responses, books, app.model, passed=passed)
    else:
        sys.stdout.write(visible(end.text) + "\n\n")
        _print_tables(responses, books, app.model)
        verdict = "passes" if passed else "FAILS"
        sys.stdout.write(f"\nThe repository's own test {verdict} (python3 -m unittest, run once more by the demo).\n")
    return 0 if passed and end.reason == "done" else 1


async def _run(app: App) -> tuple[list[ResponseDone], TurnEnded]:
    responses, end = [], TurnEnded("failed", "")
    progress = PlainProgress(sys.stderr.write)
    try:
        async for event in app.agent.turn(TASK):
            progress.show(event)
            match event:
                case ResponseDone():
                    responses.append(event)
                case TurnEnded():
                    end = event
                case _:
                    pass
    finally:
        await app.close()
    return responses, end


def _print_tables(responses: Sequence[ResponseDone], books: Sequence[Mapping[str, Any]], model: Model) -> None:
    rows = [
        (str(number), *_usage_cells(response.usage), money(response.cost), response.verdict)
        for number, response in enumerate(responses, 1)
    ]
    usage = _total(responses)
    print_table(
        f"Cache, request by request ({model.id}, simulated)",
        COLUMNS,
        [*rows, ("all", *_usage_cells(usage), money(total(response.cost for response in responses)), "")],
        width=None if sys.stdout.isatty() else 100,
    )
    ours, perfect = [response.usage for response in responses], _perfect(books)
    bill, best, uncached = (
        money(total(prompt_cost(model, one) for one in usages))
        for usages in (ours, perfect, [Usage(uncached=one.prompt) for one in ours])
    )
    read, ideal = usage.read, sum(one.read for one in perfect)
    sys.stdout.write(
        f"\nread {tokens(read)} of the {tokens(ideal)} tokens that a perfect cache reads: {_ratio(read, ideal)}\n"
        f"input bill {bill}, with a perfect cache {best}, without any {uncached}\n"
    )


def _usage_cells(usage: Usage) -> tuple[str, ...]:
    counts = (usage.prompt, usage.read, usage.written, usage.uncached)
    return (*map(tokens, counts), percent(hit_rate(usage)))


def _total(responses: Sequence[ResponseDone]) -> Usage:
    return sum((response.usage for response in responses), Usage())


def _perfect(books: Sequence[Mapping[str, Any]]) -> list[Usage]:
    """What the simulator's own books say that a perfect cache reads and writes."""
    return [
        Usage(read=book["perfect_read"], written_short=book["prompt_tokens"] - book["perfect_read"])
        for book in books
        if book["kind"] == "mainline"
    ]


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"


def _print_json(
    responses: Sequence[ResponseDone], books: Sequence[Mapping[str, Any]], model: Model, *, passed: bool
) -> None:
    usage, perfect = _total(responses), _perfect(books)
    value = {
        "model": model.id,
        "requests": len(responses),
        "prompt_tokens": usage.prompt,
        "read_tokens": usage.read,
        "perfect_read_tokens": sum(best.read for best in perfect),
        "input_usd": total(prompt_cost(model, one.usage) for one in responses),
        "perfect_input_usd": total(prompt_cost(model, best) for best in perfect),
        "verdicts": [response.verdict for response in responses],
        "test_passes": passed,
    }
    sys.stdout.write(json.dumps(value) + "\n")


def _make_repository(folder: Path) -> None:
    write(folder)
    for command in (["init", "-q"], ["add", "."], [*_AUTHOR, "commit", "-q", "-m", "A shop with failing tests"]):
        done = subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise HarnessError(f"the demo needs git: {done.stderr.strip()[:200]}")


_AUTHOR = ("-c", "user.name=demo", "-c", "user.email=demo@example.invalid", "-c", "commit.gpgsign=false")


def _test_passes(repository: Path) -> bool:
    command = [sys.executable, "-m", "unittest", "-q"]
    return subprocess.run(command, cwd=repository, capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def simulator(folder: Path, script: Mapping[str, Any]) -> Iterator[str]:
    """A simulator process that plays a script; its URL."""
    path = folder / "scenario.json"
    path.write_text(json.dumps(script), "utf-8")
    command = [sys.executable, "-m", "harness.simulator", "--scenario", str(path), "--until-stdin-closes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise HarnessError("the simulator did not start")
            yield json.loads(line)["url"]
        finally:
            process.terminate()


def _get(url: str) -> Any:
    with urllib.request.urlopen(url) as response:  # noqa: S310 - the loopback address that the simulator printed
        return json.load(response)
