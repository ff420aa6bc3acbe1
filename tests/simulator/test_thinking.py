"""A4: thinking is bound to what comes before it (platform.claude.com/docs/en/build-with-claude/thinking)."""

from __future__ import annotations

import json
from typing import Any

import pytest

BINDING = "claude-opus-5-5"


def think(_: dict[str, Any]) -> Any:
    return [{"text": "let me see"}, {"thinking": "deep"}, {"call": "look", "input": {"b": 1, "a": 2}}]


def tool_loop(call: Any, text: Any, tool: Any, **fields: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One answered request; the request that continues it, and its messages."""
    first = {"role": "user", "content": [text("hello")]}
    request = {"model": BINDING, "system": [text("be kind")], "tools": [tool], **fields}
    content = call([first], **request).json["content"]
    result = {"type": "tool_result", "tool_use_id": content[2]["id"], "content": "seen"}
    messages = [first, {"role": "assistant", "content": content}, {"role": "user", "content": [result]}]
    return request, messages


@pytest.mark.parametrize("changed", ["system", "tools", "message", "same answer"])
def test_a4_an_edit_before_thinking_is_refused(start: Any, text: Any, tool: Any, changed: str) -> None:
    call = start(think)
    request, messages = tool_loop(call, text, tool)
    assert call(messages, **request).status == 200
    match changed:
        case "system":
            request["system"] = [text("be kinder")]
        case "tools":
            request["tools"] = [tool | {"description": "Looks at it."}]
        case "message":
            messages[0] = {"role": "user", "content": [text("hullo")]}
        case _:
            messages[1]["content"][0] = text("let me think")
    reply = call(messages, **request)
    assert reply.status == 400
    assert reply.error == (
        "messages.1.content.1: Invalid `signature` in `thinking` block. The block is bound to a different "
        "conversation. Remove the block, or set `thinking.block_binding.prefix_mismatch_behavior` to "
        '"drop_block".'
    )


def test_a4_a_changed_text_is_refused_on_every_model(start: Any, text: Any, tool: Any) -> None:
    call = start(think, binding="none")
    request, messages = tool_loop(call, text, tool)
    messages[1]["content"][1]["thinking"] = "shallow"
    reply = call(messages, **request)
    assert (reply.status, reply.error) == (
        400,
        "messages.1.content.1: Invalid `signature` in `thinking` block.",
    )


def test_a4_permitted_appending_markers_effort_max_tokens_key_order(start: Any, text: Any, tool: Any) -> None:
    call = start(think)
    request, messages = tool_loop(call, text, tool)
    messages[0] = {"role": "user", "content": [text("hello", "5m")]}
    messages[1]["content"][2]["input"] = {"a": 2, "b": 1}
    messages.append({"role": "user", "content": [text("and more")]})
    assert call(messages, **request, output_config={"effort": "low"}).status == 200
    assert call(messages, **(request | {"max_tokens": 3})).status == 200


def test_a4_permitted_removing_a_leading_run_of_thinking(start: Any, text: Any, tool: Any) -> None:
    call = start(think)
    request, messages = tool_loop(call, text, tool)
    second = call(messages, **request).json["content"]
    messages += [
        {"role": "assistant", "content": second},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": second[2]["id"], "content": "x"}],
        },
    ]
    assert call(messages, **request).status == 200
    del messages[1]["content"][1]
    assert call(messages, **request).status == 200


@pytest.mark.parametrize(
    ("removed", "refused"),
    [((), 0), ((0,), 0), ((0, 1), 0), ((0, 1, 2), 0), ((2,), 0), ((1,), 5), ((1, 2), 0), ((0, 2), 0)],
)
def test_a4_only_a_leading_run_of_thinking_may_go(
    start: Any, text: Any, tool: Any, removed: tuple[int, ...], refused: int
) -> None:
    """A block that stays is bound to the thinking directly before it, unless nothing is left there."""
    call = start(think)
    request, messages = tool_loop(call, text, tool)
    for _ in range(2):
        content = call(messages, **request).json["content"]
        result = {"type": "tool_result", "tool_use_id": content[2]["id"], "content": "seen"}
        messages += [{"role": "assistant", "content": content}, {"role": "user", "content": [result]}]
    for at in removed:
        del messages[1 + 2 * at]["content"][1]
    reply = call(messages, **request)
    if refused:
        assert reply.error.startswith(f"messages.{refused}.content.1: Invalid `signature` in `thinking` block. The")
    else:
        assert reply.status == 200


def test_a4_thinking_that_the_vendor_left_out_binds_nothing(start: Any, text: Any, tool: Any) -> None:
    """Another model answered in between; its thinking is not in the prompt of the first, and may go or stay."""
    call = start(think)
    request, messages = tool_loop(call, text, tool)
    for model in ("claude-fable-5-2", BINDING, BINDING):
        content = call(messages, **request | {"model": model}).json["content"]
        result = {"type": "tool_result", "tool_use_id": content[2]["id"], "content": "seen"}
        messages += [{"role": "assistant", "content": content}, {"role": "user", "content": [result]}]
    assert call(messages, **request).status == 200
    del messages[3]["content"][1]
    assert call(messages, **request).status == 200


@pytest.mark.parametrize(
    ("binding", "model", "status"),
    [
        ("models", "claude-opus-4-8", 200),
        ("models", "claude-fable-5-2", 400),
        ("models", "claude-sonnet-5-5", 400),
        ("all", "claude-opus-4-8", 400),
        ("none", "claude-fable-5-2", 200),
    ],
)
def test_a4_scope_is_an_option(start: Any, text: Any, tool: Any, binding: str, model: str, status: int) -> None:
    call = start(think, binding=binding)
    request, messages = tool_loop(call, text, tool, model=model)
    request["system"] = [text("be kinder")]
    assert call(messages, **request).status == status


def test_a4_drop_block_needs_its_beta(start: Any, text: Any, tool: Any) -> None:
    call = start(think)
    request, messages = tool_loop(call, text, tool)
    control = {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
    request |= {"system": [text("be kinder")], "thinking": control}
    assert "block_binding: Extra inputs" in call(messages, **request).error
    call.headers = {"anthropic-beta": "thinking-binding-controls-2026-08-01"}
    assert call(messages, **request).status == 200
    assert [block.kind for block in call.sim.requests[-1].blocks if not block.counted] == ["thinking"]


def test_a4_what_was_dropped_is_reported_with_the_beta(start: Any, text: Any, tool: Any) -> None:
    call = start(think)
    request, messages = tool_loop(call, text, tool)
    control = {"thinking": {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}}
    moved = {**request, **control, "system": [text("be kinder")]}
    told = {"type": "thinking_dropped", "path": "messages.1.content.1"}
    call.headers = {"anthropic-beta": "thinking-binding-controls-2026-08-01"}
    assert call(messages, **moved).json["input_transformations"] == [{**told, "reason": "prefix_binding_mismatch"}]
    opened = call(messages, **moved, stream=True).events[0][1]["message"]
    assert opened["input_transformations"] == [{**told, "reason": "prefix_binding_mismatch"}]
    foreign = call(messages, **request | {"model": "claude-fable-5-2"}).json
    assert foreign["input_transformations"] == [{**told, "reason": "model_binding_mismatch"}]
    assert "input_transformations" not in call(messages, **request).json
    call.headers = {}
    assert "input_transformations" not in call(messages, **request | {"model": "claude-fable-5-2"}).json


def test_foreign_thinking_is_dropped_or_refused(start: Any, text: Any, tool: Any) -> None:
    call = start(think)
    request, messages = tool_loop(call, text, tool)
    request["model"] = "claude-fable-5-2"
    assert call(messages, **request).status == 200
    received = call.sim.requests[-1]
    assert received.prompt_tokens == sum(block.tokens for block in received.blocks if block.counted)
    assert [block.counted for block in received.blocks].count(False) == 1
    strict = start(think, foreign_thinking="reject")
    request, messages = tool_loop(strict, text, tool)
    request["model"] = "claude-fable-5-2"
    assert strict(messages, **request).status == 400


def test_redacted_thinking_is_checked_too(start: Any, text: Any) -> None:
    call = start(lambda _: [{"redacted_thinking": "secret"}, {"text": "done"}])
    hello = {"role": "user", "content": [text("hello")]}
    content = call([hello], model=BINDING).json["content"]
    rest = [{"role": "assistant", "content": content}, {"role": "user", "content": [text("go on")]}]
    assert call([hello, *rest], model=BINDING).status == 200
    reply = call([{"role": "user", "content": [text("hullo")]}, *rest], model=BINDING)
    assert "messages.1.content.0: Invalid `data` in `redacted_thinking` block." in reply.error


def test_a3_older_models_strip_thinking_behind_a_users_message(start: Any, text: Any, tool: Any) -> None:
    call = start(think)
    request, messages = tool_loop(call, text, tool, model="claude-sonnet-4-5")
    messages[2]["content"][0]["cache_control"] = {"type": "ephemeral"}
    written = call(messages, **request).usage[1]
    assert all(block.counted for block in call.sim.requests[-1].blocks)
    messages.append({"role": "user", "content": [text("thanks", "5m")]})
    assert call(messages, **request).usage[0] == 0 < written
    assert [block.kind for block in call.sim.requests[-1].blocks if not block.counted] == ["thinking"]
    kept = start(think)
    request, messages = tool_loop(kept, text, tool, model="claude-sonnet-4-6")
    messages.append({"role": "user", "content": [text("thanks")]})
    kept(messages, **request)
    assert all(block.counted for block in kept.sim.requests[-1].blocks)


def test_a4_count_tokens_runs_the_same_check(start: Any, text: Any, tool: Any) -> None:
    call = start(think)
    request, messages = tool_loop(call, text, tool)
    good = call.post("/v1/messages/count_tokens", {**request, "messages": messages})
    assert good.json == {
        "input_tokens": call.sim.requests[-1].prompt_tokens
        + sum(
            -(-len(json.dumps(part, ensure_ascii=False, separators=(",", ":"))) // 4)
            for message in messages[1:]
            for part in message["content"]
        )
    }
    messages[0] = {"role": "user", "content": [text("hullo")]}
    assert call.post("/v1/messages/count_tokens", {**request, "messages": messages}).status == 400
