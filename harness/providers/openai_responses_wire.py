"""The OpenAI Responses format, pure: blocks to items, items to a body, stream events to parts. No SDK, no network.

Invariant: stateless: store=false, and everything the model said comes back as it was. Reasoning is echoed verbatim, a
message keeps its phase (openai 3.54.0: "dropping it can degrade performance"), and
no other item carries an id, so that nothing is left pointing at reasoning that another model cannot be sent. Static
text is a developer message from birth, because `instructions` cannot carry a breakpoint.
Source: developers.openai.com/api/docs/guides/prompt-caching, …/api-reference/responses; types of the openai SDK.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.conversation.blocks import Block, Image, Message, Setting, Text, Thinking, ToolCall, ToolResult, Usage
from harness.conversation.canonical import Json, clean, decode, encode
from harness.conversation.request import Fragment, FrozenPrefix, Marker, Request
from harness.errors import StreamBroken
from harness.providers.base import Began, BlockBroken, BlockDone, Finished, Part, TextPart, ThinkingPart
from harness.providers.calls import parse_call
from harness.providers.handoff import LONGEST_NAME, RESPONSES_ID, for_model, wire_id
from harness.providers.refusals import ended
from harness.providers.splice import body_of, joined, key_place, last_part, placed

BREAKPOINT = b'"prompt_cache_breakpoint":{"mode":"explicit"},'


def prefix(frozen: FrozenPrefix) -> FrozenPrefix:
    """Tools and system blocks in this wire's form, from the frozen ones."""
    tools = tuple(encode(_tool(decode(tool))) for tool in frozen.tools)
    static, session = (_text(decode(block)["text"]) for block in (frozen.static, frozen.session))
    return FrozenPrefix.chained(tools, static, session)


def _tool(tool: Mapping[str, Json]) -> Json:
    return {
        "type": "function",
        "name": tool["name"],
        "description": tool["description"],
        "parameters": tool["input_schema"],
        "strict": False,
    }


def _text(text: str) -> bytes:
    return encode({"type": "input_text", "text": text})


def render(message: Message, model: str) -> tuple[Fragment, ...]:
    """The items of one message, as `model` is sent them: one for a person's words, one for each thing of the rest."""
    blocks = for_model(message, model)
    if message.role == "user" and message.tag != "results":
        return (_message(blocks),) if blocks else ()
    kept: list[Block] = []
    for block in reversed(blocks):
        # reasoning is refused without the kind of item that it was made with
        if not isinstance(block, Thinking) or (kept and _KINDS.get(type(kept[-1])) == block.signature):
            kept.append(block)
    return tuple(_item(block) for block in reversed(kept))


_KINDS: Mapping[type[Block], str] = {Text: "message", ToolCall: "function_call", Thinking: "reasoning"}


def _message(blocks: Sequence[Block]) -> Fragment:
    """A user message: all its parts in one item; its last part can carry a breakpoint."""
    parts = [_part(block) for block in blocks if isinstance(block, Text | Image)]
    return _with_parts(b'{"content":[', parts, b'],"role":"user","type":"message"}')


def _with_parts(head: bytes, parts: Sequence[bytes], tail: bytes) -> Fragment:
    return last_part(head, parts, tail, key_place(parts[-1], BREAKPOINT))


def _part(block: Text | Image) -> bytes:
    match block:
        case Text(text):
            return _text(text)
        case Image(media_type, data):
            url = f"data:{media_type};base64,{data}"
            return encode({"type": "input_image", "detail": "auto", "image_url": url})


def _item(block: Block) -> Fragment:
    match block:
        case Text(text, phase):
            content = [{"type": "output_text", "text": text, "annotations": []}]
            said = {"type": "message", "role": "assistant", "content": content}
            return Fragment(encode(said | {"phase": phase} if phase else said))
        case Thinking():
            return Fragment(block.item.encode("utf-8"))
        case ToolCall(id_, name, arguments):
            call = {"type": "function_call", "call_id": wire_id(id_, RESPONSES_ID), "name": name[:LONGEST_NAME]}
            return Fragment(encode(call | {"arguments": encode(arguments).decode("utf-8")}))
        case ToolResult(call_id, content, is_error):
            # this wire has no field for it
            parts = [_text("[error]")] if is_error else []
            parts += [_part(part) for part in content]
            head = b'{"call_id":' + encode(wire_id(call_id, RESPONSES_ID)) + b',"output":['
            return _with_parts(head, parts, b'],"type":"function_call_output"}')
        case Setting(_, value):
            return Fragment(encode({"type": "configuration_update", "reasoning": {"effort": value}}))
        case Image():
            raise TypeError("an image is no item of its own")


def control(_marker: Marker) -> bytes:
    """The bytes of a breakpoint; its TTL is the request's."""
    return BREAKPOINT


def body(request: Request) -> bytes:
    """The whole request body: keys in order, stored bytes joined."""
    system, messages = placed(request, control, joined)
    developer = b'{"content":[' + b",".join(system) + b'],"role":"developer","type":"message"}'
    fixed: dict[str, tuple[bytes, ...]] = {
        "include": (b'["reasoning.encrypted_content"]',),
        "input": (b"[", b",".join([developer, *messages]), b"]"),
        "max_output_tokens": (str(request.max_tokens).encode("ascii"),),
        "model": (encode(request.line.model),),
        "store": (b"false",),
        "stream": (b"true",),
        "tools": (b"[", b",".join(request.prefix.tools), b"]"),
    }
    settings = dict(request.line.settings)
    if request.compare:
        options = settings.get("prompt_cache_options") or {}
        settings["prompt_cache_options"] = {**options, "comparison_response_id": request.compare}
    return body_of(fixed, settings)


