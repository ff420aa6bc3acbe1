"""The Anthropic wire: our bytes through the SDK's own `post`, its stream to our parts, its errors to ours.

Invariant: the SDK serialises nothing (its `create` would walk every message again) and retries nothing (its jitter can
shorten a wait, and it cannot know what was shown); auth, headers, proxies, TLS and connections are the SDK's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, cast

import anthropic
import httpx2
from anthropic import AsyncAnthropic, AsyncStream
from anthropic.lib.credentials import WorkloadIdentityError

from harness import errors
from harness.conversation.blocks import Message, Tag
from harness.conversation.request import Fragment, FrozenPrefix, Request
from harness.providers import anthropic_wire as wire
from harness.providers.base import Part, Recorder
from harness.seam import Seam

PINGS_FOR = 5
"""A stream that gives nothing but pings is given up after this many idle times."""

SHORTEST_KEY = 8
"""Characters from which a key is looked for in error texts; a shorter one is a placeholder and would be in any word."""


class Anthropic:
    """A provider for one Anthropic model.

    Args:
        idle: seconds without a byte after which the stream is given up.
    """

    def __init__(
        self, model: str, base_url: str | None, key: str, seam: Seam, idle: float, headers: Mapping[str, str]
    ) -> None:
        self._model = model
        self._seam = seam
        self._idle = idle
        self._key = key
        try:
            self._client = AsyncAnthropic(
                api_key=key,
                base_url=base_url,
                max_retries=0,
                timeout=httpx2.Timeout(None, connect=min(10.0, idle)),
                default_headers=dict(headers),
            )
        except httpx2.InvalidURL as error:
            raise errors.UsageError(f"the base URL {base_url} is none: {error}; check ANTHROPIC_BASE_URL") from error
        self.base_url = str(self._client.base_url)

    def prefix(self, frozen: FrozenPrefix) -> FrozenPrefix:
        """See `Provider`: this wire's form is the one that is frozen."""
        return frozen

    def render(self, batch: Sequence[Message], after: Tag | None) -> Sequence[tuple[Fragment, ...]]:
        """See `Provider`: this vendor takes neighbouring messages of one role."""
        del after
        return [wire.render(message, self._model) for message in batch]

    def envelope(self, role: str, blocks: tuple[bytes, ...]) -> bytes:
        """See `Provider`."""
        return wire.envelope(role, blocks)

    def body(self, request: Request) -> bytes:
        """See `Provider`."""
        return wire.body(request)

    async def close(self) -> None:
        """See `Provider`."""
        await self._client.close()

    async def stream(self, body: bytes, record: Recorder) -> AsyncIterator[Part]:
        """See `Provider`."""
        decoder = wire.Decoder(self._model)
        try:
            async with contextlib.aclosing(self._events(body, record)) as events:
                async for data, request_id in events:
                    for part in decoder.feed(data, request_id):
                        yield part
                    if decoder.finished:
                        return
            raise errors.StreamBroken("the vendor's stream ended before the answer did")
        except errors.ProviderError as error:
            # a gateway may quote the request; the key goes nowhere but to the wire
            if len(self._key) >= SHORTEST_KEY:
                error.args = (str(error).replace(self._key, "[key]"),)
            for left in decoder.broken():
                yield left
            raise

    async def _events(self, body: bytes, record: Recorder) -> AsyncGenerator[tuple[str, str]]:
        """Event data and request id, in order; every failure as ours."""
        try:
            async with asyncio.timeout(self._idle):
                stream = await self._client.post(
                    "/v1/messages",
                    cast_to=object,
                    content=body,
                    options={"headers": {"content-type": "application/json"}},
                    stream=True,
                    stream_cls=AsyncStream[object],
                )
        except (anthropic.AnthropicError, httpx2.HTTPError) as error:
            raise map_error(error, self._seam.now()) from error
        except TimeoutError as error:
            raise errors.StreamBroken(f"no answer within {self._idle:g} s") from error
        response = stream.response
        try:
            kind = response.headers.get("content-type", "")
            if "event-stream" not in kind:
                raise errors.NotAnApi(
                    f"{self.base_url} answered with {kind or 'no content type'}, not with an API stream; "
                    "check ANTHROPIC_BASE_URL"
                )
            async for data in self._data(response, record):
                yield data, response.headers.get("request-id", "")
        except httpx2.HTTPError as error:
            raise errors.StreamBroken(f"the connection broke: {type(error).__name__}") from error
        except UnicodeDecodeError as error:
            raise errors.StreamBroken("the vendor's stream is not UTF-8") from error
        finally:
            await response.aclose()

    async def _data(self, response: httpx2.Response, record: Recorder) -> AsyncIterator[str]:
        chunks = _Chunks(response, record, self._seam, self._idle)
        # the SDK's own line decoder, over chunks that are recorded and timed on their way
        events = AsyncStream.raw_events(cast("httpx2.Response", chunks))
        async for event in events:
            if event.event != "ping" and event.data:
                chunks.progress()
                yield event.data


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


