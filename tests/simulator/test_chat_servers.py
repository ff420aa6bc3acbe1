"""What single servers of the Chat wire do that no other does (section C; their own pages and users)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.simulator import Fault
from tests.simulator.conftest import GPT

HI = {"role": "user", "content": "hi"}
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
CALL = {"call": "look", "input": {"at": "x"}}
LONG = {"role": "user", "content": "x" * 40_000}


def deltas(chunks: list[Any], name: str) -> list[Any]:
    found = [choice["delta"] for chunk in chunks[:-1] for choice in chunk["choices"]]
    return [delta[name] for delta in found if delta.get(name)]


def followed(call: Any, message: dict[str, Any], *more: dict[str, Any]) -> Any:
    """The request that sends the answer back with results, and more behind them."""
    results = [{"role": "tool", "tool_call_id": one["id"], "content": "seen"} for one in message["tool_calls"]]
    return call.chat([HI, message, *results, *more], tools=TOOLS)


def test_gemini_signs_the_first_call_and_wants_it_back(start: Any) -> None:
    call = start(lambda _: [CALL, CALL], profile="gemini")
    message = call.chat([HI], tools=TOOLS).json["choices"][0]["message"]
    first, second = message["tool_calls"]
    signed = first["extra_content"]

    assert signed["google"]["thought_signature"]
    assert "extra_content" not in second
    assert followed(call, message).status == 200
    del first["extra_content"]
    reply = followed(call, message)
    assert (reply.status, reply.json[0]["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert "missing a thought_signature" in reply.json[0]["error"]["message"]
    # a turn that is over is not looked at
    assert followed(call, message, HI).status == 200
    first["extra_content"] = {"google": {"thought_signature": "skip_thought_signature_validator"}}
    assert followed(call, message).status == 200
    first["extra_content"] = signed
    first["function"]["arguments"] = "{}"
    assert "Corrupted" in followed(call, message).json[0]["error"]["message"]


def test_gemini_words_every_error_alike(start: Any) -> None:
    call = start(profile="gemini", requests_per_minute=1)
    call.chat([HI])

    assert call.chat([HI]).json[0]["error"]["status"] == "RESOURCE_EXHAUSTED"
    call.sim.fault(Fault("status", status=503))
    assert call.chat([HI]).json[0]["error"]["status"] == "UNAVAILABLE"


def test_gemini_streams_whole_calls_without_an_index_and_just_stops(start: Any) -> None:
    chunks = start(lambda _: [CALL], profile="gemini").chat([HI], tools=TOOLS, stream=True).chunks
    [[one]] = deltas(chunks, "tool_calls")

    assert "index" not in one
    assert json.loads(one["function"]["arguments"]) == {"at": "x"}
    assert [choice["finish_reason"] for chunk in chunks[:-1] for choice in chunk["choices"]][-1] == "stop"


def test_mistral_thinks_in_parts_tells_usage_unasked_and_wants_an_answer_behind_results(start: Any) -> None:
    call = start(lambda _: [{"thinking": "hm, hm"}, {"text": "So."}], profile="mistral")
    chunks = call.chat([HI], stream=True).chunks
    parts = [part for content in deltas(chunks, "content") for part in content]

    assert "".join(part["thinking"][0]["text"] for part in parts if part["type"] == "thinking") == "hm, hm"
    assert "".join(part["text"] for part in parts if part["type"] == "text") == "So."
    assert chunks[-2]["usage"]["prompt_tokens"] > 0
    call.sim.brain = lambda _: [CALL]
    message = call.chat([HI], tools=TOOLS).json["choices"][0]["message"]
    assert followed(call, message).status == 200
    reply = followed(call, message, HI)
    assert (reply.status, reply.error) == (400, "Unexpected role 'user' after role 'tool'")


@pytest.mark.parametrize(
    ("server", "path", "least"),
    [
        ("moonshot", "cached_tokens", 256),
        ("minimax", "prompt_tokens_details.cached_tokens", 512),
        ("gemini", "prompt_tokens_details.cached_tokens", 4_096),
    ],
)
def test_what_is_cached_from_which_length_on_and_where_that_is_told(
    start: Any, server: str, path: str, least: int
) -> None:
    call = start(profile=server, minimum=None)

    def read(size: int) -> int:
        messages = [{"role": "user", "content": "x" * 4 * size}]
        usage = call.chat(messages).json["usage"]
        usage = call.chat(messages).json["usage"]
        for name in path.split("."):
            usage = usage[name]
        return int(usage)

    assert read(least - 8) == 0
    assert read(2 * least) >= least


def test_qwen_caches_what_is_marked_and_tells_what_it_wrote(start: Any) -> None:
    part = {"type": "text", "text": "x" * 40_000, "cache_control": {"type": "ephemeral"}}
    call = start(profile="qwen", minimum=None)
    details = [call.chat([{"role": "user", "content": [part]}]).json["usage"] for _ in range(2)]
    first, second = (one["prompt_tokens_details"] for one in details)

    assert (first["cached_tokens"], first["cache_creation_input_tokens"] > 9_000) == (0, True)
    assert (second["cached_tokens"] > 9_000, second["cache_creation_input_tokens"]) == (True, 0)
    call.sim.clock.advance(301)
    assert call.chat([{"role": "user", "content": [part]}]).bill[0] == 0


@pytest.mark.parametrize("server", ["moonshot", "mistral"])
def test_a_key_pins_a_conversation_to_its_cache(start: Any, server: str) -> None:
    call = start(profile=server)
    read = "cached_tokens" if server == "moonshot" else "prompt_tokens_details"
    found = [call.chat([LONG], prompt_cache_key=key).json["usage"][read] for key in ("a", "b", "a")]

    assert [bool(one["cached_tokens"] if isinstance(one, dict) else one) for one in found] == [False, False, True]


def test_a_header_pins_a_conversation_at_xai(start: Any) -> None:
    call = start(profile="xai")
    found = []
    for conversation in ("a", "b", "a"):
        call.headers["x-grok-conv-id"] = conversation
        found.append(call.chat([LONG]).bill[0] > 0)

    assert found == [False, False, True]


@pytest.mark.parametrize(("server", "seconds"), [("moonshot", 300), ("groq", 7_200)])
def test_how_long_an_entry_lives(start: Any, server: str, seconds: int) -> None:
    call = start(profile=server)
    name = "cached_tokens"

    def read() -> int:
        usage = call.chat([LONG]).json["usage"]
        return int(usage[name] if server == "moonshot" else usage["prompt_tokens_details"][name])

    assert read() == 0
    call.sim.clock.advance(seconds - 1)
    assert read() > 0
    call.sim.clock.advance(seconds)
    assert read() == 0


@pytest.mark.parametrize("server", ["moonshot", "zai", "qwen", "minimax", "mistral", "gemini"])
def test_servers_without_responses_do_not_serve_them(start: Any, server: str) -> None:
    assert start(profile=server).respond("hi", model=GPT).status == 404
