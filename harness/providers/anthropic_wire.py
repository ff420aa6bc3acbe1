"""The Anthropic Messages format, pure: blocks to bytes, bytes to a body, stream events to parts. No SDK, no network.

Invariant: `render` is a pure function of message and model; `body` joins stored bytes and splices markers in, so that
two requests of a line are equal up to the end of the shorter one, markers aside.
Source: platform.claude.com/docs/en/api/messages, …/build-with-claude/prompt-caching, …/build-with-claude/streaming.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.conversation.blocks import Block, Image, Message, Setting, Tag, Text, Thinking, ToolCall, ToolResult, Usage
from harness.conversation.canonical import Json, clean, decode, encode
from harness.conversation.request import Fragment, Marker, Request
from harness.errors import StreamBroken
from harness.providers.base import Began, BlockBroken, BlockDone, Finished, Part, TextPart, ThinkingPart
from harness.providers.calls import parse_call
from harness.providers.handoff import ANTHROPIC_ID, NO_ANSWER, for_model, wire_id
from harness.providers.refusals import ended
from harness.providers.splice import FIRST, body_of, placed

SETTING = b'{"content":[],"output_config":'
"""How a message begins that is nothing but a setting."""

_STAND_IN = b'{"content":[' + encode({"type": "text", "text": NO_ANSWER}) + b'],"role":"assistant"}'


def render(message: Message, model: str, after: Tag | None = None) -> tuple[Fragment, ...]:
    """The content blocks of one message, as `model` ("anthropic/…") is sent them.

    Behind a setting this vendor takes an answer only. Where there was none, because the call failed, the message's
    first block is a stand-in for it, which `envelope` knows.

    Args:
        after: what the last message is of which this model was sent something.
    """
    # "cache_control" sorts before every other key of a block, and goes into any but thinking and settings
    fragments = tuple(
        Fragment(encode(_wire(block)), -1 if isinstance(block, Thinking | Setting) else FIRST)
        for block in for_model(message, model)
    )
    if fragments and after == "setting" and message.tag != "answer":
        return (Fragment(_STAND_IN), *fragments)
    return fragments


def batch(messages: Sequence[Message], model: str, after: Tag | None) -> list[tuple[Fragment, ...]]:
    """See `Provider.render`: this vendor takes neighbouring messages of one role."""
    rendered = []
    for message in messages:
        rendered.append(render(message, model, after))
        after = message.tag if rendered[-1] else after
    return rendered


def _wire(block: Block) -> Json:
    match block:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(media_type, data):
            return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
        case Thinking(text, signature, _, redacted):
            if redacted:
                return {"type": "redacted_thinking", "data": redacted}
            return {"type": "thinking", "thinking": text, "signature": signature}
        case ToolCall(id_, name, arguments):
            return {"type": "tool_use", "id": wire_id(id_, ANTHROPIC_ID), "name": name, "input": arguments}
        case ToolResult(call_id, content, is_error):
            result: dict[str, Json] = {
                "type": "tool_result",
                "tool_use_id": wire_id(call_id, ANTHROPIC_ID),
                "content": [_wire(part) for part in content],
            }
            return result | {"is_error": True} if is_error else result
        case Setting(_, value):
            return {"effort": value}


def envelope(role: str, blocks: tuple[bytes, ...]) -> bytes:
    """One message of the body; two where its first block is the stand-in."""
    if blocks[0] == _STAND_IN:
        return _STAND_IN + b"," + envelope(role, blocks[1:])
    if role == "system":
        return SETTING + blocks[0] + b',"role":"system"}'
    return b'{"content":[' + b",".join(blocks) + b'],"role":"' + role.encode("ascii") + b'"}'


def control(marker: Marker) -> bytes:
    """The bytes of a cache marker."""
    ttl = b"" if marker.ttl == "5m" else b'"ttl":"1h",'
    return b'"cache_control":{' + ttl + b'"type":"ephemeral"},'


def body(request: Request) -> bytes:
    """The whole request body: keys in order, stored bytes joined."""
    system, messages = placed(request, control, envelope)
    fixed: dict[str, tuple[bytes, ...]] = {
        "max_tokens": (str(request.max_tokens).encode("ascii"),),
        "messages": (b"[", b",".join(messages), b"]"),
        "model": (encode(request.line.model),),
        "stream": (b"true",),
        "system": (b"[", b",".join(system), b"]"),
        "tools": (b"[", b",".join(request.prefix.tools), b"]"),
    }
    if request.compare is not None:
        fixed["diagnostics"] = (encode({"previous_message_id": request.compare or None}),)
    return body_of(fixed, request.line.settings)


@dataclass(slots=True)
class _Open:
    """A block that is still streaming."""

    kind: str
    head: Mapping[str, Json]
    text: list[str] = field(default_factory=list)
    signature: str = ""


class Decoder:
    """Stream events of one answer to parts. Feed events in order; then `broken` tells what never ended."""

    def __init__(self, maker: str) -> None:
        self._maker = maker
        self._open: dict[int, _Open] = {}
        self._usage: dict[str, Json] = {}
        self._stop = ""
        self._why = ""
        self._extra: dict[str, Json] = {}
        self.began = False
        self.finished = False

    def feed(self, data: str, request_id: str) -> Iterator[Part]:
        """The parts of one event's data.

        Raises:
            StreamBroken: the event is no JSON, or makes no sense here.
            ProviderError: the vendor says so in an `error` event.
        """
        try:
            event = decode(data)
            yield from self._event(event, request_id)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StreamBroken(f"the vendor's stream makes no sense: {type(error).__name__}: {error}") from error

    def _event(self, event: Mapping[str, Json], request_id: str) -> Iterator[Part]:
        match event["type"]:
            case "message_start":
                self.began = True
                self._count(event["message"].get("usage"))
                if "diagnostics" in event["message"]:
                    # null says something too: asked to compare, the vendor found nothing that changed
                    self._extra["diagnostics"] = event["message"]["diagnostics"]
                yield Began(event["message"].get("id", ""), request_id, usage(self._usage))
            case "content_block_start":
                block = event["content_block"]
                if event["index"] in self._open:
                    raise ValueError("two blocks have one index")
                self._open[event["index"]] = _Open(block["type"], block)
                yield from self._started(event["index"])
            case "content_block_delta":
                yield from self._delta(self._open[event["index"]], event["delta"])
            case "content_block_stop":
                yield from self._close(self._open.pop(event["index"]))
            case "message_delta":
                self._stop = event["delta"].get("stop_reason") or self._stop
                self._why = _why(event["delta"].get("stop_details")) or self._why
                self._count(event.get("usage"))
            case "message_stop":
                # a gateway that leaves the ends of blocks out has said all the same that the answer is complete
                for index in sorted(self._open):
                    yield from self._close(self._open.pop(index))
                self.finished = True
                told = self._usage.get("cache_read_input_tokens") is not None
                yield Finished(self._stop, usage(self._usage), self._extra, told, self._why)
            case "error":
                raise ended(event)
            case _:
                pass  # a ping, or an event of a newer API: nothing in it is ours

    def _count(self, usage: Mapping[str, Json] | None) -> None:
        """Take usage in: the last count holds, for they are cumulative, and a gateway may have begun with an estimate.

        But nothing after something is a gateway's that has told it already.
        """
        for name, value in (usage or {}).items():
            something = any(value.values()) if isinstance(value, dict) else bool(value)
            if something or self._usage.get(name) is None:
                self._usage[name] = value

    def _started(self, index: int) -> Iterator[Part]:
        """Text that a block begins with counts as its first delta."""
        opened = self._open[index]
        if opened.kind == "text" and opened.head.get("text"):
            yield from self._delta(opened, {"type": "text_delta", "text": opened.head["text"]})
        if opened.kind == "thinking" and opened.head.get("thinking"):
            yield from self._delta(opened, {"type": "thinking_delta", "thinking": opened.head["thinking"]})

    def _delta(self, opened: _Open, delta: Mapping[str, Json]) -> Iterator[Part]:
        match delta["type"]:
            case "text_delta":
                opened.text.append(delta["text"])
                yield TextPart(clean(delta["text"]))
            case "thinking_delta":
                opened.text.append(delta["thinking"])
                yield ThinkingPart(clean(delta["thinking"]))
            case "input_json_delta":
                opened.text.append(delta["partial_json"])
            case "signature_delta":
                opened.signature += delta["signature"]
            case _:
                pass  # citations

    def _close(self, opened: _Open) -> Iterator[Part]:
        # surrogate pairs that two deltas tore apart are whole again only here
        text = clean("".join(opened.text).encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
        match opened.kind:
            case "text":
                yield BlockDone(Text(text))
            case "thinking":
                signature = opened.signature or opened.head.get("signature", "")
                if signature:
                    yield BlockDone(Thinking(text, signature, self._maker))
                else:
                    yield BlockBroken("thinking", text)
            case "redacted_thinking":
                yield BlockDone(Thinking("", "", self._maker, opened.head["data"]))
            case "tool_use":
                yield BlockDone(_call(opened, text))
            case kind:
                yield BlockBroken(kind, encode(dict(opened.head)).decode("utf-8"))

    def close(self) -> Iterator[Part]:
        """See `Decodes`: here only an event says that an answer is complete."""
        return iter(())

    def broken(self) -> tuple[BlockBroken, ...]:
        """The blocks that began and did not end, text aside: what was shown of a text is kept by who showed it."""
        return tuple(
            BlockBroken(opened.kind, clean("".join(opened.text)), clean(str(opened.head.get("name") or "")))
            for opened in self._open.values()
            if opened.kind != "text"
        )


def _why(details: Json) -> str:
    """What is said of a refusal: its category and an explanation, each of which may be missing."""
    known = details if isinstance(details, dict) else {}
    told = (" ".join(str(known.get(name) or "").split()) for name in ("category", "explanation"))
    return clean(": ".join(filter(None, told))[:500])


def _call(opened: _Open, raw: str) -> ToolCall:
    """A finished call."""
    head = opened.head
    return parse_call(str(head.get("id") or ""), str(head.get("name") or ""), raw, head.get("input"))


def usage(raw: Mapping[str, Json]) -> Usage:
    """Billed usage, normalised; the vendor's counts are already exclusive of one another."""
    split = raw.get("cache_creation") or {}
    written = raw.get("cache_creation_input_tokens") or 0
    written_long = split.get("ephemeral_1h_input_tokens") or 0
    return Usage(
        uncached=raw.get("input_tokens") or 0,
        read=raw.get("cache_read_input_tokens") or 0,
        written_short=max(0, written - written_long),
        written_long=written_long,
        output=raw.get("output_tokens") or 0,
    )
