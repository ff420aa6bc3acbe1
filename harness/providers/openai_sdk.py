"""The OpenAI SDK as both of its wires use it: bytes through its own `post`, its stream back, its errors as ours.

Invariant: the one place that imports this SDK, which serialises nothing and retries nothing; auth, headers, proxies,
TLS and connections are its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream
from openai._exceptions import SubjectTokenProviderError
from openai._streaming import SSEDecoder

from harness import errors
from harness.providers.base import Access, Decodes, Part, Recorder
from harness.providers.headers import deciding
from harness.providers.masking import masks
from harness.providers.refusals import Refusal, refusal, said_of
from harness.providers.transport import Event, Sdk, Transport, client_for, connection, timeouts
from harness.seam import Seam


@dataclass(frozen=True, slots=True)
class Named:
    """What a person is told of. api: what was meant to answer; key, url: the settings that hold key and base URL."""

    api: str
    key: str
    url: str


class Sender:
    """Sends bodies to one path of one server.

    Args:
        idle: seconds without a byte after which a stream is given up.
    """

    def __init__(self, path: str, access: Access, named: Named, seam: Seam, idle: float) -> None:
        self._path = path
        self._named = named
        self._client = client_for(
            lambda: AsyncOpenAI(
                # a server on this machine wants no key, but the SDK does
                api_key=access.key or "none",
                base_url=access.base_url,
                max_retries=0,
                timeout=timeouts(idle),
                default_headers=dict(access.headers),
            ),
            access.base_url,
            named.url,
        )
        self.base_url = str(self._client.base_url)
        sdk = Sdk((openai.OpenAIError,), self._mapped, _events, "x-request-id", named.url)
        hidden = masks(access.key, self._client.default_headers, seam.environment())
        self._transport = Transport(sdk, self.base_url, hidden, seam, idle, self._post)

    @property
    def deciding(self) -> Mapping[str, str]:
        """The headers that an answer may depend on; see `headers.deciding`."""
        return deciding(self._client.default_headers)

    def replay(
        self, chunks: Sequence[bytes], request_id: str, record: Recorder, decoder: Decodes
    ) -> AsyncGenerator[Part]:
        """See `Provider.replay`."""
        return self._transport.replay(chunks, request_id, record, decoder)

    def stream(self, body: bytes, record: Recorder, decoder: Decodes) -> AsyncGenerator[Part]:
        """See `Provider.stream`."""
        return self._transport.stream(body, record, decoder)

    async def close(self) -> None:
        """See `Provider.close`."""
        await self._client.close()

    async def _post(self, body: bytes) -> httpx2.Response:
        stream = await self._client.post(
            self._path,
            cast_to=object,
            content=body,
            options={"headers": {"content-type": "application/json"}},
            stream=True,
            stream_cls=AsyncStream[object],
        )
        return stream.response

    def _mapped(self, error: BaseException, now: float) -> errors.ProviderError:
        return map_error(error, now, self._named)


def _events(response: httpx2.Response) -> AsyncIterator[Event]:
    return SSEDecoder().aiter_bytes(response.aiter_bytes())


def map_error(error: BaseException, now: float, named: Named) -> errors.ProviderError:
    """Every failure of the SDK and of its transport as one of ours. `now`: for a `retry-after` that is a date."""
    match error:
        case openai.APIStatusError():
            return refusal(_refusal(error, named), now)
        case openai.APIConnectionError() | httpx2.HTTPError():
            return connection(error, named.url, openai.APITimeoutError)
        case openai.APIResponseValidationError():
            return errors.NotAnApi(f"what answered is not {named.api}; check {named.url}")
        case SubjectTokenProviderError():
            return errors.AuthFailed(f"the SDK found no usable credentials: {error}")
        case _:
            return errors.BadRequest(f"the SDK failed: {type(error).__name__}: {error}")


def _refusal(error: openai.APIStatusError, named: Named) -> Refusal:
    return Refusal(
        status=error.status_code,
        said=said_of(error.body),
        code=error.code or "",
        is_api=isinstance(error.body, dict | list),
        host=error.request.url.host,
        request_id=error.request_id,
        headers=error.response.headers,
        key=named.key,
        url=named.url,
    )
