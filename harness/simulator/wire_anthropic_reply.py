"""Anthropic Messages replies: from a scripted answer to blocks, server-sent events and one JSON message.

Invariant: a byte-identical request gets the same message id and the same call ids, so that a retry is the
same answer.
Source: platform.claude.com/docs/en/build-with-claude/streaming (A6 SSE) and .../api/messages.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.simulator.answers import Answer, input_text, item_tokens, output_tokens
from harness.simulator.contracts import Bill
from harness.simulator.faults import Event
from harness.simulator.signatures import PrefixDigest, redact, sign

_PIECES = 4


@dataclass(frozen=True, slots=True)
class Content:
    """One content block of the answer as it will finally stand, and the arguments' text of a call."""

    block: dict[str, Any]
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer on this wire."""

    message_id: str
    model: str
    contents: tuple[Content, ...]
    stop_reason: str
    usage: dict[str, Any]
    extras: Mapping[str, Any]
    """`diagnostics` and `input_transformations`, where the vendor tells them."""


def message_id(body: bytes) -> str:
    """Id of the answer to this request body."""
    return f"msg_{hashlib.sha256(body).hexdigest()[:24]}"


def usage_of(bill: Bill, answer: Answer, *, tells: bool = True) -> dict[str, Any]:
    """A6 usage: exclusive input counters, the write split by TTL. tells: whether it says anything of a cache."""
    if not tells:
        return {"input_tokens": bill.total, "output_tokens": output_tokens(answer)}
    short, long = bill.written["5m"], bill.written["1h"]
    thinking = sum(item_tokens(item) for item in answer.content if "call" not in item and "text" not in item)
    return {
        "input_tokens": bill.total - bill.read - short - long,
        "cache_creation_input_tokens": short + long,
        "cache_read_input_tokens": bill.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": short,
            "ephemeral_1h_input_tokens": long,
        },
        "output_tokens": output_tokens(answer),
        "output_tokens_details": {"thinking_tokens": thinking},
        "service_tier": "standard",
    }


def contents_of(answer: Answer, body: bytes, model: str, prefix: PrefixDigest) -> tuple[Content, ...]:
    """The content blocks; thinking is signed for the request and the answer's blocks before it (A4)."""
    made: list[Content] = []
    for place, item in enumerate(answer.content):
        content = _content(item, place, body, model, prefix)
        prefix.add("assistant", content.block)
        made.append(content)
    return tuple(made)


def _content(item: Mapping[str, Any], place: int, body: bytes, model: str, prefix: PrefixDigest) -> Content:
    if "thinking" in item:
        text = item["thinking"]
        return Content({"type": "thinking", "thinking": text, "signature": sign(model, text, prefix.value())})
    if "redacted_thinking" in item:
        return Content({"type": "redacted_thinking", "data": redact(model, item["redacted_thinking"], prefix.value())})
    if "text" in item:
        return Content({"type": "text", "text": item["text"]})
    digest = hashlib.sha256(body + f"/{place}".encode()).hexdigest()[:24]
    arguments = input_text(item)
    try:
        value = json.loads(arguments)
    except ValueError:
        value = {}
    block = {
        "type": "tool_use",
        "id": item.get("id", f"toolu_{digest}"),
        "name": item["call"],
        "input": value,
    }
    return Content(block, arguments)


def stop_details(reply: Reply) -> dict[str, Any] | None:
    """Types of the SDK 2.12.0, RefusalStopDetails: why a model refused; nothing of any other stop."""
    if reply.stop_reason != "refusal":
        return None
    return {"type": "refusal", "category": "general_harms", "explanation": "The script refuses."}


def message(reply: Reply) -> dict[str, Any]:
    """The whole answer as one JSON message."""
    return {
        "id": reply.message_id,
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": [content.block for content in reply.contents],
        "stop_reason": reply.stop_reason,
        "stop_sequence": None,
        "stop_details": stop_details(reply),
        "usage": reply.usage,
        **reply.extras,
    }


def events(reply: Reply) -> Iterator[Event]:
    """A6 SSE: message_start, the blocks, message_delta with cumulative usage, message_stop."""
    start = message(reply) | {
        "content": [],
        "stop_reason": None,
        "stop_details": None,
        "usage": reply.usage | {"output_tokens": 1},
    }
    start["usage"].pop("output_tokens_details", None)
    yield Event("message_start", {"type": "message_start", "message": start})
    yield Event("ping", {"type": "ping"})  # A6 SSE: a ping may come anywhere
    for index, content in enumerate(reply.contents):
        yield Event(
            "content_block_start",
            {"type": "content_block_start", "index": index, "content_block": _opening(content.block)},
            "opening",
        )
        for delta in _deltas(content):
            yield Event(
                "content_block_delta",
                {"type": "content_block_delta", "index": index, "delta": delta},
                "arguments" if delta.get("partial_json") else "delta",
            )
        yield Event("content_block_stop", {"type": "content_block_stop", "index": index})
    counters = (
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
        "output_tokens_details",
    )
    yield Event(
        "message_delta",
        {
            "type": "message_delta",
            "delta": {"stop_reason": reply.stop_reason, "stop_sequence": None, "stop_details": stop_details(reply)},
            "usage": {name: reply.usage[name] for name in counters if name in reply.usage},
        },
    )
    yield Event("message_stop", {"type": "message_stop"}, "end")


def _opening(block: dict[str, Any]) -> dict[str, Any]:
    match block["type"]:
        case "text":
            return {"type": "text", "text": ""}
        case "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}
        case "tool_use":
            return block | {"input": {}}
        case _:
            return block


def _deltas(content: Content) -> Iterator[dict[str, Any]]:
    block, kind = content.block, content.block["type"]
    if kind == "text":
        yield from ({"type": "text_delta", "text": piece} for piece in _pieces(block["text"]))
    elif kind == "thinking":
        yield from ({"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"]))
        # A6 SSE: one signature_delta just before the block's stop.
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif kind == "tool_use":
        # A6 SSE: the first piece of the arguments is often empty.
        yield {"type": "input_json_delta", "partial_json": ""}
        for piece in _pieces(content.arguments):
            yield {"type": "input_json_delta", "partial_json": piece}


def _pieces(text: str) -> Iterator[str]:
    size = max(1, -(-len(text) // _PIECES))
    yield from (text[at : at + size] for at in range(0, len(text), size))
