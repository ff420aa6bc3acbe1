"""Bench: start-up time and memory of whole processes.

Invariant: measured from outside, with the operating system's own accounting of the finished process.
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from harness.seam import Seam

# a small process of its own: a child's peak counts the memory of whoever forked it, until it has more itself
_LAUNCHER = """
import os, sys, time
quiet = os.open(os.devnull, os.O_RDWR)
begun = time.monotonic()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[
    (os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)])
_, _, usage = os.wait4(child, 0)
print(begun, time.monotonic(), usage.ru_maxrss)
"""


def measure(folder: Path, seam: Seam, runs: int) -> list[dict[str, Any]]:
    """Milliseconds and megabytes of processes; medians."""
    outer = dict(seam.environment())
    python = [_spent([sys.executable, "-c", "pass"], outer) for _ in range(runs)]
    sdk = [_spent([sys.executable, "-c", "import anthropic"], outer) for _ in range(runs)]
    version = [_spent([sys.executable, "-m", "harness", "--version"], outer) for _ in range(runs)]
    first = [_first_request(folder, outer, seam) for _ in range(runs)]
    return [
        _row("bare python, for scale", python),
        _row("harness --version", version),
        _row("exec to first request", first),
        _row("import of the anthropic SDK alone", sdk),
    ]


def _row(what: str, figures: list[tuple[float, float]]) -> dict[str, Any]:
    times, memory = zip(*figures, strict=True)
    return {
        "median ms": statistics.median(times),
        "min": min(times),
        "max": max(times),
        "peak MB": statistics.median(memory),
        "what": what,
    }


def _spent(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Milliseconds and peak megabytes of a process, start to end."""
    begun, ended, peak = _launch(command, environment)
    return (ended - begun) * 1000, peak


def _launch(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Start and end of a process, on the monotonic clock, and its peak megabytes."""
    launcher = [sys.executable, "-S", "-c", _LAUNCHER, *command]
    done = subprocess.run(
        launcher, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    begun, ended, maxrss = done.stdout.split()
    # KiB on Linux, bytes on macOS
    return float(begun), float(ended), int(maxrss) / (1024 if sys.platform != "darwin" else 1024 * 1024)


def _first_request(folder: Path, outer: dict[str, str], seam: Seam) -> tuple[float, float]:
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
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
            "ANTHROPIC_API_KEY": "bench",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
        }
        command = [sys.executable, "-m", "harness", "-p", "hello", "--no-session", "--cwd", str(folder)]
        begun, _, peak = _launch(command, environment)
        thread.join(5)
    return (arrived[0] - begun) * 1000, peak
