"""`python -m harness` and the `harness` command."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from harness.errors import OUTPUT


def main() -> int:
    """Run the command line of this process."""
    if sys.platform == "win32":
        sys.stderr.write("harness runs on Linux and macOS; on Windows use it inside WSL.\n")
        return 2
    _complete_streams()
    # here, so that Windows gets its line before a module that it lacks is imported
    from harness.cli import run

    return run(sys.argv[1:])


def _complete_streams() -> None:
    """All three exist and take every character.

    A stream that was closed by who started us leaves its number to the next file that is opened: the session's journal
    would be what every child writes its errors to.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)  # noqa: FBT003 - it has no other form
    os.close(handle)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor, for life
    given: Any = sys.stdout
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(1, "w", closefd=False)),
        encoding=given.encoding if given else "utf-8",
        errors="backslashreplace",
        line_buffering=bool(given and (given.line_buffering or given.write_through)),
    )
    told: Any = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as above
    told.reconfigure(errors="backslashreplace")
    sys.stderr = told


class _Output(io.FileIO):
    """Standard output; an error of it names it, so that it is told from any other file's."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = OUTPUT
            raise


if __name__ == "__main__":
    sys.exit(main())
