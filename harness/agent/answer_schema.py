"""The JSON Schema that an answer has to meet: whether it can be used, before anything is sent.

Invariant: nothing is fetched. A schema that was let through raises nothing when an answer is held against it but a
RecursionError, for which an answer is the cause as much as the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft3Validator, Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

from harness.conversation.canonical import Json, decode
from harness.errors import UsageError

MAX_SCHEMA_BYTES = 32 * 1024
"""It goes into the prompt."""

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def check_schema(raw: bytes, name: str) -> dict[str, Any]:
    """A schema file's content, checked.

    Raises:
        UsageError: not JSON, not a schema, one that needs more than itself, or larger than a prompt should carry.
    """
    if len(raw) > MAX_SCHEMA_BYTES:
        raise UsageError(f"--json-schema {name}: larger than {MAX_SCHEMA_BYTES // 1024} KiB")
    try:
        schema = decode(raw)
    except ValueError as error:
        raise UsageError(f"--json-schema {name}: not JSON: {error}") from error
    except RecursionError as error:
        raise UsageError(f"--json-schema {name}: nested too deeply") from error
    if not isinstance(schema, dict):
        raise UsageError(f"--json-schema {name}: must be a JSON object")
    try:
        _check(schema)
    except SchemaError as error:
        raise UsageError(f"--json-schema {name}: not a JSON Schema: {error.message[:200]}") from error
    except ValueError as error:
        raise UsageError(f"--json-schema {name}: not a JSON Schema: {error}") from error
    except Unresolvable as error:
        raise UsageError(f"--json-schema {name}: refers to `{str(error.ref)[:200]}`, which is not in it") from error
    except RecursionError as error:
        raise UsageError(f"--json-schema {name}: nested too deeply, or refers to itself without end") from error
    return schema


def validator(schema: Mapping[str, Json]) -> Validator:
    """Of the draft that the schema names. Its registry holds the drafts alone: without one, references are fetched."""
    return validator_for(schema, Draft202012Validator)(schema, registry=Registry())


def _check(schema: dict[str, Any]) -> None:
    # by it the draft is chosen
    Draft202012Validator.check_schema({"$schema": schema.get("$schema", "")})
    draft = validator_for(schema, Draft202012Validator)
    if draft is Draft3Validator:
        raise SchemaError("draft 3 is too old; write it as of a later one")
    draft.check_schema(schema)
    _follow(schema, draft)
    list(validator(schema).iter_errors(None))


def _follow(schema: dict[str, Any], draft: type[Validator]) -> None:
    """Look up every reference of a schema, of those in it, and of what they refer to: an answer may meet any.

    Raises:
        Unresolvable, SchemaError: it leads nowhere, or to what is no schema.
        ValueError: the address of a schema is none.
    """
    specification = specification_with(schema.get("$schema", ""), default=DRAFT202012)
    root = specification.create_resource(schema)
    waiting = [(root, Registry().resolver_with_root(root))]
    seen: set[int] = set()
    sound = {id(schema)}
    while waiting:
        one, resolver = waiting.pop()
        if id(one.contents) in seen or not isinstance(one.contents, Mapping):
            continue
        seen.add(id(one.contents))
        for reference in (one.contents[key] for key in _REFERENCES if key in one.contents):
            if not isinstance(reference, str):
                raise SchemaError(f"{reference!r:.100} is no reference")
            try:
                found = resolver.lookup(reference)
            except (Unresolvable, ValueError):
                raise Unresolvable(ref=reference) from None  # of a part, it names the pointer alone
            if id(found.contents) not in sound:
                draft.check_schema(found.contents)
                sound.add(id(found.contents))
            waiting.append((specification.create_resource(found.contents), found.resolver))
        waiting += [(part, resolver.in_subresource(part)) for part in one.subresources()]
