"""What the vendor refuses in a Responses request before it looks at caching.

Invariant: pure; a request that passes can be turned into blocks without further checks.
Source: openai 3.54.0, types/responses/response_create_params.py and response_input_item_param.py; section B.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.simulator import openai_fields as f
from harness.simulator.openai_models import OpenAIFacts, Profile
from harness.simulator.records import Refused
from harness.simulator.responses_pairing import check_items, kind_of
from harness.simulator.rules import Rules
from harness.simulator.sealed import unseal

CACHE_OPTIONS = frozenset({"mode", "ttl", "comparison_response_id", "prewarm"})
_REQUEST = frozenset(
    {"access_programs", "background", "background_options", "context_management", "conversation", "image", "include"}
    | {"input", "instructions", "max_output_tokens", "max_tool_calls", "metadata", "model", "moderation"}
    | {"parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_options"}
    | {"prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store", "stream"}
    | {"stream_options", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user"}
)
# Known to the vendor, and beyond this simulator, which keeps no state.
_STATEFUL = ("background", "conversation", "previous_response_id", "prompt", "context_management")
_INCLUDES = (
    "web_search_call.action.sources",
    "web_search_call.results",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
)
SERVICE_TIERS = ("auto", "default", "flex", "scale", "priority", "fast", "ultrafast")
_ITEMS = {
    "message": frozenset({"type", "role", "content", "id", "status", "phase"}),
    "function_call": frozenset(
        {"type", "id", "call_id", "name", "arguments", "status", "namespace", "caller", "async"}
    ),
    "function_call_output": frozenset({"type", "id", "call_id", "output", "status", "name", "namespace", "caller"}),
    "reasoning": frozenset({"type", "id", "summary", "content", "encrypted_content", "status"}),
    "configuration_update": frozenset({"type", "id", "reasoning", "text"}),
    "additional_tools": frozenset({"type", "id", "role", "tools"}),
}
_IDS = {"message": "msg", "function_call": "fc", "function_call_output": "fc", "reasoning": "rs"}
# B: breakpoints attach to input_text, input_image and input_file; assistant output cannot carry one.
_INPUT = {
    "input_text": frozenset({"type", "text", "prompt_cache_breakpoint"}),
    "input_image": frozenset({"type", "image_url", "file_id", "detail", "prompt_cache_breakpoint"}),
    "input_file": frozenset(
        {"type", "file_data", "file_id", "file_url", "filename", "detail", "prompt_cache_breakpoint"}
    ),
}
_OUTPUT = {
    "output_text": frozenset({"type", "text", "annotations", "logprobs"}),
    "refusal": frozenset({"type", "refusal"}),
}
_TOOL = frozenset(
    {"type", "name", "description", "parameters", "strict"}
    | {"defer_loading", "allowed_callers", "output_schema", "async"}
)


def check_request(request: Mapping[str, Any], facts: OpenAIFacts, profile: Profile, rules: Rules) -> list[Any]:
    """Refuse what the vendor refuses; returns the input as a list of items."""
    strict = not profile.lenient
    f.only("", request, _REQUEST, strict=strict)
    for name in _STATEFUL if strict else ():
        if request.get(name):
            raise Refused(f"'{name}' is not served by the simulator, which keeps no state.", param=name)
    if strict:
        _check_sampling(request, facts)
    if profile.markers:
        f.check_caching(request, facts, CACHE_OPTIONS)
    _check_settings(request, facts, strict=strict)
    tools = check_tools("tools", request.get("tools") or [], strict=strict)
    _check_choice(request, tools)
    given = f.need("", request, "input", str, list)
    if request.get("instructions") is not None:
        f.typed("instructions", request["instructions"], str)
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    for place, item in enumerate(items):
        _check_item(f"input[{place}]", item, facts, profile, rules)
    check_items(items)
    return items


def _check_sampling(request: Mapping[str, Any], facts: OpenAIFacts) -> None:
    """B: reasoning models take no sampling parameters."""
    for name in ("temperature", "top_p", "top_logprobs"):
        if request.get(name) is not None and facts.reasons:
            raise Refused(
                f"Unsupported parameter: '{name}' is not supported with this model.",
                param=name,
                code="unsupported_parameter",
            )


def _check_settings(request: Mapping[str, Any], facts: OpenAIFacts, *, strict: bool) -> None:
    for name in ("store", "stream", "parallel_tool_calls"):
        if request.get(name) is not None:
            f.typed(name, request[name], bool)
    for place, name in enumerate(f.typed("include", request.get("include") or [], list)):
        f.one_of(f"include[{place}]", name, _INCLUDES)
    limit = request.get("max_output_tokens")
    if limit is not None and f.typed("max_output_tokens", limit, int) < 16:
        raise Refused(
            f"Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got {limit} "
            "instead.",
            param="max_output_tokens",
            code="integer_below_min_value",
        )
    if limit is not None and strict and limit > facts.max_output:
        # B: 1.05M of context, 922k in.
        raise Refused(
            f"Invalid 'max_output_tokens': integer above maximum value. Expected a value <= {facts.max_output}, but "
            f"got {limit} instead.",
            param="max_output_tokens",
            code="integer_above_max_value",
        )
    if request.get("service_tier") is not None:
        f.one_of("service_tier", request["service_tier"], SERVICE_TIERS)
    reasoning = f.typed("reasoning", request.get("reasoning") or {}, dict)
    f.only("reasoning", reasoning, {"context", "effort", "generate_summary", "mode", "summary"})
    f.check_effort("reasoning.effort", reasoning.get("effort"), facts)
    if reasoning.get("summary") is not None:
        f.one_of("reasoning.summary", reasoning["summary"], ("auto", "concise", "detailed"))
    if reasoning.get("context") is not None:
        f.one_of("reasoning.context", reasoning["context"], ("auto", "current_turn", "all_turns"))
    if request.get("stream_options") is not None and not request.get("stream"):
        raise Refused(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    check_text("text", f.typed("text", request.get("text") or {}, dict))


def check_text(where: str, text: Mapping[str, Any]) -> None:
    """`text`: format and verbosity."""
    f.only(where, text, {"format", "verbosity"})
    if text.get("verbosity") is not None:
        f.one_of(f"{where}.verbosity", text["verbosity"], ("low", "medium", "high"))
    form = text.get("format")
    if form is None:
        return
    f.typed(f"{where}.format", form, dict)
    kind = f.need(f"{where}.format", form, "type", str)
    f.one_of(f"{where}.format.type", kind, ("json_object", "json_schema", "text"))
    if kind == "json_schema":
        f.only(f"{where}.format", form, {"type", "name", "schema", "description", "strict"})
        f.need(f"{where}.format", form, "name", str)
        f.need(f"{where}.format", form, "schema", dict)


def check_tools(where: str, tools: object, *, strict: bool) -> set[str]:
    """Function tools in the flat form; returns their names."""
    names: set[str] = set()
    for place, tool in enumerate(f.typed(where, tools, list)):
        path = f"{where}[{place}]"
        f.typed(path, tool, dict)
        f.one_of(f"{path}.type", f.need(path, tool, "type", str), ("function",))
        f.only(path, tool, _TOOL, strict=strict)
        before = len(names)
        f.check_function(path, tool, names)
        if len(names) == before:
            raise Refused(f"Duplicate tool name: '{tool['name']}'.", param=path, code="invalid_value")
    return names


def _check_choice(request: Mapping[str, Any], tools: set[str]) -> None:
    choice = request.get("tool_choice")
    if choice is None:
        return
    if isinstance(choice, str):
        f.one_of("tool_choice", choice, ("none", "auto", "required"))
        if choice == "required" and not tools:
            raise Refused("Tool choice 'required' must be specified with 'tools' parameter.", param="tool_choice")
        return
    f.typed("tool_choice", choice, str, dict)
    kind = f.one_of("tool_choice.type", f.need("tool_choice", choice, "type", str), ("function", "allowed_tools"))
    named = [choice]
    if kind == "allowed_tools":
        f.only("tool_choice", choice, {"type", "mode", "tools"})
        f.one_of("tool_choice.mode", f.need("tool_choice", choice, "mode", str), ("auto", "required"))
        named = f.need("tool_choice", choice, "tools", list)
    for tool in named:
        name = f.need("tool_choice", f.typed("tool_choice.tools", tool, dict), "name", str)
        if name not in tools:
            raise Refused(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")


def _check_item(where: str, given: object, facts: OpenAIFacts, profile: Profile, rules: Rules) -> None:
    item: dict[str, Any] = f.typed(where, given, dict)
    kind = f.one_of(f"{where}.type", kind_of(item), tuple(_ITEMS))
    f.only(where, item, _ITEMS[kind])
    if item.get("id") is not None:
        f.identifier(f"{where}.id", item["id"], _IDS.get(kind, ""))
    match kind:
        case "message":
            _check_message(where, item, facts, profile)
        case "function_call":
            f.identifier(f"{where}.call_id", f.need(where, item, "call_id", str))
            f.need(where, item, "name", str)
            f.need(where, item, "arguments", str)
        case "function_call_output":
            f.identifier(f"{where}.call_id", f.need(where, item, "call_id", str))
            output = f.need(where, item, "output", str, list)
            if isinstance(output, list):
                _check_parts(f"{where}.output", output, _INPUT, facts, profile)
        case "reasoning":
            _check_reasoning(where, item, facts, profile, rules)
        case "additional_tools":
            f.one_of(f"{where}.role", f.need(where, item, "role", str), ("developer",))
            check_tools(f"{where}.tools", f.need(where, item, "tools", list), strict=not profile.lenient)
        case "configuration_update":
            _check_update(where, item, facts, rules)
        case _:
            pass  # every type of _ITEMS is above


def _check_message(where: str, item: Mapping[str, Any], facts: OpenAIFacts, profile: Profile) -> None:
    role = f.one_of(f"{where}.role", f.need(where, item, "role", str), ("assistant", "system", "developer", "user"))
    content = f.need(where, item, "content", str, list)
    if isinstance(content, list):
        _check_parts(f"{where}.content", content, _OUTPUT if role == "assistant" else _INPUT, facts, profile)
    elif role != "assistant" and item.get("id") is not None:
        f.typed(f"{where}.content", content, list)


def _check_parts(
    where: str, parts: list[Any], allowed: Mapping[str, frozenset[str]], facts: OpenAIFacts, profile: Profile
) -> None:
    for place, part in enumerate(parts):
        path = f"{where}[{place}]"
        f.typed(path, part, dict)
        kind = f.one_of(f"{path}.type", f.need(path, part, "type", str), tuple(allowed))
        f.only(path, part, allowed[kind])
        match kind:
            case "input_text" | "output_text":
                f.need(path, part, "text", str)
            case "refusal":
                f.need(path, part, "refusal", str)
            case "input_image" if part.get("file_id") is None:
                f.check_image(f"{path}.image_url", f.need(path, part, "image_url", str))
            case _:
                pass  # a file, or an image by its id: opaque here
        if profile.markers:
            f.breakpoint_of(path, part, facts, "30m")


def _check_reasoning(where: str, item: Mapping[str, Any], facts: OpenAIFacts, profile: Profile, rules: Rules) -> None:
    for place, part in enumerate(f.need(where, item, "summary", list)):
        path = f"{where}.summary[{place}]"
        f.one_of(f"{path}.type", f.need(path, f.typed(path, part, dict), "type", str), ("summary_text",))
        f.need(path, part, "text", str)
    content = item.get("encrypted_content")
    if content is None:
        # As quoted in public reports: nothing is kept with `store: false`, and here never.
        raise Refused(
            f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to false. "
            "Try again with `store` set to true, or remove this item from your input.",
            status=404,
            param="input",
        )
    sealed = unseal(f.typed(f"{where}.encrypted_content", content, str))
    foreign = sealed is not None and sealed.model != facts.name
    moved = sealed is not None and item.get("id") not in (None, sealed.id)
    if sealed is None or moved or (foreign and rules.foreign_reasoning == "reject" and not profile.lenient):
        # openai/codex#8145, #8119: code and text.
        raise Refused(
            f"The encrypted content {content[:4]}...{content[-4:]} could not be verified. Reason: Encrypted content "
            "could not be decrypted or parsed.",
            code="invalid_encrypted_content",
        )


def _check_update(where: str, item: Mapping[str, Any], facts: OpenAIFacts, rules: Rules) -> None:
    """B Cache-safe: a change of effort or text.format inside the conversation."""
    taken = {"breakpoints": facts.breakpoints, "all": True, "none": False}[rules.configuration_updates]
    if not taken:
        raise f.unsupported(f"{where}.configuration_update")
    reasoning = f.typed(f"{where}.reasoning", item.get("reasoning") or {}, dict)
    f.only(f"{where}.reasoning", reasoning, {"effort"})
    f.check_effort(f"{where}.reasoning.effort", reasoning.get("effort"), facts)
    if item.get("text") is not None:
        f.only(f"{where}.text", f.typed(f"{where}.text", item["text"], dict), {"format"})
        check_text(f"{where}.text", item["text"])
