"""`harness` alone: a session in the terminal.

Invariant: thin; the screen is `harness.ui.tui`, the session is `harness.app`, and this file only introduces them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

from harness import __version__
from harness.app import App, Options
from harness.audit.report import Summary
from harness.commands.options import options
from harness.config import state_dir
from harness.conversation.events import Event, ResponseDone
from harness.seam import Seam
from harness.ui import figures
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
    return asyncio.run(_talk(options(flags, seam), seam))


async def _talk(options: Options, seam: Seam) -> int:
    terminal = Terminal(None if options.no_session else state_dir(seam.environment()) / HISTORY, seam.monotonic)
    app = App(options, seam, terminal.ask, terminal.ask_permission)
    conversation = AppConversation(app)
    try:
        code = await terminal.run(conversation, list(_opening(app, options)))
    finally:
        await app.close()
    _farewell(conversation, resumable=not options.no_session)
    return code


def _farewell(conversation: AppConversation, *, resumable: bool) -> None:
    if not conversation.summary.requests:
        return
    try:
        print(conversation.summary.line(conversation.session_id))
        if resumable:
            print(f"go on with it: harness -r {conversation.session_id}")
        sys.stdout.flush()
    except OSError:
        # the terminal is gone; Python must not complain about it once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _opening(app: App, options: Options) -> Iterator[str]:
    """What the person should know before they begin."""
    yield f"harness {__version__} · {one_line(app.model.id)} · {one_line(str(options.cwd))} · /help"
    if requests := app.session.totals.requests:
        yield f"session {app.session.journal.id} goes on; requests so far: {requests}"
    for damage in app.session.journal.damage:
        yield f"! line {damage.line} of the session is damaged: {damage.reason}; it is left out"
    if not app.model.known:
        yield f"! {app.model.id} is not in the catalog: careful defaults, unknown price"


class AppConversation:
    """An app, as `harness.ui.conversation.Conversation`."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._queue: list[str] = []
        self._responses: list[ResponseDone] = []
        app.agent.steering = self.take_queued

    @property
    def session_id(self) -> str:
        """See `Conversation`."""
        return self._app.session.journal.id

    @property
    def model(self) -> str:
        """See `Conversation`."""
        return self._app.model.id

    @property
    def mode(self) -> str:
        """See `Conversation`."""
        return self._app.config.permission_mode

    @property
    def summary(self) -> Summary:
        """See `Conversation`."""
        totals = self._app.session.totals
        return Summary(totals.requests, totals.usage, totals.cost)

    async def run(self, text: str) -> AsyncGenerator[Event]:
        """See `Conversation`."""
        async with aclosing(self._app.agent.turn(text)) as events:
            async for event in events:
                if isinstance(event, ResponseDone):
                    self._responses.append(event)
                yield event

    def steer(self, text: str) -> None:
        """See `Conversation`."""
        self._queue.append(text)

    def queued(self) -> Sequence[str]:
        """See `Conversation`."""
        return tuple(self._queue)

    def take_queued(self) -> Sequence[str]:
        """See `Conversation`."""
        taken, self._queue = tuple(self._queue), []
        return taken

    def switch_model(self, name: str) -> str:
        """See `Conversation`."""
        self._app.switch(name)
        model = self._app.model
        known = "" if model.known else "; it is not in the catalog: careful defaults, unknown price"
        return f"going on with {one_line(model.id)}{known}"

    def cost_lines(self) -> Sequence[str]:
        """See `Conversation`."""
        return figures.cost_lines(self.summary)

    def cache_lines(self) -> Sequence[str]:
        """See `Conversation`."""
        return figures.cache_lines(self.summary, self._responses)
