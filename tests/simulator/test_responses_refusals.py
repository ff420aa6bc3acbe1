"""What the Responses wire refuses: one case a rule (section B; openai 3.54.0, types/responses)."""

from __future__ import annotations

from typing import Any

import pytest

HI: list[Any] = [{"role": "user", "content": "hi"}]
TEXT = {"type": "input_text", "text": "x"}
CALL = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
OUT = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": False}
MARKED = {**TEXT, "prompt_cache_breakpoint": {"mode": "explicit"}}
PIXEL = "data:image/png;base64,AAAA"


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


@pytest.mark.parametrize(
    ("fields", "text", "param", "code"),
    [
        ({"foo": 1}, "Unknown parameter: 'foo'.", "foo", "unknown_parameter"),
        ({"messages": []}, "Unknown parameter: 'messages'.", "messages", "unknown_parameter"),
        ({"max_tokens": 5}, "Unknown parameter: 'max_tokens'.", "max_tokens", "unknown_parameter"),
        ({"input": ...}, "Missing required parameter: 'input'.", "input", "missing_required_parameter"),
        ({"model": ...}, "Missing required parameter: 'model'.", "model", "missing_required_parameter"),
        ({"input": 3}, "Invalid type for 'input': expected a string or an array, but got an integer", "input", None),
        ({"stream": "yes"}, "Invalid type for 'stream': expected a boolean", "stream", "invalid_type"),
        ({"include": ["thoughts"]}, "Invalid value: 'thoughts'.", "include[0]", "invalid_value"),
        ({"max_output_tokens": 3}, "Expected a value >= 16, but got 3", "max_output_tokens", None),
        ({"temperature": 0.5}, "Unsupported parameter: 'temperature'", "temperature", "unsupported_parameter"),
        ({"top_p": 1}, "Unsupported parameter: 'top_p'", "top_p", "unsupported_parameter"),
        ({"reasoning": {"budget": 1}}, "Unknown parameter: 'reasoning.budget'.", None, "unknown_parameter"),
        ({"reasoning": {"effort": "huge"}}, "Unsupported value: 'huge'", "reasoning.effort", "unsupported_value"),
        ({"reasoning": {"context": "some"}}, "Invalid value: 'some'", "reasoning.context", "invalid_value"),
        ({"text": {"format": {"type": "xml"}}}, "Invalid value: 'xml'", "text.format.type", "invalid_value"),
        ({"text": {"format": {"type": "json_schema"}}}, "Missing required", "text.format.name", None),
        ({"service_tier": "slow"}, "Invalid value: 'slow'", "service_tier", "invalid_value"),
        ({"stream_options": {}}, "only allowed when 'stream' is enabled", "stream_options", None),
        ({"previous_response_id": "resp_1"}, "keeps no state", "previous_response_id", None),
        ({"prompt_cache_options": {"mode": "auto"}}, "Invalid value: 'auto'", "prompt_cache_options.mode", None),
        ({"prompt_cache_options": {"ttl": "5m"}}, "Invalid value: '5m'", "prompt_cache_options.ttl", None),
        ({"prompt_cache_options": {"size": 1}}, "Unknown parameter: 'prompt_cache_options.size'.", None, None),
        ({"prompt_cache_retention": "in_memory"}, "Invalid value: 'in_memory'", "prompt_cache_retention", None),
        ({"tools": [{"type": "function", "function": TOOL}]}, "Unknown parameter: 'tools[0].function'.", None, None),
        ({"tools": [{**TOOL, "name": "a b"}]}, "does not match pattern", "tools[0].name", "invalid_value"),
        ({"tools": [TOOL, TOOL]}, "Duplicate tool name: 'look'.", "tools[1]", None),
        ({"tools": [{**TOOL, "parameters": {"type": "array"}}]}, "Invalid schema for function 'look'", None, None),
        ({"tools": [{**TOOL, "strict": True}]}, "'additionalProperties' is required", None, None),
        ({"tool_choice": "any"}, "Invalid value: 'any'", "tool_choice", "invalid_value"),
        ({"tool_choice": {"type": "function", "name": "x"}}, "'x' not found in 'tools'", "tool_choice", None),
        ({"tool_choice": {"type": "allowed_tools", "mode": "any", "tools": []}}, "Invalid value: 'any'", None, None),
    ],
)
def test_fields(start: Any, fields: Any, text: str, param: str | None, code: str | None) -> None:
    status, said, where, which = start().respond(fields.pop("input", HI), **fields).failure
    assert (status, text in said) == (400, True), said
    assert param in (None, where)
    assert code in (None, which)


