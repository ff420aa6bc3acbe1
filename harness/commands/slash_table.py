"""The slash commands of a session in the terminal: one table, one small entry each.

Invariant: an entry is a function of the open session and of what stands behind the name; what takes more than a few
lines lives in a file of its own beside this one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from functools import partial

from harness.agent.effort_change import levels
from harness.commands import slash_rewind, slash_sessions
from harness.commands.open_session import OpenSession
from harness.ui import cache_lines
from harness.ui.plain import one_line
from harness.ui.slash import Command, Stream, Table

Shown = Sequence[str] | Stream


def table(session: OpenSession) -> Table:
    """The commands of an open session, in the order of `/help`."""

    def on(function: Callable[[OpenSession, str], Shown]) -> Callable[[str], Shown]:
        return partial(function, session)

    listed = slash_sessions.SessionList(session)
    return {
        "model": Command("/model [NAME]", "show the model, or switch to another", on(_model), "with argument"),
        "effort": Command(
            "/effort [LEVEL]",
            "show how hard the model tries, or change it; asks first if that costs cache",
            on(_effort),
            "with argument",
        ),
        "undo": Command(
            "/undo", "undo the last turn, in the conversation and the files", on(slash_rewind.undo), "always"
        ),
        "redo": Command("/redo", "take the last undo back", on(slash_rewind.redo), "always"),
        "rewind": Command(
            "/rewind [N] [conversation|files]",
            "list the turns, or go back to before turn N",
            on(slash_rewind.back),
            "always",
        ),
        "continue": Command("/continue", "go on with a turn that was cut off", on(_continue), "always"),
        "compact": Command(
            "/compact [WHAT]", "sum up the conversation so far; keep WHAT above all", on(_compact), "always"
        ),
        "clear": Command("/clear", "start with an empty conversation, in the same session", on(_clear), "always"),
        "cost": Command("/cost", "what this session cost", on(_cost)),
        "cache": Command("/cache", "what was read from the prompt cache, and why not more", on(_cache)),
        "sessions": Command("/sessions", "the last sessions in this folder", listed.show, "always"),
        "resume": Command(
            "/resume [N|ID]", "continue another session: its number in /sessions, or its id", listed.go_on, "always"
        ),
        "fork": Command("/fork", "continue in a copy; this session stays as it is", listed.fork, "always"),
        "rename": Command("/rename TITLE", "give this session a title", on(slash_sessions.rename)),
        "export": Command(
            "/export FILE", "save this session as .md, .json, .html or .tar.gz", on(slash_sessions.export), "always"
        ),
    }


def _model(session: OpenSession, name: str) -> Sequence[str]:
    if not name:
        return [f"{session.app.model.id}; change it with /model NAME (`harness models` lists them)"]
    session.app.switch(name)
    model = session.app.model
    return [f"going on with {one_line(model.id)}", *([f"! {one_line(model.unknown)}"] if model.unknown else [])]


def _effort(session: OpenSession, level: str) -> Shown:
    if not level:
        known = levels(session.app.model)
        change = f"change it with /effort {'|'.join(known)}" if known else "this model has no other"
        return [f"{session.app.effort}; {change}"]
    return _change_effort(session, level)


async def _change_effort(session: OpenSession, level: str) -> Stream:
    yield one_line(await session.app.change_effort(level) or f"effort {level} it is already")


def _continue(session: OpenSession, _: str) -> Stream:
    return session.resume_turn()


async def _compact(session: OpenSession, wish: str) -> Stream:
    async with aclosing(session.app.compaction.compactor.run("asked for", wish)) as events:
        async for event in events:
            yield event
    for line in slash_sessions.cut_off(session.app):
        yield line


def _clear(session: OpenSession, _: str) -> Sequence[str]:
    session.app.clear()
    return ["the conversation is empty; what was said before can be gone back to with /rewind"]


def _cost(session: OpenSession, _: str) -> Sequence[str]:
    return cache_lines.cost_lines(session.totals)


def _cache(session: OpenSession, _: str) -> Sequence[str]:
    return cache_lines.cache_lines(session.app.book(), session.session_id)
