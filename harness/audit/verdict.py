"""Why a request read what it read.

Invariant: every response has exactly one verdict, and every miss a cause; the expected read is what the request that
wrote the position was billed, so no tokenizer is involved. "Ours" means that our own bytes moved: a bug.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.conversation.blocks import Usage
from harness.conversation.request import SYSTEM_BLOCKS, CacheRules, LedgerEntry, Request

Kind = Literal["hit", "first", "expired", "too short", "declared", "vendor stripped", "evicted", "not told", "ours"]
"""Not told: the server does not say what it read."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What is remembered of a line's last mainline request: the count and the digest of its blocks.

    cached: whether the vendor's bill showed any caching for it. messages: how many of the conversation it carried.
    """

    blocks: int
    head: str
    cached: bool
    messages: int = 0


@dataclass(frozen=True, slots=True)
class Expectation:
    """Before a request is sent: the position it should read, or why there is none.

    tokens: of that position; None where no bill covered it alone. block, diff: where our bytes moved, for "ours".
    """

    reason: Literal["alive", "first", "expired", "too short", "declared", "ours"]
    tokens: int | None = None
    cause: str = ""
    block: int = -1
    diff: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """After the response. `lost`: tokens that were paid as new though they had been cached; `cause`: one line.

    block, diff: the first block that moved, counted through tools, system and messages, and its short diff, for "ours".
    """

    kind: Kind
    expected: int
    read: int
    lost: int = 0
    cause: str = ""
    block: int = -1
    diff: str = ""


def extends(previous: Sent, request: Request) -> bool:
    """Whether a request begins with all blocks of the line's previous mainline request."""
    return _digest_at(request, previous.blocks - 1) == previous.head


def _digest_at(request: Request, position: int) -> str:
    """The prefix digest at a position, "" where the request has no such block."""
    if position < SYSTEM_BLOCKS:
        return (request.prefix.static_digest, request.prefix.session_digest)[position]
    index = bisect_right(request.messages, position, key=lambda message: message.first) - 1
    if index < 0:
        return ""
    message = request.messages[index]
    offset = position - message.first
    return message.digests[offset] if offset < len(message.digests) else ""


def deepest_alive(request: Request, alive: Callable[[str], LedgerEntry | None]) -> LedgerEntry | None:
    """The deepest entry that a request can read: at its markers, or where there are none at any end of a message."""
    marked = [marker.digest for marker in reversed(request.markers) if marker.role in ("read", "write")]
    return next((entry for entry in map(alive, marked or request.ends) if entry is not None), None)


def expect(
    request: Request,
    previous: Sent | None,
    declared: str,
    alive: Callable[[str], LedgerEntry | None],
    known: Callable[[str], LedgerEntry | None],
) -> Expectation:
    """What a request should read.

    Args:
        previous: the line's last mainline request in this session.
        declared: the reason of an epoch that began since `previous`, or "".
        alive, known: entries of the line by prefix digest, those that can be read now and all.
    """
    deepest = deepest_alive(request, alive)
    straight = previous is not None and extends(previous, request)
    if previous is not None and not declared and not straight:
        # what it would have read, had nothing moved: the end of the request before it
        missed = alive(previous.head) or deepest
        return Expectation("ours", missed.tokens if missed else None, "the request does not extend its line")
    if deepest is not None:
        return Expectation("alive", deepest.tokens)
    if straight and previous is not None and not previous.cached:
        return Expectation("too short", cause="the vendor cached nothing of the request before it")
    if straight:
        # by the end of that request: with nothing alive, no marker of this one stands there
        was = known(previous.head) if previous else None
        ttl = f" ({was.ttl})" if was else ""
        return Expectation("expired", was.tokens if was else None, f"not read for longer than its TTL{ttl}")
    if declared:
        return Expectation("declared", cause=declared)
    return Expectation("first")


def judge(
    expectation: Expectation,
    usage: Usage,
    rules: CacheRules,
    *,
    thinking: bool = False,
    first_image: bool = False,
    told: bool = True,
) -> Verdict:
    """The verdict of a response.

    Args:
        thinking: whether the request carried any, which some vendors' models leave out by their own rules.
        told: whether the server says anything of what it read.
        first_image: whether it carries an image and no request of its line did: vendors then key all messages anew.
    """
    expected = expectation.tokens or 0
    silent = not told and expectation.reason == "alive"
    if silent or (rules.kind == "none" and usage.read == 0 and expectation.reason != "ours"):
        return Verdict("not told", 0, usage.read, cause="this server does not say what it reads from its cache")
    if rules.kind == "none" and expectation.reason == "too short":
        return Verdict("hit", 0, usage.read)
    if expectation.reason != "alive":
        kind: Kind = expectation.reason
        if kind == "first" and usage.read + usage.written == 0 and usage.prompt < rules.minimum:
            kind = "too short"
        # another session's entries may be read all the same: then nothing was lost
        lost = max(0, expected - usage.read)
        return Verdict(kind, 0, usage.read, lost, expectation.cause, expectation.block, expectation.diff)
    if usage.read >= max(expected, 1):
        return Verdict("hit", expected, usage.read)
    lost = max(0, expected - usage.read)
    if rules.strips_thinking and thinking:
        cause = "this model drops earlier thinking by its own rules"
        return Verdict("vendor stripped", expected, usage.read, lost, cause)
    if first_image:
        cause = "the first image of a line: the vendor keys its messages anew"
        return Verdict("vendor stripped", expected, usage.read, lost, cause)
    cause = "our bytes are the same and the TTL runs: the vendor let it go"
    return Verdict("evicted", expected, usage.read, lost, cause)


def first_difference(before: Sequence[bytes], after: Sequence[bytes]) -> tuple[int, str]:
    """The first block that differs between two requests, and a short diff of it; (-1, "") where none does."""
    for index, (old, new) in enumerate(zip(before, after, strict=False)):
        if old != new:
            return index, short_diff(old, new)
    if len(after) < len(before):
        return len(after), "the request is shorter than the one before it"
    return -1, ""


def short_diff(old: bytes, new: bytes, around: int = 40) -> str:
    """Where two blocks part, with some bytes of both sides."""
    pairs = enumerate(zip(old, new, strict=False))
    at = next((index for index, (left, right) in pairs if left != right), min(len(old), len(new)))
    start = max(0, at - around)
    left, right = (text[start : at + around].decode("utf-8", "replace") for text in (old, new))
    return f"at byte {at}: {left!r} became {right!r}"
