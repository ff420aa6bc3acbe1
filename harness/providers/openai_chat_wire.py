"""The Chat Completions format, pure, for any compatible server: what differs between them is a profile.

Invariant: one stored fragment is one wire message; results come directly behind their calls, and images behind all
results, because this wire takes them from a user only. The system message is the first and the only one.
Source: developers.openai.com/api/docs/api-reference/chat; each profile's own pages as cited in facts.toml.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from harness.conversation.blocks import Image, Message, Tag, Text, Thinking, ToolCall, ToolResult
from harness.conversation.canonical import Json, decode, encode
from harness.conversation.request import Fragment, FrozenPrefix, Marker, Request
from harness.providers.facts import Profile
from harness.providers.handoff import CHAT_ID, LONGEST_NAME, NO_ANSWER, RESPONSES_ID, for_model, wire_id
from harness.providers.splice import body_of, joined, key_place, last_part, placed

UNSIGNED: Json = {"google": {"thought_signature": "skip_thought_signature_validator"}}
"""Stands for the signature of calls that another model made (ai.google.dev/gemini-api/docs/thought-signatures)."""

NO_IMAGES = "[an image is left out: this model takes none]"

CACHE_CONTROL, BREAKPOINT = b'"cache_control":', b'"prompt_cache_breakpoint":{"mode":"explicit"},'


def prefix(frozen: FrozenPrefix) -> FrozenPrefix:
    """Tools in this wire's form, from the frozen ones; system blocks are content parts as they are."""
    tools = tuple(encode(_tool(decode(tool))) for tool in frozen.tools)
    return FrozenPrefix.chained(tools, frozen.static, frozen.session)


def _tool(tool: Mapping[str, Json]) -> Json:
    function = {"name": tool["name"], "description": tool["description"], "parameters": tool["input_schema"]}
    return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class _Unit:
    """One wire message before its bytes: `parts` are texts and images; a tool message names its call."""

    role: str
    parts: tuple[Text | Image, ...] = ()
    call_id: str = ""
    calls: tuple[ToolCall, ...] = ()
    echo: str = ""
    """JSON text of the fields that carry an answer's reasoning back."""


@dataclass(frozen=True, slots=True)
class Renderer:
    """Messages to wire messages for one model ("openai-chat/profile/name") at one kind of server."""

    model: str
    profile: Profile
    images: bool

    def render(self, batch: Sequence[Message], after: Tag | None) -> list[tuple[Fragment, ...]]:
        """See `Provider.render`."""
        units = [self._units(message) for message in batch]
        if batch[0].tag != "answer":
            if self.profile.strict_alternation:
                units = _merged(units, batch)
            self._fill(units, after)
        return [tuple(self._wire(unit) for unit in message) for message in units]

    def _fill(self, units: list[list[_Unit]], after: Tag | None) -> None:
        """An answer between two messages of a person, or between results and a person, where the server wants one."""
        behind_tools = after == "results" or any(unit.role == "tool" for message in units for unit in message)
        behind_user = after not in (None, "answer")
        if not (self.profile.strict_alternation and (behind_user or behind_tools)) and not (
            behind_tools and not self.profile.user_after_tools
        ):
            return
        for message in units:
            for place, unit in enumerate(message):
                if unit.role == "user":
                    message.insert(place, _Unit("assistant", (Text(NO_ANSWER),)))
                    return

    def _units(self, message: Message) -> list[_Unit]:
        """The wire messages of one message."""
        blocks = for_model(message, self.model)
        texts = tuple(self._shown(block) for block in blocks if isinstance(block, Text | Image))
        match message.tag:
            case "answer":
                calls = tuple(block for block in blocks if isinstance(block, ToolCall))
                echo = next((b.item for b in blocks if isinstance(b, Thinking)), "")
                return [_Unit("assistant", texts, calls=calls, echo=echo)] if texts or calls else []
            case "setting":
                return []  # this wire has no form for it
            case "results":
                return self._results([block for block in blocks if isinstance(block, ToolResult)])
            case _:
                return [_Unit("user", texts)] if texts else []

    def _shown(self, part: Text | Image) -> Text | Image:
        return part if self.images or isinstance(part, Text) else Text(NO_IMAGES)

    def _results(self, results: Sequence[ToolResult]) -> list[_Unit]:
        """One tool message for each result, in call order; then the images of all of them, in one user message."""
        units: list[_Unit] = []
        images: list[Text | Image] = []
        for result in results:
            parts = [self._shown(part) for part in result.content]
            texts = [part for part in parts if isinstance(part, Text)]
            pictures = [part for part in parts if isinstance(part, Image)]
            if pictures:
                texts.append(Text(f"[{len(pictures)} image(s), behind the results]"))
                images += [Text(f"[{len(pictures)} image(s) of {self._id(result.call_id)}]"), *pictures]
            error = [Text("[error]")] if result.is_error else []
            units.append(_Unit("tool", (*error, *texts), call_id=result.call_id))
        return [*units, _Unit("user", tuple(images))] if images else units

    def _id(self, call_id: str) -> str:
        return wire_id(call_id, CHAT_ID if self.profile.name == "openai" else RESPONSES_ID)

    def _wire(self, unit: _Unit) -> Fragment:
        match unit.role:
            case "assistant":
                return Fragment(encode(self._answer(unit)))
            case "tool":
                return self._content(unit, {"role": "tool", "tool_call_id": self._id(unit.call_id)})
            case role:
                return self._content(unit, {"role": role})

    def _answer(self, unit: _Unit) -> dict[str, Json]:
        message: dict[str, Json] = {"role": "assistant", "content": None}
        if self.profile.reasoning_echo == "reasoning_content" and unit.calls:
            # servers that want it with calls want it with those of another model, too
            message["reasoning_content"] = ""
        signed = decode(unit.echo) if unit.echo and self.profile.reasoning_echo else {}
        extras: Sequence[Json] = signed.pop("calls", ())
        message |= {name: value for name, value in signed.items() if value is not None}
        if self.profile.text_form == "parts" and unit.parts:
            message["content"] = [_part(part) for part in unit.parts]
        elif unit.parts:
            message["content"] = _joined(unit.parts)
        if unit.calls:
            if self.profile.reasoning_echo == "extra_content":
                # only the first of several has to be signed; 400 without
                extras = extras if any(extras) else [UNSIGNED]
            pairs = zip_longest(unit.calls, extras[: len(unit.calls)])
            message["tool_calls"] = [self._call(call, extra) for call, extra in pairs]
        return message

    def _call(self, call: ToolCall, extra: Json) -> Json:
        arguments = encode(call.arguments).decode("utf-8")
        function = {"name": call.name[:LONGEST_NAME], "arguments": arguments}
        wire = {"type": "function", "id": self._id(call.id), "function": function}
        return wire | {"extra_content": extra} if extra else wire

    def _content(self, unit: _Unit, about: Mapping[str, Json]) -> Fragment:
        """A message with content: a list of parts, of which the last can carry a marker, or one string."""
        if self.profile.text_form == "string" and not any(isinstance(part, Image) for part in unit.parts):
            return Fragment(encode({"content": _joined(unit.parts), **about}))
        parts = [encode(_part(part)) for part in unit.parts]
        key = CACHE_CONTROL if self.profile.markers == "cache_control" else BREAKPOINT
        return last_part(b'{"content":[', parts, b"]," + encode(dict(about))[1:], key_place(parts[-1], key))


