"""The Anthropic Messages format, pure: blocks to bytes, bytes to a body, stream events to parts. No SDK, no network.

Invariant: `render` is a pure function of message and model; `body` joins stored bytes and splices markers in, so that
two requests of a line are equal up to the end of the shorter one, markers aside.
Source: platform.claude.com/docs/en/api/messages, …/build-with-claude/prompt-caching, …/build-with-claude/streaming.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from harness.conversation.blocks import Block, Image, Message, Text, Thinking, ToolCall, ToolResult, Usage
from harness.conversation.canonical import Json, clean, clean_json, decode, encode
from harness.conversation.request import Fragment, Marker, Request
from harness.errors import Overloaded, ProviderError, RateLimited, StreamBroken
from harness.providers.base import Began, BlockBroken, BlockDone, Finished, Part, TextPart, ThinkingPart


def render(message: Message, model: str) -> tuple[Fragment, ...]:
    """The content blocks of one message, as `model` ("anthropic/…") is sent them.

    Thinking goes to its maker only, and only when it was signed; an answer never ends with it, because the vendor
    refuses that and a stream that broke may have left it so. Text without a visible character is refused too, and is
    left out.
    """
    blocks = [block for block in message.blocks if _sendable(block, model)]
    while message.tag == "answer" and blocks and isinstance(blocks[-1], Thinking):
        blocks.pop()
    return tuple(Fragment(encode(_wire(block)), not isinstance(block, Thinking)) for block in blocks)


def _sendable(block: Block, model: str) -> bool:
    match block:
        case Text(text):
            return bool(text.strip())
        case Thinking(_, signature, maker, redacted):
            return maker == model and bool(signature or redacted)
        case _:
            return True


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
            return {"type": "tool_use", "id": id_, "name": name, "input": arguments}
        case ToolResult(call_id, content, is_error):
            result: dict[str, Json] = {
                "type": "tool_result",
                "tool_use_id": call_id,
                "content": [_wire(part) for part in content],
            }
            return result | {"is_error": True} if is_error else result


def envelope(role: str, blocks: tuple[bytes, ...]) -> bytes:
    """One message of the body."""
    return b'{"content":[' + b",".join(blocks) + b'],"role":"' + role.encode("ascii") + b'"}'


def marked(fragment: bytes, marker: Marker) -> bytes:
    """A block with its cache marker spliced in; "cache_control" sorts before every other key of a block."""
    control = b'{"type":"ephemeral"}' if marker.ttl == "5m" else b'{"ttl":"1h","type":"ephemeral"}'
    return b'{"cache_control":' + control + b"," + fragment[1:]


def body(request: Request) -> bytes:
    """The whole request body: keys in order, stored bytes joined."""
    system = [request.prefix.static, request.prefix.session]
    by_message: dict[int, list[Marker]] = {}
    for marker in request.markers:
        if marker.message < 0:
            system[marker.block] = marked(system[marker.block], marker)
        else:
            by_message.setdefault(marker.message, []).append(marker)
    messages = [message.wire for message in request.messages]
    for index, markers in by_message.items():
        blocks = [fragment.wire for fragment in request.messages[index].fragments]
        for marker in markers:
            blocks[marker.block] = marked(blocks[marker.block], marker)
        messages[index] = envelope(request.messages[index].role, tuple(blocks))
    parts: dict[str, tuple[bytes, ...]] = {name: (encode(value),) for name, value in request.line.settings.items()}
    parts["max_tokens"] = (str(request.max_tokens).encode("ascii"),)
    parts["messages"] = (b"[", b",".join(filter(None, messages)), b"]")
    parts["model"] = (encode(request.line.model),)
    parts["stream"] = (b"true",)
    parts["system"] = (b"[", b",".join(system), b"]")
    parts["tools"] = (b"[", b",".join(request.prefix.tools), b"]")
    pieces = [b"{"]
    for name in sorted(parts):
        # one join over all pieces: megabytes of messages are copied as seldom as can be
        pieces += (b'"' if len(pieces) == 1 else b',"', name.encode("ascii"), b'":', *parts[name])
    return b"".join([*pieces, b"}"])


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
                self._usage.update(event["message"].get("usage") or {})
                if diagnostics := event["message"].get("diagnostics"):
                    self._extra["diagnostics"] = diagnostics
                yield Began(event["message"].get("id", ""), request_id, usage(self._usage))
            case "content_block_start":
                block = event["content_block"]
                self._open[event["index"]] = _Open(block["type"], block)
                yield from self._started(event["index"])
            case "content_block_delta":
                yield from self._delta(self._open[event["index"]], event["delta"])
            case "content_block_stop":
                yield from self._close(self._open.pop(event["index"]))
            case "message_delta":
                self._stop = event["delta"].get("stop_reason") or self._stop
                self._usage.update({k: v for k, v in (event.get("usage") or {}).items() if v is not None})
            case "message_stop":
                self.finished = True
                yield Finished(self._stop, usage(self._usage), self._extra)
            case "error":
                raise stream_error(event.get("error") or {})
            case _:
                pass  # a ping, or an event of a newer API: nothing in it is ours

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

    def broken(self) -> tuple[BlockBroken, ...]:
        """The blocks that began and did not end, text aside: what was shown of a text is kept by who showed it."""
        return tuple(
            BlockBroken(opened.kind, clean("".join(opened.text)), clean(str(opened.head.get("name") or "")))
            for opened in self._open.values()
            if opened.kind != "text"
        )


def _call(opened: _Open, raw: str) -> ToolCall:
    """A finished call. What is not exactly a call is never guessed at: it is kept, quoted, and not run.

    Name and id come back with every later request: what the vendor would refuse there is not kept as it is.
    """
    id_, name = str(opened.head.get("id") or ""), str(opened.head.get("name") or "")
    call = ToolCall(id_ if _WORD.fullmatch(id_) else "", name, {})
    if not _WORD.fullmatch(name):
        call = replace(
            call, name=_NO_WORD.sub("_", name)[:128] or "unnamed", invalid=f"there is no tool {name[:128]!r}"
        )
    if not raw.strip():
        given = opened.head.get("input")
        return replace(call, arguments=clean_json(given)) if isinstance(given, dict) else call
    try:
        value = decode(raw)
        problem = _problem(value)
    except (ValueError, RecursionError) as error:
        problem = f"the arguments are not valid JSON: {error}"
    if problem:
        return replace(call, arguments={"invalid_json": raw}, invalid=call.invalid or problem)
    return replace(call, arguments=clean_json(value))


_WORD = re.compile("[a-zA-Z0-9_-]{1,128}")
_NO_WORD = re.compile("[^a-zA-Z0-9_-]")
DEEPEST = 100
"""Levels of nesting in arguments: far more than any tool takes, far less than any parser's limit."""


