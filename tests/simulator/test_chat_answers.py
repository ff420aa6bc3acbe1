"""Chat Completions answers: chunks and whole messages, each profile's usage, and what the SDK makes of them."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

HI: list[Any] = [{"role": "user", "content": "hi " * 200}]
FULL = [{"thinking": "Hmm."}, {"text": "Grüße."}, {"call": "look", "input": {"a": 1}}, {"call": "see", "input": {}}]
USAGE = {"stream": True, "stream_options": {"include_usage": True}}


def test_chunks_usage_and_done(start: Any) -> None:
    call = start(lambda _: FULL)
    reply = call.chat(HI, **USAGE)
    *chunks, done = reply.chunks
    assert done == "[DONE]"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["prompt_tokens"] > 0
    assert {chunk["usage"] for chunk in chunks[:-1]} == {None}
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content") or "" for delta in deltas) == "Grüße."
    pieces = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert [piece["index"] for piece in pieces if "id" in piece] == [0, 1]
    assert "".join(piece["function"]["arguments"] for piece in pieces if piece["index"] == 0) == '{"a": 1}'
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[-3:-1]] == [None, "tool_calls"]
    assert not any(name.startswith("event") for name in reply.body.decode().splitlines())
    plain = call.chat(HI, stream=True).chunks
    assert not any("usage" in chunk for chunk in plain[:-1])


@pytest.mark.parametrize(
    ("stop", "finish"),
    [(None, "stop"), ("max_tokens", "length"), ("content_filter", "content_filter"), ("the_moon", "the_moon")],
)
def test_finish_reasons(start: Any, stop: str | None, finish: str) -> None:
    answer: dict[str, Any] = {"answer": [{"text": "x"}]} | ({"stop": stop} if stop else {})
    call = start(lambda _: answer)
    assert call.chat(HI).json["choices"][0]["finish_reason"] == finish
    assert call.chat(HI, stream=True).chunks[-2]["choices"][0]["finish_reason"] == finish


def test_refusals(start: Any) -> None:
    call = start(lambda _: {"answer": [{"text": "No."}], "stop": "refusal"})
    choice = call.chat(HI).json["choices"][0]
    assert (choice["message"]["content"], choice["message"]["refusal"], choice["finish_reason"]) == (
        None,
        "No.",
        "stop",
    )
    deltas = [chunk["choices"][0]["delta"] for chunk in call.chat(HI, stream=True).chunks[:-1]]
    assert "".join(delta.get("refusal", "") for delta in deltas) == "No."
    call = start(lambda _: {"answer": [{"text": "No."}], "stop": "refusal"}, profile="generic")
    assert call.chat(HI).json["choices"][0]["finish_reason"] == "content_filter"


def test_empty_and_call_only_messages(start: Any) -> None:
    assert start(lambda _: []).chat(HI).json["choices"][0]["message"]["content"] == ""
    message = start(lambda _: [FULL[2]]).chat(HI).json["choices"][0]["message"]
    assert (message["content"], len(message["tool_calls"])) == (None, 1)


@pytest.mark.parametrize(
    ("profile", "report", "first", "second"),
    [
        ("ollama", "profile", {"prompt_tokens_details": 0}, {"prompt_tokens_details": 1}),
        ("ollama", "off", {}, {}),
        ("generic", "profile", {}, {}),
        ("llamacpp", "profile", {"prompt_tokens_details": 0}, {"prompt_tokens_details": 1}),
        ("llamacpp", "off", {}, {}),
        ("vllm", "profile", {"prompt_tokens_details": None}, {"prompt_tokens_details": 1}),
        ("vllm", "on", {"prompt_tokens_details": 0}, {"prompt_tokens_details": 1}),
        ("sglang", "off", {"prompt_tokens_details": None}, {"prompt_tokens_details": None}),
    ],
)
def test_c_usage_of_local_engines(start: Any, profile: str, report: str, first: Any, second: Any) -> None:
    """0: shown and zero; 1: shown and more; None: shown as null; absent: not shown."""
    call = start(profile=profile, cache_report=report)
    for expected in (first, second):
        usage = call.chat(HI, model="qwen3-coder-30b").json["usage"]
        assert usage.keys() == {"prompt_tokens", "completion_tokens", "total_tokens"} | expected.keys()
        for name, value in expected.items():
            assert (usage[name] if value is None else min(usage[name]["cached_tokens"], 1)) == value
    assert call.sim.requests[1].read == (0 if profile == "generic" else call.sim.requests[1].perfect_read)


def test_c_timings_of_llamacpp(start: Any) -> None:
    call = start(profile="llamacpp")
    assert call.chat(HI).json["timings"]["cache_n"] == 0
    last = call.chat(HI, stream=True).chunks[-2]
    assert (last["timings"]["cache_n"], last["timings"]["prompt_n"]) == (call.sim.requests[1].read, 1)
    assert call.chat(HI, **USAGE).chunks[-2]["timings"]["cache_n"] > 0


def test_c_usage_of_deepseek(start: Any) -> None:
    call = start(lambda _: FULL, profile="deepseek")
    call.chat(HI, model="deepseek-v4-pro")
    usage = call.chat(HI, model="deepseek-v4-pro").json["usage"]
    hit, miss = usage["prompt_cache_hit_tokens"], usage["prompt_cache_miss_tokens"]
    assert (hit > 0, hit + miss) == (True, usage["prompt_tokens"])
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 1}


@pytest.mark.parametrize(
    ("profile", "field"),
    [("deepseek", "reasoning_content"), ("openrouter", "reasoning"), ("ollama", "reasoning"), ("openai", None)],
)
def test_thinking(start: Any, profile: str, field: str | None) -> None:
    call = start(lambda _: FULL, profile=profile)
    message = call.chat(HI).json["choices"][0]["message"]
    assert message.keys() - {"role", "content", "tool_calls", "refusal"} == ({field} if field else set())
    if field:
        deltas = [chunk["choices"][0]["delta"] for chunk in call.chat(HI, stream=True).chunks[:-1]]
        assert "".join(delta.get(field, "") for delta in deltas) == message[field] == "Hmm."


def test_the_sdk_understands_both_forms(start: Any) -> None:
    call = start(lambda _: FULL)

    async def talk() -> tuple[Any, list[Any]]:
        made: Any = openai.AsyncOpenAI(base_url=call.sim.url + "/v1", api_key="k", max_retries=0)
        async with made as client:
            fields: dict[str, Any] = {"model": "gpt-6.1-sol", "messages": HI}
            whole = await client.chat.completions.create(**fields)
            stream = await client.chat.completions.create(**fields, **USAGE)
            return whole, [chunk async for chunk in stream]

    whole, chunks = asyncio.run(talk())
    assert [made.function.name for made in whole.choices[0].message.tool_calls] == ["look", "see"]
    assert whole.usage.prompt_tokens_details.cache_write_tokens == whole.usage.prompt_tokens
    assert chunks[-1].usage.prompt_tokens_details.cached_tokens == whole.usage.prompt_tokens
