"""Command lines: a parser whose errors are one line and an exit code, like every other failure.

Invariant: nothing here knows a command.
"""

from __future__ import annotations

import argparse
from typing import NoReturn

from harness.errors import UsageError


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises `UsageError` instead of printing usage and leaving."""

    def error(self, message: str) -> NoReturn:
        """What was typed is wrong."""
        raise UsageError(f"{message}; see `{self.prog} --help`")
