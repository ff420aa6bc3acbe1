"""The book of a session: every model call with its bill, verdict and price, and what they add up to.

Invariant: a pure fold over a journal's records, which it neither owns nor changes; a record that cannot be read costs
its own row and no other, and is counted. An unknown price stays unknown, also in every sum that it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from harness.audit.cost import price_of_miss, prompt_cost, total, uncached_cost
from harness.audit.perfect import PerfectCache
from harness.audit.served_response import ServedResponse
from harness.conversation.blocks import Usage
from harness.conversation.canonical import Json
from harness.conversation.events import SubAgentDone
from harness.conversation.lines import Record
from harness.conversation.stored import read_sub_agent, read_usage
from harness.errors import HarnessError
from harness.providers.facts import Model

FindModel = Callable[[str], Model]


@dataclass(frozen=True, slots=True)
class Row:
    """One attempt that began, so was billed.

    at: its start, seconds since the epoch. epoch: how many began before it. usage: None where the bill was not told.
    cost: USD as journaled. verdict: "" where the answer broke off before there was one. lost, lost_usd: tokens that
    were paid as new though they had been cached, and what that cost. perfect: tokens that a perfect cache would have
    read. served: whose cached response it was, so that no vendor was called. unserved: why none was, where there is
    a cache. bill, perfect_bill, uncached_bill: USD of the prompt as it was, with a perfect cache, and with none.
    """

    number: int
    at: float
    model: str
    side: bool
    epoch: int
    usage: Usage | None
    cost: float | None
    verdict: str
    cause: str
    stop: str
    expected: int = 0
    lost: int = 0
    lost_usd: float | None = 0.0
    where: str = ""
    diff: str = ""
    vendor: str = ""
    perfect: int = 0
    bill: float | None = None
    perfect_bill: float | None = None
    uncached_bill: float | None = None
    served: ServedResponse | None = None
    unserved: str = ""

    @property
    def label(self) -> str:
        """The cause in a word or two: what losses are added up by."""
        head = self.cause.partition(":")[0]
        match self.verdict:
            case "ours":
                return f"ours: {self.where or head}"
            case "declared":
                return f"declared: {head}"
            case "first" if ":" in self.cause:
                return head
            case verdict:
                return verdict


@dataclass(frozen=True, slots=True)
class Epoch:
    """A stretch begins. before: number of the first request in it."""

    at: float
    reason: str
    before: int


@dataclass(frozen=True, slots=True)
class SubAgent:
    """A sub-agent that ended, with all of its own. after: number of the last request before that."""

    at: float
    after: int
    ended: SubAgentDone


@dataclass(frozen=True, slots=True)
class Lost:
    """What one cause cost: requests, tokens, USD (None: unknown)."""

    cause: str
    requests: int
    tokens: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class Book:
    """All of it. unreadable: records that made no sense. sub_agents: what they did is in no row."""

    rows: tuple[Row, ...]
    epochs: tuple[Epoch, ...]
    unreadable: int = 0
    sub_agents: tuple[SubAgent, ...] = ()

    @property
    def all_cost(self) -> float | None:
        """USD of everything, sub-agents too."""
        return total([self.cost, *(one.ended.cost for one in self.sub_agents)])

    @property
    def usage(self) -> Usage:
        """All that was billed."""
        return sum((row.usage for row in self.rows if row.usage is not None), Usage())

    @property
    def cost(self) -> float | None:
        """USD of everything, answers too."""
        return total(row.cost for row in self.rows)

    @property
    def bill(self) -> float | None:
        """USD of the prompts."""
        return total(row.bill for row in self.rows)

    @property
    def perfect_bill(self) -> float | None:
        """USD of the prompts with a perfect cache."""
        return total(row.perfect_bill for row in self.rows)

    @property
    def saved(self) -> float | None:
        """USD by which the prompts were cheaper than without any caching; below 0 where writing cost more."""
        uncached, bill = total(row.uncached_bill for row in self.rows), self.bill
        return None if uncached is None or bill is None else uncached - bill

    @property
    def perfect(self) -> int:
        """Tokens that a perfect cache would have read."""
        return sum(row.perfect for row in self.rows)

    @property
    def lost(self) -> tuple[Lost, ...]:
        """What each cause cost, the dearest first."""
        causes: dict[str, list[Row]] = {}
        for row in self.rows:
            if row.lost:
                causes.setdefault(row.label, []).append(row)
        found = [
            Lost(cause, len(rows), sum(row.lost for row in rows), total(row.lost_usd for row in rows))
            for cause, rows in causes.items()
        ]
        return tuple(sorted(found, key=lambda lost: (-(lost.usd or 0.0), -lost.tokens, lost.cause)))


def read_book(records: Iterable[Record], find: FindModel) -> Book:
    """The book of a journal.

    Args:
        find: the model of an id; raises HarnessError where the catalog has no place for it.
    """
    fold = _Fold(find)
    for record in records:
        try:
            fold.apply(record)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            # told, never silent: a record of another program, or one that a damaged line tore out of its context
            fold.unreadable += 1
    return Book(tuple(fold.rows), tuple(fold.epochs), fold.unreadable, tuple(fold.sub_agents))


@dataclass(slots=True)
class _Fold:
    find: FindModel
    rows: list[Row] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    sub_agents: list[SubAgent] = field(default_factory=list)
    unreadable: int = 0
    _requests: dict[int, Mapping[str, Json]] = field(default_factory=dict)
    _models: dict[str, Model | None] = field(default_factory=dict)
    _perfect: PerfectCache = field(default_factory=PerfectCache)

    def apply(self, record: Record) -> None:
        data = record.data
        match record.kind:
            case "epoch":
                self.epochs.append(Epoch(record.at, str(data["reason"]), len(self.rows) + 1))
                self._perfect.apply(record)
            case "request":
                self._requests[record.seq] = data
            case "response":
                self._billed(record, self._requests.pop(data["request"], None))
            case "retry" | "failed" if "usage" in data or "began" in data:
                self._billed(record, self._requests.get(data["request"]))
            case "message":
                self._perfect.apply(record)
            case "subagent":
                self.sub_agents.append(SubAgent(record.at, len(self.rows), read_sub_agent(data)))
            case _:
                pass

    def _billed(self, record: Record, request: Mapping[str, Json] | None) -> None:
        data = record.data
        # only a response always has a bill; an attempt that broke off may have none
        usage = read_usage(data["usage"]) if record.kind == "response" or "usage" in data else None
        verdict: Mapping[str, Json] = data.get("verdict", {})
        kind = str(verdict.get("kind", ""))
        error = str(data.get("error", ""))
        model_id = str(request["model"]) if request else ""
        model = self._model(model_id)
        perfect = usage.read if usage else 0
        served = ServedResponse.of(data)
        if request is not None and served is None:
            perfect = self._perfect.read(request, data, usage, kind) if usage else 0
            self._perfect.billed(request, data, usage)
        at = float(data.get("started", record.at))
        bills = _bills(model.on(at), usage, perfect) if model and usage else (None, None, None)
        self.rows.append(
            Row(
                number=len(self.rows) + 1,
                at=at,
                model=model_id or "unknown",
                side=bool(request) and request["kind"] == "side" if request else False,
                epoch=len(self.epochs),
                usage=usage,
                cost=data.get("cost"),
                verdict=kind,
                cause=str(verdict.get("cause", "")) or (f"broke off: {error}" if error else ""),
                stop=str(data.get("stop", "")),
                expected=int(verdict.get("expected", 0)),
                lost=int(verdict.get("lost", 0)),
                lost_usd=verdict.get("price", 0.0),
                where=str(verdict.get("where", "")),
                diff=str(verdict.get("diff", "")),
                vendor=str((verdict.get("vendor") or {}).get("said", "")),
                perfect=perfect,
                bill=bills[0],
                perfect_bill=bills[1],
                uncached_bill=bills[2],
                served=served,
                unserved=str((data.get("uncached") or {}).get("cause", "")),
            )
        )

    def _model(self, name: str) -> Model | None:
        if name not in self._models:
            try:
                self._models[name] = self.find(name) if name else None
            except HarnessError:
                # a provider that this version does not speak to: its price is unknown
                self._models[name] = None
        return self._models[name]


def _bills(model: Model, usage: Usage, perfect: int) -> tuple[float | None, float | None, float | None]:
    """USD of a prompt as billed, with a perfect cache, and with none.

    A perfect cache reads what was missed, and pays for the rest what was paid for it.
    """
    bill, missed = prompt_cost(model, usage), price_of_miss(model, perfect - usage.read, usage)
    best = None if bill is None or missed is None else bill - missed
    return bill, best, uncached_cost(model, usage)
