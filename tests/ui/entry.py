"""An interactive session: `python entry.py [FLAGS]`, as the command line starts it."""

from __future__ import annotations

import sys

from harness.cli import parser
from harness.commands import interactive
from harness.errors import HarnessError
from harness.seam import Seam


def main(arguments: list[str]) -> int:
    try:
        return interactive.main(parser().parse_args(arguments), Seam())
    except HarnessError as error:
        sys.stderr.write(f"harness: {error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
