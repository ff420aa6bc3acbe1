"""Starts runs by fork, so that many real processes share the one second of imports: orders in, answers out, JSON lines.

Invariant: a forked run is a process like any other (own pid, signals, descriptors); this one stays single-threaded.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import resource
import runpy
import sys
import termios
import time
import traceback
from typing import Any

# the second that is shared; a run imports the vendor's SDK late
for module in (
    "harness.commands.interactive",
    "harness.commands.oneshot",
    "harness.commands.sessions",
    "harness.providers.anthropic",
    "harness.ui.tui",
):
    importlib.import_module(module)
gc.freeze()


def streams(order: dict[str, Any]) -> None:
    """Files, or a terminal that is the run's own from then on."""
    if "terminal" in order:
        os.setsid()
        terminal = os.open(order["terminal"], os.O_RDWR)
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        handles = [terminal] * 3
    else:
        handles = [os.open(order["stdin"], os.O_RDONLY)]
        handles += [os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) for name in ("stdout", "stderr")]
    for number, handle in enumerate(handles):
        os.dup2(handle, number)
    for handle in {*handles}:
        os.close(handle)
    modes = ((0, "r", -1), (1, "w", -1), (2, "w", 1))
    opened = [os.fdopen(number, mode, lines, "utf-8", closefd=False) for number, mode, lines in modes]
    sys.stdin, sys.stdout, sys.stderr = opened


def child(order: dict[str, Any]) -> int:
    """The run itself: what `python ARGUMENTS` does. Its exit code."""
    os.chdir(order["cwd"])
    if order.get("file_limit") is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_limit"], resource.RLIM_INFINITY))
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    streams(order)
    code: Any = 0
    try:
        match order["arguments"]:
            case ["-m", module, *rest]:
                sys.argv = [module, *rest]
                runpy.run_module(module, run_name="__main__", alter_sys=True)
            case words:
                sys.argv = words
                runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - told as Python tells it, and then it has ended
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    return code or 0


def wait(pid: int, seconds: float) -> int | None:
    """The exit code, negative for a signal; None where it still runs."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.005)


def main() -> None:
    """Take orders until stdin ends."""
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = wait(order["wait"], order["seconds"])
        else:
            answer = os.fork()
            if answer == 0:
                os._exit(child(order))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
