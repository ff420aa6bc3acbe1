"""`/sessions`, `/resume`, `/rename` and `/export` in the terminal.

Invariant: the session on the screen is left only when the other one is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from harness.agent.cut_turn import cut_turn
from harness.app import App
from harness.audit.report import counted
from harness.commands.open_session import OpenSession
from harness.commands.sessions_export import to_look_for
from harness.commands.sessions_list import in_order, list_row
from harness.errors import NoSuchSession, UsageError
from harness.sessions import export as exports
from harness.sessions import index, portable
from harness.sessions.figures import Figures
from harness.sessions.rename import checked
from harness.ui.plain import one_line
from harness.ui.slash import Stream
from harness.workspace.credentials import Credentials

_SHOWN = 15
_NUMBERS = 2
"""Digits up to which an argument of `/resume` is a number of the list; an id begins with more."""


class SessionList:
    """The list that `/sessions` showed last, and what its numbers mean."""

    def __init__(self, session: OpenSession) -> None:
        self._session = session
        self._listed: tuple[str, ...] = ()

    async def show(self, _: str) -> Stream:
        """The last sessions of this workspace, but this one, numbered."""
        app = self._session.app
        # in a thread: the first time all of their journals are read
        found = await asyncio.to_thread(index.use, app.state, lambda opened: opened.figures(app.store.all()))
        here = [one for one in in_order(found, app.root) if one.id != self._session.session_id and one.turns]
        shown = here[:_SHOWN]
        self._listed = tuple(one.id for one in shown)
        if not shown:
            yield f"no other session in {one_line(str(app.root))}; those of every folder: harness sessions --all"
            return
        for number, one in enumerate(shown, 1):
            yield _row(number, one)
        more = len(here) - len(shown)
        yield "go on with one: /resume N" + (f"; {counted(more, 'older one')}: harness sessions" if more else "")

    async def go_on(self, argument: str) -> Stream:
        """Leave this session for another one."""
        if not argument:
            async for line in self.show(""):
                yield line
            return
        name = self._chosen(argument)
        left = self._session.session_id
        if name == left:
            raise UsageError("that is this session; /sessions lists the others")
        had, kept = self._session.totals.requests, not self._session.options.no_session
        await self._session.go_on_with(name)
        if had:
            yield f"left session {left}" + (f"; back to it: /resume {left}" if kept else ", which is not kept")
        for line in gone_on(self._session.app):
            yield line

    async def fork(self, _: str) -> Stream:
        """Go on in a copy of this session."""
        left = self._session.session_id
        await self._session.go_on_with(left, fork=True)
        yield f"session {left} stays as it was; back to it: /resume {left}"
        for line in gone_on(self._session.app):
            yield line

    def _chosen(self, argument: str) -> str:
        if len(argument) > _NUMBERS or not (argument.isascii() and argument.isdigit()):
            return self._session.app.store.named(argument).name
        if not 1 <= int(argument) <= len(self._listed):
            raise NoSuchSession(f"no session {argument} in the list; /sessions shows it")
        return self._listed[int(argument) - 1]


def _row(number: int, one: Figures) -> str:
    _, when, turns, cost, hit, title = list_row(one, short=True)
    return f"{number:>3}  {when}  {counted(int(turns), 'turn'):9}  {cost:>8}  {hit:>7}  {one_line(title, 60)}"


def gone_on(app: App) -> Iterator[str]:
    """What to know of a session that goes on, and of the model it goes on with."""
    session = app.session
    if requests := session.totals.requests:
        yield f"session {session.journal.id} goes on; requests so far: {requests}"
        said = [entry.message.text for entry in session.history.entries if entry.message.tag == "person"]
        yield from [f"last said: {one_line(said[-1], 200)}"] if said else []
        yield from cut_off(app)
    for warning in session.warnings():
        yield f"! {warning}"
    for unknown in app.unknown_models:
        yield f"! {unknown}"


def cut_off(app: App) -> Iterator[str]:
    """That the last turn did not come to its end, where it did not."""
    if (cut := cut_turn(app.session)) is not None:
        yield f"{one_line(str(cut), 200)}; go on with it: /continue"


def rename(session: OpenSession, title: str) -> Sequence[str]:
    """Give the session on the screen a title."""
    if not title:
        raise UsageError("say how it is called: /rename TITLE")
    kept = checked(title)
    session.app.session.record("title", {"title": kept})
    return [f"this session is now called: {kept}"]


async def export(session: OpenSession, name: str) -> Stream:
    """Write the session on the screen into a new file."""
    if not name:
        raise UsageError("say where to: /export FILE, which ends in .md, .json, .html or .tar.gz")
    app, folder = session.app, session.app.session.journal.folder
    path = app.home / name[2:] if name.startswith("~/") else session.options.cwd / name
    form = exports.form_of(path)

    def write() -> str:
        if form == exports.SESSION:
            return f"; {to_look_for(portable.export(folder, path, Credentials(app.session.seam.environment())))}"
        (figures,) = index.in_memory(lambda opened: opened.figures([folder]))
        exports.write(folder, figures, form, path)
        return ""

    note = await asyncio.to_thread(write)
    yield f"{counted(session.totals.requests, 'request')} written to {path}{note}"
