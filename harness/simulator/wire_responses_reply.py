"""OpenAI Responses replies: from a scripted answer to output items, server-sent events and one JSON object.

Invariant: a byte-identical request gets the same ids, so that a retry is the same answer; sequence numbers count
the events of one stream from 0.
Source: openai 3.54.0, types/responses/response*_event.py, response.py, response_usage.py (B SSE, B Usage).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.simulator.answers import Answer, input_text, item_tokens, output_tokens
from harness.simulator.contracts import Bill
from harness.simulator.faults import Dialect, Event, Fault, Part, sse
from harness.simulator.sealed import Sealed, item_id, seal, stem_of

_PIECES = 4
_EPOCH = 1_790_000_000  # seconds; the vendor's clock starts at 0
# Stop reasons of the script's form, and the incomplete_details.reason that they are here; "" completes.
_INCOMPLETE = {
    "end_turn": "",
    "tool_use": "",
    "stop": "",
    "refusal": "",
    "max_tokens": "max_output_tokens",
    "length": "max_output_tokens",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer on this wire."""

    id: str
    at: float
    request: Mapping[str, Any] = field(repr=False)
    output: tuple[dict[str, Any], ...]
    incomplete: str
    """Reason why the response is incomplete; "" when it is not."""
    usage: dict[str, Any]
    context: str
    extras: Mapping[str, Any]
    """prompt_cache_diagnostics and input_transformations, where there are any."""


def response_id(body: bytes) -> str:
    """Id of the answer to this request body."""
    return f"resp_{hashlib.sha256(body).hexdigest()[:48]}"


def incomplete_reason(answer: Answer) -> str:
    """Why the response will be incomplete; a stop that no vendor knows is passed on as the reason."""
    return _INCOMPLETE.get(answer.stop_reason, answer.stop_reason)


def usage_of(bill: Bill, answer: Answer) -> dict[str, Any]:
    """B Usage: inclusive; ordinary input = input - cached - written."""
    short, long = bill.written.get("30m", 0), bill.written.get("12h", 0)
    output = output_tokens(answer)
    return {
        "input_tokens": bill.total,
        "input_tokens_details": {
            "cached_tokens": bill.read,
            "cache_write_tokens": sum(bill.written.values()),
            "cache_write_tokens_details": {"ttl_30m_tokens": short, "ttl_12h_tokens": long},
        },
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": thinking_tokens(answer)},
        "total_tokens": bill.total + output,
    }


def thinking_tokens(answer: Answer) -> int:
    """Bytes / 4 of the thinking items."""
    return sum(item_tokens(item) for item in answer.content if "call" not in item and "text" not in item)


def output_of(
    answer: Answer, body: bytes, model: str, *, summaries: bool, encrypted: bool, phases: bool
) -> tuple[dict[str, Any], ...]:
    """The output items. phases: whether messages say what they are (openai 3.54.0, ResponseOutputMessage)."""
    stem = stem_of(body)
    items = list(answer.content)
    made: list[dict[str, Any]] = []
    for place, item in enumerate(items):
        thought = place > 0 and _kind(items[place - 1]) == "reasoning"
        after = place - 1 if thought else None
        match _kind(item):
            case "reasoning":
                text = str(item.get("thinking", item.get("redacted_thinking")))
                follower = _kind(items[place + 1]) if place + 1 < len(items) else ""
                shown = [{"type": "summary_text", "text": text}] if summaries and "thinking" in item else []
                made.append({"id": item_id("rs", stem, place), "type": "reasoning", "summary": shown})
                if encrypted:
                    sealed = Sealed(model, item_id("rs", stem, place), text, follower)
                    made[-1]["encrypted_content"] = seal(sealed)
            case "message":
                part = {"type": "output_text", "text": item["text"], "annotations": [], "logprobs": []}
                if answer.stop == "refusal":
                    part = {"type": "refusal", "refusal": item["text"]}
                made.append(
                    {
                        "id": item_id("msg", stem, place, after),
                        "type": "message",
                        "status": "completed",
                        "content": [part],
                        "role": "assistant",
                    }
                    | ({"phase": _phase(items[place:])} if phases else {})
                )
            case _:
                made.append(
                    {
                        "id": item_id("fc", stem, place, after),
                        "type": "function_call",
                        "status": "completed",
                        "arguments": input_text(item),
                        "call_id": item.get("id", f"call_{stem}{place:02x}"),
                        "name": item["call"],
                    }
                )
    return tuple(made)


def _phase(rest: list[Mapping[str, Any]]) -> str:
    return "commentary" if any("call" in item for item in rest) else "final_answer"


def _kind(item: Mapping[str, Any]) -> str:
    if "text" in item:
        return "message"
    return "function_call" if "call" in item else "reasoning"


