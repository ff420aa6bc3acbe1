"""What a cached response means for the books: no vendor was called, so nothing was read, written or paid.

Invariant: what it was billed when it was given first stands beside the empty bill, for all that asks how long the
conversation is.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.audit.cost import cost
from harness.audit.verdict import Verdict
from harness.conversation.canonical import Json
from harness.conversation.stored import write_usage
from harness.providers.base import FromCache, NotFromCache
from harness.providers.facts import Model


def verdict_of(served: FromCache) -> Verdict:
    """The verdict of a cached response."""
    cause = f"cached response {served.key[:12]}, of request {served.request} of session {served.session}"
    return Verdict("response cache", 0, 0, cause=cause)


def said_of(found: FromCache | NotFromCache | None, model: Model) -> dict[str, Json]:
    """What the record of a response says of the response cache; nothing where it is off."""
    match found:
        case FromCache(key, scope, session, request, at, usage):
            first = {"usage": write_usage(usage), "cost": cost(model, usage)}
            about = {"key": key, "scope": scope, "session": session, "request": request, "at": at}
            return {"cached": about | first}
        case NotFromCache(key, scope, cause, unkept):
            return {"uncached": {"key": key, "scope": scope, "cause": cause, "unkept": unkept}}
        case None:
            return {}


def told(record: Mapping[str, Json]) -> dict[str, Json]:
    """The same for who listens: "hit", and what `said_of` says; empty where the cache is off."""
    if "cached" in record:
        return {"hit": True, **record["cached"]}
    return {"hit": False, **record["uncached"]} if "uncached" in record else {}
