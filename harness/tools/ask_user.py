"""The tool `ask_user`: a question to the person.

Invariant: it waits for whoever answers questions, and where nobody does it says so at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from harness.conversation.canonical import Json
from harness.tools.base import Outcome, Tool, ToolSpec, error, ok
from harness.tools.output import one_line, plain
from harness.workspace.permissions import Subject

Ask = Callable[[str, tuple[str, ...]], Awaitable[str | None]]
"""Asks a question with its options; the answer, or None when nobody is there."""

NOBODY = "Nobody is there to answer (one-shot). Decide yourself, or end and say what you need to know."

_LONGEST = 20_000
"""Bytes of an answer that are kept."""

SPEC = ToolSpec(
    "ask_user",
    "Ask the person one question that only they can decide. Give options where there are a few likely answers.",
    {
        "additionalProperties": False,
        "properties": {
            "options": {"items": {"type": "string"}, "maxItems": 8, "type": "array"},
            "question": {"type": "string"},
        },
        "required": ["question"],
        "type": "object",
    },
)


def make(ask: Ask) -> Tool:
    """The tool; `ask` puts the question to the person."""

    async def run(args: Mapping[str, Json]) -> Outcome:
        question = args["question"].strip()
        if not question:
            return error("the question is empty")
        answer = await ask(question, tuple(args.get("options", ())))
        if answer is None:
            return ok(NOBODY, "nobody is there")
        kept = answer.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore")
        return ok(plain(kept) or "(an empty answer)", one_line(answer, 80))

    return Tool(SPEC, run, lambda _: Subject("none"), "person")
