"""Why a request read what it read.

Invariant: every response has exactly one verdict, and every miss a cause; the expected read is what the request that
wrote the position was billed, so no tokenizer is involved. "Ours" means that our own bytes moved: a bug.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from harness.conversation.blocks import Usage
from harness.conversation.request import SYSTEM_BLOCKS, CacheRules, LedgerEntry, Request

_BYTES_PER_TOKEN = 6
"""More than any text needs, thinking that a vendor leaves out included: it decides a word, never a byte or a price."""

Kind = Literal[
    "hit",
    "first",
    "expired",
    "too short",
    "declared",
    "vendor stripped",
    "evicted",
    "not told",
    "ours",
    "response cache",
]
"""Not told: the server does not say what it read. Response cache: no server was asked, a cached response was given."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What is remembered of a line's last mainline request: the count and the digest of its blocks.

    cached: whether the vendor's bill showed any caching for it. messages: how many of the conversation it carried.
    seq: its journal record. answer: the vendor's id of its answer, or "".
    """

    blocks: int
    head: str
    cached: bool
    messages: int = 0
    seq: int = -1
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Expectation:
    """Before a request is sent: the position it should read, or why there is none.

    reason: "unmarked" where the position is alive and no marker of ours lets the vendor find it. tokens: of that
    position; None where no bill covered it alone. left: of those, what can be read all the same. size: bytes up to that
    position, where no bill tells its tokens. block, where, diff: where our bytes moved, for "ours".
    """

    reason: Literal["alive", "first", "expired", "too short", "declared", "unmarked", "ours"]
    tokens: int | None = None
    cause: str = ""
    left: int = 0
    size: int = 0
    block: int = -1
    where: str = ""
    diff: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """After the response. `lost`: tokens that were paid as new though they had been cached; `cause`: one line.

    block, where, diff: the first block that moved, counted through tools, system and messages, its name, and its short
    diff, for "ours". vendor: what the vendor itself says became of the prefix, or ""; agrees: whether that is what our
    bytes say, None where they say nothing of it.
    """

    kind: Kind
    expected: int
    read: int
    lost: int = 0
    cause: str = ""
    block: int = -1
    where: str = ""
    diff: str = ""
    vendor: str = ""
    agrees: bool | None = None


Look = Callable[[str], LedgerEntry | None]
"""The entry of a prefix digest."""


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


def deepest_alive(request: Request, alive: Look) -> LedgerEntry | None:
    """The deepest entry that a request can read: at its markers, or where there are none at any end of a message."""
    marked = [marker.digest for marker in reversed(request.markers) if marker.role in ("read", "write")]
    return next((entry for entry in map(alive, marked or request.ends) if entry is not None), None)


def expect(
    request: Request,
    previous: Sent | None,
    declared: str,
    alive: Look,
    known: Look,
    *,
    elsewhere: Look | None = None,
    lookback: int = 0,
) -> Expectation:
    """What a request should read.

    Args:
        previous: the line's last mainline request in this session.
        declared: the reason of an epoch that began since `previous`, or "".
        alive, known: entries of the line by prefix digest, those that can be read now and all.
        elsewhere: entries of other lines that are alive: what a change of model or settings leaves behind.
        lookback: positions that the vendor looks at before a marker, itself included; 0: any number.
    """
    deepest = deepest_alive(request, alive)
    straight = previous is not None and extends(previous, request)
    if previous is not None and not declared and not straight:
        # what it would have read, had nothing moved: the end of the request before it
        missed = alive(previous.head) or deepest
        left = (deepest.tokens or 0) if deepest and deepest is not missed else 0
        return Expectation("ours", missed.tokens if missed else None, "the request does not extend its line", left)
    if previous is not None and straight and (unmarked := _unmarked(request, previous, alive, deepest, lookback)):
        return unmarked
    if deepest is not None:
        size = _size_to(request, deepest.digest) if deepest.tokens is None else 0
        return Expectation("alive", deepest.tokens, size=size)
    if straight and previous is not None and not previous.cached:
        return Expectation("too short", cause="the vendor cached nothing of the request before it")
    if straight:
        # by the end of that request: with nothing alive, no marker of this one stands there
        was = known(previous.head) if previous else None
        ttl = f" ({was.ttl})" if was else ""
        return Expectation("expired", was.tokens if was else None, f"not read for longer than its TTL{ttl}")
    left_behind = next(filter(None, map(elsewhere, request.ends)), None) if elsewhere else None
    tokens = left_behind.tokens if left_behind else None
    if declared:
        return Expectation("declared", tokens, declared)
    return Expectation("first", tokens)


def _size_to(request: Request, digest: str) -> int:
    """Bytes of the blocks up to a marked position, or the end of a message; of the system blocks where it is theirs."""
    size = sum(map(len, (*request.prefix.tools, request.prefix.static, request.prefix.session)))
    if digest in (request.prefix.static_digest, request.prefix.session_digest):
        return size
    for message in request.messages:
        size += len(message.wire)
        if digest in message.digests:
            break
    return size


def _unmarked(
    request: Request, previous: Sent, alive: Look, deepest: LedgerEntry | None, lookback: int
) -> Expectation | None:
    """What holds where the end of the line's last request is alive and none of this one's markers stands there."""
    if not request.markers or (entry := alive(previous.head)) is None or entry.tokens is None:
        return None
    if deepest is not None and (deepest.tokens is None or deepest.tokens >= entry.tokens):
        return None
    end = previous.blocks - 1
    places = [request.messages[m.message].first + m.block for m in request.markers if m.message >= 0]
    away = min((place - end for place in places if place > end), default=None)
    if away is not None and (lookback == 0 or away < lookback):
        return Expectation("alive", entry.tokens)
    where = (
        "or behind it" if away is None else f"and the next is {away} blocks on, where the vendor looks at {lookback}"
    )
    cause = f"look-back: no marker on the last write, {where}"
    return Expectation("unmarked", entry.tokens, cause, (deepest.tokens or 0) if deepest else 0)


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
    # a prompt of no tokens: the server told no bill at all
    billed = usage.prompt > 0
    # of marked places nothing but bills tells that they were too short
    unknown = ("alive", "too short") if rules.max_markers else ("alive",)
    silent = (not told and expectation.reason in unknown) or (
        not billed and expectation.reason in ("alive", "unmarked", "too short")
    )
    if silent or (rules.kind == "none" and usage.read == 0 and expectation.reason != "ours"):
        return Verdict("not told", 0, usage.read, cause="this server does not say what it reads from its cache")
    if rules.kind == "none" and expectation.reason == "too short":
        return Verdict("hit", 0, usage.read)
    lost = max(0, min(expected, usage.prompt) - usage.read)
    if expectation.reason == "unmarked" and lost:
        return Verdict("ours", expected, usage.read, lost, expectation.cause)
    match expectation.reason:
        case "first" if billed and usage.read + usage.written == 0 and usage.prompt < rules.minimum:
            return Verdict("too short", 0, usage.read, lost, expectation.cause)
        # a place that no bill told of alone is taken to be cached, and the vendor may have found it too short for that
        case "alive" if (
            billed
            and expectation.tokens is None
            and not usage.read
            and (not usage.written or expectation.size < _BYTES_PER_TOKEN * rules.minimum)
        ):
            return Verdict("too short", 0, usage.read, lost, expectation.cause)
        # what wrote it was never billed to us: an attempt of this session, or somebody else's
        case "too short" if usage.read:
            return Verdict("hit", 0, usage.read)
        case "alive" | "unmarked":
            pass
        case kind:
            # another session's entries may be read all the same: then nothing was lost
            moved = (expectation.block, expectation.where, expectation.diff)
            return Verdict(kind, 0, usage.read, lost, expectation.cause, *moved)
    if usage.read >= max(expected, 1):
        return Verdict("hit", expected, usage.read)
    if rules.strips_thinking and thinking:
        cause = "this model drops earlier thinking by its own rules"
        return Verdict("vendor stripped", expected, usage.read, lost, cause)
    if first_image:
        cause = "the first image of a line: the vendor keys its messages anew"
        return Verdict("vendor stripped", expected, usage.read, lost, cause)
    cause = "our bytes are the same and the TTL runs: the vendor let it go"
    return Verdict("evicted", expected, usage.read, lost, cause)
