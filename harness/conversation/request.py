"""One model call as values: line, rendered messages, markers, cache rules, ledger entries.

Invariant: a `Rendered` message is bytes that were made once and are never made again; a request only joins them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.conversation.canonical import Json, chain, digest, encode

Ttl = Literal["5m", "30m", "1h", "12h", "24h", "kept"]
"""How long an entry lives after its last use; "kept": until the server needs the room."""

SYSTEM_BLOCKS = 2
"""The static and the session system block: positions 0 and 1."""

Refresh = Literal["hit", "marked", "all"]
"""What a read refreshes: the entry that was hit; also the entries under the request's other markers; all shallower
ones. (Unsettled by the documentation; "marked" is the careful reading.)"""

TTL_SECONDS: Mapping[str, float] = {
    "5m": 300.0,
    "30m": 1800.0,
    "1h": 3600.0,
    "12h": 43200.0,
    "24h": 86400.0,
    "kept": float("inf"),
}

CacheKind = Literal["markers", "automatic", "units", "blocks", "none"]
"""What a server caches: what was marked; any prefix by itself; whole units of its own choosing; blocks of a fixed
number of tokens held in its memory; nothing."""


@dataclass(frozen=True, slots=True)
class CacheRules:
    """How one model's vendor caches. Source of each row: providers' documentation as cited in catalog.toml.

    max_markers: 0 where the server has none. minimum: tokens below which nothing is written, silently.
    granularity: reads are whole multiples of that many tokens; 0 is not published. default_ttl: of what is cached
    unasked. strips_thinking: a person's message removes earlier thinking at the vendor's side.
    """

    max_markers: int = 4
    minimum: int = 1024
    ttls: tuple[Ttl, ...] = ("5m", "1h")
    refresh: Refresh = "marked"
    strips_thinking: bool = False
    kind: CacheKind = "markers"
    granularity: int = 1
    default_ttl: Ttl = "5m"

    @property
    def by_itself(self) -> bool:
        """Whether the server caches without being asked: then every request's end is a position."""
        return self.kind in ("automatic", "units", "blocks")

    def readable(self, prompt: int) -> int | None:
        """What can be read of a prompt of that many tokens that a server cached by itself; None: nobody says."""
        # an engine in memory always computes the last token anew
        whole = prompt - 1 if self.kind == "blocks" else prompt
        if self.granularity == 0:
            return None if whole >= self.minimum else 0
        found = whole // self.granularity * self.granularity
        return found if found >= self.minimum else 0

    def ttl_for(self, wanted: Ttl) -> Ttl:
        """The shortest TTL on offer that lives as long as the one wanted, or the longest there is."""
        offered = sorted(self.ttls, key=lambda ttl: TTL_SECONDS[ttl])
        return next((ttl for ttl in offered if TTL_SECONDS[ttl] >= TTL_SECONDS[wanted]), offered[-1])


@dataclass(frozen=True, slots=True)
class Line:
    """What a vendor keys a conversation's cache on, besides its blocks."""

    wire: str
    base_url: str
    model: str
    settings: Mapping[str, Json] = field(default_factory=dict, hash=False)
    """thinking, effort, tool_choice, output format, speed, betas, cache key: only those that are set."""

    @property
    def key(self) -> str:
        """Sixteen hex digits that name the line in the journal."""
        value = {"base_url": self.base_url, "model": self.model, "settings": dict(self.settings), "wire": self.wire}
        return digest(encode(value))[:16]


@dataclass(frozen=True, slots=True)
class Fragment:
    """One block as it is sent, without any marker: a content block, an input item, a message of the Chat wire.

    marker_at: the byte at which a marker's key is spliced in; -1 where none may be.
    """

    wire: bytes
    marker_at: int = -1

    @property
    def markable(self) -> bool:
        """Whether it can carry a marker."""
        return self.marker_at >= 0


@dataclass(frozen=True, slots=True)
class Rendered:
    """One message as one profile is sent it.

    seq: the journal record of the message. first: the position of its first block among the request's blocks, the two
    system blocks being 0 and 1. digests: of the prefix that ends with each fragment. wire: the whole message without a
    marker, ready to be joined; empty where this profile gets nothing of it.
    """

    seq: int
    first: int
    role: str
    injected: bool
    fragments: tuple[Fragment, ...]
    digests: tuple[str, ...]
    wire: bytes


@dataclass(frozen=True, slots=True)
class Marker:
    """A cache breakpoint.

    message: index into the request's messages, or -1 for the system blocks. block: index within it.
    """

    role: Literal["static", "session", "read", "write"]
    message: int
    block: int
    digest: str
    ttl: Ttl


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A position that a vendor has cached, as billed usage confirmed it.

    tokens: what the request that wrote it was billed, read + written; None where a bill covered deeper positions too.
    used: start of the request that wrote or last read it, seconds since the epoch.
    """

    digest: str
    tokens: int | None
    used: float
    ttl: Ttl

    def alive(self, now: float) -> bool:
        """Whether it can still be read by a request that starts now."""
        return now - self.used < TTL_SECONDS[self.ttl]


@dataclass(frozen=True, slots=True)
class FrozenPrefix:
    """Tools and the two system blocks as sent, with their prefix digests. Never rebuilt within an epoch.

    layers: (title, text) of what the session block was made of, for the journal; empty where that is not known.
    """

    tools: tuple[bytes, ...]
    static: bytes
    session: bytes
    static_digest: str
    session_digest: str
    layers: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @classmethod
    def chained(cls, tools: tuple[bytes, ...], static: bytes, session: bytes) -> FrozenPrefix:
        """The prefix of fragments that are already bytes: chains their digests."""
        head = ""
        for fragment in tools:
            head = chain(head, fragment)
        static_digest = chain(head, static)
        return cls(tools, static, session, static_digest, chain(static_digest, session))


@dataclass(frozen=True, slots=True)
class Request:
    """All that goes over the wire for one call.

    compare: the id of an earlier answer whose request the vendor is asked to compare this one with; "" where there is
    none yet; None: it is not asked. Part of the envelope, so it belongs neither to a block nor to the line.
    """

    line: Line
    prefix: FrozenPrefix
    messages: Sequence[Rendered]
    markers: tuple[Marker, ...]
    max_tokens: int
    side: bool = False
    compare: str | None = None

    @property
    def blocks(self) -> int:
        """The number of blocks from the static system block on."""
        return self.messages[-1].first + len(self.messages[-1].digests) if self.messages else SYSTEM_BLOCKS

    @property
    def head(self) -> str:
        """The digest of the whole request's blocks."""
        for message in reversed(self.messages):
            if message.digests:
                return message.digests[-1]
        return self.prefix.session_digest

    @property
    def ends(self) -> Iterator[str]:
        """The digests at the ends of its messages, deepest first: where an earlier request may have ended."""
        yield from (message.digests[-1] for message in reversed(self.messages) if message.digests)
