"""What the vendor refuses in a Messages request before it looks at caching.

Invariant: pure; a request that passes can be turned into blocks without further checks, and every refusal
carries the vendor's text where one is public (A4, A6 texts) and its path notation elsewhere.
Sources: platform.claude.com/docs/en/api/messages, .../api/errors, .../api/migration-2026-10-21.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any

from harness.simulator import fields as f
from harness.simulator.models import EFFORTS, ModelFacts, facts_of
from harness.simulator.pairing import check_pairs
from harness.simulator.records import Refused
from harness.simulator.rules import Rules

NEW_VERSION = "2026-10-21"
VERSIONS = (NEW_VERSION, "2023-06-01")  # A1
_SAMPLING = {"temperature": 1.0, "top_p": 1.0, "top_k": None}
BINDING_BETA = "thinking-binding-controls-2026-08-01"  # A4
EFFORT_BETA = "mid-conversation-output-config-2026-07-01"  # A5
_EFFORT_TEXT = "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'"
_MEDIA = ("image/jpeg", "image/png", "image/gif", "image/webp")


def check_version(headers: Mapping[str, str]) -> None:
    """A1: the header anthropic-version is required, and only published versions exist."""
    version = headers.get("anthropic-version")
    if not version:
        raise Refused("anthropic-version: header is required")
    if version not in VERSIONS:
        raise Refused(f'anthropic-version: "{version}" is not a valid version')


def check_request(
    request: Mapping[str, Any], headers: Mapping[str, str], rules: Rules, *, counting: bool = False
) -> ModelFacts:
    """Refuse what the vendor refuses; returns the facts of the model. `counting`: a count_tokens request."""
    f.only("", request, f.COUNT_REQUEST if counting else f.REQUEST)
    name = f.need("", request, "model", str)
    facts = facts_of(name)
    if facts is None:
        raise Refused(f"model: {name}", status=404, kind="not_found_error")
    version = headers["anthropic-version"]
    _check_sampling(request, facts, version)
    if not counting:
        _check_output(request, facts)
    _check_thinking(request, facts, headers)
    _check_settings(request, facts)
    tools = _check_tools(request)
    _check_tool_choice(request, facts, tools)
    f.check_cache_control("", request.get("cache_control"))
    if not counting and request["max_tokens"] == 0:
        _check_prewarm(request)
    _check_system(request)
    takes_effort = facts.effort_messages or (rules.effort_messages == "later" and facts.later)
    if EFFORT_BETA not in headers.get("anthropic-beta", ""):
        says_effort = "without its beta"
    else:
        says_effort = "yes" if takes_effort and rules.effort_messages != "none" else "no"
    _check_messages(f.need("", request, "messages", list), facts, version, says_effort)
    return facts


def _check_sampling(request: Mapping[str, Any], facts: ModelFacts, version: str) -> None:
    for name, default in _SAMPLING.items():
        value = request.get(name)
        if name in request and version == NEW_VERSION:
            # A1: on 2026-10-21 sampling parameters are refused even at their default.
            raise Refused(f"{name}: Extra inputs are not permitted")
        if value is not None and value != default and facts.rejects_sampling:
            # A1: a non-default value was already refused on Opus 4.7 and later.
            raise Refused(f"`{name}` is not supported on this model.")


def _check_output(request: Mapping[str, Any], facts: ModelFacts) -> None:
    limit = f.need("", request, "max_tokens", int)
    if limit < 0:
        raise Refused("max_tokens: Input should be greater than or equal to 0")
    if limit > facts.max_output:
        raise Refused(
            f"max_tokens: {limit} > {facts.max_output}, which is the maximum allowed number of output tokens "
            f"for {facts.name}"
        )
    if not isinstance(request.get("stream", False), bool):
        raise Refused("stream: Input should be a valid boolean")


def _check_prewarm(request: Mapping[str, Any]) -> None:
    """A5 Pre-warm: max_tokens 0 writes the cache without an answer, and excludes these settings."""
    thinking = (request.get("thinking") or {}).get("type")
    choice = (request.get("tool_choice") or {}).get("type")
    for bad, what in (
        (request.get("stream"), "stream"),
        (thinking == "enabled", "thinking"),
        ((request.get("output_config") or {}).get("format"), "output_config.format"),
        (choice in ("any", "tool"), "tool_choice"),
    ):
        if bad:
            raise Refused(f"max_tokens: 0 is not supported together with `{what}`")


def _check_thinking(request: Mapping[str, Any], facts: ModelFacts, headers: Mapping[str, str]) -> None:
    thinking = request.get("thinking")
    if thinking is None:
        return
    if not isinstance(thinking, dict):
        raise Refused("thinking: Input should be a valid dictionary")
    kind = thinking.get("type")
    allowed = {
        "enabled": {"type", "budget_tokens", "display"},
        "adaptive": {"type", "display"},
        "disabled": {"type"},
        "between_tools": {"type"},
    }.get(str(kind))
    if allowed is None:
        raise Refused(f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected tags")
    if BINDING_BETA in headers.get("anthropic-beta", ""):
        allowed = allowed | {"block_binding"}
    f.only(f"thinking.{kind}", thinking, frozenset(allowed))
    if kind == "disabled" and facts.always_thinks:
        # A4: thinking cannot be disabled on Opus 5.5 and Fable 5.x.
        raise Refused('thinking: type "disabled" is not supported for this model.')
    if kind == "enabled":
        budget = f.need("thinking.enabled", thinking, "budget_tokens", int)
        if budget < 1024:
            raise Refused("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if budget >= request.get("max_tokens", budget + 1):
            raise Refused("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_settings(request: Mapping[str, Any], facts: ModelFacts) -> None:
    output = request.get("output_config")
    if output is not None:
        if not isinstance(output, dict):
            raise Refused("output_config: Input should be a valid dictionary")
        f.only("output_config", output, frozenset({"effort", "format"}))
        _check_effort(output.get("effort"), facts)
    if request.get("speed") not in (None, "standard", "fast"):
        raise Refused("speed: Input should be 'standard' or 'fast'")
    diagnostics = request.get("diagnostics")
    if diagnostics is not None:
        if not isinstance(diagnostics, dict):
            raise Refused("diagnostics: Input should be a valid dictionary")
        f.only("diagnostics", diagnostics, frozenset({"previous_message_id"}))
    metadata = request.get("metadata")
    if metadata is not None:
        if not isinstance(metadata, dict):
            raise Refused("metadata: Input should be a valid dictionary")
        f.only("metadata", metadata, frozenset({"user_id"}))


def _check_effort(effort: object, facts: ModelFacts) -> None:
    if effort is None:
        return
    if effort not in EFFORTS:
        raise Refused(_EFFORT_TEXT)
    if not facts.efforts:
        raise Refused("This model does not support the effort parameter.")
    if effort not in facts.efforts:
        # Which values a model has is public; this text is not.
        raise Refused(f"output_config.effort: '{effort}' is not supported on this model")


def _check_tools(request: Mapping[str, Any]) -> set[str]:
    tools = request.get("tools")
    if tools is None:
        return set()
    if not isinstance(tools, list):
        raise Refused("tools: Input should be a valid list")
    names: set[str] = set()
    for place, tool in enumerate(tools):
        where = f"tools.{place}"
        if not isinstance(tool, dict):
            raise Refused(f"{where}: Input should be a valid dictionary")
        kind = tool.get("type") or "custom"
        name = f.need(where, tool, "name", str)
        if kind == "custom":
            f.only(f"{where}.custom", tool, f.TOOL)
            schema = f.need(f"{where}.custom", tool, "input_schema", dict)
            if schema.get("type") != "object":
                raise Refused(f"{where}.custom.input_schema.type: Input should be 'object'")
            if not f.TOOL_NAME.fullmatch(name):
                raise Refused(f"{where}.custom.name: String should match pattern '{f.TOOL_NAME.pattern}'")
        elif not isinstance(kind, str) or not f.SERVER_TOOL.fullmatch(kind):
            raise Refused(f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
        if name in names:
            raise Refused("tools: Tool names must be unique.")
        f.check_cache_control(where, tool.get("cache_control"))
        names.add(name)
    return names


def _check_tool_choice(request: Mapping[str, Any], facts: ModelFacts, tools: set[str]) -> None:
    choice = request.get("tool_choice")
    if choice is None:
        return
    if not isinstance(choice, dict) or choice.get("type") not in ("auto", "any", "tool", "none"):
        raise Refused("tool_choice: Input should have a type of 'auto', 'any', 'tool' or 'none'")
    kind = choice["type"]
    allowed = {"type"} | ({"disable_parallel_tool_use"} if kind != "none" else set())
    f.only(f"tool_choice.{kind}", choice, frozenset(allowed | ({"name"} if kind == "tool" else set())))
    if not tools:
        raise Refused("tool_choice: may only be specified while providing `tools`")
    if kind in ("any", "tool"):
        if facts.rejects_forced_tools:
            # A4: forced tool choice on Opus 5.5 and Fable 5.x.
            raise Refused('tool_choice: type "tool" and "any" are not supported for this model.')
        if (request.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
            raise Refused("Thinking may not be enabled when tool_choice forces tool use.")
    if kind == "tool" and choice.get("name") not in tools:
        raise Refused(f"tool_choice.tool.name: Tool '{choice.get('name')}' not found in provided tools")


def _check_system(request: Mapping[str, Any]) -> None:
    system = request.get("system")
    if system is None or isinstance(system, str):
        return
    if not isinstance(system, list):
        raise Refused("system: Input should be a valid list")
    for place, block in enumerate(system):
        f.check_block(f"system.{place}", block, f.SYSTEM_BLOCKS)
        _check_text("system", f"system.{place}", block)


def _check_messages(messages: list[Any], facts: ModelFacts, version: str, says_effort: str) -> None:
    if not messages:
        raise Refused("messages: at least one message is required")
    previous = ""
    for place, message in enumerate(messages):
        where = f"messages.{place}"
        if not isinstance(message, dict):
            raise Refused(f"{where}: Input should be a valid dictionary")
        role = message.get("role")
        sets = role == "system" and says_effort != "without its beta"
        f.only(where, message, frozenset({"role", "content"} | ({"output_config"} if sets else set())))
        if role == "system":
            _check_system_role(where, previous, facts)
        elif role not in ("user", "assistant"):
            raise Refused(f"{where}.role: Input should be 'user' or 'assistant'")
        elif previous == "system" and role == "user":
            raise Refused(f"{where}: a `system` message must be last or be followed by an assistant message")
        if place == 0 and role != "user":
            raise Refused('messages: first message must use the "user" role')
        if sets and message.get("output_config") is not None:
            _check_effort_message(where, message["output_config"], says_effort)
            if message.get("content") == []:
                previous = str(role)
                continue
        _check_content(where, str(role), message.get("content"), version, last=place == len(messages) - 1)
        previous = str(role)
    if previous == "assistant" and facts.rejects_prefill:
        # A1: prefill is refused on 4.6 and later models.
        raise Refused(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    check_pairs(messages)


def _check_system_role(where: str, previous: str, facts: ModelFacts) -> None:
    if not facts.system_messages:
        raise Refused(f"{where}: role 'system' is not supported on this model")  # A5
    if previous != "user":
        raise Refused(f"{where}: a `system` message must follow a user message")


def _check_effort_message(where: str, output: object, says_effort: str) -> None:
    """A5 Effort change. The text of the refusal is not public; its form is that of the role's."""
    if says_effort == "no":
        raise Refused(f"{where}: `output_config` is not supported on this model")
    if not isinstance(output, dict):
        raise Refused(f"{where}.output_config: Input should be a valid dictionary")
    f.only(f"{where}.output_config", output, frozenset({"effort"}))
    if output.get("effort") not in EFFORTS:
        raise Refused(f"{where}.{_EFFORT_TEXT}")


