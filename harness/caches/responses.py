"""Cached responses: what one holds, and how the one to a request is found, by key alone.

Invariant: an entry that does not match its own name and digest, that is no complete answer, or that is too old is none,
and it is said why; nothing in a file is ever executed or believed beyond its form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.caches.entry import opened, sealed
from harness.caches.response_key import FORMAT, Components, difference, likeness, read_components
from harness.caches.store import DAY, About, Bounds, Damaged, Store, too_old
from harness.conversation.blocks import Usage
from harness.conversation.canonical import Json
from harness.conversation.stored import read_usage, write_usage
from harness.seam import Seam

COMPLETE = frozenset({"end_turn", "tool_use", "stop_sequence"})
"""The stop reasons of an answer that is kept: it said all that it had to say."""

BOUNDS = Bounds(entry=64 * 1024 * 1024, total=1024 * 1024 * 1024, count=50_000, unused=30 * DAY)

LONGEST_TEXT = 64 * 1024
"""Characters from which a message is not kept to show later how another differs from it."""
COMPARED = 500
"""Entries, the last used first, among which the nearest to a miss is sought."""
COMPARED_BYTES = 16 * 1024 * 1024
"""How much of them is read for that: a turn waits until it is known."""


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """A complete answer.

    chunks: the raw stream: milliseconds from the request, bytes. session, request: whose it was: id, record number.
    at: seconds since the epoch. request_id: the vendor's. model: "provider/name".
    """

    key: str
    parts: Components
    chunks: tuple[tuple[int, bytes], ...]
    usage: Usage
    stop: str
    request_id: str
    model: str
    session: str
    request: int
    at: float

    @property
    def texts(self) -> Mapping[str, str]:
        """The messages that were new in its request, by digest."""
        return self.parts.texts


def _write(entry: CachedResponse) -> bytes:
    return sealed(
        FORMAT,
        {
            "at": entry.at,
            "chunks": [[at, chunk.decode("latin-1")] for at, chunk in entry.chunks],
            "components": entry.parts.to_json(),
            "model": entry.model,
            "request": entry.request,
            "request_id": entry.request_id,
            "session": entry.session,
            "stop": entry.stop,
            "texts": {name: text for name, text in entry.texts.items() if len(text) <= LONGEST_TEXT},
            "usage": write_usage(entry.usage),
        },
    )


def _read(key: str, raw: bytes) -> CachedResponse:
    """An entry of its bytes. Raises Damaged."""
    data = opened(FORMAT, raw)
    try:
        parts = read_components(data["components"], data["texts"])
        chunks = tuple((_whole(at), text.encode("latin-1")) for at, text in data["chunks"])
        usage = {name: _whole(count) for name, count in data["usage"].items()}
        stop, request_id, model, session = (str(data[name]) for name in ("stop", "request_id", "model", "session"))
        request, at = _whole(data["request"]), float(data["at"])
        entry = CachedResponse(key, parts, chunks, read_usage(usage), stop, request_id, model, session, request, at)
    except Damaged:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise Damaged(f"{type(error).__name__}: {str(error)[:80]}") from error
    if parts.key != key:
        raise Damaged("its content is not what its name says")
    if entry.stop not in COMPLETE:
        raise Damaged(f"its answer ended with {entry.stop!r:.40}")
    return entry


def _whole(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Damaged(f"{value!r:.20} is no count")
    return value


def about(key: str, raw: bytes) -> About:
    """What a person is told of an entry. Raises Damaged."""
    entry = _read(key, raw)
    what = f"{entry.model}, {len(entry.parts.messages)} messages, {entry.usage.output} tokens out"
    return About(what, entry.at, entry.session, str(entry.request))


class Responses:
    """The responses of one store.

    Args:
        lives: seconds for which one is served, counted from when the vendor gave it.
    """

    def __init__(self, store: Store, seam: Seam, lives: float) -> None:
        self.store = store
        self._seam = seam
        self._lives = lives
        self._known: dict[tuple[str, int], tuple[Components, str]] = {}

    def find(self, parts: Components) -> CachedResponse | str | None:
        """The response to a request; one line on why the one that is there is none; None where none is there.

        Blocks, for as long as one file takes, however many there are.
        """
        key = parts.key
        try:
            entry = _read(key, self.store.get(key))
        except FileNotFoundError:
            return None
        except Damaged as problem:
            return f"the entry {key[:12]} is damaged: {problem}"
        except OSError as error:
            return f"the entry {key[:12]} cannot be read: {error.strerror}"
        if cause := too_old(entry.at, self._seam.now(), self._lives):
            return f"the entry {key[:12]} {cause}"
        self.store.used(key)
        return entry

    def keep(self, entry: CachedResponse) -> str:
        """Keep a response in place of an older one; why it could not be kept, or "". Blocks."""
        return self.store.put(entry.key, _write(entry))

    def nearest(self, parts: Components) -> str:
        """How a request differs from the cached one that is most like it, one line. Blocks, the longer the more are."""
        texts, best, best_session, read = dict(parts.texts), None, "", 0
        for file in self.store.files()[:COMPARED]:
            name = (file.key, int(file.used))
            if name not in self._known:
                if read >= COMPARED_BYTES:
                    break
                read += file.size
                try:
                    entry = _read(file.key, self.store.get(file.key))
                except (Damaged, OSError):
                    continue  # `harness cache list` tells of it
                self._known[name] = (entry.parts, entry.session)
            other, session = self._known[name]
            texts.update(other.texts)
            if best is None or likeness(parts, other) > likeness(parts, best):
                best, best_session = other, session
        if best is None:
            return "nothing is cached yet"
        # the same, where another process kept it meanwhile
        differs = difference(parts, best, texts) or "it came only now"
        return f"{differs} (nearest: {best.key[:12]}, of session {best_session[:40]})"