def _problem(value: Json) -> str:
    """Why a parsed value is no arguments; "" where it is.

    Raises:
        ValueError: a number that is too large for JSON.
    """
    if not isinstance(value, dict):
        return f"the arguments must be a JSON object, not {type(value).__name__}"
    level: list[Json] = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            encode(clean_json(value))  # 1e999 is infinite only once it was parsed
            return ""
    return f"the arguments are nested deeper than {DEEPEST} levels"


def _inside(value: Json) -> Iterable[Json]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def usage(raw: Mapping[str, Json]) -> Usage:
    """Billed usage, normalised; the vendor's counts are already exclusive of one another."""
    split = raw.get("cache_creation") or {}
    written = raw.get("cache_creation_input_tokens") or 0
    written_1h = split.get("ephemeral_1h_input_tokens") or 0
    return Usage(
        uncached=raw.get("input_tokens") or 0,
        read=raw.get("cache_read_input_tokens") or 0,
        written_5m=max(0, written - written_1h),
        written_1h=written_1h,
        output=raw.get("output_tokens") or 0,
    )


def stream_error(error: Mapping[str, Json]) -> ProviderError:
    """The error of an `error` event, which comes after a 200."""
    kind, message = error.get("type", "error"), error.get("message", "")
    text = f"the vendor ended the answer: {kind}: {message}"
    match kind:
        case "overloaded_error":
            return Overloaded(text)
        case "rate_limit_error":
            return RateLimited(text)
        case _:
            return StreamBroken(text)
