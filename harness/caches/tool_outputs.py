"""What look-ups outside gave before: taken again while it is new enough, and said to be so.

Invariant: only what a read-only tool asks for comes through here, never a command. What is served was kept by its exact
key, says its age and where it came from, and becomes part of a conversation at birth, as any result does: nothing that
was sent changes. A cache that cannot be read or written costs time, not the call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.caches.entries import Entries, Entry
from harness.conversation.canonical import Json, digest, encode
from harness.errors import WebFailed
from harness.seam import Seam

Scope = Literal["run", "session", "user", "global"]

CALL: ContextVar[str] = ContextVar("call", default="")
"""The id of the call that is being run; for the origin of what it keeps."""

HOUR = 3600.0
DAY = 24 * HOUR

TIERS: Mapping[str, float] = {"web_fetch": HOUR, "web_search": HOUR}
"""How long what a tool gave may be served, in seconds, where no setting says so."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What is asked: everything that decides the answer.

    identity: what identifies the content besides the arguments, e.g. the headers that are sent. host: the place that is
    asked, for its tier. shown: one line for people. version: of the tool's own making.
    """

    tool: str
    version: int
    arguments: Mapping[str, Json]
    identity: Mapping[str, Json] = field(default_factory=dict)
    host: str = ""
    shown: str = ""

    @property
    def key(self) -> str:
        """SHA-256 of all of it but what is only shown."""
        parts = {
            "tool": self.tool,
            "version": self.version,
            "arguments": dict(self.arguments),
            "identity": dict(self.identity),
        }
        return digest(encode(parts))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A new answer. keep: it may be served again."""

    value: Json
    keep: bool = True


@dataclass(frozen=True, slots=True)
class Served:
    """What the tool gets. note: one line for the model where it is not new, else "". facts: for the journal."""

    value: Json
    note: str = ""
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be served.

    tiers: seconds by "tool" or "tool:host", 0 for never. stale: seconds that an answer may be old when a new one
    cannot be had. fresh: the person wants everything anew in this run.
    """

    tiers: Mapping[str, float] = field(default_factory=dict)
    scope: Scope = "user"
    stale: float = DAY
    fresh: bool = False

    def ttl(self, lookup: Lookup) -> float:
        """For how many seconds an answer to this may be served."""
        tiers = {**TIERS, **self.tiers}
        return tiers.get(f"{lookup.tool}:{lookup.host}", tiers.get(lookup.tool, 0.0))


class ToolOutputs:
    """The cache of one run.

    Args:
        folder: where entries are; None: in memory only. Asked at each call: a session's own begins with it.
        session: the id of the session that asks.
    """

    def __init__(
        self, policy: Policy, folder: Callable[[], Path | None], seam: Seam, session: Callable[[], str]
    ) -> None:
        self._policy = policy
        self._folder = folder
        self._seam = seam
        self._session = session
        self._memory: dict[str, Entry] = {}

    async def through(self, lookup: Lookup, load: Callable[[], Awaitable[Loaded]], *, fresh: bool = False) -> Served:
        """The answer: kept, or asked for and kept, or the last good one where none can be had.

        Raises:
            WebFailed: there is no answer, and none that may stand in.
        """
        ttl = self._policy.ttl(lookup)
        if ttl <= 0:
            return Served((await load()).value)
        entries = self._entries()
        kept = self._get(entries, lookup.key)
        age = max(0.0, self._seam.now() - kept.at) if kept else 0.0
        fresh = fresh or self._policy.fresh
        if kept is not None and not fresh and age < ttl:
            again = "; fresh: true asks again" if lookup.tool == "web_fetch" else ""
            return self._served(lookup, kept, age, "hit", f"from the cache: {spoken(age)} old{again}")
        try:
            loaded = await load()
        except WebFailed as failure:
            if kept is None or not failure.temporary or age >= max(ttl, self._policy.stale):
                raise
            note = f"from the cache: {spoken(age)} old, because it cannot be had anew: {failure}"
            return self._served(lookup, kept, age, "stale", note)
        if not loaded.keep:
            return Served(loaded.value)
        entry = Entry(
            lookup.key, lookup.tool, lookup.shown, self._seam.now(), ttl, self._session(), CALL.get(), loaded.value
        )
        return Served(loaded.value, facts=self._facts(lookup, "stored", problem=self._put(entries, entry)))

    def _entries(self) -> Entries | None:
        folder = self._folder()
        return Entries(folder) if folder is not None else None

    def _get(self, entries: Entries | None, key: str) -> Entry | None:
        return self._memory.get(key) if entries is None else entries.get(key)

    def _put(self, entries: Entries | None, entry: Entry) -> str:
        """Keeps it; why it could not be kept, or ""."""
        if entries is None:
            self._memory[entry.key] = entry
            return ""
        return entries.put(entry)

    def _served(self, lookup: Lookup, kept: Entry, age: float, how: str, note: str) -> Served:
        origin = {"session": kept.session, "call": kept.call, "at": kept.at}
        return Served(kept.value, note, self._facts(lookup, how, age=round(age, 3), origin=origin))

    def _facts(self, lookup: Lookup, how: str, *, problem: str = "", **more: Json) -> dict[str, Json]:
        said = {
            "how": how,
            "tool": lookup.tool,
            "key": lookup.key,
            "scope": self._policy.scope,
            "shown": lookup.shown[:300],
            **more,
        }
        return {"cache": {**said, "problem": problem} if problem else said}


def spoken(seconds: float) -> str:
    """An age in words: "40 s", "5 min", "3 h", "2 d"."""
    for unit, size in (("d", DAY), ("h", HOUR), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}" if seconds < 100 * size else f"{seconds // size:,.0f} {unit}"
    return f"{seconds:.0f} s"
