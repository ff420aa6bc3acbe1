"""A provider whose complete responses are cached, and served where the same request is made once more.

Invariant: the same contract as the provider within. On a hit nothing is sent, and the cached stream goes through that
wire's own decoder, so that events, calls and thinking come as they came. Only an answer that came whole and ended well
is kept: never a refusal, an error, one that was cut short or is empty, or one with a part that could not be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from harness.caches.response_key import Components, components
from harness.caches.responses import COMPLETE, CachedResponse, Responses
from harness.conversation.blocks import Message, Tag, Text, ToolCall
from harness.conversation.canonical import digest
from harness.conversation.request import Fragment, FrozenPrefix, Request
from harness.errors import ProviderError
from harness.providers.base import (
    NOBODY,
    Began,
    BlockBroken,
    BlockDone,
    Finished,
    FromCache,
    NotFromCache,
    Origin,
    Part,
    Provider,
    Recorder,
)
from harness.seam import Seam

_REMEMBERED = 64
"""Bodies whose requests are remembered: one may wait to be sent again, while sub-agents at once send many."""


@dataclass(frozen=True, slots=True)
class ResponseCache:
    """The response cache of one run. scope: as set. fresh: serve nothing, and keep what is said now."""

    responses: Responses
    seam: Seam
    scope: str
    fresh: bool = False


@dataclass(slots=True)
class _Answer:
    """What came of an answer so far."""

    chunks: list[tuple[int, bytes]] = field(default_factory=list)
    request_id: str = ""
    finished: Finished | None = None
    broken: bool = False
    text: bool = False
    calls: bool = False

    def take(self, part: Part) -> None:
        match part:
            case Began():
                self.request_id = part.request_id
            case BlockBroken():
                self.broken = True
            case BlockDone(ToolCall(invalid=problem)):
                self.calls = True
                self.broken |= bool(problem)
            case BlockDone(Text(text)):
                self.text |= bool(text.strip())
            case Finished():
                self.finished = part
            case _:
                pass

    @property
    def problem(self) -> str:
        """Why it is not kept: whatever fails a turn must not fail the next try, too; "" where it came well."""
        stop = self.finished.stop if self.finished else "nothing"
        if stop not in COMPLETE:
            return f"it ended with {stop}"
        if self.broken:
            return "a part of it could not be read"
        if (stop == "tool_use") != self.calls:
            return "it ended with a call" if self.calls else "it stopped for a call and made none"
        return "" if self.calls or self.text else "it is empty"


class CachedProvider:
    """See the module.

    Args:
        model: "provider/name", for who lists what is cached.
        left_out: fields of a body, and headers, that only steer the vendor's cache.
    """

    def __init__(self, inner: Provider, cache: ResponseCache, model: str, left_out: frozenset[str]) -> None:
        self._inner = inner
        self._cache = cache
        self._model = model
        self._left_out = left_out
        self._made: dict[str, Components] = {}
        self._told: set[str] = set()
        """Messages whose texts are kept with an earlier response, by digest."""
        self.base_url = inner.base_url

    def prefix(self, frozen: FrozenPrefix) -> FrozenPrefix:
        """See `Provider`."""
        return self._inner.prefix(frozen)

    def render(self, batch: Sequence[Message], after: Tag | None) -> Sequence[tuple[Fragment, ...]]:
        """See `Provider`."""
        return self._inner.render(batch, after)

    def envelope(self, role: str, blocks: tuple[bytes, ...]) -> bytes:
        """See `Provider`."""
        return self._inner.envelope(role, blocks)

    def body(self, request: Request) -> bytes:
        """See `Provider`; what the request depends on is remembered until the body is sent."""
        body = self._inner.body(request)
        self._made[digest(body)] = components(request, body, self._inner, self._left_out, self._told)
        while len(self._made) > _REMEMBERED:
            del self._made[next(iter(self._made))]
        return body

    def identity(self, body: bytes) -> Mapping[str, str]:
        """See `Provider`."""
        return self._inner.identity(body)

    def replay(self, chunks: Sequence[bytes], request_id: str, record: Recorder) -> AsyncGenerator[Part]:
        """See `Provider`."""
        return self._inner.replay(chunks, request_id, record)

    async def close(self) -> None:
        """See `Provider`."""
        await self._inner.close()

    async def stream(self, body: bytes, record: Recorder, origin: Origin = NOBODY) -> AsyncGenerator[Part]:
        """See `Provider`. The first part of a cached response is `FromCache`, the last of any other `NotFromCache`."""
        parts = self._made.get(digest(body))
        if parts is None:
            # not made here, or long ago: nothing is known of it
            async with aclosing(self._inner.stream(body, record, origin)) as answer:
                async for part in answer:
                    yield part
            return
        found: CachedResponse | str | None = "a fresh answer was asked for"
        if not self._cache.fresh:
            found = await asyncio.to_thread(self._cache.responses.find, parts)
        if isinstance(found, CachedResponse):
            found = await self._problem(found) or found
        if isinstance(found, CachedResponse):
            self._told.update(found.texts)
            made = self._served(found, record)
        else:
            made = self._live(body, record, origin, parts, found)
        async with aclosing(made) as answer:
            async for part in answer:
                yield part

    async def _problem(self, entry: CachedResponse) -> str:
        """Why a cached stream cannot be served; "" where it can: all of it is decoded before any of it is shown."""
        answer = _Answer()
        try:
            async for part in self._replayed(entry, lambda _: None):
                answer.take(part)
        except ProviderError as error:
            return f"the entry {entry.key[:12]} is damaged: {error}"
        return f"the entry {entry.key[:12]} is no complete answer: {answer.problem}" if answer.problem else ""

    def _replayed(self, entry: CachedResponse, record: Recorder) -> AsyncGenerator[Part]:
        return self._inner.replay([chunk for _, chunk in entry.chunks], entry.request_id, record)

    async def _served(self, entry: CachedResponse, record: Recorder) -> AsyncGenerator[Part]:
        yield FromCache(entry.key, self._cache.scope, entry.session, entry.request, entry.at, entry.usage)
        async with aclosing(self._replayed(entry, record)) as answer:
            async for part in answer:
                yield part

    async def _live(
        self, body: bytes, record: Recorder, origin: Origin, parts: Components, cause: str | None
    ) -> AsyncGenerator[Part]:
        """The vendor's answer, kept. cause: why nothing is served; None where nothing is there."""
        answer, seam = _Answer(), self._cache.seam
        looking = None
        if cause is None:
            # while the vendor answers: nobody waits for it
            looking = asyncio.create_task(asyncio.to_thread(self._cache.responses.nearest, parts))
        begun, at = seam.monotonic(), seam.now()

        def both(chunk: bytes) -> None:
            answer.chunks.append((round((seam.monotonic() - begun) * 1000), chunk))
            record(chunk)

        try:
            async with aclosing(self._inner.stream(body, both, origin)) as live:
                async for part in live:
                    answer.take(part)
                    yield part
            # before it is kept: the nearest is another
            said = await looking if looking is not None else cause or ""
        finally:
            if looking is not None:
                looking.cancel()
        unkept = await self._keep(answer, parts, at, origin)
        yield NotFromCache(parts.key, self._cache.scope, said, unkept)

    async def _keep(self, answer: _Answer, parts: Components, at: float, origin: Origin) -> str:
        """Keep an answer; why it was not, or ""."""
        finished = answer.finished
        if finished is None or answer.problem:
            return answer.problem
        session, request = origin
        entry = CachedResponse(
            key=parts.key,
            parts=parts,
            chunks=tuple(answer.chunks),
            usage=finished.usage,
            stop=finished.stop,
            request_id=answer.request_id,
            model=self._model,
            session=session,
            request=request,
            at=at,
        )
        # where it cannot, the answer is whole all the same: said with it, not instead of it
        unkept = await asyncio.to_thread(self._cache.responses.keep, entry)
        if not unkept:
            self._told.update(parts.texts)
        return unkept
