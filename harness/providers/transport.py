"""What all wires do alike between an SDK's `post` and their decoder: time, record, read, and say what went wrong.

Invariant: knows no SDK; what leaves it as a failure is a `ProviderError`, and no credential is in its text. A stream
that gives nothing, or nothing but pings, is given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import httpx2

from harness import errors
from harness.conversation.canonical import decode
from harness.providers.base import Decodes, Part, Recorder
from harness.providers.masking import Masks
from harness.providers.refusals import ended
from harness.seam import Seam

Client = TypeVar("Client")

PINGS_FOR = 5
"""A stream that gives nothing but pings is given up after this many idle times."""

LINGER = 0.25
"""Seconds for which the end of a stream is waited for once its answer is complete, so that its connection can be used
again: a stream that is closed before its last chunk takes its connection with it."""

LONGEST_ERROR = 1 << 16
"""Bytes of a body that may be an error's; a longer one is none."""


class Event(Protocol):
    """One server-sent event."""

    @property
    def event(self) -> str | None:
        """Its name."""

    @property
    def data(self) -> str:
        """Its data."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """What an SDK brings. raised: its base classes. map_error: any of them, and now, to ours. id_header: of a response.

    events: its own line decoder. variable: the one that holds the base URL, for what a person is told.
    """

    raised: tuple[type[BaseException], ...]
    map_error: Callable[[BaseException, float], errors.ProviderError]
    events: Callable[[httpx2.Response], AsyncIterator[Event]]
    id_header: str
    variable: str


class Transport:
    """Sends bodies to one address.

    Args:
        masks: what no error may tell.
        idle: seconds without a byte after which the stream is given up.
        post: sends a body; gives the response, its stream unread.
    """

    def __init__(
        self, sdk: Sdk, base_url: str, masks: Masks, seam: Seam, idle: float, post: Callable[[bytes], Awaitable[Any]]
    ) -> None:
        self._sdk = sdk
        self._failures: tuple[type[BaseException], ...] = (*sdk.raised, httpx2.HTTPError)
        self._base_url = base_url
        self._masks = masks
        self._seam = seam
        self._idle = idle
        self._post = post

    async def stream(self, body: bytes, record: Recorder, decoder: Decodes) -> AsyncGenerator[Part]:
        """See `Provider.stream`."""
        try:
            async with contextlib.aclosing(self._events(body, record)) as events:
                async for data, request_id in events:
                    for part in decoder.feed(data, request_id):
                        yield part
                    if decoder.finished:
                        await _rest(events)
                        return
            for part in decoder.close():
                yield part
            if decoder.finished:
                return
            raise errors.StreamBroken("the vendor's stream ended before the answer did")
        except errors.ProviderError as error:
            error.args = (self._masks.hide(str(error)),)
            for left in decoder.broken():
                yield left
            raise

    async def replay(
        self, chunks: Sequence[bytes], request_id: str, record: Recorder, decoder: Decodes
    ) -> AsyncGenerator[Part]:
        """See `Provider.replay`."""
        kept = _Kept(chunks, record)
        try:
            async with contextlib.aclosing(self._said(kept)) as events:
                async for data in events:
                    for part in decoder.feed(data, request_id):
                        yield part
            for part in decoder.close():
                yield part
        except UnicodeDecodeError as error:
            raise errors.StreamBroken("the kept stream is not UTF-8") from error
        if not decoder.finished:
            raise errors.StreamBroken("the kept stream ends before its answer does")

    async def _said(self, chunks: _Kept | _Chunks) -> AsyncGenerator[str]:
        """The data of each event that says something."""
        # the SDK's own line decoder, over chunks that are recorded and timed on their way
        async for event in self._sdk.events(cast("httpx2.Response", chunks)):
            if event.event != "ping" and event.data:
                chunks.progress()
                yield event.data

    async def _events(self, body: bytes, record: Recorder) -> Any:
        """Event data and request id, in order; every failure as ours."""
        try:
            async with asyncio.timeout(self._idle):
                response: httpx2.Response = await self._post(body)
        except self._failures as error:
            raise self._sdk.map_error(error, self._seam.now()) from error
        except TimeoutError as error:
            raise errors.StreamBroken(f"no answer within {self._idle:g} s") from error
        try:
            kind = response.headers.get("content-type", "")
            if "event-stream" not in kind:
                raise await self._no_stream(response, kind)
            chunks = _Chunks(response, record, self._seam, self._idle)
            async with contextlib.aclosing(self._said(chunks)) as said:
                async for data in said:
                    yield data, response.headers.get(self._sdk.id_header, "")
        except httpx2.HTTPError as error:
            raise errors.StreamBroken(f"the connection broke: {type(error).__name__}") from error
        except UnicodeDecodeError as error:
            raise errors.StreamBroken("the vendor's stream is not UTF-8") from error
        finally:
            await response.aclose()

    async def _no_stream(self, response: httpx2.Response, kind: str) -> errors.ProviderError:
        """What a 200 says that is no stream: some servers answer with an error's body, and with no status for it."""
        begin = b""
        if "json" in kind:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._idle):
                    async for piece in response.aiter_bytes():
                        begin += piece
                        if len(begin) > LONGEST_ERROR:
                            break
        with contextlib.suppress(ValueError, RecursionError):
            body = decode(begin.decode("utf-8"))
            first = body[0] if isinstance(body, list) and body else body  # Gemini
            if isinstance(first, dict) and first.get("error"):
                return ended(first)
        return errors.NotAnApi(
            f"{self._base_url} answered with {kind or 'no content type'}, not with an API stream; "
            f"check {self._sdk.variable}"
        )


