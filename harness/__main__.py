"""`python -m harness` and the `harness` command."""

from __future__ import annotations

import os
import sys


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
    for name, number in (("stdout", 1), ("stderr", 2)):
        if (stream := getattr(sys, name)) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - as above
        else:
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
