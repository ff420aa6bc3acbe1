"""Chat Completions replies: from a scripted answer to one message, or to chunks, with each profile's usage.

Invariant: a byte-identical request gets the same ids, so that a retry is the same answer. Usage is inclusive on
every profile.
Source: openai 3.54.0, types/chat/chat_completion.py, chat_completion_chunk.py, completion_usage.py; sections B, C.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.simulator.answers import Answer, input_text, output_tokens
from harness.simulator.chat_pairing import REASONED
from harness.simulator.contracts import Bill
from harness.simulator.faults import Dialect, Event, Fault, Part, sse
from harness.simulator.openai_models import Profile
from harness.simulator.records import Block
from harness.simulator.rules import Rules
from harness.simulator.sealed import stem_of
from harness.simulator.thought_signatures import extra_content
from harness.simulator.wire_chat import message_blocks
from harness.simulator.wire_responses_reply import thinking_tokens

_PIECES = 4
_EPOCH = 1_790_000_000  # seconds; the vendor's clock starts at 0
# Stop reasons of the script's form, as this wire says them; one that no vendor knows is passed on.
_FINISH = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length"}


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer on this wire."""

    id: str
    created: int
    model: str
    message: Mapping[str, Any]
    finish: str
    usage: dict[str, Any]
    extras: Mapping[str, Any]
    """What a profile adds beside the usage (llama.cpp timings)."""
    include_usage: bool
    reasoning: str | None = field(default=None)
    """Field that carries the thinking."""
    unasked: bool = False
    whole_calls: bool = False
    """Calls come whole and without an index, and the answer then just stops (Gemini)."""


def reply_of(
    request: Mapping[str, Any], answer: Answer, body: bytes, bill: Bill, at: float, profile: Profile, rules: Rules
) -> Reply:
    """The answer as this profile says it."""
    refused = answer.stop == "refusal"
    finish = _FINISH.get(answer.stop_reason, answer.stop_reason)
    if refused:
        finish = "stop" if profile.name == "openai" else "content_filter"
    output = output_tokens(answer)
    extras: dict[str, Any] = {}
    if profile.name == "llamacpp":
        # C Local engines: always there.
        extras["timings"] = {"cache_n": bill.read, "prompt_n": bill.total - bill.read, "predicted_n": output}
    return Reply(
        id=f"chatcmpl-{stem_of(body)}",
        created=_EPOCH + int(at),
        model=request["model"],
        message=_message(answer, body, profile, request["model"]),
        finish=finish,
        usage=usage_of(bill, answer, profile, rules),
        extras={} if rules.cache_report == "nothing" else extras,
        include_usage=rules.cache_report != "nothing"
        and bool((request.get("stream_options") or {}).get("include_usage")),
        reasoning=profile.reasoning if profile.thoughts == "text" else None,
        unasked=profile.unasked and rules.cache_report != "nothing",
        whole_calls=profile.echo == "signature",
    )


def usage_of(bill: Bill, answer: Answer, profile: Profile, rules: Rules) -> dict[str, Any]:
    """B and C Usage: what each profile says of the cache."""
    output, thinking = output_tokens(answer), thinking_tokens(answer)
    usage: dict[str, Any] = {
        "prompt_tokens": bill.total,
        "completion_tokens": output,
        "total_tokens": bill.total + output,
    }
    match profile.usage:
        case "openai":
            written = sum(bill.written.values())
            usage["prompt_tokens_details"] = {"cached_tokens": bill.read, "cache_write_tokens": written}
            usage["completion_tokens_details"] = {"reasoning_tokens": thinking}
            return usage
        case "deepseek":
            usage["prompt_cache_hit_tokens"] = bill.read
            usage["prompt_cache_miss_tokens"] = bill.total - bill.read
            usage["completion_tokens_details"] = {"reasoning_tokens": thinking}
            return usage
        case "top":
            # Moonshot: beside the details of nobody else
            usage["cached_tokens"] = bill.read
            return usage
        case "written":
            # Qwen, explicit cache
            written = sum(bill.written.values())
            usage["prompt_tokens_details"] = {"cached_tokens": bill.read, "cache_creation_input_tokens": written}
            return usage
        case "plain":
            shown = rules.cache_report == "on"
        case "cached":
            shown = rules.cache_report != "off"
        case "nonzero":
            # C vLLM: left out when 0; --enable-prompt-tokens-details, --enable-cache-report.
            usage["prompt_tokens_details"] = None
            shown = rules.cache_report == "on" or (rules.cache_report == "profile" and bill.read > 0)
    if shown:
        usage["prompt_tokens_details"] = {"cached_tokens": bill.read}
    return usage


