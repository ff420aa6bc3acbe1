"""What an answer depends on, as named components, and the key that is made of them.

Invariant: two requests have one key only where every byte that the model reads is the same, and who is asked, and how.
Left out on purpose, because the answer does not depend on it: cache markers and their TTL; the ids that route to a
vendor's cache (`prompt_cache_key`, `prompt_cache_options`, a server's own such field or header); what asks for
diagnostics (`compare`); headers that say who asks or are ids; timeouts and retries; ids of sessions, requests and
answers; record numbers. Nothing is compared by likeness: a key is the same or it is another.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.conversation.canonical import Json, decode, digest, encode
from harness.conversation.request import FrozenPrefix, Rendered, Request
from harness.providers.base import Provider

FORMAT = 2
"""Of keys and entries. One more makes every cached response another's."""

_EMPTY = b'{"text":"","type":"text"}'
_NO_PREFIX = FrozenPrefix.chained((), _EMPTY, _EMPTY)

_WIDTH = 60
"""Characters shown of each of two messages that differ, around the first difference."""


@dataclass(frozen=True, slots=True)
class Components:
    """All that the key is made of.

    about: wire, address, model, each field of the body, as [name, value]. tools: [name, digest], as sent. system:
    [name, digest]. messages: [what it is, digest]. texts: by digest, messages that are not stored with another request.
    """

    about: tuple[tuple[str, str], ...]
    tools: tuple[tuple[str, str], ...]
    system: tuple[tuple[str, str], ...]
    messages: tuple[tuple[str, str], ...]
    texts: Mapping[str, str]

    def to_json(self) -> dict[str, Json]:
        """The form that is hashed and stored."""
        parts = {"about": self.about, "messages": self.messages, "system": self.system, "tools": self.tools}
        return {name: [list(pair) for pair in pairs] for name, pairs in parts.items()}

    @property
    def key(self) -> str:
        """SHA-256, hex, over the canonical form."""
        return digest(encode({"format": FORMAT, **self.to_json()}))


def read_components(value: Json, texts: Json) -> Components:
    """The components of a cached entry.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: they are none.
    """
    parts = {name: tuple(_pair(pair) for pair in value[name]) for name in ("about", "tools", "system", "messages")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("a text is no string")
    return Components(texts=texts, **parts)


def _pair(pair: Json) -> tuple[str, str]:
    name, value = pair
    if not isinstance(name, str) or not isinstance(value, str):
        raise ValueError("a component is no pair of strings")  # noqa: TRY004 - an entry that is damaged
    return name, value


def components(
    request: Request, body: bytes, provider: Provider, left_out: frozenset[str], known: Container[str] = ()
) -> Components:
    """What the answer to a request depends on.

    Args:
        body: as it is sent: what the provider tells of itself may depend on it.
        left_out: fields of the body, and headers, that only steer a vendor's cache.
        known: digests of messages whose texts are stored already.
    """
    line, prefix = request.line, request.prefix
    # the body with nothing in it: every field besides the blocks, by the very code that sends them
    settings = {name: value for name, value in line.settings.items() if name not in left_out}
    bare = Request(replace(line, settings=settings), _NO_PREFIX, (), (), request.max_tokens)
    fields = decode(provider.body(bare))
    about = [("wire", line.wire), ("base URL", line.base_url), ("model", line.model)]
    about += sorted((name, text) for name, text in provider.identity(body).items() if name not in left_out)
    about += [(f"field {name}", _text(fields[name])) for name in sorted(fields.keys() - left_out - {"model"})]
    sent = [(message, digest(message.wire)) for message in request.messages if message.wire]
    return Components(
        about=tuple(about),
        tools=tuple((_tool_name(tool), digest(tool)) for tool in prefix.tools),
        system=(("static system block", digest(prefix.static)), ("session system block", digest(prefix.session))),
        messages=tuple((_kind(message), name) for message, name in sent),
        texts={name: message.wire.decode("utf-8") for message, name in sent if name not in known},
    )


def _text(value: Json) -> str:
    return encode(value).decode("utf-8")


def _tool_name(tool: bytes) -> str:
    found = decode(tool)
    return str((found.get("function") or found).get("name", ""))


_RESULTS = (b'"type":"tool_result"', b'"type":"function_call_output"', b'"role":"tool"')
_ROLES = {"assistant": "answer", "system": "setting"}


def _kind(message: Rendered) -> str:
    """What a message is, in a word."""
    if message.injected:
        return "session context"
    if message.role in _ROLES:
        return _ROLES[message.role]
    # by its bytes: within a text each quote would be escaped
    return "results" if any(mark in message.wire for mark in _RESULTS) else "person"


# -------------------------------------------------------------------------------------------------- differences


def likeness(mine: Components, cached: Components) -> tuple[int, bool, int, int]:
    """How near a cached one is: messages that begin alike; does it say what differs; all else; messages anywhere."""
    alike = _alike(mine, cached)
    here = set(mine.about) | set(mine.tools) | set(mine.system)
    there = set(cached.about) | set(cached.tools) | set(cached.system)
    both = set(mine.messages) & set(cached.messages)
    return alike, len(cached.messages) > alike, -len(here ^ there), len(both)


def _alike(mine: Components, cached: Components) -> int:
    return _first_difference(mine.messages, cached.messages)


def _first_difference(mine: Sequence[object], cached: Sequence[object]) -> int:
    """The index at which two sequences part; the length of the shorter one where they do not."""
    pairs = zip(mine, cached, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(mine), len(cached)))


def difference(mine: Components, cached: Components, text_of: Mapping[str, str]) -> str:
    """Where a request differs from a cached one, one line; "" where nowhere.

    Args:
        text_of: messages by digest, as far as they are known.
    """
    found = [*_changed(mine.about, cached.about, told=True)]
    if tools := [*_changed(mine.tools, cached.tools, told=False)]:
        found.append("tools: " + ", ".join(tools))
    elif mine.tools != cached.tools:
        found.append("tools: in another order")
    found += [name for (name, value), (_, other) in zip(mine.system, cached.system, strict=False) if value != other]
    alike = _alike(mine, cached)
    if len(mine.messages) > alike < len(cached.messages):
        kind, text = mine.messages[alike]
        shown = _excerpts(text_of.get(text), text_of.get(cached.messages[alike][1]))
        found.append(f"message {alike + 1} ({kind})" + (f": {shown}" if shown else ""))
    elif len(mine.messages) > alike:
        found.append(f"message {alike + 1} ({mine.messages[alike][0]}): the nearest cached request ends before it")
    elif len(cached.messages) > alike:
        found.append(f"message {alike + 1}: the nearest cached request goes on with one ({cached.messages[alike][0]})")
    return "; ".join(found)


def _changed(mine: Sequence[tuple[str, str]], cached: Sequence[tuple[str, str]], *, told: bool) -> Iterator[str]:
    """What changed, came or went. told: with both values."""
    here, there = dict(mine), dict(cached)
    for name in [*here, *(name for name in there if name not in here)]:
        if name not in there:
            yield f"{name} added"
        elif name not in here:
            yield f"{name} gone"
        elif here[name] != there[name]:
            yield f"{name}: {here[name]:.{_WIDTH}}, was {there[name]:.{_WIDTH}}" if told else f"{name} changed"


def _excerpts(mine: str | None, cached: str | None) -> str:
    """Two messages around the first character in which they differ; "" where one of them is not there."""
    if mine is None or cached is None:
        return ""
    at = _first_difference(mine, cached)
    begin = max(0, at - _WIDTH // 3)
    return f"…{mine[begin : begin + _WIDTH]}… was …{cached[begin : begin + _WIDTH]}…"
