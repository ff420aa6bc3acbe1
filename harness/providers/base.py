"""The contract between the loop and a vendor.

Invariant: a provider renders a message to bytes once, joins stored bytes into a body, and streams an answer as parts;
it never changes what was rendered, never retries by itself and raises nothing but `ProviderError`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.conversation.blocks import Message, Tag, Text, Thinking, ToolCall, Usage
from harness.conversation.canonical import Json
from harness.conversation.request import Fragment, FrozenPrefix, Request


@dataclass(frozen=True, slots=True)
class Began:
    """The answer began: the vendor accepted the request, and its cache entries can be read from now on.

    usage: what the prompt is billed, where the vendor says so this early; else None.
    """

    message_id: str
    request_id: str
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text, to be shown at once."""

    text: str


@dataclass(frozen=True, slots=True)
class ThinkingPart:
    """A piece of thinking, to be shown at once."""

    text: str


@dataclass(frozen=True, slots=True)
class BlockDone:
    """A block is complete."""

    block: Text | Thinking | ToolCall


@dataclass(frozen=True, slots=True)
class BlockBroken:
    """A block that will never be complete: unsigned thinking, half a call. For the journal only; never sent or run.

    name: of the tool, where it is half a call.
    """

    kind: str
    raw: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is complete.

    stop: the stop reason, in Anthropic's words where there is one for it. extra: the vendor's diagnostics, if any.
    told: whether the usage says what was read from the cache. why: what the vendor says of the stop; "" where nothing.
    """

    stop: str
    usage: Usage
    extra: Mapping[str, Json]
    told: bool = True
    why: str = ""


@dataclass(frozen=True, slots=True)
class FromCache:
    """What follows is a cached response, so no vendor is asked and nothing is billed.

    scope: of the cache, as set. session, request: whose answer it was: id, record number; at: when, seconds since the
    epoch. usage: what it was billed then.
    """

    key: str
    scope: str
    session: str
    request: int
    at: float
    usage: Usage


@dataclass(frozen=True, slots=True)
class NotFromCache:
    """The answer came from the vendor although there is a cache of responses.

    cause: what of the request differed from the nearest cached one, or why none was served. unkept: why the answer is
    not kept either; "" where it is.
    """

    key: str
    scope: str
    cause: str
    unkept: str


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a vendor. base_url: None for the SDK's own. key: "" where a server on this machine wants none."""

    base_url: str | None
    key: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, hash=False)


Part = Began | TextPart | ThinkingPart | BlockDone | BlockBroken | Finished | FromCache | NotFromCache

Recorder = Callable[[bytes], None]
"""Called with every raw chunk of the stream, as it arrives."""


Origin = tuple[str, int]
"""Whose request it is: the session's id, the record number in its journal."""

NOBODY: Origin = ("", 0)


class Decodes(Protocol):
    """Stream events of one answer to parts, in order."""

    finished: bool

    def feed(self, data: str, request_id: str) -> Iterator[Part]:
        """The parts of one event's data. Raises ProviderError."""
        ...

    def close(self) -> Iterator[Part]:
        """The parts that the end of a stream gives, at a vendor for which that, too, may complete an answer."""
        ...

    def broken(self) -> tuple[BlockBroken, ...]:
        """What began and did not end."""
        ...


class Provider(Protocol):
    """One vendor's wire for one model."""

    @property
    def base_url(self) -> str:
        """Where it sends to."""
        ...

    def prefix(self, frozen: FrozenPrefix) -> FrozenPrefix:
        """The frozen tools and system blocks in this wire's form. MUST be pure."""
        ...

    def render(self, batch: Sequence[Message], after: Tag | None) -> Sequence[tuple[Fragment, ...]]:
        """The blocks of each message as this model is sent them; none where nothing of it is for this model.

        MUST be pure: it is called once per message and its result is kept for ever.

        Args:
            batch: one answer, or all messages that were queued between two answers.
            after: what the last message is of which this model was sent something; None at the beginning.
        """
        ...

    def envelope(self, role: str, blocks: tuple[bytes, ...]) -> bytes:
        """One message of the body, from its blocks."""
        ...

    def body(self, request: Request) -> bytes:
        """The whole body: stored bytes joined, markers spliced in. MUST NOT serialise a message again."""
        ...

    def identity(self, body: bytes) -> Mapping[str, str]:
        """What besides the request decides how it is answered and how the answer is read, by name.

        The code that renders and decodes (`adapter.version`); the headers sent with this body (`headers.deciding`).
        """
        ...

    def replay(self, chunks: Sequence[bytes], request_id: str, record: Recorder) -> AsyncGenerator[Part]:
        """The parts of an answer whose raw chunks are cached, through the same decoder. Sends nothing.

        Raises:
            ProviderError: they are not a whole answer.
        """
        ...

    def stream(self, body: bytes, record: Recorder, origin: Origin = NOBODY) -> AsyncGenerator[Part]:
        """Send the body once and give the answer's parts.

        Args:
            origin: for who keeps answers; it is not sent.

        After a break, blocks that were not complete are given as `BlockBroken` before the error is raised.

        Raises:
            ProviderError: any failure, as one of its classes; `StreamBroken` once the answer had begun.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
