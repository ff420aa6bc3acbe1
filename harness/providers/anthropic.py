"""The Anthropic wire: our bytes through the SDK's own `post`, its stream to our parts, its errors to ours.

Invariant: the SDK serialises nothing (its `create` would walk every message again) and retries nothing (its jitter can
shorten a wait, and it cannot know what was shown); auth, headers, proxies, TLS and connections are the SDK's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

import anthropic
import httpx2
from anthropic import AsyncAnthropic, AsyncStream
from anthropic.lib.credentials import WorkloadIdentityError

from harness import errors
from harness.conversation.blocks import Message, Tag
from harness.conversation.request import Fragment, FrozenPrefix, Request
from harness.providers import adapter
from harness.providers import anthropic_wire as wire
from harness.providers.base import NOBODY, Origin, Part, Recorder
from harness.providers.facts import Change
from harness.providers.headers import deciding
from harness.providers.masking import masks
from harness.providers.refusals import Refusal, refusal
from harness.providers.transport import Sdk, Transport, client_for, connection, timeouts
from harness.seam import Seam

URL, KEY = "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"
BETAS = "anthropic-beta"


class Anthropic:
    """A provider for one Anthropic model.

    Args:
        idle: seconds without a byte after which the stream is given up.
        effort: how the model takes a change of effort.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None,
        key: str,
        seam: Seam,
        idle: float,
        headers: Mapping[str, str],
        effort: Change | None = None,
    ) -> None:
        self._model = model
        self._effort = effort
        self._client = client_for(
            lambda: AsyncAnthropic(
                api_key=key, base_url=base_url, max_retries=0, timeout=timeouts(idle), default_headers=dict(headers)
            ),
            base_url,
            URL,
        )
        self.base_url = str(self._client.base_url)
        sdk = Sdk((anthropic.AnthropicError,), map_error, AsyncStream.raw_events, "request-id", URL)
        hidden = masks(key, self._client.default_headers, seam.environment())
        self._transport = Transport(sdk, self.base_url, hidden, seam, idle, self._post)

    def prefix(self, frozen: FrozenPrefix) -> FrozenPrefix:
        """See `Provider`: this wire's form is the one that is frozen."""
        return frozen

    def render(self, batch: Sequence[Message], after: Tag | None) -> Sequence[tuple[Fragment, ...]]:
        """See `Provider`."""
        return wire.batch(batch, self._model, after)

    def envelope(self, role: str, blocks: tuple[bytes, ...]) -> bytes:
        """See `Provider`."""
        return wire.envelope(role, blocks)

    def body(self, request: Request) -> bytes:
        """See `Provider`."""
        return wire.body(request)

    async def close(self) -> None:
        """See `Provider`."""
        await self._client.close()

    def identity(self, body: bytes) -> Mapping[str, str]:
        """See `Provider`."""
        headers = {**self._client.default_headers, BETAS: self._betas(body)}
        return {"adapter": f"anthropic {adapter.version()}", **deciding(headers)}

    def replay(self, chunks: Sequence[bytes], request_id: str, record: Recorder) -> AsyncGenerator[Part]:
        """See `Provider`."""
        return self._transport.replay(chunks, request_id, record, wire.Decoder(self._model))

    def stream(self, body: bytes, record: Recorder, origin: Origin = NOBODY) -> AsyncGenerator[Part]:
        """See `Provider`."""
        del origin
        return self._transport.stream(body, record, wire.Decoder(self._model))

    def _betas(self, body: bytes) -> str:
        """The betas that are asked for with a body: what the person sends with every request, and ours."""
        found = [str(self._client.default_headers.get(BETAS) or "")]
        if self._effort and self._effort.beta and (self._effort.from_birth or wire.SETTING in body):
            found.append(self._effort.beta)
        return ",".join(filter(None, found))

    async def _post(self, body: bytes) -> httpx2.Response:
        headers = {"content-type": "application/json"}
        if betas := self._betas(body):
            headers[BETAS] = betas
        stream = await self._client.post(
            "/v1/messages",
            cast_to=object,
            content=body,
            options={"headers": headers},
            stream=True,
            stream_cls=AsyncStream[object],
        )
        return stream.response


def map_error(error: BaseException, now: float) -> errors.ProviderError:
    """Every failure of the SDK and of its transport as one of ours. `now`: for a `retry-after` that is a date."""
    match error:
        case anthropic.APIStatusError():
            return refusal(_refusal(error), now)
        case anthropic.APIConnectionError() | httpx2.HTTPError():
            return connection(error, URL, anthropic.APITimeoutError)
        case anthropic.APIResponseValidationError() | anthropic.APIWebhookValidationError():
            return errors.NotAnApi(f"what answered is not the Anthropic API; check {URL}")
        case anthropic.CredentialsError() | WorkloadIdentityError():
            return errors.AuthFailed(f"the SDK found no usable credentials: {error}")
        case anthropic.RetryableError():
            return errors.Overloaded(f"the SDK asks to try again: {error}")
        case _:
            return errors.BadRequest(f"the SDK failed: {type(error).__name__}: {error}")


def _refusal(error: anthropic.APIStatusError) -> Refusal:
    return Refusal(
        status=error.status_code,
        said=error.api_message or "",
        code=error.error_code or "",
        is_api=error.type is not None,
        host=error.request.url.host,
        request_id=error.request_id,
        headers=error.response.headers,
        key=KEY,
        url=URL,
    )
