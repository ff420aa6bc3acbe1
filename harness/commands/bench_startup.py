"""Bench: start-up time and memory of whole processes.

Invariant: measured from outside, with the operating system's own accounting of the finished process.
"""

from __future__ import annotations

import os
import re
import socket
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.seam import Seam

# a small process of its own: a child's peak counts the memory of whoever forked it, until it has more itself
_LAUNCHER = """
import os, sys, time
quiet, errors = (os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for path in (os.devnull, sys.argv[1]))
begun = time.monotonic()
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ, file_actions=[
    (os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, errors, 2)])
_, _, usage = os.wait4(child, 0)
print(begun, time.monotonic(), usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""


@dataclass(frozen=True, slots=True)
class _Wire:
    name: str
    sdk: str
    model: str
    base_url: str
    """The variable that holds the address, and what follows the host in it."""
    path: str
    key: str


WIRES = (
    _Wire("Anthropic", "anthropic", "anthropic/claude-sonnet-5-5", "ANTHROPIC_BASE_URL", "", "ANTHROPIC_API_KEY"),
    _Wire("OpenAI Responses", "openai", "openai/gpt-6.1-sol", "OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY"),
    _Wire("OpenAI Chat", "openai", "openai-chat/openai/gpt-6.1-sol", "OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY"),
)

SDKS = ("anthropic", "openai")
HTTP = "httpx2"
"""What both SDKs speak through; imported for them."""


@dataclass(frozen=True, slots=True)
class _Spent:
    """One process: milliseconds on the clock and on the processor, megabytes at its peak."""

    took: float
    worked: float
    peak: float


def measure(folder: Path, seam: Seam, runs: int) -> list[dict[str, Any]]:
    """Milliseconds and megabytes of processes: medians.

    CPU ms: what the process itself worked, which a busy machine stretches less. Of a first request the whole run.
    SDK: the share of a first request that the import of the SDK and its HTTP client takes, within one process.
    """
    outer = dict(seam.environment())
    commands = {
        "bare python, for scale": [sys.executable, "-c", "pass"],
        "harness --version": [sys.executable, "-m", "harness", "--version"],
    }
    commands |= {f"import of the {sdk} SDK alone": [sys.executable, "-c", f"import {sdk}"] for sdk in SDKS}
    # in turns, so that a busy moment of the machine does not fall on one of them alone
    rounds = [
        {what: _spent(command, outer) for what, command in commands.items()}
        | {_first(wire): _first_request(folder, outer, seam, wire) for wire in WIRES}
        for _ in range(runs)
    ]
    shares = {_first(wire): [_share(folder, outer, seam, wire) for _ in range(runs)] for wire in WIRES}
    return [_row(what, [one[what] for one in rounds], shares.get(what)) for what in rounds[0]]


def _first(wire: _Wire) -> str:
    return f"exec to first request, {wire.name}"


def _row(what: str, figures: list[_Spent], shares: list[float] | None) -> dict[str, Any]:
    times = [one.took for one in figures]
    return {
        "median ms": statistics.median(times),
        "min": min(times),
        "max": max(times),
        "CPU ms": statistics.median(one.worked for one in figures),
        "peak MB": statistics.median(one.peak for one in figures),
        "SDK": f"{statistics.median(shares):.0%}" if shares else "-",
        "what": what,
    }


def _spent(command: list[str], environment: dict[str, str]) -> _Spent:
    """A process, start to end."""
    begun, ended, worked, peak = _launch(command, environment)
    return _Spent((ended - begun) * 1000, worked, peak)


def _launch(
    command: list[str], environment: dict[str, str], errors: str = os.devnull
) -> tuple[float, float, float, float]:
    """Start and end of a process, on the monotonic clock, its milliseconds of work and its peak megabytes.

    Args:
        errors: the file that its stderr goes to.
    """
    launcher = [sys.executable, "-S", "-c", _LAUNCHER, errors, *command]
    done = subprocess.run(
        launcher, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    begun, ended, worked, maxrss = done.stdout.split()
    # KiB on Linux, bytes on macOS
    unit = 1024 if sys.platform != "darwin" else 1024 * 1024
    return float(begun), float(ended), float(worked) * 1000, int(maxrss) / unit


def _first_request(
    folder: Path, outer: dict[str, str], seam: Seam, wire: _Wire, options: Sequence[str] = (), errors: str = os.devnull
) -> _Spent:
    """From exec to the first byte of the first request; the server then hangs up, and the run ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        arrived: list[float] = []

        def serve() -> None:
            client, _ = server.accept()
            client.recv(1)
            arrived.append(seam.monotonic())
            client.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        (folder / "config" / "harness").mkdir(parents=True, exist_ok=True)
        (folder / "config" / "harness" / "config.toml").write_text("[network]\nmax_retries = 0\n")
        environment = outer | {
            wire.base_url: f"http://127.0.0.1:{server.getsockname()[1]}{wire.path}",
            wire.key: "bench",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
        }
        run = ["-p", "hello", "--model", wire.model, "--no-session", "--cwd", str(folder)]
        begun, _, worked, peak = _launch([sys.executable, *options, "-m", "harness", *run], environment, errors)
        thread.join(5)
    return _Spent((arrived[0] - begun) * 1000, worked, peak)


def _share(folder: Path, outer: dict[str, str], seam: Seam, wire: _Wire) -> float:
    """The share of a first request's time that importing its SDK takes; Python's own timing slows both a little."""
    errors = folder / "imports"
    run = _first_request(folder, outer, seam, wire, ("-X", "importtime"), str(errors))
    return _imported(errors.read_text("utf-8").splitlines(), {wire.sdk, HTTP}) / run.took


def _imported(lines: Iterable[str], packages: set[str]) -> float:
    """Milliseconds that imports of packages took, with all that they import, each once."""
    total, inside = 0, -1
    # a module is listed behind those that it imported, which stand further in
    for line in reversed(list(lines)):
        if not (found := re.fullmatch(r"import time: +\d+ \| +(\d+) \| ( *)(\S+)", line)):
            continue
        microseconds, depth, name = int(found[1]), len(found[2]), found[3]
        if inside >= 0 and depth > inside:
            continue
        inside = depth if name.partition(".")[0] in packages else -1
        total += microseconds if inside >= 0 else 0
    return total / 1000
