"""An answer that must meet a JSON schema: asked for by an appended instruction, checked here, repaired at most twice.

Invariant: never a vendor's output format: that is a setting of the line, and would move the prefix.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

from harness.agent.main_agent import MainAgent
from harness.agent.resumption import resume_turn
from harness.conversation.canonical import Json, decode, encode
from harness.conversation.events import Event, Notice, TurnEnded
from harness.errors import SchemaNotMet, UsageError

REPAIRS = 2
MAX_SCHEMA_BYTES = 32 * 1024


class StructuredTask:
    """One task whose last answer must be JSON. Iterate `run`; then read `value`."""

    def __init__(self, agent: MainAgent, schema: Mapping[str, Json]) -> None:
        self._agent = agent
        self._schema = schema
        self._validator = _validator(schema)
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


def check_schema(raw: bytes, name: str) -> dict[str, Any]:
    """A schema file's content, checked.

    Raises:
        UsageError: not JSON, not a schema, one that needs more than itself, or larger than a prompt should carry.
    """
    if len(raw) > MAX_SCHEMA_BYTES:
        raise UsageError(f"--json-schema {name}: larger than {MAX_SCHEMA_BYTES // 1024} KiB")
    try:
        schema = decode(raw)
        if not isinstance(schema, dict):
            raise UsageError(f"--json-schema {name}: must be a JSON object")
        # by it the draft is chosen
        Draft202012Validator.check_schema({"$schema": schema.get("$schema", "")})
        validator = _validator(schema)
        validator.check_schema(schema)
        _follow(schema)
        list(validator.iter_errors(None))
    except ValueError as error:
        raise UsageError(f"--json-schema {name}: not JSON: {error}") from error
    except SchemaError as error:
        raise UsageError(f"--json-schema {name}: not a JSON Schema: {error.message[:200]}") from error
    except Unresolvable as error:
        raise UsageError(f"--json-schema {name}: refers to `{error.ref[:200]}`, which is not in it") from error
    except RecursionError as error:
        raise UsageError(f"--json-schema {name}: nested too deeply, or refers to itself without end") from error
    return schema


def _validator(schema: Mapping[str, Json]) -> Validator:
    """Of the draft that the schema names. Its registry holds the drafts alone: without one, references are fetched."""
    return validator_for(schema, Draft202012Validator)(schema, registry=Registry())


def _follow(schema: dict[str, Any]) -> None:
    """Look up every reference of the schema and of the schemas in it: one that an answer meets is too late."""
    resource = Resource.from_contents(schema, specification_with(schema.get("$schema", ""), default=DRAFT202012))
    waiting = [(resource, Registry().resolver_with_root(resource))]
    while waiting:
        one, resolver = waiting.pop()
        if isinstance(one.contents, Mapping):
            for reference in (one.contents.get(key) for key in ("$ref", "$dynamicRef", "$recursiveRef")):
                if reference is None:
                    continue
                try:
                    resolver.lookup(reference)
                except Unresolvable:
                    raise Unresolvable(ref=reference) from None  # of a part, it names the pointer alone
        waiting += [(part, resolver.in_subresource(part)) for part in one.subresources()]
