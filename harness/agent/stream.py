"""What has arrived so far of one attempt at a model call.

Invariant: what was shown is never lost: text without an end is kept with the blocks that are complete.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.conversation.blocks import Block, Text
from harness.conversation.canonical import Json
from harness.providers.base import Began, Finished, FromCache, NotFromCache


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

    def kept(self) -> tuple[Block, ...]:
        """Complete blocks, and the text that was shown of one that is not."""
        rest = "".join(self.text)
        return (*self.blocks, Text(rest)) if rest.strip() else tuple(self.blocks)
