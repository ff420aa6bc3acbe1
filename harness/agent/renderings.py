"""What each profile was sent of each message, and which messages were rendered together.

Invariant: a group (messages that were rendered as one batch) is sent again as that whole group or not at all. A rewind
that cuts through a group gets a new rendering of what is left, because what was merged cannot be taken apart; the group
itself stays, and is what a redo sends again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.conversation.canonical import Json
from harness.conversation.journal import Blobs
from harness.conversation.request import Fragment
from harness.conversation.stored import fetch, keep

Group = tuple[tuple[int, ...], tuple[tuple[Fragment, ...], ...]]
"""Record numbers of the messages, and the fragments of each."""


class Renderings:
    """All renderings of one session, by profile and first message."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._groups: dict[tuple[str, int], list[Group]] = {}

    def apply(self, data: Mapping[str, Json]) -> None:
        """Take in one journaled group."""
        seqs = [seq for seq, _ in data["messages"]]
        self.add(data["profile"], seqs, [_fragments(kept, self._blobs) for _, kept in data["messages"]])

    def write(self, profile: str, seqs: Sequence[int], rendered: Sequence[tuple[Fragment, ...]]) -> dict[str, Json]:
        """The record of what was just rendered, to be journaled before `add`."""
        kept = [
            [seq, [[keep(f.wire.decode("utf-8"), self._blobs), f.marker_at] for f in fragments]]
            for seq, fragments in zip(seqs, rendered, strict=True)
        ]
        return {"profile": profile, "messages": kept}

    def add(self, profile: str, seqs: Sequence[int], rendered: Sequence[tuple[Fragment, ...]]) -> None:
        """Take in a group that is in the journal."""
        self._groups.setdefault((profile, seqs[0]), []).append((tuple(seqs), tuple(rendered)))

    def find(self, profile: str, batch: Sequence[int]) -> Group | None:
        """The longest group that a batch begins with; None where its first message must be rendered."""
        whole = (
            group for group in self._groups.get((profile, batch[0]), ()) if group[0] == tuple(batch[: len(group[0])])
        )
        return max(whole, key=lambda group: len(group[0]), default=None)


def _fragments(kept: Sequence[Json], blobs: Blobs) -> tuple[Fragment, ...]:
    """The fragments of one message of a `rendering` record."""
    return tuple(Fragment(fetch(text, blobs).encode("utf-8"), at) for text, at in kept)
