"""The slash commands of a session in the terminal: one table, one small entry each.

Invariant: an entry is a function of the open session and of what stands behind the name; what takes more than a few
lines lives in a file of its own beside this one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from harness.commands.conversation import AppConversation
from harness.ui import figures
from harness.ui.plain import one_line
from harness.ui.slash import Command, Table


def table(session: AppConversation) -> Table:
    """The commands of an open session, in the order of `/help`."""

    def on(function: Callable[[AppConversation, str], Sequence[str]]) -> Callable[[str], Sequence[str]]:
        return partial(function, session)

    return {
        "model": Command("/model [NAME]", "show the model, or go on with another one", on(_model), "with argument"),
        "cost": Command("/cost", "what the session cost", on(_cost)),
        "cache": Command("/cache", "what was read from cache, and why not more", on(_cache)),
    }


def _model(session: AppConversation, name: str) -> Sequence[str]:
    if not name:
        return [f"{session.app.model.id}; another one: /model NAME"]
    session.app.switch(name)
    model = session.app.model
    known = "" if model.known else "; it is not in the catalog: careful defaults, unknown price"
    return [f"going on with {one_line(model.id)}{known}"]


def _cost(session: AppConversation, _: str) -> Sequence[str]:
    return figures.cost_lines(session.summary)


def _cache(session: AppConversation, _: str) -> Sequence[str]:
    return figures.cache_lines(session.summary, session.responses)
