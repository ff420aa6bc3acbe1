"""The command line under another clock: `python entry.py SECONDS ARGUMENTS...`, for tests of days and lifetimes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from harness.cli import run
from harness.seam import Seam


class ShiftedSeam(Seam):
    """This machine, `offset` seconds later; with another environment and folder where they are given."""

    def __init__(self, offset: float, environment: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
        self._offset = offset
        self._environment = environment
        self._cwd = cwd

    def now(self) -> float:
        return super().now() + self._offset

    def environment(self) -> Mapping[str, str]:
        return super().environment() if self._environment is None else self._environment

    def cwd(self) -> Path:
        return super().cwd() if self._cwd is None else self._cwd


if __name__ == "__main__":
    sys.exit(run(sys.argv[2:], ShiftedSeam(float(sys.argv[1]))))