async def _rest(events: AsyncIterator[object]) -> None:
    """Read a stream to its end. The answer is complete: whatever goes wrong now costs its connection only."""
    with contextlib.suppress(errors.ProviderError, TimeoutError):
        async with asyncio.timeout(LINGER):
            async for _ in events:
                pass


class _Kept:
    """Chunks that came once, given again in their order."""

    def __init__(self, chunks: Sequence[bytes], record: Recorder) -> None:
        self._chunks = chunks
        self._record = record

    def progress(self) -> None:
        """Nothing is waited for."""

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            self._record(chunk)
            yield chunk


class _Chunks:
    """A response's chunks, recorded, each within the idle time; pings and comments alone count as idle in the end."""

    def __init__(self, response: httpx2.Response, record: Recorder, seam: Seam, idle: float) -> None:
        self._response = response
        self._record = record
        self._seam = seam
        self._idle = idle
        self.progress()

    def progress(self) -> None:
        """An event came that says something."""
        self._last = self._seam.monotonic()

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        chunks = self._response.aiter_bytes()
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    chunk = await anext(chunks, None)
            except TimeoutError as error:
                raise errors.StreamBroken(f"the vendor's stream stalled for {self._idle:g} s") from error
            if chunk is None:
                return
            if self._seam.monotonic() - self._last > PINGS_FOR * self._idle:
                raise errors.StreamBroken("the vendor sent nothing but pings")
            self._record(chunk)
            yield chunk


def client_for(make: Callable[[], Client], base_url: str | None, variable: str) -> Client:
    """An SDK's client. Raises UsageError where the base URL is none."""
    try:
        return make()
    except httpx2.InvalidURL as error:
        raise errors.UsageError(f"the base URL {base_url} is none: {error}; check {variable}") from error


def timeouts(idle: float) -> httpx2.Timeout:
    """The SDK's: for connecting only, because a stream is timed here, byte by byte."""
    return httpx2.Timeout(None, connect=min(10.0, idle))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def connection(error: BaseException, variable: str, timeout: type[BaseException]) -> errors.ProviderError:
    """A request that had no answer. An SDK says only "Connection error."; what happened is in the causes.

    Args:
        variable: that holds the base URL.
        timeout: the SDK's own class for it.
    """
    causes = list(_causes(error))
    for cause in causes:
        match cause:
            case ssl.SSLError():
                reason = getattr(cause, "reason", "") or cause
                return errors.TlsFailed(
                    f"the TLS certificate or connection was not accepted ({reason}); check "
                    f"{variable}, and set SSL_CERT_FILE to your CA bundle if a proxy signs connections"
                )
            case httpx2.TimeoutException():
                return errors.Unreachable("the vendor could not be reached in time; check the network or the proxy")
            case httpx2.TooManyRedirects() | httpx2.UnsupportedProtocol():
                return errors.NotAnApi(f"there is no API at that address ({cause}); check {variable}")
            case httpx2.LocalProtocolError() | UnicodeError():
                # not its text: it quotes the header, which may be the key
                return errors.BadRequest(
                    f"the request cannot be sent ({type(cause).__name__}); check the key, the headers and the base URL"
                )
            case socket.gaierror():
                return errors.Unreachable(
                    f"the vendor's host name was not found (DNS); check {variable} or the network"
                )
            case ConnectionRefusedError():
                return errors.Unreachable(f"the connection was refused; check {variable}, the network or the proxy")
            case _ if isinstance(cause, timeout):
                return errors.Unreachable("the vendor could not be reached in time; check the network or the proxy")
            case _:
                pass
    return errors.Unreachable(f"the connection failed: {type(causes[-1]).__name__}; check the network or the proxy")
