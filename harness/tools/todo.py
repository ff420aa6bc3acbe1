"""The tool `todo`: the list of steps, replaced whole.

Invariant: at most one step is being done; the list lives in the facts, nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.conversation.canonical import Json
from harness.tools.base import Outcome, Tool, ToolSpec, error, ok
from harness.tools.output import one_line
from harness.workspace.permissions import Subject

ITEMS = 50

SPEC = ToolSpec(
    "todo",
    "Keep a list of steps for work of three or more. Replaces the whole list; exactly one step is doing "
    "while you work; mark it done as soon as it is.",
    {
        "additionalProperties": False,
        "properties": {
            "items": {
                "items": {
                    "additionalProperties": False,
                    "properties": {
                        "status": {"enum": ["pending", "doing", "done"]},
                        "text": {"type": "string"},
                    },
                    "required": ["status", "text"],
                    "type": "object",
                },
                "type": "array",
            }
        },
        "required": ["items"],
        "type": "object",
    },
)

_MARKS = {"pending": "[ ]", "doing": "[>]", "done": "[x]"}


def make() -> Tool:
    """The tool."""
    return Tool(SPEC, _run, lambda _: Subject("none"))


async def _run(args: Mapping[str, Json]) -> Outcome:
    items = args["items"]
    if len(items) > ITEMS:
        return error(f"{len(items)} steps are too many; at most {ITEMS}: group them")
    if sum(item["status"] == "doing" for item in items) > 1:
        return error("more than one step is doing; the list was not changed")
    if not all(item["text"].strip() for item in items):
        return error("a step has no text; the list was not changed")
    kept = [{"status": item["status"], "text": one_line(item["text"].strip())} for item in items]
    done = sum(item["status"] == "done" for item in kept)
    rendered = "\n".join(f"{_MARKS[item['status']]} {item['text']}" for item in kept)
    return ok(rendered or "(the list is empty)", f"{done} of {len(kept)} done", todo=kept)
