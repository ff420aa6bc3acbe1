"""What has arrived so far of one attempt at a model call.

Invariant: what was shown is never lost: text without an end is kept with the blocks that are complete.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.conversation.blocks import Block, Text
from harness.conversation.canonical import Json
from harness.providers.base import Began, Finished, FromCache, NotFromCache

_KNOWN = frozenset({"thinking", "redacted_thinking", "tool_use"})


@dataclass(slots=True)
class Stream:
    """What has arrived so far of one attempt."""

    blocks: list[Block] = field(default_factory=list)
    unsent: list[dict[str, Json]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    chunks: list[list[Json]] = field(default_factory=list)
    began: Began | None = None
    finished: Finished | None = None
    shown: bool = False
    cache: FromCache | NotFromCache | None = None

    @property
    def served(self) -> FromCache | None:
        """Whose answer it was, where it was kept."""
        return self.cache if isinstance(self.cache, FromCache) else None

    @property
    def unknown(self) -> str:
        """The kinds of parts that no wire of ours knows, as the vendor calls them; "" where there are none."""
        return ", ".join(sorted({str(part["is"])[:40] for part in self.unsent} - _KNOWN))

    def kept(self) -> tuple[Block, ...]:
        """Complete blocks, and the text that was shown of one that is not."""
        rest = "".join(self.text)
        return (*self.blocks, Text(rest)) if rest.strip() else tuple(self.blocks)
