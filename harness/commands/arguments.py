"""What command lines have in common: a parser whose errors are one line and an exit code, numbers, subcommands.

Invariant: nothing here knows a command.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Sequence
from typing import NoReturn, TypeVar

from harness.errors import UsageError

Number = TypeVar("Number", int, float)


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises `UsageError` instead of printing usage and leaving."""

    def error(self, message: str) -> NoReturn:
        """What was typed is wrong."""
        raise UsageError(f"{message}; see `{self.prog} --help`")


def number(kind: Callable[[str], Number], fits: Callable[[Number], bool], must: str) -> Callable[[str], Number]:
    """The `type` of an argument that is a number. must: completes "must be …"."""

    def parse(text: str) -> Number:
        wrong = argparse.ArgumentTypeError(f"must be {must}, not {text!r:.80}")
        try:
            found = kind(text)
        except ValueError:
            raise wrong from None
        if not fits(found):
            raise wrong
        return found

    return parse


def subcommand(
    prog: str, arguments: Sequence[str], known: Collection[str], about: str, default: str = "help"
) -> tuple[str, Sequence[str]] | None:
    """The subcommand that is meant, and its arguments; None where help was asked for: it is printed here.

    Args:
        prog: the command that it belongs to, as it is typed.
        default: the one that is meant where none is named.

    Raises:
        UsageError: there is none of that name.
    """
    name, rest = (arguments[0], arguments[1:]) if arguments else (default, ())
    if name in ("-h", "--help", "help"):
        print(about)
        return None
    if name.startswith("-") and default in known:
        name, rest = default, arguments
    if name not in known:
        raise UsageError(f"no command `{name:.80}`; {prog} {'|'.join(known)}")
    return name, rest
