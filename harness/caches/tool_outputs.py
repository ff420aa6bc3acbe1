"""Cached tool outputs: what read-only tools gave is served again while it holds, and said to be so.

Invariant: only what a read-only tool asks for comes through here, never a command. What is served was kept under its
exact key, says its age and where it came from, and becomes part of a conversation at birth, as any result does: nothing
that was sent changes. A cache that cannot be read or written costs time, not the call.

What files hold is known by their state (`file_state`), which is part of the key: whatever writes to a file, be it this
program, a command or somebody else, gives it another time of change, and with it another key. An answer that came
within two seconds of a change is not kept, for a second change within one tick of the file system's clock would leave
the same state. So what `drop` removes when the program itself writes could never be served again; it frees the room.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from harness.caches.entry import opened, sealed
from harness.caches.file_state import SETTLED, name_of
from harness.caches.store import DAY, About, Bounds, Damaged, Store, spoken, too_old
from harness.config_values import CacheScope
from harness.conversation.canonical import Json, digest, encode
from harness.errors import StorageFull, WebFailed
from harness.seam import Seam

FORMAT = 2
"""Of entries."""

CALLER: ContextVar[tuple[str, str]] = ContextVar("caller", default=("", ""))
"""Whose call is being run, a sub-agent's too: id of the session, id of the call; the origin of what it keeps."""

TIERS: Mapping[str, float] = {"web_fetch": 3600.0, "web_search": 3600.0}
"""How long what a tool gave may be served, in seconds, where no setting says so."""

BOUNDS = Bounds(entry=8_000_000, total=200_000_000, count=20_000, unused=DAY)

FILE_TOOLS = ("read", "grep")
"""Those that look into files; cached only where a setting gives them a time."""

_COVERS = 16
"""Characters at the beginning of a key that are of the path whose content decides the answer."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What is asked: everything that decides the answer.

    version: of the tool's own making. identity: what identifies the content besides the arguments: the headers that are
    sent, the state of files. form: a value of the form that the tool can take. host: the place that is asked, for its
    tier. covers: the real path of what is looked at, as by `name_of`; changed: when that changed last. shown, hint: one
    line for people, and what the model is told besides the age.
    """

    tool: str
    version: int
    arguments: Mapping[str, Json]
    identity: Mapping[str, Json] = field(default_factory=dict)
    form: Json = None
    host: str = ""
    covers: str = ""
    changed: float = 0.0
    shown: str = ""
    hint: str = "fresh: true asks again"

    @property
    def key(self) -> str:
        """SHA-256 of all that decides; of what covers a path, its beginning is that path's."""
        parts = {
            "tool": self.tool,
            "version": self.version,
            "arguments": dict(self.arguments),
            "identity": dict(self.identity),
        }
        key = digest(encode(parts))
        return _prefix(self.covers) + key[_COVERS:] if self.covers else key