@pytest.mark.parametrize(
    ("items", "text", "param"),
    [
        ([{"role": "human", "content": "x"}], "Invalid value: 'human'", "input[0].role"),
        ([{"type": "note", "text": "x"}], "Invalid value: 'note'", "input[0].type"),
        ([{"role": "user"}], "Missing required parameter: 'input[0].content'.", "input[0].content"),
        ([{"role": "user", "content": "x", "foo": 1}], "Unknown parameter: 'input[0].foo'.", None),
        ([user({"type": "text", "text": "x"})], "Invalid value: 'text'", "input[0].content[0].type"),
        ([user({"type": "output_text", "text": "x"})], "Invalid value: 'output_text'", None),
        ([user({"type": "input_text"})], "Missing required parameter: 'input[0].content[0].text'.", None),
        ([user({"type": "input_image", "image_url": "data:image/bmp;base64,AA"})], "valid image", None),
        ([user({"type": "input_image", "image_url": "picture.png"})], "Expected a valid URL", None),
        (
            [*HI, {"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}],
            "Supported values are: 'output_text' and 'refusal'.",
            "input[1].content[0].type",
        ),
        ([{**CALL, "id": "call_9"}, OUT], "Expected an ID that begins with 'fc'", "input[0].id"),
        ([{**CALL, "id": "fc_a.b"}, OUT], "letters, numbers, underscores, or dashes", "input[0].id"),
        ([{**CALL, "call_id": "c" * 65}, OUT], "maximum length 64", "input[0].call_id"),
        ([{**CALL, "arguments": {}}, OUT], "Invalid type for 'input[0].arguments': expected a string", None),
        ([*HI, CALL], "No tool output found for function call call_1.", "input"),
        ([OUT, CALL], "No tool call found for function call output with call_id call_1.", "input"),
        ([CALL, OUT, OUT], "No tool call found for function call output with call_id call_1.", "input"),
        ([CALL, CALL, OUT], "Duplicate function call", "input"),
        (
            [{**CALL, "id": "fc_1"}, OUT, {**CALL, "id": "fc_1", "call_id": "b"}, {**OUT, "call_id": "b"}],
            "Duplicate item found with id fc_1. Remove duplicate items",
            "input",
        ),
        ([CALL, {**OUT, "output": [{"type": "output_text", "text": "x"}]}], "Invalid value: 'output_text'", None),
        ([{"type": "configuration_update", "text": {"verbosity": "low"}}], "Unknown parameter", None),
        ([{"type": "additional_tools", "role": "user", "tools": []}], "Invalid value: 'user'", None),
    ],
)
def test_items(start: Any, items: Any, text: str, param: str | None) -> None:
    status, said, where, _ = start().respond(items).failure
    assert (status, text in said) == (400, True), said
    assert param in (None, where)


def test_b_breakpoints_only_on_input_parts(start: Any) -> None:
    call = start()
    said = {"type": "output_text", "text": "x", "annotations": [], "prompt_cache_breakpoint": {"mode": "explicit"}}
    assert call.respond([*HI, {"role": "assistant", "content": [said]}, *HI]).failure[1:] == (
        "Unknown parameter: 'input[1].content[0].prompt_cache_breakpoint'.",
        "input[1].content[0].prompt_cache_breakpoint",
        "unknown_parameter",
    )
    for bad in ({"mode": "implicit"}, {"mode": "explicit", "ttl": "1h"}, {}, {"mode": "explicit", "x": 1}):
        assert call.respond([user({**TEXT, "prompt_cache_breakpoint": bad})]).status == 400
    image = {"type": "input_image", "image_url": PIXEL, "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}
    assert call.respond([CALL, {**OUT, "output": [MARKED, image]}, user(MARKED, image)]).status == 200
    assert call.sim.requests[0].markers == (1, 2, 3, 4)


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-5.4"])
def test_b_older_models_know_no_breakpoints(start: Any, model: str) -> None:
    call = start()
    assert call.respond([user(MARKED)], model=model).failure == (
        400,
        "prompt_cache_breakpoint is not supported on this model.",
        "input[0].content[0].prompt_cache_breakpoint",
        "unsupported_parameter",
    )
    text = "prompt_cache_options is not supported on this model."
    assert call.respond(HI, model=model, prompt_cache_options={"mode": "explicit"}).failure[1] == text
    assert call.respond(HI, model=model, prompt_cache_retention="24h").status == 200
    assert call.respond(HI, model=model, prompt_cache_retention="in_memory").status == (200 if "5.4" in model else 400)


@pytest.mark.parametrize(
    ("model", "effort", "taken"),
    [
        ("gpt-6.1-terra", "none", True),
        ("gpt-6.1-terra", "max", True),
        ("gpt-6.1-sol", "none", False),
        ("gpt-6-astra", "none", False),
        ("gpt-6-luna", "minimal", False),
        ("gpt-5.6-sol", "xhigh", True),
        ("gpt-5.6-sol", "max", False),
        ("gpt-5.4", "max", False),
        ("gpt-5.4-mini", "none", True),
    ],
)
def test_efforts_of_each_model(start: Any, model: str, effort: str, taken: bool) -> None:
    reply = start().respond("hi", model=model, reasoning={"effort": effort})
    assert reply.status == (200 if taken else 400)
    assert taken or reply.failure[2:] == ("reasoning.effort", "unsupported_value")


@pytest.mark.parametrize("effort", ["none", "minimal"])
def test_b_62_rejects_the_shortest_efforts(start: Any, effort: str) -> None:
    call = start()
    for model in ("gpt-6.2-astra", "gpt-6.2-sol"):
        text = call.respond(HI, model=model, reasoning={"effort": effort}).failure[1]
        assert text.endswith("Supported values are: 'low', 'medium', 'high', 'xhigh', and 'max'.")


def test_every_allowed_thing_at_once(start: Any) -> None:
    tools = [TOOL, {**TOOL, "name": "other"}]
    items = [
        {"role": "developer", "content": [MARKED]},
        {"type": "message", "role": "user", "content": [TEXT, {"type": "input_image", "image_url": PIXEL}]},
        CALL,
        {**OUT, "output": [TEXT, {"type": "input_image", "image_url": "https://a.example/b.png", "detail": "low"}]},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": "final_answer"}
        | {"content": [{"type": "output_text", "text": "x", "annotations": []}, {"type": "refusal", "refusal": "n"}]},
        {"type": "additional_tools", "role": "developer", "tools": [{**TOOL, "name": "late"}]},
        {"type": "configuration_update", "reasoning": {"effort": "low"}, "text": {"format": {"type": "text"}}},
        {"role": "user", "content": "and?"},
    ]
    reply = start().respond(
        items,
        instructions="Be brief.",
        tools=tools,
        tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
        parallel_tool_calls=False,
        text={"format": {"type": "json_schema", "name": "a", "schema": {}, "strict": True}, "verbosity": "low"},
        reasoning={"effort": "high", "summary": "auto", "context": "all_turns"},
        max_output_tokens=16,
        prompt_cache_key="k",
        prompt_cache_retention="24h",
        prompt_cache_options={"mode": "explicit", "ttl": "12h", "prewarm": False, "comparison_response_id": None},
        metadata={"a": "b"},
        safety_identifier="s",
    )
    assert reply.status == 200, reply.body


def test_models_keys_and_windows(start: Any) -> None:
    call = start(key="right", context_window=100)
    call.key = None
    assert call.respond(HI).failure[0::3] == (401, None)
    call.key = "wrong"
    assert call.respond(HI).failure[0::3] == (401, "invalid_api_key")
    call.key = "right"
    gone = call.respond(HI, model="gpt-7")
    assert gone.failure[0::3] == (404, "model_not_found")
    assert call.respond(HI, model="claude-opus-4-8").status == 404
    assert call.respond([user({**TEXT, "text": "x" * 500})]).failure[0::3] == (400, "context_length_exceeded")
    assert gone.headers["x-request-id"].startswith("req_")
    assert [(item.status, item.code, item.path) for item in call.sim.refused][2] == (
        404,
        "model_not_found",
        "/v1/responses",
    )
    assert call.send("/v1/responses", b"{").status == 400
    assert call.send("/v1/responses", b"[]").status == 400
