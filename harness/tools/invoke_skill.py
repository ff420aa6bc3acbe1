"""The tool `invoke_skill`: a skill's instructions, read when they are asked for.

Invariant: the definition never changes, whatever skills exist; the skill's text is framed, and cannot close
its frame.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from harness.conversation.canonical import Json
from harness.conversation.events import Tell
from harness.errors import SkillError
from harness.knowledge.skill_body import fill
from harness.knowledge.skills import SkillText
from harness.tools.base import Effect, Outcome, Tool, ToolSpec, error, ok
from harness.tools.output import one_line, plain
from harness.workspace.permissions import Subject

Load = Callable[[str], Awaitable[SkillText]]
"""Reads the named skill from disk, its text bounded; raises SkillError where it is not there or may not be used."""

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


class Delegate(Protocol):
    """Has sub-agents carry out skills."""

    def __call__(self, skill: SkillText, text: str, call_id: str, tell: Tell) -> Awaitable[Outcome] | None:
        """Have a skill carried out; None for one whose instructions are for the caller.

        Args:
            text: the instructions with the task. call_id: of the call. tell: where to tell how far it is.
        """

    def goes_on(self, call_id: str) -> bool:
        """Whether a call that was cut off has a sub-agent, which goes on where it was when the call is run again."""


class Nobody:
    """Where there are no sub-agents: every skill is for the caller."""

    def __call__(self, skill: SkillText, text: str, call_id: str, tell: Tell) -> None:
        """See `Delegate`."""

    def goes_on(self, call_id: str) -> bool:  # noqa: ARG002 - the protocol's
        """See `Delegate`."""
        return False


NOBODY = Nobody()


def make(
    load: Load,
    delegate: Delegate = NOBODY,
    effect: Callable[[str], Effect] = lambda _name: "none",
) -> Tool:
    """The tool.

    Args:
        effect: what a call of the named skill may change, before it is loaded for use.
    """

    async def run_call(call_id: str, args: Mapping[str, Json], tell: Tell) -> Outcome:
        try:
            skill = await load(args["name"])
        except SkillError as problem:
            return error(plain(str(problem)))
        text = framed(skill, args["task"])
        if (delegated := delegate(skill, text, call_id, tell)) is not None:
            return await delegated
        return ok(text, f"skill {one_line(skill.name)}")

    async def run(args: Mapping[str, Json]) -> Outcome:
        return await run_call("", args, lambda _event: None)

    return Tool(
        SPEC,
        run,
        lambda _: Subject("none"),
        effect_of=lambda args: effect(args["name"]),
        run_call=run_call,
        goes_on=delegate.goes_on,
    )


def framed(skill: SkillText, task: str) -> str:
    """A skill's instructions for a task, as a model gets them, whoever called for them."""
    numbered = bool(skill.manifest.argument_hint)
    folder = one_line(str(skill.path.parent), 1000)
    filled = plain(fill(skill.body, task, folder, numbered=numbered)).strip()
    # only the frame may speak as the frame
    body = re.sub(r"<(/?)skill\b", r"<\\\1skill", filled, flags=re.IGNORECASE)
    name, path = (one_line(text, 1000).replace('"', "'") for text in (skill.name, str(skill.path)))
    tools = skill.manifest.runs_as.allowed_tools
    written_for = ", ".join(map(str, tools)) if tools else ""
    note = (
        f"\n(Written for these tools; what they may do, the person decides: {one_line(written_for)})" if tools else ""
    )
    return f'<skill name="{name}" path="{path}">\n{body}\n</skill>{note}\nTask: {plain(task)}'
