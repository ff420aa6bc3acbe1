"""The Chat Completions wire: our bytes through the SDK's own `post` to any compatible server, and its stream back.

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
from harness.providers import openai_chat_wire as wire
from harness.providers.base import NOBODY, Access, Origin, Part, Recorder
from harness.providers.facts import Model, Profile
from harness.providers.openai_chat_stream import Decoder
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

BETAS = "openai-beta"


class OpenAIChat:
    """A provider for one model at one compatible server.

    Args:
        profile: how that server speaks.
        url: the setting that holds the base URL, for what a person is told.
        idle: seconds without a byte after which the stream is given up.
    """

    def __init__(self, model: Model, profile: Profile, access: Access, url: str, seam: Seam, idle: float) -> None:
        self._profile = profile
        self._model = model
        self._renderer = wire.Renderer(model.id, profile, model.images)
        self._key_name, self._url_name = profile.key_env, url
        base_url, key = access.base_url, access.key
        self._client = client_for(
            lambda: AsyncOpenAI(
                # a server on this machine wants no key, but the SDK does
                api_key=key or "none",
                base_url=base_url,
                max_retries=0,
                timeout=timeouts(idle),
                default_headers=dict(access.headers),
            ),
            base_url,
            url,
        )
        self.base_url = str(self._client.base_url)
        sdk = Sdk((openai.OpenAIError,), self._mapped, _events, "x-request-id", url)
        self._transport = Transport(sdk, self.base_url, key, seam, idle, self._post)

    def prefix(self, frozen: FrozenPrefix) -> FrozenPrefix:
        """See `Provider`."""
        return wire.prefix(frozen)

    def render(self, batch: Sequence[Message], after: Tag | None) -> Sequence[tuple[Fragment, ...]]:
        """See `Provider`."""
        return self._renderer.render(batch, after)

    def envelope(self, role: str, blocks: tuple[bytes, ...]) -> bytes:
        """See `Provider`."""
        return joined(role, blocks)

    def body(self, request: Request) -> bytes:
        """See `Provider`."""
        return wire.body(request, self._profile)

    async def close(self) -> None:
        """See `Provider`."""
        await self._client.close()

    def identity(self, body: bytes) -> Mapping[str, str]:
        """See `Provider`: the same for every body."""
        del body
        return {
            "adapter": f"openai-chat {adapter.version()}",
            "betas": str(self._client.default_headers.get(BETAS) or ""),
        }

    def replay(self, chunks: Sequence[bytes], request_id: str, record: Recorder) -> AsyncGenerator[Part]:
        """See `Provider`."""
        return self._transport.replay(chunks, request_id, record, Decoder(self._model.id, self._profile))

    def stream(self, body: bytes, record: Recorder, origin: Origin = NOBODY) -> AsyncGenerator[Part]:
        """See `Provider`."""
        del origin
        return self._transport.stream(body, record, Decoder(self._model.id, self._profile))

    async def _post(self, body: bytes) -> httpx2.Response:
        stream = await self._client.post(
            "/chat/completions",
            cast_to=object,
            content=body,
            options={"headers": {"content-type": "application/json"}},
            stream=True,
            stream_cls=AsyncStream[object],
        )
        return stream.response

    def _mapped(self, error: BaseException, now: float) -> errors.ProviderError:
        return map_error(error, now, self._key_name, self._url_name)


def _events(response: httpx2.Response) -> AsyncIterator[Event]:
    return SSEDecoder().aiter_bytes(response.aiter_bytes())


def map_error(error: BaseException, now: float, key: str, url: str) -> errors.ProviderError:
    """Every failure of the SDK and of its transport as one of ours.

    Args:
        now: for a `retry-after` that is a date.
        key, url: where the key and the base URL come from, for what a person is told.
    """
    match error:
        case openai.APIStatusError():
            return refusal(_refusal(error, key, url), now)
        case openai.APIConnectionError() | httpx2.HTTPError():
            return connection(error, url, openai.APITimeoutError)
        case openai.APIResponseValidationError():
            return errors.NotAnApi(f"what answered is no Chat Completions API; check {url}")
        case SubjectTokenProviderError():
            return errors.AuthFailed(f"the SDK found no usable credentials: {error}")
        case _:
            return errors.BadRequest(f"the SDK failed: {type(error).__name__}: {error}")


def _refusal(error: openai.APIStatusError, key: str, url: str) -> Refusal:
    return Refusal(
        status=error.status_code,
        said=said_of(error.body),
        code=error.code or "",
        is_api=isinstance(error.body, dict),
        host=error.request.url.host,
        request_id=error.request_id,
        headers=error.response.headers,
        key=key,
        url=url,
    )
