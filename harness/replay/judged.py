"""The verdict on each answer, and its cost, made again.

Invariant: pure in the journal, which has the price too; where an older one has none, nothing is reckoned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from harness.audit.cached_response import verdict_of
from harness.audit.cost import cost, price_of_miss
from harness.audit.judgement import judged, write_verdict
from harness.audit.verdict import Expectation, Verdict
from harness.conversation.blocks import Usage
from harness.conversation.canonical import Json
from harness.conversation.stored import read_usage, write_usage
from harness.providers.base import FromCache
from harness.replay.answered import Answered
from harness.replay.divergence import Divergence, value
from harness.replay.recorded import Recorded

_FREE = write_usage(Usage())


def verdict(
    data: Mapping[str, Json], request: Mapping[str, Json], found: Expectation, answer: Answered, recorded: Recorded
) -> Iterator[Divergence]:
    """The verdict of a response, given what it should have read; its price where the model's is journaled."""
    model = recorded.asked(request["model"]).model
    usage, told = read_usage(data["usage"]), data["verdict"]
    if (served := data.get("cached")) is not None:
        about = {name: served[name] for name in ("key", "scope", "session", "request", "at")}
        made = verdict_of(FromCache(**about, usage=Usage()))
        yield from value("usage", data["usage"], _FREE, "a cached response is billed nothing")
    else:
        made = _made(told, request, found, answer, recorded, usage)
    price = price_of_miss(model, made.lost, usage) if made.lost else 0.0
    written = write_verdict(made, price if _priced(request, recorded) else told["price"])
    why = "bills, markers, lifetimes and epochs as journaled, and what the vendor said, give another verdict"
    for name in sorted({*written, *told}):
        yield from value(f"verdict: {name}", told.get(name), written.get(name), why)


def _made(
    told: Mapping[str, Json],
    request: Mapping[str, Json],
    found: Expectation,
    answer: Answered,
    recorded: Recorded,
    usage: Usage,
) -> Verdict:
    previous, _ = recorded.declared(request["line"])
    carried = [entry.message for entry in recorded.history.entries], previous.messages if previous else 0
    if found.reason == "ours":
        # which block moved is told of bytes that are not sent any more
        found = replace(found, block=told["block"], where=told["where"], diff=told["diff"])
    compared = bool(request.get("compare"))
    model = recorded.asked(request["model"]).model
    return judged(found, usage, model, answer.finished, carried, compared=compared)


def price(data: Mapping[str, Json], request: Mapping[str, Json], recorded: Recorded) -> Iterator[Divergence]:
    """What a bill cost, by the prices in force when the model was asked. data: of a `response` or `retry` record."""
    if not _priced(request, recorded):
        return
    model = recorded.asked(request["model"]).model
    served = data.get("cached")
    made = 0.0 if served else cost(model, read_usage(data["usage"]))
    yield from _cost(data["cost"], made)
    if served:
        yield from _cost(served["cost"], cost(model, read_usage(served["usage"])))


def _cost(told: Json, made: float | None) -> Iterator[Divergence]:
    yield from value("cost", told, made, "the bill, at the prices as journaled, comes to something else")


def _priced(request: Mapping[str, Json], recorded: Recorded) -> bool:
    """Whether the journal tells the prices."""
    return "price" in (recorded.facts(request["model"]) or {})
