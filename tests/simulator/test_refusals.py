"""What the vendor refuses, with its texts (A1, A4, A5, A6; platform.claude.com/docs/en/api/errors)."""

from __future__ import annotations

import json
from typing import Any

import pytest

OLD = "2023-06-01"


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def assistant(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(content)}


def use(name: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": name, "name": "look", "input": {}}


def result(name: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": name, "content": "seen"}


HI = user(said("hi"))
TOOL = {"name": "look", "input_schema": {"type": "object"}}
THOUGHT = {"type": "thinking", "thinking": "t", "signature": "s"}

CONVERSATIONS: dict[str, tuple[list[Any], str]] = {
    "orphan call": (
        [HI, assistant(use("a"), use("b")), user(result("a"))],
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: b",
    ),
    "orphan call at the end": (
        [HI, assistant(use("a"))],
        "This model does not support assistant message prefill",
    ),
    "orphan call before text": (
        [HI, assistant(use("a")), HI],
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: a",
    ),
    "results not first": (
        [HI, assistant(use("a")), user(said("well"), result("a"))],
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: a",
    ),
    "orphan result": (
        [user(result("a"))],
        "messages.0.content.0: unexpected `tool_use_id` found in `tool_result`",
    ),
    "late result": (
        [HI, assistant(use("a")), user(result("a")), assistant(said("x")), user(result("a"))],
        "messages.4.content.0: unexpected `tool_use_id`",
    ),
    "two results": (
        [HI, assistant(use("a")), user(result("a"), result("a"))],
        "messages.2.content.1: each tool_use must have a single result",
    ),
    "repeated id": (
        [HI, assistant(use("a")), user(result("a")), assistant(use("a")), user(result("a"))],
        "messages.3.content.0: `tool_use` ids must be unique",
    ),
    "call by the user": (
        [user(use("a"))],
        "messages.0: `tool_use` blocks can only be in `assistant` messages",
    ),
    "result by the assistant": (
        [HI, assistant(result("a")), HI],
        "messages.1: `tool_result` blocks can only be in `user` messages",
    ),
    "A6 empty text": ([user(said(""))], "messages: text content blocks must be non-empty"),
    "A6 blank text": ([user(said(" \n"))], "messages: text content blocks must contain non-whitespace text"),
    "empty content": ([user()], "messages.0: all messages must have non-empty content"),
    "A1 prefill": ([HI, assistant(said("I"))], "This model does not support assistant message prefill"),
    "first is assistant": ([assistant(said("I")), HI], 'messages: first message must use the "user" role'),
    "no messages": ([], "messages: at least one message is required"),
    "thinking last": (
        [HI, assistant(said("I"), THOUGHT), HI],
        "messages.1: The final block in an assistant message cannot be `thinking`.",
    ),
    "unknown block": ([user({"type": "poem"})], "messages.0.content.0: Input tag 'poem' found using 'type'"),
    "unknown block field": (
        [user(said("x") | {"mood": 1})],
        "messages.0.content.0.text.mood: Extra inputs are not permitted",
    ),
    "unknown message field": ([HI | {"id": 1}], "messages.0.id: Extra inputs are not permitted"),
    "A1 document by the assistant": (
        [HI, assistant({"type": "document", "source": {}}), HI],
        "messages.1.content.0: Input tag 'document'",
    ),
    "A1 citations of the user": (
        [user(said("x") | {"citations": [{}]})],
        "messages.0.content.0.text.citations: Extra inputs are not permitted",
    ),
    "arguments not an object": (
        [HI, assistant(use("a") | {"input": []}), user(result("a"))],
        "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
    ),
    "bad image": (
        [user({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "%"}})],
        "messages.0.content.0.image.source.base64: invalid base64 data",
    ),
    "A5 system after assistant": (
        [HI, assistant(said("I")), {"role": "system", "content": "s"}],
        "messages.2: a `system` message must follow a user message",
    ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversations_that_are_refused(start: Any, name: str) -> None:
    messages, text = CONVERSATIONS[name]
    call = start()
    reply = call(messages)
    assert (reply.status, reply.error[: len(text)]) == (400, text)
    assert reply.json["type"] == "error"
    assert reply.json["error"]["type"] == "invalid_request_error"
    assert reply.headers["request-id"] == reply.json["request_id"]
    assert call.sim.requests == []
    assert (call.sim.refused[0].status, call.sim.refused[0].error) == (400, reply.error)


FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown field": ({"mood": 1}, "mood: Extra inputs are not permitted"),
    "A1 sampling at default": ({"temperature": 1.0}, "temperature: Extra inputs are not permitted"),
    "A1 top_p": ({"top_p": 1.0}, "top_p: Extra inputs are not permitted"),
    "max_tokens missing": ({"max_tokens": ...}, "max_tokens: Field required"),
    "max_tokens too large": ({"max_tokens": 128_001}, "max_tokens: 128001 > 128000"),
    "A4 forced tool": (
        {"model": "claude-opus-5-5", "tools": [TOOL], "tool_choice": {"type": "any"}},
        'tool_choice: type "tool" and "any" are not supported for this model.',
    ),
    "A4 thinking disabled": (
        {"model": "claude-fable-5-1", "thinking": {"type": "disabled"}},
        'thinking: type "disabled" is not supported for this model.',
    ),
    "tool choice without tools": ({"tool_choice": {"type": "auto"}}, "tool_choice: may only be specified"),
    "tool choice unknown": (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "x"}},
        "tool_choice.tool.name: Tool 'x' not found",
    ),
    "tool name": ({"tools": [TOOL | {"name": "a b"}]}, "tools.0.custom.name: String should match pattern"),
    "tool twice": ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique."),
    "tool field": ({"tools": [TOOL | {"x": 1}]}, "tools.0.custom.x: Extra inputs are not permitted"),
    "ttl": (
        {"system": [said("s") | {"cache_control": {"type": "ephemeral", "ttl": "2h"}}]},
        "system.0.text.cache_control.ttl: Input should be '5m' or '1h'",
    ),
    "effort": ({"output_config": {"effort": "huge"}}, "output_config.effort"),
    "A5 system role": (
        {"model": "claude-sonnet-5", "messages": [HI, {"role": "system", "content": "s"}]},
        "messages.1: role 'system' is not supported on this model",
    ),
    "A5 pre-warm with stream": ({"max_tokens": 0, "stream": True}, "max_tokens: 0 is not supported"),
    "effort of a model that has none": (
        {"model": "claude-haiku-4-5", "output_config": {"effort": "low"}},
        "This model does not support the effort parameter.",
    ),
    "effort of a later model": (
        {"model": "claude-opus-4-6", "output_config": {"effort": "xhigh"}},
        "output_config.effort: 'xhigh' is not supported on this model",
    ),
    "effort later still": ({"model": "claude-opus-4-5", "output_config": {"effort": "max"}}, "output_config.effort"),
    "budget": ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "`max_tokens` must be greater"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_that_are_refused(start: Any, name: str) -> None:
    fields, text = FIELDS[name]
    reply = start()(**({"messages": [HI]} | fields))
    assert (reply.status, reply.error[: len(text)]) == (400, text)


ACCEPTED: dict[str, list[Any]] = {
    "consecutive user messages": [HI, HI],
    "results then another message": [
        HI,
        assistant(use("a")),
        user(result("a")),
        user(said("[Session context]")),
    ],
    "results spread over two messages": [
        HI,
        assistant(use("a"), use("b")),
        user(result("a")),
        user(result("b")),
    ],
    "strings": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}, HI],
    "A5 system message last": [HI, {"role": "system", "content": "be brief"}],
    "A5 system message before an answer": [HI, {"role": "system", "content": "s"}, assistant(said("x")), HI],
    "a list of result parts": [HI, assistant(use("a")), user(result("a") | {"content": [said("x")]})],
    "no result content": [HI, assistant(use("a")), user({"type": "tool_result", "tool_use_id": "a"})],
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_conversations_that_are_accepted(start: Any, name: str) -> None:
    reply = start()(ACCEPTED[name])
    assert (reply.status, reply.body[:80] if reply.status != 200 else b"") == (200, b"")