def _check_content(where: str, role: str, content: object, version: str, *, last: bool) -> None:
    if isinstance(content, str):
        if not content and not (last and role == "assistant"):
            raise Refused(_EMPTY.format(where=where))
        if content and not content.strip():
            raise Refused(_BLANK)
        return
    if not isinstance(content, list):
        raise Refused(f"{where}.content: Input should be a valid list")
    if not content and not (last and role == "assistant"):
        raise Refused(_EMPTY.format(where=where))
    allowed = {"user": f.USER_BLOCKS, "assistant": f.ASSISTANT_BLOCKS, "system": f.SYSTEM_BLOCKS}[role]
    for place, block in enumerate(content):
        path = f"{where}.content.{place}"
        _check_side(where, role, block)
        kind = f.check_block(path, block, allowed)
        _check_part(path, kind, block)
        if kind == "text" and role == "user" and block.get("citations") and version == NEW_VERSION:
            # A1: non-empty citations on a user text block.
            raise Refused(f"{path}.text.citations: Extra inputs are not permitted")


def _check_part(path: str, kind: str, block: Mapping[str, Any]) -> None:
    if kind == "text":
        _check_text("messages", path, block)
    elif kind == "image":
        _check_image(f"{path}.image", block["source"])
    elif kind == "tool_result":
        _check_result(path, block)
    elif kind == "tool_use":
        for name, pattern in (("id", f.TOOL_USE_ID), ("name", f.TOOL_NAME)):
            if not pattern.fullmatch(block[name]):
                raise Refused(f"{path}.tool_use.{name}: String should match pattern '{pattern.pattern}'")


