"""The twelve definitions: small, strict, canonical."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import jsonschema
import pytest

from harness.conversation.canonical import encode
from harness.tools import (
    ask_user,
    checkpoint,
    edit,
    glob,
    grep,
    invoke_skill,
    read,
    shell,
    todo,
    web_fetch,
    web_search,
    write,
)
from harness.tools.base import definition

TOOLS = [ask_user, checkpoint, edit, glob, grep, invoke_skill, read, shell, todo, web_fetch, web_search, write]


def test_all_together_are_small() -> None:
    total = sum(len(encode(definition(tool.SPEC))) for tool in TOOLS)
    print(f"tool definitions: {total:,} bytes")
    assert total < 7000


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.SPEC.name)
def test_each_is_strict(tool: ModuleType) -> None:
    assert tool.__name__.endswith("." + tool.SPEC.name)
    schema: dict[str, Any] = dict(tool.SPEC.schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    strict(schema)
    assert list(definition(tool.SPEC)) == ["name", "description", "input_schema"]


def strict(schema: dict[str, Any]) -> None:
    if schema["type"] == "object":
        assert schema["additionalProperties"] is False
        assert list(schema["properties"]) == sorted(schema["properties"])
        assert schema["required"] == sorted(schema["required"])
        assert set(schema["required"]) <= set(schema["properties"])
        for inner in schema["properties"].values():
            if "enum" not in inner:
                strict(inner)
    elif schema["type"] == "array":
        strict(schema["items"])