@dataclass(slots=True)
class _Open:
    """An item that is still streaming."""

    kind: str
    name: str
    text: list[str] = field(default_factory=list)


class Decoder:
    """Stream events of one answer to parts. Feed events in order; then `broken` tells what never ended."""

    def __init__(self, maker: str) -> None:
        self._maker = maker
        self._open: dict[int, _Open] = {}
        self._waiting: list[Thinking] = []
        """Finished reasoning: what kind of item it belongs to shows with the next one."""
        self._calls = False
        self._refused = False
        self.began = False
        self.finished = False

    def feed(self, data: str, request_id: str) -> Iterator[Part]:
        """The parts of one event's data.

        Raises:
            StreamBroken: the event is no JSON, or makes no sense here.
            ProviderError: the vendor says so in an `error` or `response.failed` event.
        """
        try:
            yield from self._event(decode(data), request_id)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StreamBroken(f"the vendor's stream makes no sense: {type(error).__name__}: {error}") from error

    def _event(self, event: Mapping[str, Json], request_id: str) -> Iterator[Part]:
        match event["type"]:
            case "response.created":
                self.began = True
                yield Began(event["response"].get("id", ""), request_id)
            case "response.output_item.added":
                item = event["item"]
                yield from self._flush(item["type"])
                self._open[event["output_index"]] = _Open(item["type"], str(item.get("name") or ""))
            case "response.output_text.delta" | "response.refusal.delta":
                yield TextPart(clean(event["delta"]))
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                self._open[event["output_index"]].text.append(event["delta"])
                yield ThinkingPart(clean(event["delta"]))
            case "response.function_call_arguments.delta":
                self._open[event["output_index"]].text.append(event["delta"])
            case "response.output_item.done":
                self._open.pop(event["output_index"], None)
                yield from self._done(event["item"])
            case "response.completed" | "response.incomplete":
                yield from self._flush("")
                self.finished = True
                response = event["response"]
                billed = response.get("usage") or {}
                told = "cached_tokens" in (billed.get("input_tokens_details") or {})
                yield Finished(self._stop(response), usage(billed), _diagnostics(response), told)
            case "response.failed":
                raise ended(event["response"].get("error"))
            case "error":
                raise ended(event)
            case _:
                pass  # progress without content of its own

    def _flush(self, kind: str) -> Iterator[Part]:
        for thinking in self._waiting:
            yield BlockDone(Thinking(thinking.text, kind, thinking.maker, item=thinking.item))
        self._waiting.clear()

    def _done(self, item: Mapping[str, Json]) -> Iterator[Part]:
        yield from self._flush(item["type"])
        match item["type"]:
            case "message":
                text = "".join(part.get("text") or part.get("refusal") or "" for part in item["content"])
                self._refused |= any(part["type"] == "refusal" for part in item["content"])
                yield BlockDone(Text(_whole(text), _whole(str(item.get("phase") or ""))))
            case "function_call":
                self._calls = True
                call_id, name = str(item.get("call_id") or ""), str(item.get("name") or "")
                yield BlockDone(parse_call(call_id, name, _whole(item.get("arguments") or "")))
            case "reasoning":
                text = "\n\n".join(part["text"] for part in item.get("summary") or ())
                if item.get("encrypted_content"):
                    kept = {name: item[name] for name in ("encrypted_content", "id", "summary", "type")}
                    self._waiting.append(Thinking(_whole(text), "", self._maker, item=_whole(_verbatim(kept))))
                else:
                    yield BlockBroken("thinking", _whole(text))
            case kind:
                yield BlockBroken(str(kind), _whole(_verbatim(dict(item))))

    def _stop(self, response: Mapping[str, Json]) -> str:
        """The stop reason in the words of the loop."""
        if response.get("status") == "incomplete":
            reason = str((response.get("incomplete_details") or {}).get("reason") or "incomplete")
            return {"max_output_tokens": "max_tokens", "content_filter": "refusal"}.get(reason, reason)
        return "refusal" if self._refused else "tool_use" if self._calls else "end_turn"

    def close(self) -> Iterator[Part]:
        """See `Decodes`: here only an event says that an answer is complete."""
        return iter(())

    def broken(self) -> tuple[BlockBroken, ...]:
        """The items that began and did not end, text aside: what was shown of it is kept by who showed it."""
        done = [BlockBroken("thinking", thinking.text) for thinking in self._waiting]
        names = {"function_call": "tool_use", "reasoning": "thinking"}
        left = [o for o in self._open.values() if o.kind != "message"]
        return (*done, *(BlockBroken(names.get(o.kind, o.kind), _whole("".join(o.text)), clean(o.name)) for o in left))


def _whole(text: str) -> str:
    return clean(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _verbatim(item: Json) -> str:
    return encode(item).decode("utf-8")


def usage(raw: Mapping[str, Json]) -> Usage:
    """Billed usage, normalised: this vendor's counts are inclusive (Responses, `input_tokens_details`)."""
    details = raw.get("input_tokens_details") or {}
    total, read = raw.get("input_tokens") or 0, details.get("cached_tokens") or 0
    written = details.get("cache_write_tokens") or 0
    long = (details.get("cache_write_tokens_details") or {}).get("ttl_12h_tokens") or 0
    return Usage(
        uncached=max(0, total - read - written),
        read=read,
        written_short=max(0, written - long),
        written_long=long,
        output=raw.get("output_tokens") or 0,
    )


def _diagnostics(response: Mapping[str, Json]) -> dict[str, Json]:
    found = response.get("prompt_cache_diagnostics")
    return {"prompt_cache_diagnostics": found} if found else {}
