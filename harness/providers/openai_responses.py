"""The OpenAI Responses wire: its format and the SDK put together as a provider.

Invariant: bytes are the format's, and how they are sent is the SDK's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

from harness.conversation.blocks import Message, Tag
from harness.conversation.request import Fragment, FrozenPrefix, Request
from harness.providers import adapter
from harness.providers import openai_responses_wire as wire
from harness.providers.base import NOBODY, Access, Origin, Part, Recorder
from harness.providers.openai_sdk import Named, Sender
from harness.providers.splice import joined
from harness.seam import Seam

NAMED = Named("the OpenAI API", "OPENAI_API_KEY", "OPENAI_BASE_URL")


class OpenAIResponses:
    """A provider for one OpenAI model. idle: seconds without a byte after which the stream is given up."""

    def __init__(self, model: str, access: Access, seam: Seam, idle: float) -> None:
        self._model = model
        self._sender = Sender("/responses", access, NAMED, seam, idle)
        self.base_url = self._sender.base_url

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
        await self._sender.close()

    def identity(self, body: bytes) -> Mapping[str, str]:
        """See `Provider`: the same for every body."""
        del body
        return {"adapter": f"openai-responses {adapter.version()}", **self._sender.deciding}

    def replay(self, chunks: Sequence[bytes], request_id: str, record: Recorder) -> AsyncGenerator[Part]:
        """See `Provider`."""
        return self._sender.replay(chunks, request_id, record, wire.Decoder(self._model))

    def stream(self, body: bytes, record: Recorder, origin: Origin = NOBODY) -> AsyncGenerator[Part]:
        """See `Provider`."""
        del origin
        return self._sender.stream(body, record, wire.Decoder(self._model))