_EMPTY = "{where}: all messages must have non-empty content except for the optional final assistant message"
_BLANK = "messages: text content blocks must contain non-whitespace text"


def _check_side(where: str, role: str, block: object) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    for wrong, owner in (("tool_use", "assistant"), ("tool_result", "user")):
        if kind == wrong and role != owner:
            raise Refused(f"{where}: `{wrong}` blocks can only be in `{owner}` messages")


def _check_text(level: str, path: str, block: Mapping[str, Any]) -> None:
    text = block["text"]
    if not text:
        # A6 texts.
        if block.get("cache_control") is not None:
            raise Refused(f"{path}.text: cache_control cannot be set for empty text blocks")
        raise Refused(f"{level}: text content blocks must be non-empty")
    if not text.strip():
        raise Refused(f"{level}: text content blocks must contain non-whitespace text")


def _check_result(path: str, block: Mapping[str, Any]) -> None:
    content = block.get("content")
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise Refused(f"{path}.tool_result.content: Input should be a valid list")
    for place, part in enumerate(content):
        where = f"{path}.tool_result.content.{place}"
        kind = f.check_block(where, part, f.RESULT_BLOCKS)
        if kind == "text":
            _check_text("messages", where, part)
        elif kind == "image":
            _check_image(f"{where}.image", part["source"])


def _check_image(where: str, source: Mapping[str, Any]) -> None:
    match source.get("type"):
        case "base64":
            f.only(f"{where}.source.base64", source, frozenset({"type", "media_type", "data"}))
            if source.get("media_type") not in _MEDIA:
                raise Refused(f"{where}.source.base64.media_type: Input should be one of {', '.join(_MEDIA)}")
            try:
                binascii.a2b_base64(f.need(f"{where}.source.base64", source, "data", str), strict_mode=True)
            except (binascii.Error, ValueError):
                raise Refused(f"{where}.source.base64: invalid base64 data") from None
        case "url":
            f.need(f"{where}.source.url", source, "url", str)
        case "file":
            f.need(f"{where}.source.file", source, "file_id", str)
        case kind:
            raise Refused(
                f"{where}.source: Input tag '{kind}' found using 'type' does not match any of the expected "
                "tags: 'base64', 'url', 'file'"
            )
