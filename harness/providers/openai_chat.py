"""The Chat Completions wire: its format and the SDK put together as a provider, for any compatible server.

Invariant: bytes are the format's, and how they are sent is the SDK's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

from harness.conversation.blocks import Message, Tag
from harness.conversation.request import Fragment, FrozenPrefix, Request
from harness.providers import adapter
from harness.providers import openai_chat_wire as wire
from harness.providers.base import NOBODY, Access, Origin, Part, Recorder
from harness.providers.facts import Model, Profile
from harness.providers.openai_chat_stream import Decoder
from harness.providers.openai_sdk import Named, Sender
from harness.providers.splice import joined
from harness.seam import Seam


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
        named = Named("a Chat Completions API", profile.key_env, url)
        self._sender = Sender("/chat/completions", access, named, seam, idle)
        self.base_url = self._sender.base_url

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
        await self._sender.close()

    def identity(self, body: bytes) -> Mapping[str, str]:
        """See `Provider`: the same for every body."""
        del body
        return {"adapter": f"openai-chat {adapter.version()}", **self._sender.deciding}

    def replay(self, chunks: Sequence[bytes], request_id: str, record: Recorder) -> AsyncGenerator[Part]:
        """See `Provider`."""
        return self._sender.replay(chunks, request_id, record, Decoder(self._model.id, self._profile))

    def stream(self, body: bytes, record: Recorder, origin: Origin = NOBODY) -> AsyncGenerator[Part]:
        """See `Provider`."""
        del origin
        return self._sender.stream(body, record, Decoder(self._model.id, self._profile))
