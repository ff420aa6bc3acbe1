"""What a record says that follows from others: a request's kind, epoch and cache rules, a model's TTL.

Invariant: pure. What an older journal does not tell, it does not check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.conversation.canonical import Json
from harness.replay.divergence import Divergence, value
from harness.replay.recorded import Recorded

_WHY = "it follows from the records before it, and they give something else"


def of_request(data: Mapping[str, Json], recorded: Recorded) -> Iterator[Divergence]:
    """What a request's record says besides blocks, markers, settings and body."""
    whole = recorded.tells_all or "left_behind" in data["expected"]
    made: dict[str, Json] = {"kind": "side" if data.get("tail") else "mainline"}
    if whole or "epoch" in data:
        made["epoch"] = len(recorded.epochs) - 1
    facts = recorded.facts(data["model"])
    if whole and not (facts and "price" in facts):
        yield Divergence("model: facts", f"the journal has none of {data['model']!r}, or no price", _WHY)
    if whole and not recorded.last_request:
        yield from value("epoch: reason of the first", recorded.epochs[:1], ["start"], _WHY)
        if recorded.undigested:
            why = "the build that wrote the journal gave some"
            yield Divergence("tools or system blocks", "they have no digests", why)
    if facts is not None:
        rules, asked = facts["rules"], recorded.asked(data["model"])
        made["refresh"] = rules["refresh"]
        if "caching" in data or (whole and asked.rules.by_itself):
            made["caching"] = {name: rules[name] for name in ("kind", "granularity", "minimum")}
        told = {"ttl": facts["ttl"], "cache": facts["cache"]}
        chosen = {"ttl": asked.ttl, "cache": recorded.about["cache"]["enabled"]}
        yield from value("model: TTL and markers", told, chosen, _WHY)
    for name, one in made.items():
        yield from value(f"request: {name}", data.get(name), one, _WHY)
