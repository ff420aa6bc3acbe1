"""A session that somebody else has: what a person at a terminal is asked before it is opened.

Invariant: without a clear yes nothing is taken from anybody; whoever cannot be asked gets the error itself, which says
what to do.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from harness.errors import JournalBusy, OwnedElsewhere
from harness.options import Options
from harness.ui.plain import one_line

Opened = TypeVar("Opened")


def opened(options: Options, make: Callable[[Options], Opened], ask: Callable[[str], str]) -> Opened:
    """What `make` gives; where the session is in use, as the person chooses.

    Args:
        ask: shows a question and gives the answer; EOFError where nobody answers.

    Raises:
        JournalBusy: the person chose neither a copy nor to take it.
    """
    try:
        return make(options)
    except OwnedElsewhere as error:
        answer = _answer(ask, f"{_reason(error)}\n[t]ake it, go on in a [c]opy, or leave (Enter)? ")
        if answer == "t":
            return opened(replace(options, from_elsewhere=True), make, ask)
        if answer == "c":
            return make(_copy(options, error))
        raise
    except JournalBusy as error:
        if _answer(ask, f"{_reason(error)}\nGo on in a [c]opy, or leave (Enter)? ") == "c":
            return make(_copy(options, error))
        raise


def ask_before(question: str) -> str:
    """Ask on the terminal, before there is a screen. Blocks.

    Raises:
        EOFError: nobody answers.
        KeyboardInterrupt: Ctrl-C, also where an event loop has taken that signal over.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.siginterrupt(signal.SIGINT, True)  # noqa: FBT003 - it has no other form
    try:
        sys.stdout.write(question)
        sys.stdout.flush()
        # not `input`: under an event loop it goes on after a Ctrl-C as if nothing had happened
        answer = os.read(sys.stdin.fileno(), 4096)
    finally:
        signal.signal(signal.SIGINT, before)
    if not answer:
        raise EOFError
    return answer.decode("utf-8", "replace")


def _reason(error: JournalBusy) -> str:
    return one_line(str(error)).partition(";")[0]


def _answer(ask: Callable[[str], str], question: str) -> str:
    try:
        return ask(question).strip().lower()[:1]
    except EOFError:
        return ""


def _copy(options: Options, error: JournalBusy) -> Options:
    # by its id: the session last used may be another by now
    return replace(options, fork=True, continue_last=False, resume=error.session)
