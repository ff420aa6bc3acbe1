"""An answer that must meet a JSON schema: asked for by an appended instruction, checked here, repaired at most twice.

Invariant: never a vendor's output format: that is a setting of the line, and would move the prefix.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace

from jsonschema.exceptions import best_match

from harness.agent.answer_schema import validator
from harness.agent.main_agent import MainAgent
from harness.agent.resumption import resume_turn
from harness.conversation.canonical import Json, decode, encode
from harness.conversation.events import Event, Notice, TurnEnded
from harness.errors import SchemaNotMet

REPAIRS = 2


class StructuredTask:
    """One task whose last answer must be JSON. Iterate `run`; then read `value`."""

    def __init__(self, agent: MainAgent, schema: Mapping[str, Json]) -> None:
        self._agent = agent
        self._schema = schema
        self._validator = validator(schema)
        self.value: Json = None

    async def run(self, task: str) -> AsyncGenerator[Event]:
        """The task's events; its last one is `TurnEnded`, with the JSON alone as its text where that is valid.

        Args:
            task: "" for the rest of a turn that was cut off.

        Raises:
            SchemaNotMet: the answer was still invalid after its repairs.
        """
        schema = encode(dict(self._schema)).decode("utf-8")
        instruction = (
            f"The final answer{' to the next message' if task else ''} must be one JSON value and nothing else, no "
            f"prose and no code fence, valid against this JSON Schema: {schema}"
        )
        agent = self._agent
        events = agent.turn(task, injected=(instruction,)) if task else resume_turn(agent, instruction)
        for repair in range(REPAIRS + 1):
            end: TurnEnded | None = None
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, TurnEnded):
                        end = event
                    else:
                        yield event
            if end is None or end.reason != "done":
                if end:
                    yield end
                return
            problem = self._problem(end.text)
            if not problem:
                yield replace(end, text=unfence(end.text))
                return
            if repair < REPAIRS:
                yield Notice(f"the answer does not meet the schema ({problem}); asking again")
                words = f"That answer is not valid: {problem}. Answer again with the JSON value only."
                events = agent.turn(words, tag="program")
        raise SchemaNotMet(f"the answer does not meet --json-schema after {REPAIRS} repairs: {problem}")

    def _problem(self, text: str) -> str:
        """Why the text is no valid answer, one line; "" and `value` set where it is."""
        try:
            value = decode(unfence(text))
        except (ValueError, RecursionError) as error:
            return f"it is not JSON: {error}"
        try:
            found = best_match(self._validator.iter_errors(value))
        except RecursionError:
            return "it is nested too deeply, or the schema refers to itself without end"
        if found is not None:
            where = "/".join(str(part) for part in found.absolute_path)
            return f"{f'`{where}`: ' if where else ''}{found.message[:300]}"
        self.value = value
        return ""


def unfence(text: str) -> str:
    """The text without a code fence around all of it: models add one whatever they are told."""
    match = re.fullmatch(r"\s*```[a-z]*\n(.*)\n```\s*", text, re.DOTALL)
    return match[1] if match else text
