"""A model call's request as the journal has it: what it is made of, where it is marked, and what it should read.

Invariant: pure. References, never the body again: with the renderings that are journaled besides, it can be built again
byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.audit.lookups import Lookups
from harness.audit.verdict import Expectation, deepest_alive
from harness.conversation.blocks import Message
from harness.conversation.canonical import Json
from harness.conversation.request import CacheRules, Request
from harness.providers.facts import Model


def form(request: Request, model: Model, tail: Sequence[Message], *, epoch: int, started: float) -> dict[str, Json]:
    """What was asked, of whom, with which markers.

    Args:
        tail: the messages of a side request.
        epoch: how many epochs began before the one it belongs to.
        started: seconds since the epoch of its first attempt.
    """
    line = request.line
    return (
        {
            "kind": "side" if request.side else "mainline",
            "model": model.id,
            "line": line.key,
            "wire": line.wire,
            "base_url": line.base_url,
            "settings": dict(line.settings),
            "max_tokens": request.max_tokens,
            "messages": len(request.messages) - len(tail),
            "blocks": request.blocks,
            "head": request.head,
            "epoch": epoch,
            "started": started,
            "refresh": model.rules.refresh,
            "markers": [
                {"role": m.role, "message": m.message, "block": m.block, "digest": m.digest, "ttl": m.ttl}
                for m in request.markers
            ],
        }
        | ({"compare": request.compare} if request.compare is not None else {})
        | ({"tail": [message.text for message in tail]} if tail else {})
    )


def ends(request: Request, rules: CacheRules, looks: Lookups) -> dict[str, Json]:
    """Where a server caches by itself: the deepest end that the request can read, and its own; nothing elsewhere."""
    if not rules.by_itself:
        return {}
    deepest = deepest_alive(request, looks.alive)
    digests = [entry.digest for entry in (deepest,) if entry] + [request.head]
    caching = {"kind": rules.kind, "granularity": rules.granularity, "minimum": rules.minimum}
    return {"ends": [{"digest": d, "ttl": rules.default_ttl} for d in digests], "caching": caching}


def rests_on(expected: Expectation, looks: Lookups) -> dict[str, Json]:
    """What an attempt should read, and what that rests on besides this journal's own bills.

    Made after everything that looks: what was looked for is part of it.
    """
    found, foreign = expected, looks.foreign()
    told = {"reason": found.reason, "tokens": found.tokens, "cause": found.cause, "left_behind": looks.left_behind}
    return {"expected": told} | ({"foreign": foreign} if foreign else {})