def response(reply: Reply, status: str, output: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """The response object in one of its states."""
    request = reply.request
    ended = status in {"completed", "incomplete"}
    reasoning = request.get("reasoning") or {}
    options = request.get("prompt_cache_options") or {}
    shown: dict[str, Any] = {
        "id": reply.id,
        "object": "response",
        "created_at": _EPOCH + int(reply.at),
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reply.incomplete} if status == "incomplete" else None,
        "instructions": request.get("instructions"),
        "max_output_tokens": request.get("max_output_tokens"),
        "metadata": request.get("metadata") or {},
        "model": request["model"],
        "output": list(output),
        "parallel_tool_calls": request.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "prompt_cache_key": request.get("prompt_cache_key"),
        "prompt_cache_options": {"mode": options.get("mode", "implicit"), "ttl": options.get("ttl", "30m")},
        "prompt_cache_retention": request.get("prompt_cache_retention"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary"), "context": reply.context},
        "service_tier": "default",
        "store": request.get("store", True),
        "temperature": request.get("temperature"),
        "text": {"format": {"type": "text"}, **(request.get("text") or {})},
        "tool_choice": request.get("tool_choice") or "auto",
        "tools": request.get("tools") or [],
        "top_p": request.get("top_p"),
        "truncation": "disabled",
        "usage": reply.usage if ended else None,
    }
    if status == "completed":
        shown["completed_at"] = shown["created_at"]
    return shown | (dict(reply.extras) if ended else {})


def message(reply: Reply) -> dict[str, Any]:
    """The whole answer as one JSON object."""
    return response(reply, "incomplete" if reply.incomplete else "completed", reply.output)


def events(reply: Reply) -> Iterator[Event]:
    """B SSE: created, in_progress, the items, and completed or incomplete with the usage."""
    for number, (kind, body, part) in enumerate(_events(reply)):
        yield Event(kind, {"type": kind, "sequence_number": number, **body}, part)


_Draft = tuple[str, dict[str, Any], Part]


def _events(reply: Reply) -> Iterator[_Draft]:
    started = response(reply, "in_progress")
    yield "response.created", {"response": started}, ""
    yield "response.in_progress", {"response": started}, ""
    for index, item in enumerate(reply.output):
        opening = _opening(item)
        yield "response.output_item.added", {"output_index": index, "item": opening}, "opening"
        place = {"item_id": item["id"], "output_index": index}
        match item["type"]:
            case "reasoning":
                yield from _summary_events(item, place)
            case "message":
                yield from _content_events(item, place)
            case _:
                for piece in _pieces(item["arguments"]):
                    yield "response.function_call_arguments.delta", {**place, "delta": piece}, "arguments"
                whole = {**place, "name": item["name"], "arguments": item["arguments"]}
                yield "response.function_call_arguments.done", whole, ""
        yield "response.output_item.done", {"output_index": index, "item": item}, ""
    last = message(reply)
    yield f"response.{last['status']}", {"response": last}, "end"


def _summary_events(item: Mapping[str, Any], place: Mapping[str, Any]) -> Iterator[_Draft]:
    for number, part in enumerate(item["summary"]):
        where = {**place, "summary_index": number}
        yield "response.reasoning_summary_part.added", {**where, "part": {**part, "text": ""}}, ""
        for piece in _pieces(part["text"]):
            yield "response.reasoning_summary_text.delta", {**where, "delta": piece}, "delta"
        yield "response.reasoning_summary_text.done", {**where, "text": part["text"]}, ""
        yield "response.reasoning_summary_part.done", {**where, "part": part}, ""


def _content_events(item: Mapping[str, Any], place: Mapping[str, Any]) -> Iterator[_Draft]:
    for number, part in enumerate(item["content"]):
        where = {**place, "content_index": number}
        refused = part["type"] == "refusal"
        name, empty = ("refusal", {"refusal": ""}) if refused else ("output_text", {"text": ""})
        logprobs: dict[str, Any] = {} if refused else {"logprobs": []}
        text = part["refusal"] if refused else part["text"]
        yield "response.content_part.added", {**where, "part": {**part, **empty}}, ""
        for piece in _pieces(text):
            yield f"response.{name}.delta", {**where, "delta": piece, **logprobs}, "delta"
        done = {"refusal": text} if refused else {"text": text, **logprobs}
        yield f"response.{name}.done", {**where, **done}, ""
        yield "response.content_part.done", {**where, "part": part}, ""


def _opening(item: dict[str, Any]) -> dict[str, Any]:
    match item["type"]:
        case "reasoning":
            # openai 3.54.0: the encrypted_content of an added item may be incomplete.
            return {**item, "summary": [], **({"encrypted_content": ""} if "encrypted_content" in item else {})}
        case "message":
            return {**item, "status": "in_progress", "content": []}
        case _:
            return {**item, "status": "in_progress", "arguments": ""}


def _pieces(text: str) -> Iterator[str]:
    size = max(1, -(-len(text) // _PIECES))
    yield from (text[at : at + size] for at in range(0, len(text), size))


def dialect(reply: Reply) -> Dialect:
    """What only a fault makes this wire say."""

    def error(fault: Fault, sent: int) -> bytes:
        # response_error_event.py: flat, with the sequence number.
        code = fault.error_type or "server_error"
        data = {"type": "error", "code": code, "message": fault.message, "param": None, "sequence_number": sent}
        return sse("error", json.dumps(data))

    def failed(fault: Fault, sent: int) -> bytes:
        body = response(reply, "failed")
        body["error"] = {"code": fault.error_type or "server_error", "message": fault.message}
        return sse(
            "response.failed", json.dumps({"type": "response.failed", "sequence_number": sent, "response": body})
        )

    return Dialect(
        ping=b": keep-alive\n\n",
        malformed=sse("response.output_text.delta", '{"type":"response.output_text.delta","delta"'),
        error=error,
        failed=failed,
        big=lambda size: b": " + b"x" * size + b"\n\n",
    )
