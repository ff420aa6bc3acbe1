"""Where two requests part: the first block that differs, by name, and a short diff of it.

Invariant: compares what was sent with what would be sent, blocks in order; the digests of a block's prefix tell that it
moved even where its own bytes are the same (a role, or a boundary between messages, belongs to what a vendor hashes).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.conversation.canonical import Json, decode
from harness.conversation.request import FrozenPrefix, Rendered

AROUND = 40
"""Bytes shown on both sides of the place where two blocks part."""


@dataclass(frozen=True, slots=True)
class Named:
    """One block of a request: its name as a person reads it, its bytes, the digest of the prefix it ends ("": none)."""

    where: str
    wire: bytes
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first block that differs. block: from 0 through tools, system and messages; -1 where it cannot be told."""

    block: int
    where: str
    diff: str


def named(prefix: FrozenPrefix, messages: Sequence[Rendered]) -> Iterator[Named]:
    """All blocks of a request in their order. Messages and their blocks count from 1; what is not sent is none."""
    for tool in prefix.tools:
        yield Named(f"tool {_name(tool)}", tool)
    yield Named("static system", prefix.static)
    yield Named("session system", prefix.session)
    sent = (message for message in messages if message.fragments)
    for number, message in enumerate(sent, 1):
        for index, fragment in enumerate(message.fragments):
            yield Named(f"message {number} block {index + 1}", fragment.wire, message.digests[index])


def first_difference(before: Sequence[Named], after: Sequence[Named]) -> Difference | None:
    """The first block in which `after` does not begin with `before`; None where it does."""
    for index, (old, new) in enumerate(zip(before, after, strict=False)):
        if old.wire != new.wire:
            where = old.where if old.where == new.where else f"{old.where} (now {new.where})"
            return Difference(index, where, short_diff(old.wire, new.wire))
        if old.digest and old.digest != new.digest:
            return Difference(index, old.where, "the same bytes in another role or another message")
    if len(after) < len(before):
        return Difference(len(after), before[len(after)].where, "the request is shorter than the one before it")
    return None


def short_diff(old: bytes, new: bytes) -> str:
    """What happened to a block, in a line: which value became which, and where the bytes part."""
    pairs = enumerate(zip(old, new, strict=False))
    at = next((index for index, (left, right) in pairs if left != right), min(len(old), len(new)))
    start = max(0, at - AROUND)
    left, right = (text[start : at + AROUND].decode("utf-8", "replace") for text in (old, new))
    return f"{_what(old, new)}at byte {at}: {left!r} became {right!r}"


def _what(old: bytes, new: bytes) -> str:
    """What a reader of JSON sees of a change; "" where it is in the bytes alone, or in a text."""
    try:
        before, after = decode(old), decode(new)
    except (ValueError, RecursionError):
        return ""
    if before == after:
        return "the same values, keys in another order; "
    path, left, right = _parting(before, after)
    if type(left) is type(right):
        return f"{path}; " if path else ""
    return f"{path or 'it'} was {_kind(left)} and became {_kind(right)}; "


def _parting(old: Json, new: Json) -> tuple[str, Json, Json]:
    """The path to the first value that differs, and both values."""
    match old, new:
        case dict(), dict():
            for key in [*old, *(key for key in new if key not in old)]:
                if key not in old or key not in new or old[key] != new[key]:
                    rest, left, right = _parting(old.get(key), new.get(key))
                    return f"{key}{'.' if rest and not rest.startswith('[') else ''}{rest}", left, right
        case list(), list():
            for index in range(min(len(old), len(new))):
                if old[index] != new[index]:
                    rest, left, right = _parting(old[index], new[index])
                    return f"[{index}]{'.' if rest and not rest.startswith('[') else ''}{rest}", left, right
        case _:
            pass
    return "", old, new


def _kind(value: Json) -> str:
    match value:
        case None:
            return "absent"
        case str():
            return "a string"
        case list():
            return "a list"
        case dict():
            return "an object"
        case bool():
            return "true or false"
        case _:
            return "a number"


def _name(tool: bytes) -> str:
    """A tool's name: at the top, or in `function` on the Chat wire."""
    try:
        value = decode(tool)
        return str(value.get("name") or value["function"]["name"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "?"
