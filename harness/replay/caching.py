"""What a request has to do with the cache, made again: markers, ends that are cached unasked, what it should read.

Invariant: of other sessions, it rests on what this journal tells of their bills; whether those tell it is asked of
their own journals, and where they are gone it is not proved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace

from harness.audit.other_line import other_line
from harness.audit.verdict import Expectation, deepest_alive, expect
from harness.conversation.canonical import Json
from harness.conversation.request import LedgerEntry, Request
from harness.replay.divergence import Divergence, value
from harness.replay.recorded import Asked, Recorded
from harness.replay.relatives import Relatives


@dataclass(slots=True)
class Expected:
    """What an attempt should have read. proved: whether the bills that it rests on are there, in whatever journal."""

    found: Expectation
    proved: bool


def markers(data: Mapping[str, Json], recorded: Recorded, asked: Asked, request: Request) -> Iterator[Divergence]:
    """The markers, and the ends that a server caches by itself."""
    made = [
        {"role": m.role, "message": m.message, "block": m.block, "digest": m.digest, "ttl": m.ttl}
        for m in request.markers
    ]
    why = "the rule, given the bills, TTLs and cache rules as journaled, marks otherwise"
    for old, new in zip(data["markers"], made, strict=False):
        yield from value(f"marker {old['role']}", old, new, why)
    counts = len(data["markers"]), len(made)
    yield from value(f"marker {min(counts) + 1}", *counts, why)
    if "ends" in data or (recorded.tells_all and asked.rules.by_itself):
        deepest = deepest_alive(request, recorded.alive(data))
        ends = [entry.digest for entry in (deepest,) if entry] + [request.head]
        told = [{"digest": end, "ttl": asked.rules.default_ttl} for end in ends]
        yield from value("cached ends", data.get("ends"), told, "the bills as journaled leave other ends alive")


class Attempt:
    """One attempt at a request. Iterate `check`; then read `expected`.

    Args:
        request: its record. rests_on: the record that holds what the attempt should have read: that of the request, or,
            of a later attempt, a part of that of the response. started: when the attempt did.
    """

    def __init__(
        self, request: Mapping[str, Json], rests_on: Mapping[str, Json], started: float, relatives: Relatives
    ) -> None:
        self._data = request
        self._rests_on = rests_on
        self._started = started
        self._relatives = relatives
        self.expected: Expected | None = None
        """None where the journal is an older one, whose bills may not be all that it rests on."""

    def check(self, recorded: Recorded, asked: Asked, request: Request) -> Iterator[Divergence]:
        """Make what it should have read again, and compare."""
        told, line = self._rests_on["expected"], self._data["line"]
        whole = "left_behind" in told
        if recorded.tells_all and not whole:
            yield Divergence("expected read", "what it rests on is not there", "the requests before it have it")
        if not whole and recorded.kin:
            return
        left = LedgerEntry(**told["left_behind"]) if told.get("left_behind") else None
        own = recorded.ledger.alive_elsewhere(line, self._started)
        alive, known = recorded.looks(line, self._started, self._rests_on)
        previous, declared = recorded.declared(line)
        shorter = self._data["kind"] == "side" and self._data["messages"] < len(recorded.history.entries)
        found = expect(
            request,
            previous,
            declared or ("a side request from an earlier message" if shorter else ""),
            alive,
            known,
            elsewhere=(lambda digest: left if left and left.digest == digest else None) if whole else own,
            lookback=asked.model.caching.lookback if asked.model.rules.max_markers else 0,
        )
        if found.reason == "first" and not found.cause:
            found = replace(found, cause=other_line(recorded.last_request, request.line, asked.model.id))
        if found.reason == "ours" and str(told["cause"]).startswith(found.cause):
            # which block moved is told of bytes that are not sent any more
            found = replace(found, cause=told["cause"])
        made = {"reason": found.reason, "tokens": found.tokens, "cause": found.cause}
        why = "the bills of the requests before it, as journaled, say that it should read something else"
        yield from value("expected read", {name: told[name] for name in made}, made, why)
        self.expected = Expected(found, proved=True)
        if whole:
            looked = found.reason in ("first", "declared")
            owns = next(filter(None, map(own, request.ends)), None) if looked else None
            if left != owns and not recorded.kin:
                why = "the session's own bills leave it there"
                yield from value("entry of another line", told["left_behind"], owns and asdict(owns), why)
            self.expected.proved = left is not None or owns is None
            yield from self._others(self.expected, left if left != owns else None)

    def _others(self, expected: Expected, left: LedgerEntry | None) -> Iterator[Divergence]:
        """What it rests on besides the session's own bills. left: an entry of another line."""
        foreign = [(LedgerEntry(**one), self._data["line"]) for one in self._rests_on.get("foreign", ())]
        for entry, line in [*foreign, *([(left, "")] if left else [])]:
            told = self._relatives.tell(entry, line)
            expected.proved = expected.proved and told is True
            if told is False:
                what = f"{entry.tokens} tokens up to {entry.digest[:16]}, used at {entry.used}"
                yield Divergence("entry of another session", what, "no bill of the session's relatives tells of it")
