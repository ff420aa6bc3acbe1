"""The OpenAI Responses wire: our bytes through the SDK's own `post`, its stream to our parts, its errors to ours.

Invariant: the SDK serialises nothing and retries nothing; auth, headers, proxies, TLS and connections are the SDK's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream
from openai._exceptions import SubjectTokenProviderError
from openai._streaming import SSEDecoder

from harness import errors
from harness.conversation.blocks import Message, Tag
from harness.conversation.request import Fragment, FrozenPrefix, Request
from harness.providers import adapter
from harness.providers import openai_responses_wire as wire
from harness.providers.base import NOBODY, Origin, Part, Recorder
from harness.providers.splice import joined
from harness.providers.transport import (
    Event,
    Refusal,
    Sdk,
    Transport,
    client_for,
    connection,
    refusal,
    said_of,
    timeouts,
)
from harness.seam import Seam

URL, KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"
BETAS = "openai-beta"


class OpenAIResponses:
    """A provider for one OpenAI model.

    Args:
        idle: seconds without a byte after which the stream is given up.
    """

    def __init__(
        self, model: str, base_url: str | None, key: str, seam: Seam, idle: float, headers: Mapping[str, str]
    ) -> None:
        self._model = model
        self._client = client_for(
            lambda: AsyncOpenAI(
                api_key=key, base_url=base_url, max_retries=0, timeout=timeouts(idle), default_headers=dict(headers)
            ),
            base_url,
            URL,
        )
        self.base_url = str(self._client.base_url)
        sdk = Sdk((openai.OpenAIError,), map_error, _events, "x-request-id", URL)
        self._transport = Transport(sdk, self.base_url, key, seam, idle, self._post)

    def prefix(self, frozen: FrozenPrefix) -> FrozenPrefix:
        """See `Provider`."""
        return wire.prefix(frozen)

    def render(self, batch: Sequence[Message], after: Tag | None) -> Sequence[tuple[Fragment, ...]]:
        """See `Provider`: this vendor takes neighbouring messages of one role."""
        del after
        return [wire.render(message, self._model) for message in batch]

    def envelope(self, role: str, blocks: tuple[bytes, ...]) -> bytes:
        """See `Provider`."""
        return joined(role, blocks)

    def body(self, request: Request) -> bytes:
        """See `Provider`."""
        return wire.body(request)

    async def close(self) -> None:
        """See `Provider`."""
        await self._client.close()

    def identity(self, body: bytes) -> Mapping[str, str]:
        """See `Provider`: the same for every body."""
        del body
        return {
            "adapter": f"openai-responses {adapter.version()}",
            "betas": str(self._client.default_headers.get(BETAS) or ""),
        }

    def replay(self, chunks: Sequence[bytes], request_id: str, record: Recorder) -> AsyncGenerator[Part]:
        """See `Provider`."""
        return self._transport.replay(chunks, request_id, record, wire.Decoder(self._model))

    def stream(self, body: bytes, record: Recorder, origin: Origin = NOBODY) -> AsyncGenerator[Part]:
        """See `Provider`."""
        del origin
        return self._transport.stream(body, record, wire.Decoder(self._model))

    async def _post(self, body: bytes) -> httpx2.Response:
        stream = await self._client.post(
            "/responses",
            cast_to=object,
            content=body,
            options={"headers": {"content-type": "application/json"}},
            stream=True,
            stream_cls=AsyncStream[object],
        )
        return stream.response


def _events(response: httpx2.Response) -> AsyncIterator[Event]:
    return SSEDecoder().aiter_bytes(response.aiter_bytes())


def map_error(error: BaseException, now: float) -> errors.ProviderError:
    """Every failure of the SDK and of its transport as one of ours. `now`: for a `retry-after` that is a date."""
    match error:
        case openai.APIStatusError():
            return refusal(_refusal(error), now)
        case openai.APIConnectionError() | httpx2.HTTPError():
            return connection(error, URL, openai.APITimeoutError)
        case openai.APIResponseValidationError():
            return errors.NotAnApi(f"what answered is not the OpenAI API; check {URL}")
        case SubjectTokenProviderError():
            return errors.AuthFailed(f"the SDK found no usable credentials: {error}")
        case _:
            return errors.BadRequest(f"the SDK failed: {type(error).__name__}: {error}")


def _refusal(error: openai.APIStatusError) -> Refusal:
    return Refusal(
        status=error.status_code,
        said=said_of(error.body),
        code=error.code or "",
        is_api=isinstance(error.body, dict),
        host=error.request.url.host,
        request_id=error.request_id,
        headers=error.response.headers,
        key=KEY,
        url=URL,
    )
