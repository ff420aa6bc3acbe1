"""The canonical conversations as every wire and profile sends them, as files: a diff there is a prefix that moves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import httpx2
import pytest

from harness.conversation.blocks import Block, Message, Setting, Thinking
from harness.conversation.canonical import encode
from harness.conversation.request import LedgerEntry, Line, Rendered, Request
from harness.prompt.markers import place
from harness.prompt.prefix import assemble
from harness.prompt.projection import Projection
from harness.providers import connect
from harness.providers.base import Access, Provider
from harness.providers.catalog import find
from harness.providers.facts import Model
from harness.seam import Seam
from harness.simulator import Rules, Simulator
from tests.golden.conversations import CONVERSATIONS, MODEL, said
from tests.golden.test_golden import TOOL, golden

MODELS = {
    "responses": "openai/gpt-6.1-sol",
    "responses-before-5.6": "openai/gpt-5.4",
    "chat-openai": "openai-chat/openai/gpt-6.1-sol",
    "chat-openrouter": "openai-chat/openrouter/anthropic/claude-sonnet-5.5",
    "chat-deepseek": "openai-chat/deepseek/deepseek-v4-pro",
    "chat-mistral": "openai-chat/mistral/mistral-large-4",
    "chat-llamacpp": "openai-chat/llamacpp/gemma-4-27b",
    "chat-generic": "openai-chat/some-model",
}
PROFILES = {"chat-openrouter": "openrouter", "chat-deepseek": "deepseek", "chat-llamacpp": "llamacpp"}


def provider_for(model: Model) -> Provider:
    return connect.provider(model, Access("http://vendor/v1", "k", {}), "harness-key", Seam(), 5.0)


def batches(messages: Sequence[Message]) -> list[list[Message]]:
    found: list[list[Message]] = []
    for message in messages:
        if found and message.tag != "answer" != found[-1][-1].tag:
            found[-1].append(message)
        else:
            found.append([message])
    return found


def body(model: Model, messages: Sequence[Message], *, side: bool = False) -> bytes:
    """The body of a request that carries these messages, the second of them read from the cache."""
    wire = provider_for(model)
    projection = Projection(wire.prefix(assemble([TOOL], "The static block.", "The session block.")), wire.envelope)
    for batch in batches(messages):
        fragments = wire.render(batch, projection.after)
        for message, made in zip(batch, fragments, strict=True):
            projection.add(len(projection.messages), message, made)
    tail: list[Rendered] = []
    if side:
        instruction = said("[Side request] Sum up.", "system_injected")
        [made] = wire.render([instruction], projection.after)
        tail = [projection.render(-1, instruction, made)]
    known = projection.messages[0].digests[-1:]
    markers = place(
        projection.prefix,
        projection.with_tail(tail),
        lambda digest: LedgerEntry(digest, 9, 0.0, "5m") if digest in known else None,
        model.rules,
        "30m",
        side=side,
    )
    settings = connect.settings(model, None, "harness-key", connect.ttl_for(model, "5m"))
    line = Line(model.wire, "http://vendor", model.name, settings)
    return wire.body(Request(line, projection.prefix, projection.with_tail(tail), markers, 1000, side))


def made_by(model: Model, message: Message) -> Message:
    """The message with its thinking made by this model, as its wire keeps it."""
    return replace(message, blocks=tuple(_made_by(model, block) for block in message.blocks))


def _made_by(model: Model, block: Block) -> Block:
    if isinstance(block, Setting) and connect.says_effort(model):
        return replace(block, model=model.id)
    if not isinstance(block, Thinking) or block.maker != MODEL:
        return block
    item: Any = {"encrypted_content": "b3BhcXVl", "id": "rs_1", "summary": [], "type": "reasoning"}
    if model.profile is not None:
        field = model.profile.reasoning_echo
        item = {field: [{"text": block.text, "type": "reasoning.text"}] if field.endswith("s") else block.text}
    # in the conversations, signed thinking is made with a text
    signed = bool(block.signature or block.redacted)
    echoed = signed and (model.profile is None or model.profile.reasoning_echo)
    return Thinking(block.text, "message" if signed else "", model.id, item=encode(item).decode() if echoed else "")


@pytest.mark.parametrize("wire", MODELS)
@pytest.mark.parametrize("name", sorted(CONVERSATIONS))
def test_body(name: str, wire: str) -> None:
    model = find(MODELS[wire])
    sent = body(model, [made_by(model, message) for message in CONVERSATIONS[name]])

    golden(f"bodies/{wire}/{name}.json", sent + b"\n")
    assert encode(json.loads(sent)) == sent, "canonical: keys sorted, no spaces"


@pytest.mark.parametrize("wire", MODELS)
def test_body_of_a_side_request(wire: str) -> None:
    golden(f"bodies/{wire}/side_request.json", body(find(MODELS[wire]), CONVERSATIONS["text"], side=True) + b"\n")


@pytest.mark.parametrize("wire", MODELS)
@pytest.mark.parametrize("name", sorted(CONVERSATIONS))
def test_a_server_takes_it(name: str, wire: str) -> None:
    """Foreign thinking and all: nothing is refused by the server that the profile is for, nor by a strict one."""
    model = find(MODELS[wire])
    if name == "image_in_a_result" and not model.images:
        pytest.skip("images are left out, as the golden body shows")
    rules = Rules(
        profile=cast("Any", PROFILES.get(wire, "openai" if "openai" in wire or "responses" in wire else "generic")),
        strict_alternation=model.profile is not None and model.profile.strict_alternation,
    )
    with Simulator(lambda _request: "ok", rules) as simulator:
        path = "/v1/responses" if model.wire == "openai-responses" else "/v1/chat/completions"
        answer = httpx2.post(
            simulator.url + path,
            content=body(model, CONVERSATIONS[name]),
            headers={"authorization": "Bearer k", "content-type": "application/json"},
        )

    assert answer.status_code == 200, answer.text
