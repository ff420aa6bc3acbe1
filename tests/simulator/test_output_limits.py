"""What a request lets the model say, and what a window leaves room for, on every wire. A token is four bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.simulator.answers import Answer

HI: list[Any] = [{"role": "user", "content": "hi"}]
LONG = "word " * 40  # 50 tokens


def test_a6_an_answer_ends_at_max_tokens(start: Any) -> None:
    call = start(lambda _: [{"thinking": "t" * 40}, {"text": LONG}, {"call": "look", "input": {"path": "a" * 100}}])
    for limit, kinds, stop, output in (
        (5, ["thinking"], "max_tokens", 5),
        (10, ["thinking"], "max_tokens", 10),
        (30, ["thinking", "text"], "max_tokens", 30),
        (62, ["thinking", "text", "tool_use"], "max_tokens", 62),
        (100, ["thinking", "text", "tool_use"], "tool_use", 89),
    ):
        message = call(HI, max_tokens=limit).json
        assert [part["type"] for part in message["content"]] == kinds
        assert (message["stop_reason"], message["usage"]["output_tokens"]) == (stop, output)
    streamed = call(HI, max_tokens=62, stream=True).events
    assert streamed[-2][1]["delta"]["stop_reason"] == "max_tokens"
    pieces = [event["delta"].get("partial_json", "") for _, event in streamed if "delta" in event]
    assert "".join(pieces) == '{"pa'


def test_a6_an_answer_that_just_fits_is_whole(start: Any) -> None:
    call = start(lambda _: LONG)
    assert call(HI, max_tokens=50).json["stop_reason"] == "end_turn"
    assert call(HI, max_tokens=49).json["content"] == [{"type": "text", "text": LONG[: 49 * 4]}]


def test_a_letter_is_never_cut_in_half(start: Any) -> None:
    call = start(lambda _: "a" + "ä" * 30)
    assert call(HI, max_tokens=2).json["content"] == [{"type": "text", "text": "aäää"}]


def test_a6_an_answer_ends_at_the_window(start: Any) -> None:
    call = start(lambda _: LONG, context_window=30)
    prompt = call.post("/v1/messages/count_tokens", {"model": "claude-opus-4-8", "messages": HI}).json["input_tokens"]
    message = call(HI).json
    assert message["stop_reason"] == "model_context_window_exceeded"
    assert message["usage"]["output_tokens"] == 30 - prompt
    assert call(HI, max_tokens=5).json["stop_reason"] == "max_tokens"


@pytest.mark.parametrize("name", ["max_completion_tokens", "max_tokens"])
def test_b_a_chat_answer_ends_at_its_limit(start: Any, name: str) -> None:
    call = start(lambda _: LONG, profile="openai" if name == "max_completion_tokens" else "generic")
    choice = call.chat(HI, **{name: 20}).json["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("length", LONG[:80])
    assert call.chat(HI, **{name: 50}).json["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("profile", ["llamacpp", "vllm"])
def test_c_an_answer_ends_at_the_window_of_an_engine(start: Any, profile: str) -> None:
    call = start(lambda _: LONG, profile=profile, context_window=30)
    reply = call.chat(HI).json
    assert (reply["choices"][0]["finish_reason"], reply["usage"]["total_tokens"]) == ("length", 30)


def test_b_a_response_ends_at_its_limit(start: Any) -> None:
    call = start(lambda _: LONG)
    response = call.respond(HI, max_output_tokens=20).json
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert (response["output"][0]["content"][0]["text"], response["usage"]["output_tokens"]) == (LONG[:80], 20)
    assert call.respond(HI, max_output_tokens=50).json["status"] == "completed"


def test_a_limit_leaves_the_delay_of_an_answer_alone() -> None:
    answer = Answer(({"text": LONG},), delay=0.5)
    assert answer.within(50, "max_tokens") is answer
    cut = answer.within(49, "max_tokens")
    assert (cut.delay, cut.stop_reason) == (0.5, "max_tokens")


@pytest.mark.parametrize(
    ("model", "most", "window"),
    [
        ("claude-opus-4-8", 128_000, 1_000_000),
        ("claude-haiku-4-5", 64_000, 200_000),
        ("claude-opus-4-5", 64_000, 200_000),
        ("claude-sonnet-4-5", 64_000, 200_000),
    ],
)
def test_a7_what_a_model_takes_and_says(start: Any, model: str, most: int, window: int) -> None:
    call = start()
    assert call(HI, model=model, max_tokens=most).status == 200
    assert call(HI, model=model, max_tokens=most + 1).error == (
        f"max_tokens: {most + 1} > {most}, which is the maximum allowed number of output tokens for {model}"
    )
    block = len(json.dumps({"type": "text", "text": ""}, separators=(",", ":")))
    for tokens, status in ((window, 200), (window + 1, 400)):
        content = [{"type": "text", "text": "x" * (tokens * 4 - block)}]
        assert call([{"role": "user", "content": content}], model=model).status == status


def test_b_128k_out(start: Any) -> None:
    call = start()
    assert call.respond(HI, max_output_tokens=128_000).status == 200
    status, text, param, code = call.respond(HI, max_output_tokens=128_001).failure
    assert (status, param, code) == (400, "max_output_tokens", "integer_above_max_value")
    assert text.endswith("Expected a value <= 128000, but got 128001 instead.")
    status, text, param, code = call.chat(HI, max_completion_tokens=128_001).failure
    assert (status, param, code) == (400, "max_completion_tokens", "invalid_value")
    assert text.startswith("max_tokens is too large: 128001. This model supports at most 128000 completion tokens")
    assert start(profile="generic").chat(HI, max_tokens=999_999).status == 200
