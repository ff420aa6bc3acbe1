"""Runs the simulator as its own process: `python -m harness.simulator --scenario FILE`.

Invariant: stdout carries exactly one line, the JSON object with url and pid, once the port is open.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

from harness.simulator.rules import Rules
from harness.simulator.scenario import Scenario, ScenarioError
from harness.simulator.server import Simulator


def main(argv: list[str]) -> int:
    """Serve until SIGTERM or SIGINT (or the end of stdin): 0 done, 1 port taken, 2 usage or bad scenario."""
    try:
        options = _parser().parse_args(argv)
    except SystemExit as end:
        return int(end.code or 0)
    try:
        scenario = Scenario.load(options.scenario)
        rules = Rules.parse(options.rules)
    except (ScenarioError, ValueError) as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 2
    simulator = Simulator(scenario, rules, None if options.no_key else options.key, port=options.port)
    try:
        simulator.start()
    except OSError as error:
        sys.stderr.write(f"simulator: cannot listen on port {options.port}: {error.strerror}\n")
        return 1
    done = threading.Event()
    _until_signalled(done)
    if options.until_stdin_closes:
        threading.Thread(target=_until_stdin_closes, args=(done,), daemon=True).start()
    sys.stdout.write(json.dumps({"url": simulator.url, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    while not done.wait(3600):
        continue
    simulator.stop()
    return 0


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="harness simulate",
        description="A simulated vendor on this machine, for the APIs of Anthropic and OpenAI.",
        epilog="docs/simulator.md shows a script, and how to point the program at it.",
    )
    parser.add_argument("--scenario", required=True, metavar="FILE", help="what the model says: a JSON script")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--rules", nargs="*", default=[], metavar="NAME=VALUE", help="rules that differ, e.g. minimum=1"
    )
    parser.add_argument("--key", default="any", help="the only right API key; default: any key")
    parser.add_argument("--no-key", action="store_true", help="ask for no key, as local servers do")
    parser.add_argument("--until-stdin-closes", action="store_true", help="exit when stdin ends")
    return parser


def _until_signalled(done: threading.Event) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        done.set()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)


def _until_stdin_closes(done: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        continue
    done.set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
