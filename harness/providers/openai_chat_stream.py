"""Chat Completions chunks to parts, for any compatible server.

Invariant: this wire does not say where a block ends, so all blocks end with the answer: what an answer that broke off
had begun is never run. Counts are inclusive, whatever a server calls them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.conversation.blocks import Text, Thinking, Usage
from harness.conversation.canonical import Json, clean, clean_json, decode, digest, encode
from harness.errors import StreamBroken
from harness.providers.base import Began, BlockBroken, BlockDone, Finished, Part, TextPart, ThinkingPart
from harness.providers.calls import parse_call
from harness.providers.facts import Profile
from harness.providers.refusals import ended

THOUGHTS = ("reasoning_content", "reasoning", "reasoning_text")
"""The fields in which servers stream a model's thinking."""

DETAILS = "reasoning_details"


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    extra: Json = None
    """What has to come back with it (Gemini: its signature)."""

    def goes_on(self, piece: Mapping[str, Json]) -> bool:
        """Whether a piece is of this call: some servers send whole calls, all of one index, or of none."""
        if piece.get("id"):
            return not self.id or piece["id"] == self.id
        function = piece.get("function") or {}
        arguments = function.get("arguments") or ""
        # arguments begin with a brace: so whoever tells the name with every piece is not asked at each of them
        begins = not isinstance(arguments, str) or arguments.lstrip()[:1] == "{"
        return not (function.get("name") and begins and self._whole())

    def _whole(self) -> bool:
        try:
            return isinstance(decode("".join(self.arguments)), dict)
        except (ValueError, RecursionError):
            return False


