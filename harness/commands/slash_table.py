"""The slash commands of a session in the terminal: one table, one small entry each.

Invariant: an entry is a function of the open session and of what stands behind the name; what takes more than a few
lines lives in a file of its own beside this one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from harness.commands import slash_rewind, slash_sessions
from harness.commands.conversation import AppConversation
from harness.ui import figures
from harness.ui.plain import one_line
from harness.ui.slash import Command, Stream, Table

Shown = Sequence[str] | Stream


def table(session: AppConversation) -> Table:
    """The commands of an open session, in the order of `/help`."""

    def on(function: Callable[[AppConversation, str], Shown]) -> Callable[[str], Shown]:
        return partial(function, session)

    kept = slash_sessions.Kept(session)
    return {
        "model": Command("/model [NAME]", "show the model, or go on with another one", on(_model), "with argument"),
        "effort": Command(
            "/effort [LEVEL]",
            "show how hard the model tries, or change it: asks first where the cache would not survive it",
            on(_effort),
            "with argument",
        ),
        "undo": Command(
            "/undo", "undo the last turn, in the conversation and in the files", on(slash_rewind.undo), "always"
        ),
        "redo": Command("/redo", "take the last undo back", on(slash_rewind.redo), "always"),
        "rewind": Command(
            "/rewind [N] [conversation|files]", "the turns, or go back to before one", on(slash_rewind.back), "always"
        ),
        "continue": Command("/continue", "go on with a turn that was cut off", on(_continue), "always"),
        "compact": Command("/compact [WISH]", "sum up what was said; keep WISH above all", on(_compact), "always"),
        "clear": Command("/clear", "begin with an empty conversation, in the same session", on(_clear), "always"),
        "cost": Command("/cost", "what the session cost", on(_cost)),
        "cache": Command("/cache", "what was read from cache, and why not more", on(_cache)),
        "sessions": Command("/sessions", "the last sessions here", kept.show, "always"),
        "resume": Command(
            "/resume [N|ID]", "go on with another session: its number there, or its id", kept.go_on, "always"
        ),
        "fork": Command("/fork", "go on in a copy; this session stays as it is", kept.fork, "always"),
        "rename": Command("/rename TITLE", "give this session a title", on(slash_sessions.rename)),
        "export": Command("/export FILE", "this session as .md, .json or .html", on(slash_sessions.export), "always"),
    }


def _model(session: AppConversation, name: str) -> Sequence[str]:
    if not name:
        return [f"{session.app.model.id}; another one: /model NAME"]
    session.app.switch(name)
    model = session.app.model
    known = "" if model.known else "; it is not in the catalog: careful defaults, unknown price"
    return [f"going on with {one_line(model.id)}{known}"]


def _effort(session: AppConversation, level: str) -> Shown:
    if not level:
        return [f"{session.app.effort}; another one: /effort LEVEL"]
    return _change_effort(session, level)


async def _change_effort(session: AppConversation, level: str) -> Stream:
    yield one_line(await session.app.change_effort(level) or f"effort {level} it is already")


def _continue(session: AppConversation, _: str) -> Stream:
    return session.resume_turn()


def _compact(session: AppConversation, wish: str) -> Stream:
    return session.app.compaction.compactor.run("asked for", wish)


def _clear(session: AppConversation, _: str) -> Sequence[str]:
    session.app.clear()
    return ["the conversation is empty; what was said before can be gone back to with /rewind"]


def _cost(session: AppConversation, _: str) -> Sequence[str]:
    return figures.cost_lines(session.summary)


def _cache(session: AppConversation, _: str) -> Sequence[str]:
    return figures.cache_lines(session.app.book(), session.session_id)
