"""A6 events, A5 pre-warm, diagnostics (platform.claude.com/docs/en/build-with-claude/streaming)."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

HI: list[Any] = [{"role": "user", "content": "hi"}]


def brain(_: dict[str, Any]) -> Any:
    return [
        {"thinking": "först"},
        {"text": "Grüße, a text of some length"},
        {"call": "look", "input": {"path": "ä", "n": [1, 2]}},
    ]


def test_a6_events_in_order_and_the_same_answer_either_way(start: Any) -> None:
    call = start(brain)
    events = call(HI, stream=True).events
    names = [name for name, _ in events if name != "content_block_delta"]
    blocks = ["content_block_start", "content_block_stop"] * 3
    assert names == ["message_start", "ping", *blocks, "message_delta", "message_stop"]
    message = call(HI).json
    opened = events[0][1]["message"]
    assert {name: opened[name] for name in ("role", "content", "stop_reason")} == {
        "role": "assistant",
        "content": [],
        "stop_reason": None,
    }
    deltas = [[data["delta"] for _, data in events if data.get("index") == at and "delta" in data] for at in range(3)]
    assert "".join(delta["thinking"] for delta in deltas[0][:-1]) == "först"
    assert deltas[0][-1]["type"] == "signature_delta"
    assert len(deltas[1]) > 1
    assert deltas[2][0] == {"type": "input_json_delta", "partial_json": ""}
    ended = events[-2][1]
    assert ended["delta"]["stop_reason"] == message["stop_reason"] == "tool_use"
    assert ended["usage"]["output_tokens"] == message["usage"]["output_tokens"]
    assert ended["usage"]["input_tokens"] == message["usage"]["input_tokens"] > 0


def test_the_sdk_reads_it_and_a_retry_is_the_same_answer(start: Any, tool: Any) -> None:
    call = start(brain)
    client = anthropic.Anthropic(base_url=call.sim.url, api_key="k", max_retries=0)
    tools: list[Any] = [tool]
    answers = []
    for _ in range(2):
        with client.messages.stream(model="claude-opus-5-5", max_tokens=99, messages=HI, tools=tools) as stream:
            answers.append(stream.get_final_message())
    assert answers[0].content[1].text == "Grüße, a text of some length"  # type: ignore[union-attr]
    assert answers[0].content[2].input == {"path": "ä", "n": [1, 2]}  # type: ignore[union-attr]
    assert answers[0].model_dump(exclude={"usage"}) == answers[1].model_dump(exclude={"usage"})
    assert call.sim.requests[0].body == call.sim.requests[1].body
    with pytest.raises(anthropic.NotFoundError, match="claude-nobody"):
        client.messages.create(model="claude-nobody", max_tokens=9, messages=HI)
    assert client.messages.count_tokens(model="claude-opus-5-5", messages=HI).input_tokens > 0
    client.close()


def test_ids_differ_within_a_conversation(start: Any) -> None:
    call = start(lambda _: [{"call": "look"}, {"call": "look"}])
    content = call(HI).json["content"]
    results = [{"type": "tool_result", "tool_use_id": part["id"], "content": "r"} for part in content]
    after = call([*HI, {"role": "assistant", "content": content}, {"role": "user", "content": results}]).json
    ids = [part["id"] for part in (*content, *after["content"])]
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    "stop", ["end_turn", "max_tokens", "refusal", "pause_turn", "model_context_window_exceeded", "whim"]
)
def test_any_stop_reason(start: Any, stop: str) -> None:
    call = start(lambda _: {"answer": [{"text": "x"}], "stop": stop})
    assert call(HI).json["stop_reason"] == stop


def test_malformed_arguments_are_streamed_as_they_are(start: Any) -> None:
    call = start(lambda _: [{"call": "look", "raw_input": '{"path": "a'}])
    deltas = [data["delta"] for name, data in call(HI, stream=True).events if name == "content_block_delta"]
    assert "".join(delta["partial_json"] for delta in deltas) == '{"path": "a'


def test_an_empty_answer(start: Any) -> None:
    call = start(lambda _: [])
    assert call(HI).json["content"] == []
    assert [name for name, _ in call(HI, stream=True).events][-2:] == ["message_delta", "message_stop"]


def test_a5_pre_warm_writes_and_says_nothing(start: Any, row: Any) -> None:
    call = start(lambda _: pytest.fail("the model is not asked"))
    message = call(row(5, {5: "5m"}), max_tokens=0).json
    assert (message["content"], message["stop_reason"]) == ([], "max_tokens")
    call.sim.brain = lambda _: "ok"
    assert call(row(5, {5: "5m"})).usage[0] == message["usage"]["cache_creation_input_tokens"] > 0


def test_a5_diagnostics(start: Any, row: Any, text: Any) -> None:
    def why(messages: Any, **fields: Any) -> Any:
        reply = call(messages, diagnostics={"previous_message_id": first["id"]}, **fields)
        found = reply.json["diagnostics"]
        return found and found["cache_miss_reason"]["type"]

    call = start()
    first = call(row(5), diagnostics={"previous_message_id": None}, system=[text("s")]).json
    assert first["diagnostics"] is None
    assert why(row(6), system=[text("s")]) is None
    assert why(row(4), system=[text("s")]) == "messages_changed"
    assert why(row(6), system=[text("t")]) == "system_changed"
    assert why(row(6), system=[text("s")], model="claude-opus-5-5") == "model_changed"
    assert why(row(6), system=[text("s")], speed="fast") == "model_changed"
    assert why(row(6), system=[text("s")], thinking={"type": "adaptive"}) == "unavailable"
    first = {"id": "msg_nobody"}
    assert why(row(6)) == "previous_message_not_found"
