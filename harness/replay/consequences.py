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
    made: dict[str, Json] = {"kind": "side" if data.get("tail") else "mainline"}
    if "epoch" in data:
        made["epoch"] = len(recorded.epochs) - 1
    if (facts := recorded.facts(data["model"])) is not None:
        rules = facts["rules"]
        made["refresh"] = rules["refresh"]
        if "caching" in data:
            made["caching"] = {name: rules[name] for name in ("kind", "granularity", "minimum")}
        asked = recorded.asked(data["model"])
        told = {"ttl": facts["ttl"], "cache": facts["cache"]}
        chosen = {"ttl": asked.ttl, "cache": recorded.about["cache"]["enabled"]}
        if found := value("model: TTL and markers", told, chosen, _WHY):
            yield found
    for name, one in made.items():
        if found := value(f"request: {name}", data[name], one, _WHY):
            yield found