class Decoder:
    """Chunks of one answer to parts. Feed events in order; then `broken` tells what never ended."""

    def __init__(self, maker: str, profile: Profile) -> None:
        self._maker = maker
        self._profile = profile
        self._id = ""
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._details: dict[tuple[Json, Json], dict[str, Json]] = {}
        self._calls: list[_Call] = []
        self._at: dict[Json, _Call] = {}
        self._extra: Json = None
        self._usage: Mapping[str, Json] = {}
        self._stop = ""
        self._refused = False
        self.began = False
        self.finished = False

    def feed(self, data: str, request_id: str) -> Iterator[Part]:
        """The parts of one event's data.

        Raises:
            StreamBroken: the event is no JSON, or makes no sense here.
            ProviderError: the server says so in an error object.
        """
        try:
            if data.strip() == "[DONE]":
                yield from self._end()
                return
            yield from self._chunk(decode(data), request_id)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StreamBroken(f"the server's stream makes no sense: {type(error).__name__}: {error}") from error

    def _chunk(self, chunk: Mapping[str, Json], request_id: str) -> Iterator[Part]:
        if chunk.get("error"):
            raise ended(chunk)
        if not self.began:
            self.began = True
            self._id = str(chunk.get("id") or "")
            yield Began(self._id, request_id)
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            yield from self._choice(choice)

    def _choice(self, choice: Mapping[str, Json]) -> Iterator[Part]:
        if choice.get("error"):
            raise ended(choice)
        self._usage = choice.get("usage") or self._usage
        delta = choice.get("delta") or {}
        thought, text = _said(delta.get("content"))
        told = (delta[name] for name in THOUGHTS if isinstance(delta.get(name), str) and delta[name])
        if thought := next(told, thought):
            self._thinking.append(thought)
            yield ThinkingPart(clean(thought))
        for detail in delta.get("reasoning_details") or ():
            self._detail(detail)
        self._extra = delta.get("extra_content") or self._extra
        if text := text or delta.get("refusal") or "":
            self._refused |= bool(delta.get("refusal"))
            self._text.append(text)
            yield TextPart(clean(text))
        for call in delta.get("tool_calls") or ():
            self._call(call)
        self._stop = choice.get("finish_reason") or self._stop

    def _detail(self, piece: Mapping[str, Json]) -> None:
        """A piece of structured reasoning (OpenRouter, MiniMax): texts of one index are one text."""
        known = self._details.setdefault((piece.get("index"), piece.get("type")), {})
        for name, value in piece.items():
            grows = name in ("text", "summary", "data") and isinstance(known.get(name), str) and isinstance(value, str)
            known[name] = known[name] + value if grows else value

    def _call(self, piece: Mapping[str, Json]) -> None:
        call = self._at.get(piece.get("index"))
        if call is None or not call.goes_on(piece):
            call = self._at[piece.get("index")] = _Call()
            self._calls.append(call)
        function = piece.get("function") or {}
        call.id = piece.get("id") or call.id
        call.name = function.get("name") or call.name
        call.extra = piece.get("extra_content") or call.extra
        arguments = function.get("arguments") or ""
        # an object where the wire says text: as some engines have it from their templates
        call.arguments.append(arguments if isinstance(arguments, str) else encode(clean_json(arguments)).decode())

    def close(self) -> Iterator[Part]:
        """As `Decodes`: some servers end with the stream itself."""
        if self._stop and not self.finished:
            yield from self._end()

    def _end(self) -> Iterator[Part]:
        """Everything that streamed, now that the answer says that it is whole."""
        if not self._stop:
            raise StreamBroken("the server's stream ended without a finish reason")
        self.finished = True
        echo = self._echo()
        if self._thinking or self._details or echo:
            yield BlockDone(Thinking(_whole(self._thinking), "", self._maker, item=echo))
        if self._text:
            yield BlockDone(Text(_whole(self._text)))
        for place, call in enumerate(self._calls):
            own = f"call_{digest(encode([clean(self._id), place]))[:24]}" if self._id else ""
            yield BlockDone(parse_call(str(call.id) or own, str(call.name), _whole(call.arguments)))
        bill, told = usage(self._usage, self._profile)
        yield Finished(self._reason(), bill, {}, told)

    def _echo(self) -> str:
        """The fields that carry the thinking back, as JSON text; "" where this server takes none."""
        match self._profile.reasoning_echo:
            case "":
                return ""
            case "extra_content":
                signed = {"calls": [call.extra for call in self._calls], "extra_content": self._extra}
                some = self._extra or any(signed["calls"])
                return encode(clean_json(signed)).decode("utf-8") if some else ""
            case field_name:
                value: Json = list(self._details.values()) if field_name == DETAILS else _whole(self._thinking)
                return encode({field_name: clean_json(value)}).decode("utf-8") if value else ""

    def _reason(self) -> str:
        """The finish reason in the words of the loop."""
        if self._refused:
            return "refusal"
        match self._stop:
            case "stop" | "tool_calls" | "function_call":
                # some servers say "stop" after calls
                return "tool_use" if self._calls else "end_turn"
            case "length":
                return "max_tokens"
            case "content_filter":
                return "refusal"
            case other:
                return other

    def broken(self) -> tuple[BlockBroken, ...]:
        """Calls and thinking that never came to their end."""
        calls = [BlockBroken("tool_use", _whole(call.arguments), clean(str(call.name))) for call in self._calls]
        return (*([BlockBroken("thinking", _whole(self._thinking))] if self._thinking else []), *calls)


def _said(content: Json) -> tuple[str, str]:
    """(thinking, text) of content: a text, or a list of parts (Mistral)."""
    if not isinstance(content, list):
        return "", content or ""
    thought: list[str] = []
    text: list[str] = []
    for part in content:
        match part:
            case {"type": "thinking", "thinking": inner}:
                thought += _said(inner)
            case {"text": str(piece)} | str(piece):
                text.append(piece)
            case _:
                pass  # a reference, or a part of a newer API
    return "".join(thought), "".join(text)


def _whole(pieces: list[str]) -> str:
    # surrogate pairs that two deltas tore apart are whole again only here
    return clean("".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def usage(raw: Mapping[str, Json], profile: Profile) -> tuple[Usage, bool]:
    """Billed usage, normalised, and whether it tells what was read: counts on this wire are inclusive."""
    read, written = _at(raw, profile.usage_read), _at(raw, profile.usage_written) or 0
    total = raw.get("prompt_tokens") or 0
    found = Usage(
        uncached=max(0, total - (read or 0) - written),
        read=read or 0,
        written_short=written,
        output=raw.get("completion_tokens") or 0,
    )
    return found, read is not None


def _at(raw: Json, path: str) -> int | None:
    """The number at a dotted path; None where there is none."""
    value = raw
    for name in path.split(".") if path else ():
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, int) else None
