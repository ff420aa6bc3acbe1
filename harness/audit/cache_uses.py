"""Every use of a cache of our own: what was served instead of being asked for, and what was asked for and why.

Invariant: a pure fold over the records of one journal; nothing is told that the journal does not say, and nothing
twice: what a fork copied from its parent is the parent's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.conversation.canonical import Json
from harness.conversation.lines import Record
from harness.conversation.stored import read_usage

How = Literal["hit", "stale", "stored", "unkept"]
"""Served; served because a new one could not be had; asked for and kept; asked for and not kept."""

HOWS: tuple[How, ...] = ("hit", "stale", "stored", "unkept")


@dataclass(frozen=True, slots=True)
class CacheUse:
    """One use. The fields are those of docs/caches.md.

    at: seconds since the epoch. what: was asked, one line. session, call: who asked: id of the session; id of the call,
    or number of the request's record. age: seconds since it was kept, of what was served. origin_session, origin_call:
    whose it was. tokens, usd: what a served response was billed the first time; usd None: unknown, or nothing is billed
    for the like. cause: why nothing was served, or nothing new. problem: why it is not kept.
    """

    at: float
    cache: str
    what: str
    how: How
    key: str
    scope: str = ""
    session: str = ""
    call: str = ""
    age: float | None = None
    origin_session: str = ""
    origin_call: str = ""
    tokens: int | None = None
    usd: float | None = None
    cause: str = ""
    problem: str = ""


@dataclass(slots=True)
class CacheUses:
    """Of one journal. found: in order. unreadable: records without sense."""

    session: str
    found: list[CacheUse] = field(default_factory=list)
    unreadable: int = 0
    _models: dict[int, str] = field(default_factory=dict)

    def take(self, records: Iterable[Record]) -> CacheUses:
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
                self.found.append(self._served(record, data["cached"]))
            case "response" if "uncached" in data:
                self.found.append(self._asked(record, data["uncached"]))
            case "tool_done" if "cache" in (data.get("facts") or {}):
                self.found.append(self._of_tool(record, data["facts"]["cache"]))
            case "epoch" if data.get("reason") == "fork":
                self.found.clear()
            case _:
                pass

    def _served(self, record: Record, said: Mapping[str, Json]) -> CacheUse:
        usage, request = read_usage(said["usage"]), int(record.data["request"])
        return CacheUse(
            at=record.at,
            cache="responses",
            what=self._models.get(request, "unknown"),
            how="hit",
            key=str(said["key"]),
            scope=str(said["scope"]),
            session=self.session,
            call=str(request),
            age=record.at - float(said["at"]),
            origin_session=str(said["session"]),
            origin_call=str(said["request"]),
            tokens=usage.prompt + usage.output,
            usd=said["cost"],
        )

    def _asked(self, record: Record, said: Mapping[str, Json]) -> CacheUse:
        request = int(record.data["request"])
        return CacheUse(
            at=record.at,
            cache="responses",
            what=self._models.get(request, "unknown"),
            how="unkept" if said["unkept"] else "stored",
            key=str(said["key"]),
            scope=str(said["scope"]),
            session=self.session,
            call=str(request),
            cause=str(said["cause"]),
            problem=str(said["unkept"]),
        )

    def _of_tool(self, record: Record, said: Mapping[str, Json]) -> CacheUse:
        origin = said.get("origin") or {}
        return CacheUse(
            at=record.at,
            cache="tool_outputs",
            what=f"{said['tool']} {said['shown']}",
            how=next(how for how in HOWS if how == said["how"]),
            key=str(said["key"]),
            scope=str(said["scope"]),
            session=self.session,
            call=str(record.data["result"]["call_id"]),
            age=float(said["age"]) if "age" in said else None,
            origin_session=str(origin.get("session", "")),
            origin_call=str(origin.get("call", "")),
            cause=str(said.get("cause", "")),
            problem=str(said.get("problem", "")),
        )
