"""A vendor that answers with parts of a kind that this version does not know."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.lab import Lab
from tests.providers.test_stream import EVENTS, server, wire

SECRET = "only-in-the-journal"
ODD: dict[str, Any] = {"type": "hologram", "data": SECRET}
ANTHROPIC = [
    *EVENTS[:1],
    {"type": "content_block_start", "index": 1, "content_block": ODD},
    {"type": "content_block_stop", "index": 1},
    *EVENTS[1:],
]
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Well."}]}
RESPONSES = [
    {"type": "response.created", "response": {"id": "resp_1"}},
    {"type": "response.output_item.added", "output_index": 0, "item": ODD},
    {"type": "response.output_item.done", "output_index": 0, "item": ODD},
    {"type": "response.output_item.added", "output_index": 1, "item": SAID},
    {"type": "response.output_text.delta", "output_index": 1, "delta": "Well."},
    {"type": "response.output_item.done", "output_index": 1, "item": SAID},
    {"type": "response.completed", "response": {"status": "completed", "usage": {"input_tokens": 3}}},
]


@pytest.mark.parametrize(
    ("model", "events", "times"),
    [
        ("claude-opus-4-8", ANTHROPIC, 1),
        ("claude-opus-4-8", EVENTS, 0),
        ("openai/gpt-6.1-sol", RESPONSES, 1),
    ],
)
def test_a_part_of_an_unknown_kind_is_kept_and_said(
    model: str, events: list[dict[str, Any]], times: int, lab: Lab
) -> None:
    with server(wire(events)) as url:
        told = {"ANTHROPIC_BASE_URL": url, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-test-0123456789"}
        ran = lab.run("-p", "Well?", "--model", model, "--output-format", "stream-json", env=told)
    said = [json.loads(line) for line in ran.out.splitlines()]
    notices = [one["text"] for one in said if one["type"] == "notice"]

    assert ran.code == 0, ran.err
    assert [("hologram" in text, "not sent back" in text) for text in notices] == [(True, True)] * times
    kept = [block for record in lab.records() for block in record.data.get("unsent", ())]
    assert [SECRET in block["raw"] for block in kept] == [True] * times
