"""The conversation in the form of each model's wire: as it was rendered then, and rendered again.

Invariant: what another version of the program rendered is taken as it was kept, and counted; the digests of what was
sent tell whether it is that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.audit.difference import named
from harness.conversation.request import Fragment
from harness.errors import JournalError
from harness.prompt.projection import Projection, batches
from harness.providers.offline import Form
from harness.replay.divergence import Divergence, block, value
from harness.replay.recorded import Recorded

Fragments = tuple[Fragment, ...]
"""Of one message."""


class Rendered:
    """What was rendered. `check`, for a request; then `projection` is its conversation."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self.by_digest: set[int] = set()
        """The renderings that were not made again."""

    def check(self, profile: str, form: Form, *, made_here: bool) -> Iterator[Divergence]:
        """Add what is new since the profile was last asked. made_here: by a program that renders as this one does."""
        projection = self.projection(profile, form)
        if made_here and not projection.messages:
            yield from self._wire_prefix(projection, form)
        for batch in batches(self._recorded.history.entries[len(projection.messages) :]):
            seqs, start = [entry.seq for entry in batch], 0
            while start < len(batch):
                group = self._recorded.group(profile, seqs, start)
                if group is None:
                    told = f"the journal has no rendering of message record {seqs[start]} for {profile}"
                    yield Divergence(f"message {len(projection.messages) + 1}", told, "what was sent is not known")
                    return
                kept = group.data["messages"]
                left = batch[start : start + len(kept)]
                start += len(kept)
                sent = [self._recorded.fragments(fragments) for _, fragments in kept]
                if made_here:
                    made = form.render([entry.message for entry in left], projection.after)
                    yield from _parted(projection, sent, made) if sent != list(made) else ()
                else:
                    self.by_digest.add(group.seq)
                for entry, fragments in zip(left, sent, strict=True):
                    projection.add(entry.seq, entry.message, fragments)

    def projection(self, profile: str, form: Form) -> Projection:
        """The conversation as the profile was sent it.

        Raises:
            JournalError: there is nothing that it stands behind.
        """
        recorded = self._recorded
        if (known := recorded.projections.get(profile)) is not None:
            return known
        if recorded.prefix is None:
            raise JournalError("the journal has no prefix before this request")
        prefix = recorded.wire_prefixes.get(profile, recorded.prefix)
        recorded.projections[profile] = made = Projection(prefix, form.envelope)
        return made

    def _wire_prefix(self, projection: Projection, form: Form) -> Iterator[Divergence]:
        """The tools and system blocks in the form of a wire."""
        if (prefix := self._recorded.prefix) is not None:
            stored, made = named(projection.prefix, ()), named(form.prefix(prefix), ())
            for old, new in zip(stored, made, strict=False):
                yield from block(old.where, old.wire, new.wire, "this program puts it into this wire's form otherwise")


def _parted(projection: Projection, sent: Sequence[Fragments], made: Sequence[Fragments]) -> Iterator[Divergence]:
    """Where what was sent of some messages behind others, and what is made of them, part."""
    number = sum(bool(message.fragments) for message in projection.messages)
    for old, new in zip(sent, made, strict=True):
        number += bool(old or new)
        why = "this program renders the message otherwise than it was rendered then"
        for index, (left, right) in enumerate(zip(old, new, strict=False), 1):
            where = f"message {number} block {index}"
            yield from block(where, left.wire, right.wire, why)
            yield from value(f"{where}: place of its marker", left.marker_at, right.marker_at, why)
        if len(old) != len(new):
            told = f"{len(old)} blocks were sent, {len(new)} are made"
            yield Divergence(f"message {number} block {min(len(old), len(new)) + 1}", told, why)