@dataclass(frozen=True, slots=True)
class Loaded:
    """A new answer. unkept: why it may not be served again, or ""."""

    value: Json
    unkept: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """What the tool gets. note: one line for the model where it is not new, else "". facts: for the journal."""

    value: Json
    note: str = ""
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CachedOutput:
    """An entry. at: when it was asked, seconds since the epoch. session, call: for whom."""

    key: str
    tool: str
    shown: str
    at: float
    session: str
    call: str
    value: Json


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be served.

    tiers: seconds by "tool" or "tool:host", 0 for never. stale: seconds that an answer may be old when a new one
    cannot be had. fresh: the person wants everything anew in this run.
    """

    tiers: Mapping[str, float] = field(default_factory=dict)
    scope: CacheScope = "user"
    stale: float = DAY
    fresh: bool = False

    def ttl(self, tool: str, host: str = "", *, covers: bool = False) -> float:
        """For how many seconds an answer may be served. covers: it is of files."""
        # a folder that others read is no place for what is in files that they may not
        if self.scope == "off" or (covers and self.scope == "global"):
            return 0.0
        tiers = {**TIERS, **self.tiers}
        return tiers.get(f"{tool}:{host}", tiers.get(tool, 0.0))

    @property
    def longest(self) -> float:
        """Seconds after which nothing can be served any more."""
        return max(self.stale, *TIERS.values(), *self.tiers.values())


class ToolOutputs:
    """The cache of one run. store: asked for when it is first needed: a session's own begins with the session."""

    def __init__(self, policy: Policy, store: Callable[[], Store], seam: Seam) -> None:
        self._policy = policy
        self._store = store
        self._seam = seam

    def keeps_files(self, tool: str) -> bool:
        """Whether what this tool finds in files is cached: only then is their state of interest."""
        return self._policy.ttl(tool, covers=True) > 0

    async def through(self, lookup: Lookup, load: Callable[[], Awaitable[Loaded]], *, fresh: bool = False) -> Served:
        """The answer: cached, or asked for and kept, or the last good one where none can be had.

        Raises:
            WebFailed: there is no answer, and none that may stand in.
        """
        ttl = self._policy.ttl(lookup.tool, lookup.host, covers=bool(lookup.covers))
        if ttl <= 0:
            return Served((await load()).value)
        asked = self._seam.now()
        found = await asyncio.to_thread(self._find, lookup, max(ttl, self._policy.stale))
        age = asked - found.at if isinstance(found, CachedOutput) else 0.0
        cause = "a fresh answer was asked for" if fresh or self._policy.fresh else _unserved(found, asked, ttl)
        if isinstance(found, CachedOutput) and not cause:
            note = f"from the cache: {spoken(age)} old; {lookup.hint}"
            return self._served(lookup, found, age, "hit", note)
        try:
            loaded = await load()
        except WebFailed as failure:
            stands_in = failure.temporary and not self._policy.fresh and age <= self._policy.stale
            if not isinstance(found, CachedOutput) or not stands_in:
                if not failure.temporary:
                    await asyncio.to_thread(self._forget, lookup)
                raise
            note = f"from the cache: {spoken(age)} old, because it cannot be had anew: {failure}"
            return self._served(lookup, found, age, "stale", note, str(failure))
        unkept = loaded.unkept
        if not unkept and asked - lookup.changed < SETTLED:
            unkept = "it had changed a moment before"
        if not unkept:
            session, call = CALLER.get()
            entry = CachedOutput(lookup.key, lookup.tool, lookup.shown[:300], asked, session, call, loaded.value)
            unkept = await asyncio.to_thread(self._keep, entry)
        if unkept:
            await asyncio.to_thread(self._forget, lookup)
        return Served(loaded.value, facts=self._facts(lookup, "unkept" if unkept else "stored", cause, unkept))

    def drop(self, paths: Iterable[Path]) -> None:
        """These paths were written: nothing that was found in them, or in folders above, holds any more.

        Blocks. What cannot be removed is never served either; see the module.
        """
        if not any(map(self.keeps_files, FILE_TOOLS)):
            return
        written = (Path(os.path.realpath(path)) for path in paths)
        covered = {name_of(place) for path in written for place in (path, *path.parents)}
        for place in covered:
            self._clear(_prefix(place))

    def _forget(self, lookup: Lookup) -> None:
        """What was kept of it earlier is not the last answer any more, and nothing is kept in its place."""
        self._clear(lookup.key)

    def _clear(self, prefix: str) -> None:
        with suppress(StorageFull):  # of files it is never served; of a page it goes on telling its age
            self._store().clear(prefix)

    def _find(self, lookup: Lookup, lives: float) -> CachedOutput | str:
        """The entry, or why there is none."""
        key = lookup.key
        try:
            store = self._store()
            found = _read(key, store.get(key))
        except FileNotFoundError:
            return "nothing is cached of it" + (" as it is now" if lookup.covers else "")
        except Damaged as problem:
            return f"the entry {key[:12]} is damaged: {problem}"
        except OSError as error:
            return f"the entry {key[:12]} cannot be read: {error.strerror}"
        except StorageFull as error:
            return str(error)
        if not _alike(found.value, lookup.form):
            return f"the entry {key[:12]} is damaged: its value has another form"
        if cause := _unserved(found, self._seam.now(), lives):
            return cause
        store.used(key)
        return found

    def _keep(self, entry: CachedOutput) -> str:
        try:
            return self._store().put(entry.key, sealed(FORMAT, asdict(entry)))
        except StorageFull as error:
            return str(error)

    def _served(self, lookup: Lookup, found: CachedOutput, age: float, how: str, note: str, cause: str = "") -> Served:
        origin = {"session": found.session, "call": found.call, "at": found.at}
        return Served(found.value, note, self._facts(lookup, how, cause, age=round(age, 3), origin=origin))

    def _facts(self, lookup: Lookup, how: str, cause: str = "", problem: str = "", **more: Json) -> dict[str, Json]:
        said = {
            "how": how,
            "tool": lookup.tool,
            "key": lookup.key,
            "scope": self._policy.scope,
            "shown": lookup.shown[:300],
            **more,
        }
        return {"cache": said | {name: text for name, text in (("cause", cause), ("problem", problem)) if text}}


def about(key: str, raw: bytes) -> About:
    """What a person is told of an entry. Raises Damaged."""
    found = _read(key, raw)
    return About(f"{found.tool} {found.shown}", found.at, found.session, found.call)


_TYPES = {"key": str, "tool": str, "shown": str, "at": float, "session": str, "call": str}


def _read(key: str, raw: bytes) -> CachedOutput:
    """An entry of its bytes. Raises Damaged."""
    found = opened(FORMAT, raw)
    if set(found) != {one.name for one in fields(CachedOutput)} or found["key"] != key:
        raise Damaged("its content is not what its name says")
    if wrong := [name for name, kind in _TYPES.items() if type(found[name]) is not kind]:
        raise Damaged(f"{wrong[0]} is of another type")
    return CachedOutput(**found)


def _unserved(found: CachedOutput | str, now: float, lives: float) -> str:
    """Why what was found may not be served, or ""."""
    if isinstance(found, str):
        return found
    problem = too_old(found.at, now, lives)
    return f"the entry {found.key[:12]} {problem}" if problem else ""


def _alike(value: Json, form: Json) -> bool:
    """Whether a value is of a form: the same types; of lists, each element as the form's one."""
    if isinstance(form, dict):
        return isinstance(value, dict) and set(value) == set(form) and all(_alike(value[n], form[n]) for n in form)
    if isinstance(form, list):
        return isinstance(value, list) and all(_alike(one, form[0]) for one in value)
    return form is None or type(value) is type(form)


def _prefix(covers: str) -> str:
    return digest(covers.encode("utf-8"))[:_COVERS]
