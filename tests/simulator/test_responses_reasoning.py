"""Reasoning items: opaque, bound to their id and model, and paired with what they led to (section B Stateless)."""

from __future__ import annotations

from typing import Any

import pytest

HI: list[Any] = [{"role": "user", "content": "hi"}]
ANSWER = [{"thinking": "hmm"}, {"call": "look", "input": {}}]


def turn(call: Any, **fields: Any) -> list[Any]:
    """The items of one answer with a call, and its output."""
    output = call.respond(HI, **fields).json["output"]
    return [*output, {"type": "function_call_output", "call_id": output[1]["call_id"], "output": "done"}]


def test_echoed_as_it_came_it_holds(start: Any) -> None:
    call = start(lambda _: ANSWER)
    reasoning, made, done = turn(call)
    assert call.respond([*HI, reasoning, made, done]).status == 200
    bare = {name: value for name, value in made.items() if name not in {"id", "status"}}
    assert call.respond([*HI, reasoning, bare, done]).status == 200
    assert call.respond([*HI, bare, done]).status == 200
    nameless = {name: value for name, value in reasoning.items() if name != "id"}
    assert call.respond([*HI, nameless, made, done]).status == 200
    assert [block.kind for block in call.sim.requests[1].blocks][1:] == [
        "reasoning",
        "function_call",
        "input_text",
    ]


@pytest.mark.parametrize("change", ["altered", "cut", "other id", "other text", "other model"])
def test_an_altered_or_foreign_one_is_refused(start: Any, change: str) -> None:
    call = start(lambda _: ANSWER)
    reasoning, made, done = turn(call)
    content = reasoning["encrypted_content"]
    fields: dict[str, Any] = {}
    match change:
        case "altered":
            reasoning["encrypted_content"] = content[:40] + ("A" if content[40] != "A" else "B") + content[41:]
        case "cut":
            reasoning["encrypted_content"] = content[:-4]
        case "other id":
            reasoning["id"] = "rs_other"
        case "other text":
            reasoning["encrypted_content"] = "gAAAAnonsense"
        case _:
            fields["model"] = "gpt-6-sol"
    status, text, _, code = call.respond([*HI, reasoning, made, done], **fields).failure
    assert (status, code) == (400, "invalid_encrypted_content")
    assert "could not be verified" in text


def test_another_models_may_be_withheld_instead(start: Any) -> None:
    call = start(lambda _: ANSWER, foreign_reasoning="remove")
    reasoning, made, done = turn(call)
    reply = call.respond([*HI, reasoning, made, done], model="gpt-6-sol")
    assert reply.json["input_transformations"] == [
        {"id": reasoning["id"], "action": "removed", "reason": "model_mismatch", "type": "reasoning"}
    ]
    assert [block.counted for block in call.sim.requests[1].blocks] == [True, False, True, True]


def test_reasoning_needs_what_came_after_it(start: Any) -> None:
    call = start(lambda _: ANSWER)
    reasoning, made, done = turn(call)
    missing = f"Item '{reasoning['id']}' of type 'reasoning' was provided without its required following item."
    said = {"role": "assistant", "content": [{"type": "output_text", "text": "x", "annotations": []}]}
    for items in ([reasoning], [reasoning, *HI], [reasoning, said, *HI], [reasoning, done]):
        given = [*HI, *items] if items[-1] is not done else [*HI, made | {"id": "fc_1"}, *items]
        assert call.respond(given).failure[1:3] == (missing, "input")
    other = made | {"id": made["id"][:-2] + "09"}
    assert "without its required" in call.respond([*HI, reasoning, other, done]).failure[1]


def test_and_what_came_after_it_needs_the_reasoning(start: Any) -> None:
    call = start(lambda _: ANSWER)
    reasoning, made, done = turn(call)
    assert call.respond([*HI, made, done]).failure[1] == (
        f"Item '{made['id']}' of type 'function_call' was provided without its required 'reasoning' item: "
        f"'{reasoning['id']}'."
    )
    call.sim.brain = lambda _: [{"thinking": "hmm"}, {"text": "hello"}]
    _, said = call.respond(HI).json["output"]
    text = call.respond([*HI, said, *HI]).failure[1]
    assert "of type 'message' was provided without its required 'reasoning'" in text


def test_without_its_content_nothing_is_found(start: Any) -> None:
    call = start(lambda _: ANSWER)
    reasoning, made, done = turn(call, include=[])
    assert "encrypted_content" not in reasoning
    assert call.respond([*HI, reasoning, made, done]).failure[0] == 404
    assert "Items are not persisted" in call.sim.refused[0].error
    assert "encrypted_content" in turn(start(lambda _: ANSWER, encrypted_content="always"), include=[])[0]


@pytest.mark.parametrize(
    ("model", "context", "kept"),
    [
        ("gpt-6.1-sol", None, True),
        ("gpt-6.1-sol", "current_turn", False),
        ("gpt-5.4", None, False),
        ("gpt-5.4", "auto", False),
        ("gpt-5.4", "all_turns", True),
    ],
)
def test_b_reasoning_context(start: Any, model: str, context: str | None, kept: bool) -> None:
    call = start(lambda _: ANSWER)
    fields: dict[str, Any] = {"model": model} | ({"reasoning": {"context": context}} if context else {})
    items = turn(call, **fields)
    inside = call.respond([*HI, *items], **fields)
    later = call.respond([*HI, *items, *HI], **fields)
    assert "input_transformations" not in inside.json
    assert [block.counted for block in call.sim.requests[2].blocks][1] is kept
    assert ("input_transformations" not in later.json) is kept
    assert later.json["reasoning"]["context"] == ("all_turns" if kept else "current_turn")
