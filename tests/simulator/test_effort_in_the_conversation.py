"""A5 Effort change, B Cache-safe: a change of effort inside the conversation, on both wires that have it."""

from __future__ import annotations

from typing import Any

import pytest

BETA = {"anthropic-beta": "mid-conversation-output-config-2026-07-01"}
LOW = {"role": "system", "content": [], "output_config": {"effort": "low"}}
UPDATE = {"type": "configuration_update", "reasoning": {"effort": "low"}}


def user(text: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [text]}


def answer(text: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": [text]}


@pytest.mark.parametrize("betas_in_key", [False, True])
def test_a5_the_prefix_is_read_and_the_effort_holds(start: Any, text: Any, betas_in_key: bool) -> None:
    call = start(betas_in_key=betas_in_key)
    call.headers = BETA
    model = {"model": "claude-sonnet-5-5", "output_config": {"effort": "high"}}
    first = [user(text("one", "5m"))]
    assert call(first, **model).status == 200
    second = [user(text("one", "5m")), answer(text("1")), user(text("two", "5m")), LOW]
    assert call(second, **model).status == 200
    third = [user(text("one")), answer(text("1")), user(text("two", "5m")), LOW, answer(text("2")), user(text("3"))]
    assert call(third, **model).status == 200

    requests = call.sim.requests
    assert [request.effort for request in requests] == ["high", "low", "low"]
    assert [request.read > 0 for request in requests] == [False, True, True]
    assert len({request.line for request in requests}) == 1
    assert requests[2].extends(requests[1])
    setting = requests[1].blocks[-1]
    assert (setting.role, setting.first, setting.canonical) == ("system", True, b'{"output_config":{"effort":"low"}}')


def test_a5_a_beta_that_comes_late_loses_all_where_it_is_in_the_key(start: Any, text: Any) -> None:
    for betas_in_key, read in ((False, True), (True, False)):
        call = start(betas_in_key=betas_in_key)
        call([user(text("one", "5m"))], model="claude-sonnet-5-5")
        call.headers = BETA
        call([user(text("one", "5m")), LOW], model="claude-sonnet-5-5")
        assert (call.sim.requests[1].read > 0) is read


@pytest.mark.parametrize(
    ("model", "rule", "said"),
    [
        ("claude-opus-5-5", "listed", ""),
        ("claude-fable-5-1", "listed", ""),
        ("claude-mythos-5-1", "listed", ""),
        ("claude-fable-5-2", "later", ""),
        ("claude-fable-5-2", "listed", "messages.1: `output_config` is not supported on this model"),
        ("claude-opus-4-8", "later", "messages.1: `output_config` is not supported on this model"),
        ("claude-opus-5-5", "none", "messages.1: `output_config` is not supported on this model"),
        ("claude-sonnet-5", "listed", "messages.1: role 'system' is not supported on this model"),
    ],
)
def test_a5_only_some_models_take_it(start: Any, text: Any, model: str, rule: str, said: str) -> None:
    call = start(effort_messages=rule)
    call.headers = BETA
    reply = call([user(text("one")), LOW], model=model)
    assert (reply.status, reply.error if said else "") == (400 if said else 200, said)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (LOW | {"output_config": {"effort": "huge"}}, "messages.1.output_config.effort: Input should be 'low'"),
        (LOW | {"output_config": {"effort": "low", "format": None}}, "messages.1.output_config.format: Extra inputs"),
        (LOW | {"output_config": "low"}, "messages.1.output_config: Input should be a valid dictionary"),
        ({"role": "system", "content": []}, "messages.1: all messages must have non-empty content"),
    ],
)
def test_a5_its_form(start: Any, text: Any, message: Any, said: str) -> None:
    call = start()
    call.headers = BETA
    reply = call([user(text("one")), message], model="claude-sonnet-5-5")
    assert (reply.status, reply.error[: len(said)]) == (400, said)


def test_a5_its_place_and_its_beta(start: Any, text: Any) -> None:
    call = start()
    model = {"model": "claude-sonnet-5-5"}
    reply = call([user(text("one")), LOW], **model)
    assert (reply.status, reply.error) == (400, "messages.1.output_config: Extra inputs are not permitted")
    call.headers = BETA
    reply = call([user(text("one")), answer(text("1")), LOW], **model)
    assert (reply.status, reply.error) == (400, "messages.2: a `system` message must follow a user message")
    reply = call([user(text("one")), LOW, user(text("two"))], **model)
    assert (reply.status, "must be last or be followed by an assistant" in reply.error) == (400, True)


def test_a2_automatic_walks_back_over_what_cannot_be_marked(start: Any, text: Any) -> None:
    call = start()
    call.headers = BETA
    model = {"model": "claude-sonnet-5-5", "cache_control": {"type": "ephemeral"}}
    assert call([user(text("one")), LOW], **model).usage[1] > 0
    assert call.sim.requests[0].markers == (0,)
    taken = call([user(text("one", "1h")), LOW], **model)
    assert (taken.status, "conflicts with the ttl='1h' breakpoint" in taken.error) == (400, True)


@pytest.mark.parametrize(
    ("model", "rule", "taken"),
    [
        ("gpt-6.1-sol", "breakpoints", True),
        ("gpt-5.4", "breakpoints", False),
        ("gpt-5.4", "all", True),
        ("gpt-6.1-sol", "none", False),
    ],
)
def test_b_configuration_updates(start: Any, items: Any, model: str, rule: str, taken: bool) -> None:
    call = start(configuration_updates=rule)
    call.respond(items(60), model=model)
    reply = call.respond([*items(60), UPDATE, *items(61, start=61)], model=model, reasoning={"effort": "high"})
    if not taken:
        text = "configuration_update is not supported on this model."
        assert reply.failure == (400, text, "input[60].configuration_update", "unsupported_parameter")
        return
    assert reply.status == 200
    # what a setting of the request would lose
    reply = call.respond([*items(60), UPDATE, *items(62, start=61)], model=model, reasoning={"effort": "high"})
    assert reply.bill[0] > 0
    assert [request.effort for request in call.sim.requests] == [None, "low", "low"]