def _message(answer: Answer, body: bytes, profile: Profile, model: str) -> dict[str, Any]:
    texts = [item["text"] for item in answer.content if "text" in item]
    thoughts = [item["thinking"] for item in answer.content if "thinking" in item]
    calls = [
        {
            "id": item.get("id", _call_id(body, place, reasoned=bool(thoughts) and profile.echo == "required")),
            "type": "function",
            "function": {"name": item["call"], "arguments": input_text(item)},
        }
        for place, item in enumerate(answer.content)
        if "call" in item
    ]
    text = "".join(texts) if texts or not calls else None
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if profile.name == "openai":
        message["refusal"] = None
        if answer.stop == "refusal":
            message |= {"content": None, "refusal": text}
    if profile.thoughts == "parts" and thoughts:
        parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "".join(thoughts)}]}]
        message["content"] = parts + ([{"type": "text", "text": text}] if text else [])
    elif profile.reasoning and thoughts:
        message[profile.reasoning] = "".join(thoughts)
    if calls:
        message["tool_calls"] = calls
        if profile.echo == "signature":
            calls[0]["extra_content"] = extra_content(model, calls[0]["function"])
    return message


def _call_id(body: bytes, place: int, *, reasoned: bool) -> str:
    return f"call_{stem_of(body)}{place & 255:02x}" + (REASONED if reasoned else "")


def outputs_of(reply: Reply, profile: Profile) -> tuple[tuple[Block, ...], ...]:
    """The answer in the forms in which it may come back: text as string or as part, with and without reasoning."""
    forms: list[tuple[Block, ...]] = []
    content = reply.message["content"]
    contents = [content] if content is None else [content, [{"type": "text", "text": content}]]
    if isinstance(content, list):
        # Mistral: thinking need not come back
        said = "".join(part["text"] for part in content if part["type"] == "text") or None
        contents = [content, said, [{"type": "text", "text": said}]] if said else [content, None]
    for given in contents:
        message = {name: value for name, value in reply.message.items() if value is not None} | {"content": given}
        forms.append(tuple(message_blocks("messages", -1, message, profile)))
        if profile.reasoning in message:
            del message[str(profile.reasoning)]
            forms.append(tuple(message_blocks("messages", -1, message, profile)))
    return tuple(forms)


def completion(reply: Reply) -> dict[str, Any]:
    """The whole answer as one JSON object."""
    choice = {"index": 0, "message": dict(reply.message), "logprobs": None, "finish_reason": reply.finish}
    return {
        "id": reply.id,
        "object": "chat.completion",
        "created": reply.created,
        "model": reply.model,
        "choices": [choice],
        "usage": reply.usage,
        **reply.extras,
    }


def events(reply: Reply) -> Iterator[Event]:
    """Chunks, the usage in one of its own with `choices: []` where it was asked for, and [DONE]."""
    null: dict[str, Any] = {"usage": None} if reply.include_usage else {}
    yield Event("", _chunk(reply, [_choice({"role": "assistant", "content": ""})]) | null, "opening")
    for delta, part in _deltas(reply):
        yield Event("", _chunk(reply, [_choice(delta)]) | null, part)
    finish = "stop" if reply.whole_calls and reply.finish == "tool_calls" else reply.finish
    last = _chunk(reply, [_choice({}, finish)]) | null | ({"usage": reply.usage} if reply.unasked else {})
    yield Event("", last if reply.include_usage else last | dict(reply.extras))
    if reply.include_usage:
        yield Event("", _chunk(reply, []) | {"usage": reply.usage, **reply.extras})
    yield Event("", "[DONE]", "end")


def _chunk(reply: Reply, choices: list[Any]) -> dict[str, Any]:
    return {
        "id": reply.id,
        "object": "chat.completion.chunk",
        "created": reply.created,
        "model": reply.model,
        "choices": choices,
    }


def _choice(delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": finish}


def _deltas(reply: Reply) -> Iterator[tuple[dict[str, Any], Part]]:
    message = reply.message
    for name in (reply.reasoning, "content", "refusal"):
        if name and isinstance(message.get(name), list):
            yield from (({name: [piece]}, "delta") for piece in _parts(message[name]))
        elif name and message.get(name):
            yield from (({name: piece}, "delta") for piece in _pieces(message[name]))
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        if reply.whole_calls:
            yield {"tool_calls": [call]}, "arguments"
            continue
        opening = {"index": index, "id": call["id"], "type": "function"}
        yield {"tool_calls": [{**opening, "function": {"name": function["name"], "arguments": ""}}]}, "delta"
        for piece in _pieces(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, "arguments"


def _parts(parts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Mistral: each piece of content is a list of one part."""
    for part in parts:
        if part["type"] == "thinking":
            whole = part["thinking"][0]["text"]
            yield from ({"type": "thinking", "thinking": [{"type": "text", "text": piece}]} for piece in _pieces(whole))
        else:
            yield from ({"type": "text", "text": piece} for piece in _pieces(part["text"]))


def _pieces(text: str) -> Iterator[str]:
    size = max(1, -(-len(text) // _PIECES))
    yield from (text[at : at + size] for at in range(0, len(text), size))


def _error(fault: Fault, sent: int) -> bytes:
    """Section D: the SDK raises on a chunk with `error`."""
    del sent
    code = fault.error_type or "server_error"
    return sse("", json.dumps({"error": {"message": fault.message, "type": code, "param": None, "code": code}}))


DIALECT = Dialect(
    ping=b": keep-alive\n\n",
    malformed=sse("", '{"id":"chatcmpl-0","object":"chat.completion.chunk","choices":[{"index":0,"delta"'),
    error=_error,
    failed=_error,
    big=lambda size: b": " + b"x" * size + b"\n\n",
)
