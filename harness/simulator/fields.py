"""The fields that each object of a Messages request may have, and their types.

Invariant: a field that is not listed is refused as the vendor does ("Extra inputs are not permitted"); what
is listed is either accounted for by the simulator or has no effect on the prompt. Beta-only fields are not
listed.
Source: platform.claude.com/docs/en/api/messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.simulator.records import Refused

_COUNTED = {
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "speed",
    "cache_control",
}
_SAMPLING = {"temperature", "top_p", "top_k"}
_ANSWERED = {"max_tokens", "stream", "stop_sequences", "metadata", "service_tier", "diagnostics", "container"}
COUNT_REQUEST = frozenset(_COUNTED | _SAMPLING)
REQUEST = COUNT_REQUEST | _ANSWERED | {"inference_geo"}

_MARK = {"type", "cache_control"}
# Blocks by role of the message they may stand in.
USER_BLOCKS: dict[str, frozenset[str]] = {
    "text": frozenset(_MARK | {"text", "citations"}),
    "image": frozenset(_MARK | {"source", "transformations"}),
    "document": frozenset(_MARK | {"source", "citations", "context", "title"}),
    "search_result": frozenset(_MARK | {"content", "source", "title", "citations"}),
    "tool_result": frozenset(_MARK | {"tool_use_id", "content", "is_error", "toolset_name"}),
}
ASSISTANT_BLOCKS: dict[str, frozenset[str]] = {
    "text": frozenset(_MARK | {"text", "citations"}),
    # A2 markable: thinking blocks cannot carry cache_control.
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
    "tool_use": frozenset(_MARK | {"id", "name", "input", "caller", "toolset_name"}),
}
SYSTEM_BLOCKS: dict[str, frozenset[str]] = {"text": USER_BLOCKS["text"]}
RESULT_BLOCKS: dict[str, frozenset[str]] = {
    **{kind: USER_BLOCKS[kind] for kind in ("text", "image", "document", "search_result")},
    "tool_reference": frozenset(_MARK | {"tool_name"}),
}
_REQUIRED: dict[str, dict[str, type]] = {
    "text": {"text": str},
    "image": {"source": dict},
    "document": {"source": dict},
    "search_result": {"content": list, "source": str, "title": str},
    "tool_result": {"tool_use_id": str},
    "thinking": {"thinking": str, "signature": str},
    "redacted_thinking": {"data": str},
    "tool_use": {"id": str, "name": str, "input": dict},
    "tool_reference": {"tool_name": str},
}
TOOL = frozenset(
    _MARK
    | {"name", "description", "input_schema", "strict", "eager_input_streaming"}
    | {"input_examples", "defer_loading", "allowed_callers"}
)
TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
TOOL_USE_ID = re.compile(r"^[a-zA-Z0-9_-]+$")
SERVER_TOOL = re.compile(r"^[a-z0-9_]+_\d{8}$")

_NAMES = {str: "string", dict: "dictionary", list: "list", int: "integer", bool: "boolean"}


def only(where: str, value: Mapping[str, Any], allowed: frozenset[str]) -> None:
    """Refuse any key of `value` that is not in `allowed`."""
    for name in value:
        if name not in allowed:
            raise Refused(f"{_path(where, name)}: Extra inputs are not permitted")


def need(where: str, value: Mapping[str, Any], name: str, kind: type) -> Any:
    """The value of a required field; refused when it is missing or of another type."""
    if name not in value:
        raise Refused(f"{_path(where, name)}: Field required")
    found = value[name]
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise Refused(f"{_path(where, name)}: Input should be a valid {_NAMES[kind]}")
    return found


def check_block(where: str, block: object, allowed: Mapping[str, frozenset[str]]) -> str:
    """Refuse a content block of an unknown type, with unknown or missing fields; returns its type."""
    if not isinstance(block, dict):
        raise Refused(f"{where}: Input should be a valid dictionary")
    kind = block.get("type")
    if not isinstance(kind, str) or kind not in allowed:
        tags = ", ".join(f"'{name}'" for name in allowed)
        raise Refused(f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {tags}")
    fields = allowed[kind]
    if not fields.issuperset(block):
        only(f"{where}.{kind}", block, fields)
    for name, wanted in _REQUIRED[kind].items():
        if not isinstance(block.get(name), wanted):
            need(f"{where}.{kind}", block, name, wanted)
    if block.get("cache_control") is not None:
        check_cache_control(f"{where}.{kind}", block["cache_control"])
    return kind


def check_cache_control(where: str, control: object) -> None:
    """A2 cache_control: `{"type": "ephemeral", "ttl": "5m" | "1h"}`, 5m by default."""
    if control is None:
        return
    if not isinstance(control, dict):
        raise Refused(f"{where}.cache_control: Input should be a valid dictionary")
    only(f"{where}.cache_control", control, frozenset({"type", "ttl"}))
    if control.get("type") != "ephemeral":
        raise Refused(f"{where}.cache_control.type: Input should be 'ephemeral'")
    if control.get("ttl", "5m") not in ("5m", "1h"):
        raise Refused(f"{where}.cache_control.ttl: Input should be '5m' or '1h'")


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
