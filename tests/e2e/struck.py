"""The command line, struck by a signal: `python struck.py SIGNAL EVENT PATTERN ARGUMENTS...`, for what a moment leaves.

Invariant: the moment is an event that Python audits (`import`, `open`, `os.mkdir` …) and one of whose arguments matches
the pattern. It comes once in each run, on the slowest machine and on the fastest.
"""

from __future__ import annotations

import os
import re
import runpy
import signal
import sys
from collections.abc import Callable


def striker(number: int, event: str, pattern: str) -> Callable[[str, tuple[object, ...]], None]:
    """What Python calls for each event: sends this process the signal at the first that matches."""
    wanted, struck = re.compile(pattern), False

    def look(name: str, arguments: tuple[object, ...]) -> None:
        nonlocal struck
        if not struck and name == event and any(wanted.search(str(argument)) for argument in arguments):
            struck = True
            os.kill(os.getpid(), number)

    return look


if __name__ == "__main__":
    name, event, pattern, *rest = sys.argv[1:]
    sys.argv = ["harness", *rest]
    sys.addaudithook(striker(signal.Signals[name], event, pattern))
    runpy.run_module("harness", run_name="__main__", alter_sys=True)
