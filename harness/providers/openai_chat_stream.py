"""Chat Completions chunks to parts, for any compatible server.

Invariant: this wire does not say where a block ends, so all blocks end with the answer: what an answer that broke off
had begun is never run. Counts are inclusive, whatever a server calls them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.conversation.blocks import Text, Thinking, Usage
from harness.conversation.canonical import Json, clean, clean_json, decode, digest, encode
from harness.errors import ContextOverflow, Overloaded, ProviderError, QuotaExhausted, RateLimited, StreamBroken
from harness.providers.base import Began, BlockBroken, BlockDone, Finished, Part, TextPart, ThinkingPart
from harness.providers.calls import parse_call
from harness.providers.facts import Profile

THOUGHTS = ("reasoning_content", "reasoning")
"""The fields in which servers stream a model's thinking."""


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


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
            raise failure(chunk["error"])
        if not self.began:
            self.began = True
            self._id = str(chunk.get("id") or "")
            yield Began(self._id, request_id)
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            if thought := next((delta[name] for name in THOUGHTS if delta.get(name)), ""):
                self._thinking.append(thought)
                yield ThinkingPart(clean(thought))
            for detail in delta.get("reasoning_details") or ():
                self._detail(detail)
            if text := delta.get("content") or delta.get("refusal"):
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

    def _call(self, delta: Mapping[str, Json]) -> None:
        call = self._at.get(delta.get("index"))
        # some servers send whole calls, all of one index
        if call is None or (delta.get("id") and call.id and delta["id"] != call.id):
            call = self._at[delta.get("index")] = _Call()
            self._calls.append(call)
        function = delta.get("function") or {}
        call.id = delta.get("id") or call.id
        call.name = function.get("name") or call.name
        call.arguments.append(function.get("arguments") or "")

    def _end(self) -> Iterator[Part]:
        """Everything that streamed, now that the answer says that it is whole."""
        if not self._stop:
            raise StreamBroken("the server's stream ended without a finish reason")
        self.finished = True
        if self._thinking or self._details:
            yield BlockDone(Thinking(_whole(self._thinking), "", self._maker, item=self._echo()))
        if self._text:
            yield BlockDone(Text(_whole(self._text)))
        for place, call in enumerate(self._calls):
            own = f"call_{digest(encode([clean(self._id), place]))[:24]}" if self._id else ""
            yield BlockDone(parse_call(str(call.id) or own, str(call.name), _whole(call.arguments)))
        bill, told = usage(self._usage, self._profile)
        yield Finished(self._reason(), bill, {}, told)

    def _echo(self) -> str:
        """The fields that carry the thinking back, as JSON text; "" where this server takes none."""
        field_name = self._profile.reasoning_echo
        value: Json = list(self._details.values()) if field_name == "reasoning_details" else _whole(self._thinking)
        return encode({field_name: clean_json(value)}).decode("utf-8") if field_name and value else ""

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
        written_5m=written,
        output=raw.get("completion_tokens") or 0,
    )
    return found, read is not None


def _at(raw: Json, path: str) -> int | None:
    """The number at a dotted path; None where there is none."""
    value = raw
    for name in path.split(".") if path else ():
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, int) else None


def failure(error: Json) -> ProviderError:
    """The error of a chunk, which comes after a 200."""
    about = error if isinstance(error, dict) else {"message": str(error)}
    code = str(about.get("code") or about.get("type") or "error")
    said = f"the server ended the answer: {code}: {about.get('message') or ''}"
    match code:
        case "rate_limit_exceeded" | "429":
            return RateLimited(said)
        case "insufficient_quota" | "402":
            return QuotaExhausted(said)
        case "context_length_exceeded":
            return ContextOverflow(said)
        case "server_error" | "overloaded" | "overloaded_error" | "500" | "502" | "503":
            return Overloaded(said)
        case _:
            return StreamBroken(said)
