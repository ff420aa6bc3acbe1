"""What the bills of a probe say of a route: are markers taken, is what was written read, does it live as long as asked.

Invariant: pure; judged by what was billed alone, and what a bill cannot tell is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.audit.report import tokens
from harness.commands.doctor_findings import Finding
from harness.conversation.blocks import Usage
from harness.providers.facts import Model

MUCH = 200
"""Tokens at full price from which a part of a request was not cached; the probe's own words are more than that."""

OWN_CACHE = "use the vendor itself (base_url), or ask who runs the gateway"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for. marked: markers were sent, so that writes are billed as such. ttl: the setting."""

    model: Model
    marked: bool
    ttl: str


def judge(asked: Asked, bills: Sequence[Usage]) -> tuple[Finding, ...]:
    """The findings, the verdict last.

    Args:
        bills: of two requests or more, each of which extended the one before it.
    """
    if asked.marked:
        return _marked(asked, bills)
    return (_automatic(asked, bills),)


def expected(bills: Sequence[Usage], number: int) -> int:
    """What request `number` (from 0) should read where markers are honoured: all that the last one had cached."""
    return bills[number - 1].read + bills[number - 1].written


def _marked(asked: Asked, bills: Sequence[Usage]) -> tuple[Finding, ...]:
    first, minimum = bills[0], asked.model.rules.minimum
    if not any(bill.read or bill.written for bill in bills):
        return (_nothing_cached(first, minimum),)
    if not any(bill.written for bill in bills):
        text = "no request was billed a write: whether markers are honoured cannot be told from these bills"
        markers = Finding("note", "markers", text)
    else:
        markers = Finding("ok", "markers", f"accepted: request 1 wrote {tokens(first.written)} tokens")
    ttl = _ttl(asked, bills)
    reads = [bill.read >= expected(bills, number) > 0 for number, bill in enumerate(bills) if number]
    counts = _counts(bills)
    if all(bill.uncached > max(MUCH, asked.model.caching.granularity) for bill in bills):
        text = f"only a part of each request is cached: {tokens(first.uncached)} tokens of the first were not"
        todo = f"the gateway drops the markers in messages: {OWN_CACHE}"
        return (*_there(markers, ttl), Finding("bad", "verdict", text, todo))
    if all(reads):
        if ttl and ttl.status == "bad":
            return markers, ttl, Finding("note", "verdict", f"caching works, but not for as long as asked ({counts})")
        return (*_there(markers, ttl), _works(asked.model, counts))
    return (*_there(markers, ttl), _misses(bills, reads, counts))


def _there(*findings: Finding | None) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding is not None)


def _nothing_cached(first: Usage, minimum: int) -> Finding:
    if first.prompt < minimum:
        text = f"nothing can be said: the vendor counted {tokens(first.prompt)} tokens, and caches from {minimum:,} on"
        return Finding("note", "verdict", text, "probe from a folder with longer project rules")
    text = (
        f"markers are dropped: of {tokens(first.prompt)} tokens nothing was written and nothing read. This gateway or "
        "server does not hand cache_control on, so every request pays for the whole conversation"
    )
    todo = f"{OWN_CACHE}; if the model is new, its minimum may be higher than the {minimum:,} in the catalog"
    return Finding("bad", "verdict", text, todo)


def _misses(bills: Sequence[Usage], reads: Sequence[bool], counts: str) -> Finding:
    """Something was written and not, or not always, read again."""
    if any(reads):
        text = f"{sum(reads)} of {len(reads)} requests read what was written ({counts}): requests reach several caches"
        return Finding("bad", "verdict", f"weak affinity: {text}", f"ask for sticky routing, or {OWN_CACHE}")
    if all(bill.read <= bills[0].read for bill in bills[1:]):
        text = f"written but never read ({counts}): no affinity. Requests reach different caches, or none is kept"
        todo = (
            f"ask for sticky routing, or {OWN_CACHE}; until then cache.enabled = false is cheaper: a write costs more"
        )
        return Finding("bad", "verdict", text, todo)
    text = f"only a part of what was written is read ({counts}): the gateway changes requests, or drops some markers"
    return Finding("bad", "verdict", text, OWN_CACHE)


def _ttl(asked: Asked, bills: Sequence[Usage]) -> Finding | None:
    """Which lifetime was billed. A vendor with one lifetime has none to choose from."""
    names = [name for name, _ in asked.model.caching.ttls]
    if len(names) < 2 or not any(bill.written for bill in bills):
        return None
    short, long = names[0], names[-1]
    wanted = long if asked.ttl == "1h" else short
    written_short, written_long = sum(bill.written_short for bill in bills), sum(bill.written_long for bill in bills)
    if wanted == long and written_short:
        text = f"TTL was shortened to {short}: {tokens(written_short)} tokens were billed for {short}, asked was {long}"
        todo = f"a pause of more than {short} loses the cache here: set cache.ttl to what is given, or {OWN_CACHE}"
        return Finding("bad", "ttl", text, todo)
    if wanted == short and written_long:
        text = f"TTL was lengthened to {long}: {tokens(written_long)} tokens were billed for {long}, asked was {short}"
        return Finding("bad", "ttl", text, f"writes cost more than they need: {OWN_CACHE}")
    return Finding("ok", "ttl", f"billed for {wanted}, as asked")


def _automatic(asked: Asked, bills: Sequence[Usage]) -> Finding:
    """A server that caches by itself, in steps of its own: about all of the request before should be read."""
    slack = 2 * max(asked.model.caching.granularity, 128)
    reads = [bill.read >= max(bills[at].prompt - slack, 1) for at, bill in enumerate(bills[1:])]
    counts = _counts(bills)
    minimum = asked.model.rules.minimum
    if all(reads):
        return _works(asked.model, counts)
    if any(reads):
        text = f"weak affinity: {sum(reads)} of {len(reads)} requests read the one before them ({counts})"
        return Finding("bad", "verdict", text, "ask for sticky routing")
    if any(bill.read for bill in bills):
        text = f"only a part is read ({counts}): what is older may be another session's"
        return Finding("note", "verdict", text, "send it again with --requests 4: some servers need a while to write")
    if bills[0].prompt < minimum:
        text = (
            f"nothing can be said: the server counted {tokens(bills[0].prompt)} tokens, and caches from {minimum:,} on"
        )
        return Finding("note", "verdict", text, "probe from a folder with longer project rules")
    unknown = asked.model.caching.kind == "none"
    text = f"nothing is read ({counts}): this server does not cache, does not tell, or spreads requests over machines"
    return Finding(
        "note" if unknown else "bad", "verdict", text, "ask who runs it; some report cached tokens on request"
    )


def _works(model: Model, counts: str) -> Finding:
    price = model.price
    saved = f"; what was read costs {price.read / price.input:.0%} of its input price" if price and price.input else ""
    return Finding("ok", "verdict", f"caching works on this route ({counts}){saved}")


def _counts(bills: Sequence[Usage]) -> str:
    """What each request after the first read, of what was there to read."""
    there = [expected(bills, number) or bills[number - 1].prompt for number in range(1, len(bills))]
    pairs = enumerate(zip(bills[1:], there, strict=True), 2)
    return ", ".join(f"request {number} read {tokens(bill.read)} of {tokens(all_)}" for number, (bill, all_) in pairs)
