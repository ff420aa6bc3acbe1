"""Streams of the OpenAI wires that no simulator sends: what servers that call themselves compatible do."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from harness import errors
from harness.conversation.blocks import Message, Text, Thinking, ToolCall
from harness.providers import openai_responses_wire as responses
from harness.providers.base import BlockBroken, BlockDone, Finished, Part
from harness.providers.catalog import find
from harness.providers.facts import Profile
from harness.providers.openai_chat_stream import Decoder
from harness.providers.openai_chat_wire import Renderer

MODEL = "openai/gpt-6.1-sol"


def profile(model: str) -> Profile:
    found = find(model).profile
    assert found is not None
    return found


GENERIC = profile("openai-chat/some-model")
DEEPSEEK = profile("openai-chat/deepseek/deepseek-v4-pro")
GEMINI = profile("openai-chat/gemini/gemini-4-argon")
OPENROUTER = profile("openai-chat/openrouter/anthropic/claude-sonnet-5.5")


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return {"id": "c1", "choices": choices} | more


def call(index: int | None, id_: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = {"function": {"name": name, "arguments": arguments}, "type": "function"}
    return found | ({"index": index} if index is not None else {}) | ({"id": id_} if id_ is not None else {})


def fed(decoder: Decoder | responses.Decoder, *events: Any) -> list[Part]:
    parts: list[Part] = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        parts += decoder.feed(data, "req_1")
    return parts


def blocks(parts: list[Part]) -> list[Any]:
    return [part.block for part in parts if isinstance(part, BlockDone)]


def end(parts: list[Part]) -> Finished:
    last = parts[-1]
    assert isinstance(last, Finished)
    return last


def test_whole_calls_that_all_have_one_index_are_two_calls() -> None:
    first, second = call(0, "a", "read", '{"path":"1"}'), call(0, "b", "read", '{"path":"2"}')
    parts = fed(
        Decoder("m", GENERIC), chunk({"tool_calls": [first]}), chunk({"tool_calls": [second]}, "stop"), "[DONE]"
    )

    assert blocks(parts) == [ToolCall("a", "read", {"path": "1"}), ToolCall("b", "read", {"path": "2"})]
    assert end(parts).stop == "tool_use", "though the server says stop"


def test_calls_without_an_id_get_their_own() -> None:
    both = [call(0, None, "read", "{}"), call(1, "", "read", "{}")]
    one, two = blocks(fed(Decoder("m", GENERIC), chunk({"tool_calls": both}, "tool_calls"), "[DONE]"))

    assert one.id.startswith("call_")
    assert two.id.startswith("call_")
    assert one.id != two.id


def test_whole_calls_without_index_and_id_are_two_calls() -> None:
    both = [call(None, None, "read", '{"path":"1"}'), call(None, "", "read", '{"path":"2"}')]
    one, two = blocks(fed(Decoder("m", GENERIC), chunk({"tool_calls": both}, "stop"), "[DONE]"))

    assert (one.arguments, two.arguments) == ({"path": "1"}, {"path": "2"})
    assert one.id != two.id


def test_a_name_that_comes_with_every_piece_is_one_call() -> None:
    pieces = [chunk({"tool_calls": [call(0, None, "read", piece)]}) for piece in ('{"path"', ':"1"}', "")]
    [found] = blocks(fed(Decoder("m", GENERIC), *pieces, chunk(finish="tool_calls"), "[DONE]"))

    assert found.arguments == {"path": "1"}


def test_a_name_that_comes_with_every_piece_begins_no_call() -> None:
    whole = ['{"path":', '"1"}', "\n"]
    pieces = [chunk({"tool_calls": [call(0, None, "read", piece)]}) for piece in whole]
    other = chunk({"tool_calls": [call(0, None, "read", '{"path":"2"}')]})
    said = blocks(fed_end(Decoder("m", GENERIC), *pieces, other, pieces[-1]))

    assert [one.arguments for one in said] == [{"path": "1"}, {"path": "2"}]


def test_arguments_may_come_as_an_object() -> None:
    whole: Any = call(0, "a", "read", "")
    whole["function"]["arguments"] = {"path": "1"}
    parts = fed(Decoder("m", GENERIC), chunk({"tool_calls": [whole]}, "tool_calls"), "[DONE]")

    assert blocks(parts) == [ToolCall("a", "read", {"path": "1"})]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "reasoning_text"])
def test_thinking_is_found_under_each_of_its_names(field: str) -> None:
    both = {field: "I think.", "reasoning_details": None}
    thought, text = blocks(fed_end(Decoder("m", GENERIC), chunk(both), chunk({"content": "So."})))

    assert (thought.text, text.text) == ("I think.", "So.")


def test_content_may_be_a_list_of_parts() -> None:
    """As Mistral streams the thinking of its models."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "I "}, {"type": "text", "text": "think."}]}
    texts = [{"type": "text", "text": "So"}, {"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "."}]
    thought, text = blocks(fed_end(Decoder("m", GENERIC), chunk({"content": [thinking]}), chunk({"content": texts})))

    assert (thought.text, text.text) == ("I think.", "So.")
    assert not thought.can_be_sent


def test_usage_may_stand_in_a_choice() -> None:
    last = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
    finished = end(fed(Decoder("m", GENERIC), chunk({"content": "So."}), {"id": "c1", "choices": [last]}, "[DONE]"))

    assert (finished.usage.uncached, finished.usage.output) == (9, 2)


def test_a_stream_may_end_without_saying_so() -> None:
    decoder = Decoder("m", GENERIC)
    fed(decoder, chunk({"content": "So."}, "stop"))
    parts = list(decoder.close())

    assert blocks(parts) == [Text("So.")]
    assert end(parts).stop == "end_turn"
    cut = Decoder("m", GENERIC)
    fed(cut, chunk({"content": "So."}))
    assert list(cut.close()) == []
    assert not cut.finished


def test_a_call_comes_back_with_its_signature() -> None:
    """As Gemini wants it: whole calls without an index, of which the first is signed."""
    signed = call(None, "f1", "read", '{"path":"1"}') | {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    both = [signed, call(None, "f2", "read", '{"path":"2"}')]
    said = blocks(fed(Decoder("m", GEMINI), chunk({"tool_calls": both}, "stop"), "[DONE]"))
    renderer = Renderer("m", GEMINI, images=False)
    [[fragment]] = renderer.render([Message("answer", tuple(said))], "person")

    first, second = json.loads(fragment.wire)["tool_calls"]
    assert first["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert "extra_content" not in second
    assert set(json.loads(fragment.wire)) == {"role", "content", "tool_calls"}


def test_calls_without_a_signature_beside_a_signed_text_are_said_to_be_unsigned() -> None:
    """Refused otherwise, and each time again."""
    signed = {"content": "So.", "extra_content": {"google": {"thought_signature": "c2ln"}}}
    calls = {"tool_calls": [call(None, "f1", "read", '{"path":"1"}')]}
    said = blocks(fed(Decoder("m", GEMINI), chunk(signed), chunk(calls, "stop"), "[DONE]"))
    [[fragment]] = Renderer("m", GEMINI, images=False).render([Message("answer", tuple(said))], "person")
    sent = json.loads(fragment.wire)

    assert sent["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert sent["tool_calls"][0]["extra_content"]["google"]["thought_signature"] == "skip_thought_signature_validator"


def test_calls_of_another_model_are_said_to_be_unsigned() -> None:
    said = (ToolCall("a", "read", {"path": "1"}), ToolCall("b", "read", {"path": "2"}))
    [[fragment]] = Renderer("m", GEMINI, images=False).render([Message("answer", said)], "person")
    first, second = json.loads(fragment.wire)["tool_calls"]

    assert first["extra_content"] == {"google": {"thought_signature": "skip_thought_signature_validator"}}
    assert "extra_content" not in second
    [[other]] = Renderer("m", GENERIC, images=False).render([Message("answer", said)], "person")
    assert b"extra_content" not in other.wire


@pytest.mark.parametrize("raw", ['{"path": ', "null", "[1]", '"x"', '{"path": "a\nb"}', "[" * 3000, '{"a": 1e999}'])
def test_arguments_that_are_no_object_are_not_run(raw: str) -> None:
    [found] = blocks(fed(Decoder("m", GENERIC), chunk({"tool_calls": [call(0, "a", "read", raw)]}, "stop"), "[DONE]"))
    item = {"type": "function_call", "call_id": "a", "name": "read", "arguments": raw, "id": "fc_1"}
    parts = fed(responses.Decoder("m"), {"type": "response.output_item.done", "output_index": 0, "item": item})

    for one in (found, *blocks(parts)):
        assert one.invalid
        assert one.arguments == {"invalid_json": raw}


def test_reasoning_comes_back_in_the_field_of_its_server() -> None:
    parts = fed(Decoder("m", DEEPSEEK), chunk({"reasoning_content": "I "}), chunk({"reasoning_content": "think."}))
    parts += fed_end(Decoder("m", DEEPSEEK), chunk({"reasoning_content": "I think.", "content": "So."}))
    thought, text = blocks(parts)
    renderer = Renderer("m", DEEPSEEK, images=False)
    [[fragment]] = renderer.render([Message("answer", (thought, text))], "person")

    assert json.loads(fragment.wire) == {"role": "assistant", "content": "So.", "reasoning_content": "I think."}
    [[foreign]] = replace(renderer, model="other").render([Message("answer", (thought, text))], "person")
    assert json.loads(foreign.wire) == {"role": "assistant", "content": "So."}


def fed_end(decoder: Decoder, *events: Any) -> list[Part]:
    return fed(decoder, *events, chunk(finish="stop"), "[DONE]")


def test_structured_reasoning_is_put_together_by_its_index() -> None:
    pieces = [
        {"type": "reasoning.text", "index": 0, "text": "I ", "format": "x"},
        {"type": "reasoning.text", "index": 0, "text": "think.", "signature": "c2ln"},
        {"type": "reasoning.encrypted", "index": 1, "data": "b3BhcXVl"},
    ]
    events = [chunk({"reasoning": piece.get("text", ""), "reasoning_details": [piece]}) for piece in pieces]
    thought, _ = blocks(fed_end(Decoder("m", OPENROUTER), *events, chunk({"content": "So."})))

    assert thought.text == "I think."
    assert json.loads(thought.item)["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "text": "I think.", "format": "x", "signature": "c2ln"},
        {"type": "reasoning.encrypted", "index": 1, "data": "b3BhcXVl"},
    ]


@pytest.mark.parametrize(
    ("server", "usage", "read", "uncached", "told"),
    [
        (GENERIC, {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}, 4, 5, True),
        (GENERIC, {"prompt_tokens": 9, "prompt_tokens_details": None}, 0, 9, False),
        (GENERIC, {"prompt_tokens": 9}, 0, 9, False),
        (GENERIC, {}, 0, 0, False),
        (DEEPSEEK, {"prompt_tokens": 9, "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 1}, 8, 1, True),
    ],
)
def test_usage_is_made_disjoint(server: Profile, usage: Any, read: int, uncached: int, told: bool) -> None:
    events = (chunk({"content": "So."}, "stop"), {"id": "c1", "choices": [], "usage": usage}, "[DONE]")
    finished = end(fed(Decoder("m", server), *events))

    assert (finished.usage.read, finished.usage.uncached, finished.told) == (read, uncached, told)


def test_an_answer_without_a_reason_to_end_is_broken() -> None:
    decoder = Decoder("m", GENERIC)
    fed(decoder, chunk({"tool_calls": [call(0, "a", "read", "{")]}))
    with pytest.raises(errors.StreamBroken):
        fed(decoder, "[DONE]")

    assert decoder.broken() == (BlockBroken("tool_use", "{", "read"),)


@pytest.mark.parametrize("event", ["nonsense", "[]", '"x"', '{"choices":[3]}', '{"error":"out of memory"}'])
def test_nonsense_is_a_broken_stream(event: str) -> None:
    with pytest.raises(errors.StreamBroken):
        fed(Decoder("m", GENERIC), event)


def reasoning(number: int) -> dict[str, Any]:
    item = {"type": "reasoning", "id": f"rs_{number}", "summary": [], "encrypted_content": "b3BhcXVl"}
    return {"type": "response.output_item.done", "output_index": number, "item": item}


def spoken(number: int, text: str) -> dict[str, Any]:
    item = {"type": "message", "id": f"msg_{number}", "content": [{"type": "output_text", "text": text}]}
    return {"type": "response.output_item.done", "output_index": number, "item": item}


COMPLETED = {"type": "response.completed", "response": {"status": "completed", "usage": {}}}


def test_reasoning_is_sent_only_with_the_kind_of_item_that_it_was_made_with() -> None:
    done = {"type": "function_call", "call_id": "a", "name": "read", "arguments": "{}"}
    events = (reasoning(0), reasoning(1), spoken(2, "I look."), reasoning(3))
    last = {"type": "response.output_item.done", "output_index": 4, "item": done}
    kept = blocks(fed(responses.Decoder(MODEL), *events, last, COMPLETED))
    types = [json.loads(fragment.wire)["type"] for fragment in responses.render(Message("answer", tuple(kept)), MODEL)]
    without_text = tuple(block for block in kept if not isinstance(block, Text))
    without_call = tuple(block for block in kept if not isinstance(block, ToolCall))

    assert [block.signature for block in kept if isinstance(block, Thinking)] == [
        "reasoning",
        "message",
        "function_call",
    ]
    assert types == ["reasoning", "reasoning", "message", "reasoning", "function_call"]
    assert len(responses.render(Message("answer", without_text), MODEL)) == 3
    assert len(responses.render(Message("answer", without_call), MODEL)) == 3
    # nothing but reasoning goes out with an id, so another model is left nothing that points at it
    foreign = responses.render(Message("answer", tuple(kept)), "openai/gpt-6.2-sol")
    assert [json.loads(fragment.wire).get("id") for fragment in foreign] == [None, None]


@pytest.mark.parametrize(
    ("response", "stop"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "max_tokens"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "refusal"),
        ({"status": "incomplete"}, "incomplete"),
        ({"status": "completed"}, "end_turn"),
    ],
)
def test_why_a_response_ends(response: Any, stop: str) -> None:
    kind = f"response.{response['status']}"

    assert end(fed(responses.Decoder("m"), spoken(0, "So."), {"type": kind, "response": response})).stop == stop


def test_writes_are_told_by_their_lifetime() -> None:
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {
            "cached_tokens": 40,
            "cache_write_tokens": 50,
            "cache_write_tokens_details": {"ttl_30m_tokens": 20, "ttl_12h_tokens": 30},
        },
        "output_tokens": 7,
    }
    found = responses.usage(usage)

    assert (found.uncached, found.read, found.written_short, found.written_long, found.output) == (10, 40, 20, 30, 7)
    assert found.prompt == 100


@pytest.mark.parametrize(("details", "told"), [({"cached_tokens": 0}, True), ({}, False), (None, False)])
def test_usage_without_a_word_of_a_cache_is_no_bill_of_one(details: Any, told: bool) -> None:
    usage = {"input_tokens": 9, "output_tokens": 1, "input_tokens_details": details}
    response = {"status": "completed", "usage": usage}
    finished = end(fed(responses.Decoder("m"), {"type": "response.completed", "response": response}))

    assert (finished.told, finished.usage.uncached) == (told, 9)