def _merged(units: Sequence[Sequence[_Unit]], batch: Sequence[Message]) -> list[list[_Unit]]:
    """All that a person is to have said in one message: the last that is not injected, for that carries markers."""
    told = [index for index, message in enumerate(units) if any(unit.role == "user" for unit in message)]
    if not told:
        return [list(message) for message in units]
    parts = tuple(part for message in units for unit in message if unit.role == "user" for part in unit.parts)
    place = next((index for index in reversed(told) if batch[index].tag != "system_injected"), told[-1])
    result = [[unit for unit in message if unit.role != "user"] for message in units]
    result[place].append(_Unit("user", parts))
    return result


def _joined(parts: Sequence[Text | Image]) -> str:
    return "\n\n".join(part.text for part in parts if isinstance(part, Text))


def _part(part: Text | Image) -> Json:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(media_type, data):
            return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}


def body(request: Request, profile: Profile) -> bytes:
    """The whole request body: keys in order, stored bytes joined."""

    def control(marker: Marker) -> bytes:
        if profile.markers != "cache_control":
            return BREAKPOINT
        ttl = b'"ttl":"1h",' if marker.ttl == "1h" else b""
        return CACHE_CONTROL + b"{" + ttl + b'"type":"ephemeral"},'

    system, messages = placed(request, control, joined)
    fixed: dict[str, tuple[bytes, ...]] = {
        profile.max_tokens_field: (str(request.max_tokens).encode("ascii"),),
        "messages": (b"[", b",".join([_system(system, profile), *messages]), b"]"),
        "model": (encode(request.line.model),),
        "stream": (b"true",),
        "tools": (b"[", b",".join(request.prefix.tools), b"]"),
    }
    if profile.stream_usage:
        fixed["stream_options"] = (b'{"include_usage":true}',)
    return body_of(fixed, request.line.settings)


def _system(blocks: Sequence[bytes], profile: Profile) -> bytes:
    if profile.text_form == "parts":
        return b'{"content":[' + b",".join(blocks) + b'],"role":' + encode(profile.system_role) + b"}"
    text = "\n\n".join(decode(block)["text"] for block in blocks)
    return encode({"role": profile.system_role, "content": text})
