"""What each profile was sent of each message, and which messages were rendered together.

Invariant: a group (messages that were rendered as one batch) is sent again as that whole group or not at all. A rewind
that cuts through a group gets a new rendering of what is left, because what was merged cannot be taken apart; the group
itself stays, and is what a redo sends again.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.conversation.blobs import Blobs
from harness.conversation.canonical import Json
from harness.conversation.journal import Journal
from harness.conversation.lines import Record
from harness.conversation.request import Fragment
from harness.conversation.stored import fetch, keep
from harness.errors import JournalError

Group = tuple[tuple[int, ...], tuple[tuple[Fragment, ...], ...]]
"""Record numbers of the messages, and the fragments of each."""


class Renderings:
    """Where in the journal the renderings of one session are, by profile and first message; read when asked for."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._groups: dict[tuple[str, int], list[tuple[tuple[int, ...], int]]] = {}

    def apply(self, record: Record) -> None:
        """Take in one journaled group."""
        seqs = tuple(seq for seq, _ in record.data["messages"])
        self._groups.setdefault((record.data["profile"], seqs[0]), []).append((seqs, record.seq))

    def write(self, profile: str, seqs: Sequence[int], rendered: Sequence[tuple[Fragment, ...]]) -> dict[str, Json]:
        """The record of what was just rendered, to be journaled before `apply`."""
        kept = [
            [seq, [[keep(f.wire.decode("utf-8"), self._journal.blobs), f.marker_at] for f in fragments]]
            for seq, fragments in zip(seqs, rendered, strict=True)
        ]
        return {"profile": profile, "messages": kept}

    def messages(self) -> set[int]:
        """The record numbers of all messages that were ever rendered."""
        return {seq for groups in self._groups.values() for seqs, _ in groups for seq in seqs}

    def find(self, profile: str, batch: Sequence[int]) -> Group | None:
        """The longest group that a batch begins with; None where its first message must be rendered.

        A group whose record or blobs are lost is rendered anew; should that give other bytes, the firewall tells.
        """
        groups = self._groups.get((profile, batch[0]), [])
        fitting = [group for group in groups if group[0] == tuple(batch[: len(group[0])])]
        for seqs, record in sorted(fitting, key=lambda group: -len(group[0])):
            try:
                messages = self._journal.read(record).data["messages"]
                return seqs, tuple(_fragments(kept, self._journal.blobs) for _, kept in messages)
            except JournalError:
                groups.remove((seqs, record))
        return None


def _fragments(kept: Sequence[Json], blobs: Blobs) -> tuple[Fragment, ...]:
    """The fragments of one message of a `rendering` record."""
    return tuple(Fragment(fetch(text, blobs).encode("utf-8"), at) for text, at in kept)
