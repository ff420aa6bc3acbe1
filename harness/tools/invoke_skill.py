"""The tool `invoke_skill`: a skill's instructions, read when they are asked for.

Invariant: the definition never changes, whatever skills exist; the skill's text is framed, and cannot close
its frame.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from harness.conversation.canonical import Json
from harness.errors import SkillError
from harness.tools.base import Outcome, Tool, ToolSpec, error, ok
from harness.tools.output import line as one_line
from harness.tools.output import plain
from harness.workspace.permissions import Subject


class SkillText(Protocol):
    """A skill as read for use."""

    @property
    def name(self) -> str:
        """As in the skill list."""
        ...

    @property
    def path(self) -> Path:
        """Its SKILL.md."""
        ...

    @property
    def body(self) -> str:
        """The instructions, without front matter; bounded."""
        ...


SPEC = ToolSpec(
    "invoke_skill",
    "Get the instructions of a skill, for a task it fits. Follow them as if the person had written them for this task.",
    {
        "additionalProperties": False,
        "properties": {
            "name": {"description": "as in the skill list", "type": "string"},
            "task": {"description": "what to do with it", "type": "string"},
        },
        "required": ["name", "task"],
        "type": "object",
    },
)


def make(load: Callable[[str], SkillText]) -> Tool:
    """The tool; `load` reads the named skill from disk, its text already bounded, and raises SkillError."""

    async def run(args: Mapping[str, Json]) -> Outcome:
        try:
            skill = await asyncio.to_thread(load, args["name"])
        except SkillError as problem:
            return error(plain(str(problem)))
        # Only the frame may speak as the frame.
        body = re.sub(r"<(/?)skill\b", r"<\\\1skill", plain(skill.body).strip(), flags=re.IGNORECASE)
        name, path = (one_line(text, 1000).replace('"', "'") for text in (skill.name, str(skill.path)))
        return ok(
            f'<skill name="{name}" path="{path}">\n{body}\n</skill>\nTask: {plain(args["task"])}',
            f"skill {name}",
        )

    return Tool(SPEC, run, lambda _: Subject("none"))
