"""Responses answers: the events in their order, the whole object, stop reasons, and what the SDK makes of them."""

from __future__ import annotations

from typing import Any

import openai
import pytest

HI: list[Any] = [{"role": "user", "content": "hi"}]
FULL = [{"thinking": "Hmm, well."}, {"text": "Grüße, all."}, {"thinking": "more"}, {"call": "look", "input": {"a": 1}}]


def shape(reply: Any) -> list[str]:
    """Names of the events, repeated deltas as one."""
    names: list[str] = []
    for name, _ in reply.events:
        if not (names and names[-1] == name and name.endswith(".delta")):
            names.append(name)
    return [name.removeprefix("response.") for name in names]


def test_b_sse_order_and_numbers(start: Any) -> None:
    reply = start(lambda _: FULL).respond(HI, stream=True, reasoning={"summary": "auto"})
    summary = ["reasoning_summary_part.added", "reasoning_summary_text.delta"]
    summary += ["reasoning_summary_text.done", "reasoning_summary_part.done"]
    text = ["content_part.added", "output_text.delta", "output_text.done", "content_part.done"]
    call = ["function_call_arguments.delta", "function_call_arguments.done"]
    expected = ["created", "in_progress"]
    for inside in (summary, text, summary, call):
        expected += ["output_item.added", *inside, "output_item.done"]
    assert shape(reply) == [*expected, "completed"]
    assert [data["sequence_number"] for _, data in reply.events] == list(range(len(reply.events)))
    assert all(name == data["type"] for name, data in reply.events)
    done = [data["item"] for name, data in reply.events if name == "response.output_item.done"]
    last = reply.events[-1][1]["response"]
    assert last["output"] == done
    assert (last["status"], last["usage"]["input_tokens"] > 0) == ("completed", True)
    assert reply.events[0][1]["response"]["usage"] is None
    pieces = [data["delta"] for name, data in reply.events if name == "response.output_text.delta"]
    assert "".join(pieces) == "Grüße, all."


def test_a_retry_is_the_same_answer_and_equals_the_whole(start: Any) -> None:
    call = start(lambda _: FULL)
    first, second = call.respond(HI).json, call.respond(HI).json
    assert (first["id"], first["output"]) == (second["id"], second["output"])
    assert [item["type"] for item in first["output"]] == ["reasoning", "message", "reasoning", "function_call"]
    assert first["output"][0]["summary"] == []
    assert call.respond([*HI, *HI]).json["id"] != first["id"]
    assert call.sim.requests[0].message_id == first["id"]


@pytest.mark.parametrize(
    ("stop", "status", "reason"),
    [
        (None, "completed", None),
        ("end_turn", "completed", None),
        ("max_tokens", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("the_moon", "incomplete", "the_moon"),
    ],
)
def test_b_ends(start: Any, stop: str | None, status: str, reason: str | None) -> None:
    answer: dict[str, Any] = {"answer": [{"text": "x"}]} | ({"stop": stop} if stop else {})
    reply = start(lambda _: answer).respond(HI, stream=True)
    name, data = reply.events[-1]
    assert name == f"response.{status}"
    details = data["response"]["incomplete_details"]
    assert (details and details["reason"]) == reason


def test_refusals_are_a_part_of_their_own(start: Any) -> None:
    reply = start(lambda _: {"answer": [{"text": "No."}], "stop": "refusal"}).respond(HI, stream=True)
    assert shape(reply)[3:7] == ["content_part.added", "refusal.delta", "refusal.done", "content_part.done"]
    last = reply.events[-1][1]["response"]
    assert (last["status"], last["output"][0]["content"]) == ("completed", [{"type": "refusal", "refusal": "No."}])


def test_an_empty_answer_and_odd_calls(start: Any) -> None:
    answers = iter([[], [{"call": "Look", "raw_input": '{"a": tru', "id": ""}, {"text": "after"}]])
    call = start(lambda _: next(answers))
    assert call.respond(HI).json["output"] == []
    made, said = call.respond(HI).json["output"]
    assert (made["call_id"], made["arguments"], said["content"][0]["text"]) == ("", '{"a": tru', "after")


def test_prewarming_makes_no_answer(start: Any, items: Any) -> None:
    call = start(lambda _: 1 / 0)
    warm = call.respond(items(3), prompt_cache_options={"prewarm": True})
    assert (warm.json["output"], warm.bill[:2]) == ([], (0, 75))
    call.sim.brain = lambda _: "ok"
    assert call.respond(items(3)).bill == (75, 0, 75)


def test_the_sdk_understands_everything(start: Any, function: Any) -> None:
    call = start(lambda _: FULL)
    with openai.OpenAI(base_url=call.sim.url + "/v1", api_key="k", max_retries=0) as client:
        fields: dict[str, Any] = {"model": "gpt-6.1-sol", "input": HI, "tools": [function], "store": False}
        fields |= {"include": ["reasoning.encrypted_content"], "reasoning": {"summary": "auto"}}
        whole = client.responses.create(**fields)
        streamed = [*client.responses.create(**fields, stream=True)]
        assert whole.output_text == "Grüße, all."
        assert whole.usage is not None
        assert whole.usage.input_tokens_details.cache_write_tokens == whole.usage.input_tokens
        last = streamed[-1]
        assert last.type == "response.completed"
        assert last.response.output[3].model_dump(exclude_none=True)["arguments"] == '{"a": 1}'
        # Strictly: every event fits its own type, not only the loose union that the SDK parses into.
        for event in streamed:
            type(event).model_validate(event.model_dump(mode="json", warnings="error"))
        with pytest.raises(openai.NotFoundError) as missing:
            client.responses.create(model="gpt-7", input="hi")
        assert missing.value.code == "model_not_found"
        echo = [*HI, *(item.model_dump(exclude_none=True) for item in whole.output)]
        echo.append({"type": "function_call_output", "call_id": echo[-1]["call_id"], "output": "done"})
        call.sim.brain = lambda _: "Done."
        assert client.responses.create(**fields | {"input": echo}).output_text == "Done."