def test_a1_sampling_on_the_old_version(start: Any) -> None:
    call = start()
    call.version = OLD
    assert call([HI], temperature=1.0).status == 200
    assert call([HI], temperature=0.5).error == "`temperature` is not supported on this model."
    assert call([HI], temperature=0.5, model="claude-opus-4-6").status == 200


def test_a1_prefill_on_older_models(start: Any) -> None:
    assert start()([HI, assistant(said("I"))], model="claude-sonnet-4-5").status == 200


@pytest.mark.parametrize("version", [None, "2025-01-01"])
def test_a1_version_header(start: Any, version: str | None) -> None:
    call = start()
    call.version = version
    reply = call([HI])
    assert (reply.status, "anthropic-version" in reply.error) == (400, True)


def test_a6_keys(start: Any) -> None:
    call = start(key="right")
    for key, text in ((None, "x-api-key header is required"), ("wrong", "invalid x-api-key")):
        call.key = key
        reply = call([HI])
        assert (reply.status, reply.json["error"]) == (401, {"type": "authentication_error", "message": text})
    call.headers = {"x-api-key": "right"}
    call.key = None
    assert call([HI]).status == 200
    free = start(key=None)
    free.key = None
    assert free([HI]).status == 200


def test_a6_unknown_model(start: Any) -> None:
    reply = start()([HI], model="claude-opus-9")
    assert (reply.status, reply.json["error"]["type"]) == (404, "not_found_error")


def test_a6_unknown_path_and_bad_json(start: Any) -> None:
    call = start()
    assert call.send("/v1/complete", b"{}").status == 404
    assert "not valid JSON" in call.send("/v1/messages", b"{").error
    assert call.send("/v1/messages", b"[1]").status == 400


def test_a6_request_too_large(start: Any) -> None:
    call = start(body_limit=1000)
    reply = call([user(said("x" * 1000))])
    assert (reply.status, reply.json["error"]["type"]) == (413, "request_too_large")
    assert len(call.sim.refused[0].body) > 1000


def test_a7_prompt_longer_than_the_window(start: Any) -> None:
    reply = start(context_window=10)([user(said("x" * 100))])
    assert (reply.status, reply.error) == (400, "prompt is too long: 32 tokens > 10 maximum")


def test_a_failing_brain_is_the_vendors_500(start: Any) -> None:
    call = start(lambda _: [{"poem": "x"}])
    reply = call([HI])
    assert (reply.status, call.sim.requests) == (500, [])
    assert "must have exactly one of" in reply.error
    call.sim.brain = lambda _: "ok"
    assert call([HI]).status == 200
    assert call.sim.requests[0].index == 0


def test_strange_shapes_never_kill_the_server(start: Any) -> None:
    call = start()
    base = {"model": "claude-opus-4-8", "max_tokens": 9, "messages": [HI]}
    strange: list[Any] = [
        None,
        1,
        "x",
        [],
        [1],
        {},
        {"type": 1},
        {"type": []},
        [[]],
        [None],
        [{"role": "user"}],
    ]
    for name in [
        *base,
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "cache_control",
        "metadata",
    ]:
        for value in strange:
            reply = call.send("/v1/messages", json.dumps(base | {name: value}).encode())
            assert reply.status in (200, 400, 404), (name, value, reply.body)
