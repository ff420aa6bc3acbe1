"""What the simulator saw, as values: blocks, accepted requests, refusals.

Invariant: a record is never changed after it was made; `blocks` holds what the client sent, in the vendor's
order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["tools", "system", "messages"]
Ttl = Literal["5m", "1h", "30m", "12h"]
LEVELS: tuple[Level, ...] = ("tools", "system", "messages")


@dataclass(frozen=True, slots=True)
class Block:
    """One thing that the vendor hashes: a tool definition, a system text, a content part."""

    level: Level
    role: str
    """The role on the wire ("tool" for an OpenAI tool output); "" for tools; "system" for system."""
    message: int
    """Index into `messages` or `input`; -1 for what stands outside of it."""
    first: bool
    """First block of its message (of its level for tools and system)."""
    canonical: bytes
    """Compact JSON of the block as sent, keys in the order sent, without its marker."""
    marker: Ttl | None = None
    """TTL of its marker (cache_control, prompt_cache_breakpoint), also when the automatic one landed here."""
    kind: str = "text"
    """The block's type on the wire."""
    counted: bool = True
    """False for thinking that the vendor left out of the prompt."""
    eligible: bool = False
    """OpenAI: the end of a message or tool output at which an implicit breakpoint may stand (B Lookback)."""

    @property
    def sets(self) -> bool:
        """Whether it only changes a setting, so that no breakpoint can stand on it."""
        return self.kind in ("output_config", "configuration_update")

    @property
    def size(self) -> int:
        """Bytes of the canonical form."""
        return len(self.canonical)

    @property
    def tokens(self) -> int:
        """Bytes / 4, rounded up: the simulator's only tokenizer."""
        return -(-len(self.canonical) // 4)

    @property
    def sha256(self) -> str:
        """Digest of level, role and canonical form: what two requests are compared by."""
        return hashlib.sha256(f"{self.level}/{self.role}/".encode() + self.canonical).hexdigest()


@dataclass(frozen=True, slots=True)
class Received:
    """One accepted request for a message, complete once its response began."""

    index: int
    at: float
    """Clock seconds at which it arrived; lifetimes count from here."""
    wire: str
    model: str
    body: bytes
    json: dict[str, Any] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    """Names in lower case."""
    blocks: tuple[Block, ...] = field(repr=False)
    line: str
    """Model and cache-relevant settings; requests of one line can read each other's messages."""
    usage: dict[str, Any]
    """As billed."""
    prompt_tokens: int
    perfect_read: int
    """What the perfect cache would have read."""
    explain: str
    """Why it read what it read."""
    kind: Literal["mainline", "side"]
    message_id: str
    """Id of the answer."""
    read: int = 0
    """Tokens read from the cache, whatever `usage` shows of it."""
    written: int = 0
    """Tokens of paid cache writes."""
    contract: str = "anthropic"
    """The caching contract that accounted for it."""
    effort: str | None = None
    """The effort that was in force for the answer, wherever it was set; None: the model's default."""

    @property
    def markers(self) -> tuple[int, ...]:
        """Positions in `blocks` that carry a marker."""
        return tuple(place for place, block in enumerate(self.blocks) if block.marker)

    def extends(self, earlier: Received) -> bool:
        """Whether all blocks of `earlier` are the first blocks of this request, markers aside."""
        if len(earlier.blocks) > len(self.blocks):
            return False
        return all(
            old.canonical == new.canonical and old.level == new.level and old.role == new.role
            for old, new in zip(earlier.blocks, self.blocks, strict=False)
        )


def trailing_settings(blocks: Sequence[Block]) -> int:
    """How many blocks at the end only change a setting."""
    return next((count for count, block in enumerate(reversed(blocks)) if not block.sets), len(blocks))


class Refused(Exception):
    """The vendor refuses: HTTP status, error type, text (A6 errors); param and code on the OpenAI wires."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.param = param
        self.code = code
        self.headers: dict[str, str] = {}
        """Of the response, besides the usual ones."""
        self.profile = ""
        """Which server of the Chat wire words it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One request that was not answered with a message."""

    at: float
    status: int
    """HTTP status; 0 when the connection was cut before any answer."""
    kind: str
    """The vendor's error type."""
    error: str
    """The vendor's error text."""
    body: bytes = field(repr=False)
    path: str = "/v1/messages"
    code: str | None = None
    """The error code of the OpenAI wires."""