def map_error(error: BaseException, now: float) -> errors.ProviderError:
    """Every failure of the SDK and of its transport as one of ours. `now`: for a `retry-after` that is a date."""
    match error:
        case anthropic.APIStatusError():
            return _status(error, now)
        case anthropic.APIConnectionError() | httpx2.HTTPError():
            return _connection(error)
        case anthropic.APIResponseValidationError() | anthropic.APIWebhookValidationError():
            return errors.NotAnApi("what answered is not the Anthropic API; check ANTHROPIC_BASE_URL")
        case anthropic.CredentialsError() | WorkloadIdentityError():
            return errors.AuthFailed(f"the SDK found no usable credentials: {error}")
        case anthropic.RetryableError():
            return errors.Overloaded(f"the SDK asks to try again: {error}")
        case _:
            return errors.BadRequest(f"the SDK failed: {type(error).__name__}: {error}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _connection(error: BaseException) -> errors.ProviderError:
    """A request that had no answer. The SDK says only "Connection error."; what happened is in the causes."""
    causes = list(_causes(error))
    for cause in causes:
        match cause:
            case ssl.SSLError():
                reason = getattr(cause, "reason", "") or cause
                return errors.TlsFailed(
                    f"the TLS certificate or connection was not accepted ({reason}); check "
                    "ANTHROPIC_BASE_URL, and set SSL_CERT_FILE to your CA bundle if a proxy signs connections"
                )
            case anthropic.APITimeoutError() | httpx2.TimeoutException():
                return errors.Unreachable("the vendor could not be reached in time; check the network or the proxy")
            case httpx2.TooManyRedirects() | httpx2.UnsupportedProtocol():
                return errors.NotAnApi(f"there is no API at that address ({cause}); check ANTHROPIC_BASE_URL")
            case httpx2.LocalProtocolError() | UnicodeError():
                # not its text: it quotes the header, which may be the key
                return errors.BadRequest(
                    f"the request cannot be sent ({type(cause).__name__}); check the key, the headers and the base URL"
                )
            case socket.gaierror():
                return errors.Unreachable(
                    "the vendor's host name was not found (DNS); check ANTHROPIC_BASE_URL or the network"
                )
            case ConnectionRefusedError():
                return errors.Unreachable(
                    "the connection was refused; check ANTHROPIC_BASE_URL, the network or the proxy"
                )
            case _:
                pass
    return errors.Unreachable(f"the connection failed: {type(causes[-1]).__name__}; check the network or the proxy")


def _status(error: anthropic.APIStatusError, now: float) -> errors.ProviderError:
    status, said = error.status_code, error.api_message or ""
    is_api = error.type is not None
    about: dict[str, Any] = {
        "status": status,
        "request_id": error.request_id,
        "retry_after": _retry_after(error.response.headers, now),
    }
    if not is_api and status < 500 and status not in (408, 409, 429):
        return errors.NotAnApi(
            f"{error.request.url.host} answered {status} with a page, not with an API error; check ANTHROPIC_BASE_URL",
            **about,
        )
    match status:
        case 401:
            return errors.AuthFailed(f"401: the API key was not accepted; check ANTHROPIC_API_KEY ({said})", **about)
        case 402:
            return errors.QuotaExhausted(f"402: billing: {said}; check your plan and credits", **about)
        case 403:
            return errors.Forbidden(f"403: this key may not do that: {said}; check its workspace and models", **about)
        case 404:
            return errors.UnknownModel(
                f"404: {said}; choose another with --model, or check ANTHROPIC_BASE_URL", **about
            )
        case 413:
            return errors.ContextOverflow("413: the request is larger than the vendor takes (32 MB)", **about)
        case 429 if "spend_limit" in (error.error_code or ""):
            return errors.QuotaExhausted(f"429: the spend limit is reached: {said}; raise it or wait", **about)
        case 429:
            return errors.RateLimited(f"429: rate limited: {said}", **about)
        case 408 | 409:
            return errors.Overloaded(f"{status}: {said or 'the vendor asks to send it again'}", **about)
        case _ if status >= 500:
            return errors.Overloaded(f"{status}: {said or 'the vendor has a problem'}; try again later", **about)
        case _ if "prompt is too long" in said or "context window" in said:
            return errors.ContextOverflow(f"the conversation no longer fits the model's window: {said}", **about)
        case _:
            return errors.BadRequest(f"{status}: the vendor refused the request: {said}", **about)


def _retry_after(headers: httpx2.Headers, now: float) -> float | None:
    """Seconds the vendor asks to wait: milliseconds, seconds or a date; None where absent or nonsense."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "")
        with contextlib.suppress(ValueError):
            if (seconds := float(text) * unit) >= 0:
                return seconds
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - now)
    return None
