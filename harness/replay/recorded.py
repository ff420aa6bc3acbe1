"""The journal read as what the program knew when: the state before each request, without owning or changing anything.

Invariant: a fold of its own, beside that of a running session, so that the one proves the other. Of another session's
journal nothing is read; what of it decided a byte or a verdict is journaled in this one (`foreign`, `left_behind`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness import __version__
from harness.audit.ledger import Ledger, apply_bill, is_bill, was_cached
from harness.audit.totals import Totals
from harness.audit.verdict import Sent
from harness.conversation.blobs import Blobs
from harness.conversation.canonical import Json
from harness.conversation.history import History
from harness.conversation.lines import Record
from harness.conversation.request import CacheRules, Fragment, FrozenPrefix, LedgerEntry, Line, Ttl
from harness.conversation.stored import fetch, read_usage
from harness.prompt.prefix import read_prefix
from harness.prompt.projection import Projection
from harness.providers import connect
from harness.providers.catalog import Catalog
from harness.providers.efforts import Efforts
from harness.providers.facts import Model, Price, Profile

_FROZEN = ("prefix", "refrozen", "wire_prefix")

Look = Callable[[str], LedgerEntry | None]


@dataclass(frozen=True, slots=True)
class Asked:
    """A model as it was known when it was asked. ttl: of its markers. cache: whether it had any."""

    model: Model
    ttl: Ttl
    cache: bool

    @property
    def rules(self) -> CacheRules:
        """What markers are placed by."""
        return self.model.rules if self.cache else replace(self.model.rules, max_markers=0)


@dataclass(slots=True)
class Recorded:
    """What the records so far say."""

    blobs: Blobs
    catalog: Catalog
    about: Mapping[str, Json] = field(default_factory=dict)
    version: str = ""
    """Of the program that wrote the last records; `other`: of the last one that was another than this."""
    other: str = ""
    prefix: FrozenPrefix | None = None
    undigested: bool = False
    """Whether tools and system blocks were frozen without digests, as in older journals."""
    wire_prefixes: dict[str, FrozenPrefix] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    efforts: Efforts = field(default_factory=Efforts)
    epochs: list[str] = field(default_factory=list)
    parent: str = ""
    """The session that the last fork was made of."""
    requests: dict[int, Mapping[str, Json]] = field(default_factory=dict)
    """Those that have no end yet; `attempts`: how many attempts at each were sent again."""
    attempts: dict[int, int] = field(default_factory=dict)
    ended: int = 0
    """The mainline request whose end came last, and of whose answer nothing was told since; or 0."""
    totals: Totals = field(default_factory=Totals)
    last_request: Mapping[str, Json] = field(default_factory=dict)
    """The last mainline one, on whatever line."""
    kin: bool = False
    """Whether it is a fork or has forks, whose bills its own requests may rest on."""
    tells_all: bool = False
    """Whether the last request told all that today's do: not so an older build of the same version."""
    began_it: str = ""
    """The call that it was just born for, as a sub-agent that goes on with its caller's conversation; or ""."""
    born_in: int = -1
    """How many epochs there were when it was."""
    projections: dict[str, Projection] = field(default_factory=dict)
    written: list[int] = field(default_factory=list)
    """The messages and system blocks that were written for an epoch, since the last record of another kind."""
    delegated: set[str] = field(default_factory=set)
    """The calls of which a sub-agent's end was told: what goes on where it was cut off begins again."""
    _models: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    _messages: dict[int, Mapping[str, Json]] = field(default_factory=dict)
    _prefixes: dict[int, FrozenPrefix] = field(default_factory=dict)
    _groups: dict[tuple[str, int], dict[int, dict[tuple[int, ...], Record]]] = field(default_factory=dict)
    """Renderings by profile and first message, by how many messages, by all messages."""
    _sent: dict[str, tuple[Sent, int]] = field(default_factory=dict)
    history: History = field(init=False)

    def __post_init__(self) -> None:
        self.history = History(self.blobs, lambda seq: self._messages[seq])

    @property
    def same_version(self) -> bool:
        """Whether this program wrote the last records."""
        return self.version == __version__

    def apply(self, record: Record) -> None:
        """Take one record in.

        Raises:
            JournalError: what it names is lost.
        """
        data = record.data
        self._write(record)
        self.history.apply(record)
        self.efforts.apply(record)
        self.totals.apply(record)
        self.undigested = self.undigested or (record.kind in _FROZEN and "digests" not in data)
        self._by(record)
        match record.kind:
            case "session":
                self.about = data
            case "prefix":
                self._prefixes[record.seq] = self.prefix = read_prefix(data, self.blobs)
            case "refrozen":
                self._prefixes[record.seq] = read_prefix(data, self.blobs)
            case "wire_prefix":
                self.wire_prefixes[data["profile"]] = read_prefix(data, self.blobs)
            case "epoch":
                self._begin(data)
            case "forked" | "born" | "subagent":
                self.kin = True
                self.began_it = str(data["call_id"]) if data.get("context") == "fork" and "caller" in data else ""
                self.born_in = len(self.epochs) if record.kind == "born" else self.born_in
                self.delegated |= {data["call_id"]} if record.kind == "subagent" else set()
            case "model":
                self._models[data["model"]] = data
            case "rendering":
                seqs = _seqs(data)
                self._groups.setdefault((data["profile"], seqs[0]), {}).setdefault(len(seqs), {})[seqs] = record
            case "request":
                self.requests[record.seq] = data
                self.tells_all = self.tells_all or "left_behind" in data["expected"]
                self.last_request = data if data["kind"] == "mainline" else self.last_request
                self.kin = self.kin or "foreign" in data
            case "retry":
                self.attempts[data["request"]] = self.attempts.get(data["request"], 0) + 1
                self._billed(self.requests.get(data["request"]), data)
            case "response" | "failed":
                request = self.requests.pop(data["request"], None)
                self.attempts.pop(data["request"], None)
                self.ended = data["request"] if request and request["kind"] == "mainline" else 0
                self._billed(request, data)
            case "unsent":
                self.ended = 0
            case _:
                pass

    def _write(self, record: Record) -> None:
        """What its kind alone says of it and of those before it."""
        if record.kind in ("message", "kept"):
            self._messages[record.seq] = record.data
            self.began_it = ""
            self.ended = 0
        if record.kind in ("kept", "refrozen"):
            self.written.append(record.seq)
        else:
            self.written.clear()

    def _by(self, record: Record) -> None:
        if record.kind in ("session", "model"):
            self.version = str(record.data.get("version", ""))
            self.other = self.other if self.same_version else self.version

    def _begin(self, data: Mapping[str, Json]) -> None:
        self.epochs.append(data["reason"])
        self.parent = data.get("parent", "")
        self.kin = self.kin or "parent" in data
        if "prefix" in data:
            self.prefix = self._prefixes[data["prefix"]]
            self.wire_prefixes.clear()
        if "prefix" in data or "messages" in data:
            self.projections.clear()

    def _billed(self, request: Mapping[str, Json] | None, bill: Mapping[str, Json]) -> None:
        if request is None or not is_bill(bill):
            return  # its line is damaged, or nothing of it began
        apply_bill(self.ledger, request, bill)
        if request["kind"] == "mainline" and "cached" not in bill:
            usage = read_usage(bill["usage"]) if "usage" in bill else None
            cached = usage is None or bool(usage.read or usage.written or was_cached(request, usage))
            told = (bill["request"], bill.get("message_id", ""))
            sent = Sent(request["blocks"], request["head"], cached, request["messages"], *told)
            self._sent[request["line"]] = (sent, request["epoch"])

    # ------------------------------------------------------------------------------------------- asked for

    def asked(self, name: str) -> Asked:
        """A model as the journal knows it; what an older journal does not say, as this program does."""
        model, cache = self.catalog.find(name), self.about["cache"]
        facts = self._models.get(name)
        if facts is None:
            return Asked(model, connect.ttl_for(model, cache["ttl"]), cache["enabled"])
        changed: dict[str, Any] = {key: facts[key] for key in ("provider", "name", "wire", "thinking", "images")}
        changed["efforts"] = None if facts["efforts"] is None else tuple(facts["efforts"])
        changed["rules"] = CacheRules(**facts["rules"] | {"ttls": tuple(facts["rules"]["ttls"])})
        changed["caching"] = replace(model.caching, lookback=facts["lookback"])
        if "price" in facts:
            changed |= {name: _price(facts[name]) for name in ("price", "long")} | {"long_above": facts["long_above"]}
        if facts["profile"]:
            changed["profile"] = Profile(base_url=None, key_env="", key_optional=True, **facts["profile"])
        model = replace(model, **changed)
        return Asked(model, connect.ttl_for(model, cache["ttl"]), facts["cache"])

    def facts(self, name: str) -> Mapping[str, Json] | None:
        """What the journal says of a model; None where it is an older one."""
        return self._models.get(name)

    def line(self, asked: Asked, base_url: str) -> Line:
        """The line that the next request to a model belongs to."""
        effort = self.efforts.of_line(asked.model.id)
        settings = connect.settings(asked.model, effort, self.about.get("cache_key", ""), asked.ttl)
        return Line(asked.model.wire, base_url, asked.model.name, settings)

    def message(self, seq: int) -> Mapping[str, Json] | None:
        """The data of a message or `kept` record; None where it is lost."""
        return self._messages.get(seq)

    def group(self, profile: str, batch: Sequence[int], start: int) -> Record | None:
        """The journaled rendering of the longest group that stands at a place of a batch."""
        groups = self._groups.get((profile, batch[start]), {})
        for length in sorted(groups, reverse=True):
            if (record := groups[length].get(tuple(batch[start : start + length]))) is not None:
                return record
        return None

    def tells(self, record: Record) -> bool:
        """Whether what a `model`, `wire_prefix`, `setting` or `rendering` record says is known, and not said again."""
        match record.kind, record.data:
            case "model", data:
                return self._models.get(data["model"]) == data
            case "wire_prefix", data:
                return data["profile"] in self.wire_prefixes
            case "setting", data:
                # another version told a wish again
                return self.same_version and self.efforts.wanted == data["effort"]
            case _, data:
                seqs = _seqs(data)
                return seqs in self._groups.get((data["profile"], seqs[0]), {}).get(len(seqs), {})

    def fragments(self, kept: Sequence[Json]) -> tuple[Fragment, ...]:
        """The fragments of one message of a rendering. Raises JournalError."""
        return tuple(Fragment(fetch(text, self.blobs).encode("utf-8"), at) for text, at in kept)

    def alive(self, request: Mapping[str, Json]) -> Look:
        """The entries that can be read by a request that starts when it did, those it read of other sessions too."""
        return self.looks(request["line"], request["started"], request)[0]

    def looks(self, line: str, now: float, rests_on: Mapping[str, Json]) -> tuple[Look, Look]:
        """The entries of a line that can be read at a time, and those that are known.

        rests_on: the record that tells which of other sessions an attempt found.
        """
        foreign = {one["digest"]: LedgerEntry(**one) for one in rests_on.get("foreign", ())}

        def known(digest: str) -> LedgerEntry | None:
            return foreign.get(digest) or self.ledger.known(line, digest)

        def alive(digest: str) -> LedgerEntry | None:
            entry = known(digest)
            return entry if entry is not None and entry.alive(now) else None

        return alive, known

    def declared(self, line: str) -> tuple[Sent | None, str]:
        """The line's last mainline request, and the reason of an epoch that began since (or "")."""
        sent, epoch = self._sent.get(line, (None, 0))
        since = self.epochs[epoch + 1 :] if sent else self.epochs[1:]
        return sent, since[-1] if since else ""


def _seqs(rendering: Mapping[str, Json]) -> tuple[int, ...]:
    """The messages of a `rendering` record."""
    return tuple(seq for seq, _ in rendering["messages"])


def _price(data: Mapping[str, Json] | None) -> Price | None:
    if data is None:
        return None
    rates = [data[name] for name in ("input", "output", "read")] + [price for _, price in data["writes"]]
    if not all(isinstance(rate, int | float) for rate in rates):
        raise TypeError("a price is no number")  # a text times a number is a long text
    return Price(**dict(data) | {"writes": tuple((ttl, price) for ttl, price in data["writes"])})
