"""The twelve definitions: small, strict, canonical."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

from harness.commands.bench_calls import TOOLS
from harness.conversation.canonical import encode
from harness.tools.base import definition

SENT = Path(__file__).parents[1] / "golden" / "files" / "tools.jsonl"


def test_the_tools_that_are_measured_are_those_that_a_session_sends() -> None:
    sent = [json.loads(line)["name"] for line in SENT.read_text().splitlines()]

    assert sorted(tool.SPEC.name for tool in TOOLS) == sorted(sent)


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
