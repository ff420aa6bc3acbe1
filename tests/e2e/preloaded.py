"""Starts runs by fork, so that many real processes share the one second of imports: orders in, answers out, JSON lines.

Invariant: a forked run is a process like any other (own pid, signals, descriptors); this one stays single-threaded.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
import time
from typing import Any

from harness.cli import run

# the second that is shared; a run imports the vendor's SDK late
for module in ("harness.commands.oneshot", "harness.providers.anthropic"):
    importlib.import_module(module)
gc.freeze()


def child(order: dict[str, Any]) -> int:
    """The run itself."""
    os.chdir(order["cwd"])
    if order["file_limit"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_limit"], resource.RLIM_INFINITY))
    os.environ.clear()
    os.environ.update(order["environment"])
    os.dup2(os.open(order["stdin"], os.O_RDONLY), 0)
    for handle, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), handle)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115 - for life
    code = run(order["arguments"])
    sys.stdout.flush()
    return code


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
