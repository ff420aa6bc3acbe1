"""`harness` alone: a session in the terminal.

Invariant: thin; the screen is `harness.ui.tui`, the session is `harness.app`, and this file only introduces them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator
from functools import partial

from harness import __version__
from harness.app import App
from harness.audit.report import run_line
from harness.commands import slash_skills, slash_table
from harness.commands.open_session import OpenSession
from harness.commands.session_in_use import ask_before, opened
from harness.commands.skill_problems import problems
from harness.commands.slash_sessions import gone_on
from harness.config import state_dir
from harness.options import Options
from harness.seam import Seam
from harness.ui.plain import one_line
from harness.ui.tui import Terminal, require_terminal

HISTORY = "input.jsonl"
"""In the state folder: what was typed."""


def main(flags: argparse.Namespace, seam: Seam) -> int:
    """Talk until the person leaves; gives the exit code.

    Raises:
        HarnessError: there is no terminal, or the session cannot be opened.
    """
    require_terminal(seam.environment().get("TERM", ""))
    return asyncio.run(_talk(Options.of(flags, seam), seam))


async def _talk(options: Options, seam: Seam) -> int:
    terminal = Terminal(None if options.no_session else state_dir(seam.environment()) / HISTORY, seam.monotonic)

    def make(options: Options) -> App:
        return App(options, seam, terminal.ask, terminal.ask_permission)

    conversation = OpenSession(options, opened(options, make, ask_before), make)
    try:
        opening = list(_opening(conversation.app, options))
        skills = partial(slash_skills.table, conversation)
        code = await terminal.run(conversation, slash_table.table(conversation), opening, skills)
    finally:
        await conversation.app.close()
    _farewell(conversation, resumable=not conversation.options.no_session)
    return code


def _farewell(conversation: OpenSession, *, resumable: bool) -> None:
    if not conversation.totals.requests:
        return
    try:
        print(run_line(conversation.totals))
        if resumable:
            print(f"go on with it: harness -r {conversation.session_id}")
        sys.stdout.flush()
    except OSError:
        # the terminal is gone; Python must not complain about it once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _opening(app: App, options: Options) -> Iterator[str]:
    """What the person should know before they begin."""
    yield f"harness {__version__} · {one_line(app.model.id)} · {one_line(str(options.cwd))} · /help"
    yield from gone_on(app)
    yield from (f"! {problem}" for problem in problems(app))
    if options.no_session:
        yield "! --no-session: nothing of this session is kept"
