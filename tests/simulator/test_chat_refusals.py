"""What the Chat Completions wire refuses: one case a rule (sections B and C; openai 3.54.0, types/chat)."""

from __future__ import annotations

from typing import Any

import pytest

HI: list[Any] = [{"role": "user", "content": "hi"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
MADE = {"role": "assistant", "content": None, "tool_calls": [CALL]}
DONE = {"role": "tool", "tool_call_id": "call_1", "content": "done"}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
TEXT = {"type": "text", "text": "x"}
MARKED = {**TEXT, "prompt_cache_breakpoint": {"mode": "explicit"}}


@pytest.mark.parametrize(
    ("fields", "text", "param"),
    [
        ({"foo": 1}, "Unrecognized request argument supplied: foo", None),
        ({"input": []}, "Unrecognized request argument supplied: input", None),
        ({"messages": ...}, "Missing required parameter: 'messages'.", "messages"),
        ({"messages": []}, "Invalid 'messages': empty array.", "messages"),
        ({"model": 3}, "Invalid type for 'model': expected a string", "model"),
        ({"temperature": 0.5}, "'temperature' does not support 0.5", "temperature"),
        ({"presence_penalty": 1}, "Only the default (0) value", "presence_penalty"),
        ({"max_tokens": 9}, "Use 'max_completion_tokens' instead.", "max_tokens"),
        ({"stop": ["x"]}, "Unsupported parameter: 'stop'", "stop"),
        ({"reasoning_effort": "huge"}, "Unsupported value: 'huge'", "reasoning_effort"),
        ({"stream_options": {"include_usage": True}}, "only allowed when 'stream'", "stream_options"),
        ({"stream": True, "stream_options": {"x": 1}}, "Unknown parameter: 'stream_options.x'.", None),
        ({"n": 2}, "one choice", "n"),
        ({"functions": [1]}, "deprecated", "functions"),
        ({"tools": []}, "Invalid 'tools': empty array.", "tools"),
        ({"tools": [{"type": "function", "name": "look"}]}, "Unknown parameter: 'tools[0].name'.", None),
        ({"tools": [TOOL, TOOL]}, "Duplicate tool name", None),
        ({"tool_choice": "auto"}, "only allowed when 'tools'", "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "'x' not found", None),
        ({"response_format": {"type": "xml"}}, "Invalid value: 'xml'", "response_format.type"),
        ({"prompt_cache_options": {"ttl": "12h"}}, "Supported values are: '30m'.", "prompt_cache_options.ttl"),
        ({"prompt_cache_options": {"prewarm": True}}, "Unknown parameter", "prompt_cache_options.prewarm"),
        ({"model": "gpt-5.4", "prompt_cache_options": {}}, "not supported on this model", "prompt_cache_options"),
    ],
)
def test_fields(start: Any, fields: Any, text: str, param: str | None) -> None:
    status, said, where, _ = start().chat(fields.pop("messages", HI), **fields).failure
    assert (status, text in said) == (400, True), said
    assert param in (None, where)


FOLLOWED = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
PRECEEDING = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."


@pytest.mark.parametrize(
    ("messages", "text", "param"),
    [
        ([{"role": "human", "content": "x"}], "Invalid value: 'human'", "messages[0].role"),
        ([{"role": "user"}], "Missing required parameter: 'messages[0].content'.", None),
        ([{"role": "user", "content": None}], "but got null instead", "messages[0].content"),
        ([{"role": "user", "content": []}], "empty array", "messages[0].content"),
        ([{"role": "user", "content": "x", "foo": 1}], "Unknown parameter: 'messages[0].foo'.", None),
        ([{"role": "user", "content": [{"type": "input_text", "text": "x"}]}], "Invalid value: 'input_text'", None),
        ([{"role": "user", "content": [{**TEXT, "cache_control": {}}]}], "Unknown parameter", None),
        ([{"role": "system", "content": [IMAGE]}, *HI], "with role 'system' contains an image URL", None),
        ([*HI, MADE, {**DONE, "content": [IMAGE]}], "with role 'tool' contains an image URL", "messages[2]"),
        ([*HI, {"role": "assistant", "content": None}], "but got null instead", None),
        ([*HI, {"role": "assistant", "content": [MARKED]}], "Unknown parameter", None),
        ([*HI, {**MADE, "tool_calls": []}], "Invalid 'messages[1].tool_calls': empty array.", None),
        ([*HI, {**MADE, "tool_calls": [CALL, CALL]}, DONE], "Duplicate value", None),
        ([*HI, {**MADE, "tool_calls": [{**CALL, "id": "c" * 41}]}, DONE], "maximum length 40", None),
        ([*HI, MADE], FOLLOWED, "messages.[2].role"),
        ([*HI, MADE, *HI, DONE], FOLLOWED, "messages.[2].role"),
        ([*HI, {**MADE, "tool_calls": [CALL, {**CALL, "id": "b"}]}, DONE, *HI], "response messages: b", None),
        ([*HI, DONE], PRECEEDING, "messages.[1].role"),
        ([*HI, MADE, DONE, DONE], PRECEEDING, "messages.[3].role"),
        ([*HI, MADE, {**DONE, "tool_call_id": "x"}], PRECEEDING, "messages.[2].role"),
    ],
)
def test_messages(start: Any, messages: Any, text: str, param: str | None) -> None:
    status, said, where, _ = start().chat(messages).failure
    assert (status, text in said) == (400, True), said
    assert param in (None, where)


def test_every_allowed_thing_at_once(start: Any) -> None:
    messages = [
        {"role": "developer", "content": [MARKED], "name": "a"},
        {"role": "user", "content": [TEXT, IMAGE, MARKED]},
        {**MADE, "content": "calling", "refusal": None},
        {**DONE, "content": [TEXT, MARKED]},
        {"role": "assistant", "content": [TEXT, {"type": "refusal", "refusal": "n"}]},
        {"role": "system", "content": "mid-list is fine here"},
        {"role": "user", "content": "go on"},
    ]
    allowed = {"mode": "auto", "tools": [{"type": "function", "function": {"name": "look"}}]}
    reply = start().chat(
        messages,
        tools=[TOOL],
        tool_choice={"type": "allowed_tools", "allowed_tools": allowed},
        max_completion_tokens=9,
        temperature=1,
        reasoning_effort="high",
        verbosity="low",
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
        prompt_cache_key="k",
        prompt_cache_options={"mode": "explicit", "ttl": "30m"},
        service_tier="auto",
        parallel_tool_calls=True,
    )
    assert reply.status == 200, reply.body


@pytest.mark.parametrize(("profile", "status"), [("vllm", 400), ("sglang", 400), ("llamacpp", 200), ("openai", 200)])
def test_c_system_messages_in_the_middle(start: Any, profile: str, status: int) -> None:
    model = "gpt-6.1-sol" if profile == "openai" else "any"
    call = start(profile=profile)
    assert call.chat([{"role": "system", "content": "x"}, *HI], model=model).status == 200
    reply = call.chat([*HI, {"role": "system", "content": "x"}], model=model)
    assert reply.status == status
    if status == 400:
        assert reply.failure[1] == "System message must be at the beginning."
    assert start(profile=profile, mid_system="reject").chat([*HI, {"role": "system", "content": "x"}]).status == 400
    assert start(profile=profile, mid_system="accept").chat([*HI, {"role": "system", "content": "x"}]).status == 200


def test_strict_alternation(start: Any) -> None:
    call = start(profile="llamacpp", strict_alternation=True)
    said = {"role": "assistant", "content": "x"}
    for good in ([{"role": "system", "content": "x"}, *HI], [*HI, MADE, DONE, said, *HI]):
        assert call.chat(good).status == 200
    for bad in ([*HI, *HI], [*HI, said, said], [said], [*HI, MADE, DONE, *HI]):
        assert "Conversation roles must alternate user/assistant" in call.chat(bad).failure[1]


def test_deepseek_wants_its_reasoning_back_with_calls(start: Any) -> None:
    call = start(lambda _: [{"thinking": "hm"}, {"call": "look", "input": {}}], profile="deepseek")
    message = call.chat(HI).json["choices"][0]["message"]
    done = {**DONE, "tool_call_id": message["tool_calls"][0]["id"]}
    assert message["reasoning_content"] == "hm"
    assert call.chat([*HI, message, done]).status == 200
    bare = {name: value for name, value in message.items() if name != "reasoning_content"}
    text = "The `reasoning_content` in the thinking mode must be passed back to the API."
    assert call.chat([*HI, bare, done]).failure[1] == text
    assert call.chat([*HI, bare, done], thinking={"type": "disabled"}).status == 200
    assert call.chat([*HI, MADE, DONE]).status == 200
    assert start(profile="deepseek", reasoning_echo="all").chat([*HI, MADE, DONE]).failure[1] == text
    assert start(profile="deepseek", reasoning_echo="free").chat([*HI, bare, done]).status == 200
    assert start(profile="deepseek", reasoning_echo="forbidden").chat([*HI, message, done]).status == 400


def test_models_by_profile(start: Any) -> None:
    assert start().chat(HI, model="llama").failure[0::3] == (404, "model_not_found")
    for profile in ("openrouter", "deepseek", "ollama", "llamacpp", "vllm", "sglang", "generic"):
        call = start(profile=profile)
        assert call.chat(HI, model="llama", foo=1, temperature=0.5, max_tokens=9, prompt_cache_key="k").status == 200
    assert call.send("/chat/completions", b'{"model":"m","messages":[{"role":"user","content":"x"}]}').status == 200
    assert start(profile="deepseek").respond(HI).status == 404
    assert start(profile="vllm").respond(HI, model="llama", prompt_cache_options={"mode": "x"}).status == 200


@pytest.mark.parametrize(
    ("profile", "taken"), [("vllm", False), ("sglang", False), ("llamacpp", True), ("ollama", True)]
)
def test_servers_that_reserve_the_answer_refuse_what_is_too_much(start: Any, profile: str, taken: bool) -> None:
    call = start(profile=profile, context_window=100)
    assert call.chat(HI, max_tokens=50).status == 200
    reply = call.chat(HI, max_tokens=100)
    assert (reply.status == 200) == taken
    if not taken:
        assert "maximum context length is 100 tokens. However, you requested 100 output tokens" in reply.failure[1]
