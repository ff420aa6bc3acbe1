"""The skills of a session as slash commands, behind the others.

Invariant: read anew each time, so a skill that was just added is there; none takes the name of a command.
"""

from __future__ import annotations

from functools import partial

from harness.commands.open_session import OpenSession
from harness.ui.plain import one_line
from harness.ui.slash import Command, Stream, Table


def table(session: OpenSession) -> Table:
    """The skills that the person may call, by name."""
    found = (skill for skill in session.app.skills.discover().skills if skill.user_invocable)
    return {
        skill.name: Command(
            f"/{skill.name} {one_line(skill.argument_hint) or '[TASK]'}",
            f"skill: {one_line(skill.description, 72)}",
            partial(_call, session, skill.name),
            "always",
        )
        for skill in found
    }


def _call(session: OpenSession, name: str, task: str) -> Stream:
    return session.run(f"/{name} {task}".rstrip())
