"""What a server refuses in a Chat Completions request before it looks at caching.

Invariant: pure; a request that passes can be turned into blocks without further checks. Unknown fields are
refused by the profile `openai` only; the order of roles by every profile.
Source: openai 3.54.0, types/chat/completion_create_params.py and chat_completion_*_param.py; sections B and C.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.simulator import openai_fields as f
from harness.simulator.chat_pairing import check_order
from harness.simulator.openai_models import OpenAIFacts, Profile
from harness.simulator.records import Refused
from harness.simulator.responses_validation import SERVICE_TIERS
from harness.simulator.rules import Rules

CACHE_OPTIONS = frozenset({"mode", "ttl"})
_REQUEST = frozenset(
    {"audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens"}
    | {"max_tokens", "messages", "metadata", "modalities", "model", "moderation", "n", "parallel_tool_calls"}
    | {"prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
    | {"reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream"}
    | {"stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity"}
    | {"web_search_options"}
)
_MESSAGES = {
    "developer": frozenset({"role", "content", "name"}),
    "system": frozenset({"role", "content", "name"}),
    "user": frozenset({"role", "content", "name"}),
    "assistant": frozenset({"role", "content", "refusal", "name", "tool_calls", "audio", "function_call"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
}
_MARK = {"type", "prompt_cache_breakpoint"}
_TEXT = {"text": frozenset(_MARK | {"text"})}
_PARTS: dict[str, dict[str, frozenset[str]]] = {
    "developer": _TEXT,
    "system": _TEXT,
    "tool": _TEXT,
    "user": {
        **_TEXT,
        "image_url": frozenset(_MARK | {"image_url"}),
        "input_audio": frozenset(_MARK | {"input_audio"}),
        "file": frozenset(_MARK | {"file"}),
    },
    # B: assistant output cannot carry a breakpoint.
    "assistant": {"text": frozenset({"type", "text"}), "refusal": frozenset({"type", "refusal"})},
}
_SAMPLING = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}


def check_request(request: Mapping[str, Any], facts: OpenAIFacts, profile: Profile, rules: Rules) -> None:
    """Refuse what this profile refuses."""
    strict = not profile.lenient
    for name in request if strict else ():
        if name not in _REQUEST:
            raise Refused(f"Unrecognized request argument supplied: {name}")
    if strict:
        _check_sampling(request, facts)
        f.check_effort("reasoning_effort", request.get("reasoning_effort"), facts)
        _check_limit(request, facts)
    if profile.markers:
        f.check_caching(request, facts, CACHE_OPTIONS)
    _check_settings(request)
    tools = _check_tools(request, strict=strict)
    _check_choice(request, tools)
    messages = f.need("", request, "messages", list)
    if not messages:
        raise _empty("messages")
    for place, message in enumerate(messages):
        _check_message(f"messages[{place}]", message, facts, profile)
    check_order(messages, request, profile, rules)


def _empty(path: str) -> Refused:
    return Refused(
        f"Invalid '{path}': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        param=path,
        code="empty_array",
    )


def _check_sampling(request: Mapping[str, Any], facts: OpenAIFacts) -> None:
    """B: reasoning models take no sampling parameters but the defaults, and no max_tokens."""
    if not facts.reasons:
        return
    for name, default in _SAMPLING.items():
        if request.get(name) not in (None, default):
            raise Refused(
                f"Unsupported value: '{name}' does not support {request[name]} with this model. Only the default "
                f"({default}) value is supported.",
                param=name,
                code="unsupported_value",
            )
    for name, instead in (
        ("max_tokens", " Use 'max_completion_tokens' instead."),
        ("stop", ""),
        ("logprobs", ""),
        ("top_logprobs", ""),
        ("logit_bias", ""),
    ):
        if request.get(name):
            text = f"Unsupported parameter: '{name}' is not supported with this model.{instead}"
            raise Refused(text, param=name, code="unsupported_parameter")


def _check_settings(request: Mapping[str, Any]) -> None:
    for name in ("stream", "store", "parallel_tool_calls"):
        if request.get(name) is not None:
            f.typed(name, request[name], bool)
    for name in ("max_tokens", "max_completion_tokens", "n", "seed"):
        if request.get(name) is not None:
            f.typed(name, request[name], int)
    if request.get("n") not in (None, 1):
        raise Refused("The simulator makes one choice.", param="n")
    for name in ("functions", "function_call"):
        if request.get(name):
            raise Refused(f"'{name}' is deprecated and not served by the simulator.", param=name)
    if request.get("service_tier") is not None:
        f.one_of("service_tier", request["service_tier"], SERVICE_TIERS)
    if request.get("verbosity") is not None:
        f.one_of("verbosity", request["verbosity"], ("low", "medium", "high"))
    options = request.get("stream_options")
    if options is not None:
        if not request.get("stream"):
            text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise Refused(text, param="stream_options")
        f.typed("stream_options", options, dict)
        f.only("stream_options", options, {"include_usage", "include_obfuscation"})
    form = request.get("response_format")
    if form is not None:
        f.typed("response_format", form, dict)
        kind = f.need("response_format", form, "type", str)
        f.one_of("response_format.type", kind, ("json_object", "json_schema", "text"))
        if kind == "json_schema":
            f.need("response_format.json_schema", f.need("response_format", form, "json_schema", dict), "name", str)


def _check_limit(request: Mapping[str, Any], facts: OpenAIFacts) -> None:
    """B: 1.05M of context, 922k in."""
    limit = request.get("max_completion_tokens")
    if limit is not None and f.typed("max_completion_tokens", limit, int) > facts.max_output:
        raise Refused(
            f"max_tokens is too large: {limit}. This model supports at most {facts.max_output} completion tokens, "
            f"whereas you provided {limit}.",
            param="max_completion_tokens",
            code="invalid_value",
        )


def _check_tools(request: Mapping[str, Any], *, strict: bool) -> set[str]:
    names: set[str] = set()
    tools = request.get("tools")
    if tools is None:
        return names
    if not f.typed("tools", tools, list) and strict:
        raise _empty("tools")
    for place, tool in enumerate(tools):
        path = f"tools[{place}]"
        f.one_of(f"{path}.type", f.need(path, f.typed(path, tool, dict), "type", str), ("function",))
        f.only(path, tool, {"type", "function"}, strict=strict)
        function = f.need(path, tool, "function", dict)
        f.only(f"{path}.function", function, {"name", "description", "parameters", "strict"}, strict=strict)
        before = len(names)
        f.check_function(f"{path}.function", function, names)
        if len(names) == before:
            raise Refused(f"Duplicate tool name: '{function['name']}'.", param=path, code="invalid_value")
    return names


def _check_choice(request: Mapping[str, Any], tools: set[str]) -> None:
    choice = request.get("tool_choice")
    if choice is None:
        return
    if isinstance(choice, str):
        f.one_of("tool_choice", choice, ("none", "auto", "required"))
        if not tools:
            raise Refused("'tool_choice' is only allowed when 'tools' are specified.", param="tool_choice")
        return
    f.typed("tool_choice", choice, str, dict)
    kind = f.one_of("tool_choice.type", f.need("tool_choice", choice, "type", str), ("function", "allowed_tools"))
    named = [choice]
    if kind == "allowed_tools":
        allowed = f.need("tool_choice", choice, "allowed_tools", dict)
        mode = f.need("tool_choice.allowed_tools", allowed, "mode", str)
        f.one_of("tool_choice.allowed_tools.mode", mode, ("auto", "required"))
        named = f.need("tool_choice.allowed_tools", allowed, "tools", list)
    for tool in named:
        function = f.need("tool_choice", f.typed("tool_choice.tools", tool, dict), "function", dict)
        name = f.need("tool_choice.function", function, "name", str)
        if name not in tools:
            raise Refused(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")


def _check_message(where: str, given: object, facts: OpenAIFacts, profile: Profile) -> None:
    message: dict[str, Any] = f.typed(where, given, dict)
    role: str = f.one_of(f"{where}.role", f.need(where, message, "role", str), tuple(_MESSAGES))
    f.only(where, message, _MESSAGES[role], strict=not profile.lenient)
    if role == "assistant":
        _check_calls(where, message, profile)
    if role == "tool":
        f.need(where, message, "tool_call_id", str)
    content = message.get("content")
    if content is None and role == "assistant" and (message.get("tool_calls") or message.get("refusal")):
        return
    f.need(where, message, "content", str, list)
    if isinstance(content, list):
        if not content:
            raise _empty(f"{where}.content")
        for place, part in enumerate(content):
            _check_part(where, f"{where}.content[{place}]", role, part, facts, profile)


def _check_part(where: str, path: str, role: str, given: object, facts: OpenAIFacts, profile: Profile) -> None:
    part: dict[str, Any] = f.typed(path, given, dict)
    kind = f.need(path, part, "type", str)
    if kind == "image_url" and role != "user":
        # B, C: images only in user messages, on every profile.
        raise Refused(
            f"Invalid '{where}'. Image URLs are only allowed for messages with role 'user', but this message with role "
            f"'{role}' contains an image URL.",
            param=where,
            code="invalid_value",
        )
    if kind == "thinking" and profile.thoughts == "parts" and role == "assistant":
        f.need(path, part, "thinking", str, list)
        return
    f.one_of(f"{path}.type", kind, tuple(_PARTS[role]))
    f.only(path, part, _PARTS[role][kind], strict=not profile.lenient)
    match kind:
        case "text":
            f.need(path, part, "text", str)
        case "refusal":
            f.need(path, part, "refusal", str)
        case "image_url":
            image = f.need(path, part, "image_url", dict)
            f.check_image(f"{path}.image_url.url", f.need(f"{path}.image_url", image, "url", str))
        case _:
            pass  # audio and files are opaque here
    if profile.markers and facts.contract != "anthropic":
        f.breakpoint_of(path, part, facts, "30m")


def _check_calls(where: str, message: Mapping[str, Any], profile: Profile) -> None:
    calls = message.get("tool_calls")
    if calls is None:
        return
    if not f.typed(f"{where}.tool_calls", calls, list):
        raise _empty(f"{where}.tool_calls")
    seen: set[str] = set()
    for place, call in enumerate(calls):
        path = f"{where}.tool_calls[{place}]"
        f.typed(path, call, dict)
        f.only(path, call, {"id", "type", "function"}, strict=not profile.lenient)
        identity = f.need(path, call, "id", str)
        # As quoted in public reports: forty characters on this wire.
        f.identifier(f"{path}.id", identity, limit=64 if profile.lenient else 40)
        if identity in seen:
            raise Refused(f"Duplicate value for 'tool_call_id' of '{identity}' in message.", param=path)
        seen.add(identity)
        f.one_of(f"{path}.type", f.need(path, call, "type", str), ("function",))
        function = f.need(path, call, "function", dict)
        f.need(f"{path}.function", function, "name", str)
        f.need(f"{path}.function", function, "arguments", str)
