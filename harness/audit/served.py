"""What was served from a cache of our own instead of being asked for again, as journals tell it.

Invariant: a pure fold over the records of one journal; nothing is counted that the journal does not say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.conversation.canonical import Json
from harness.conversation.journal import Record
from harness.conversation.stored import read_usage


@dataclass(frozen=True, slots=True)
class Served:
    """One hit.

    session, record: where it was served: id, record number. cache: which. what: the model that would have been asked.
    source, source_record: the session and record whose answer it was. age: seconds it had been kept. tokens, usd: what
    it had been billed then; None: unknown.
    """

    at: float
    session: str
    record: int
    cache: str
    what: str
    key: str
    source: str
    source_record: int
    age: float
    tokens: int
    usd: float | None


@dataclass(slots=True)
class Tally:
    """Of one journal. missed: cause of each look that found nothing, in order. unreadable: records without sense."""

    session: str
    served: list[Served] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    unkept: int = 0
    unreadable: int = 0
    _models: dict[int, str] = field(default_factory=dict)

    def take(self, records: Iterable[Record]) -> Tally:
        """Take the records in; gives itself."""
        for record in records:
            try:
                self._take(record)
            except (KeyError, TypeError, ValueError, AttributeError):
                # told, never silent: the line of another program, or a damaged one
                self.unreadable += 1
        return self

    def _take(self, record: Record) -> None:
        data = record.data
        match record.kind:
            case "request":
                self._models[record.seq] = str(data["model"])
            case "response" if "cached" in data:
                self.served.append(self._answer(record, data["cached"]))
            case "response" if "uncached" in data:
                self.missed.append(str(data["uncached"]["cause"]))
                self.unkept += bool(data["uncached"]["unkept"])
            case _:
                pass

    def _answer(self, record: Record, kept: Mapping[str, Json]) -> Served:
        usage, request = read_usage(kept["usage"]), int(record.data["request"])
        return Served(
            at=record.at,
            session=self.session,
            record=request,
            cache="responses",
            what=self._models.get(request, "unknown"),
            key=str(kept["key"]),
            source=str(kept["session"]),
            source_record=int(kept["request"]),
            age=record.at - float(kept["at"]),
            tokens=usage.prompt + usage.output,
            usd=kept["cost"],
        )
