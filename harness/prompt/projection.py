"""The messages of a request for one profile: each rendered once, chained, kept.

Invariant: grows only at its end; a message that is in it never changes, so every request extends the one before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.conversation.blocks import Message, Tag
from harness.conversation.canonical import chain
from harness.conversation.history import Entry
from harness.conversation.request import SYSTEM_BLOCKS, Fragment, FrozenPrefix, Rendered

Envelope = Callable[[str, tuple[bytes, ...]], bytes]


class Projection:
    """Rendered messages of one branch for one profile.

    Args:
        envelope: makes one message of the body from its blocks.
    """

    def __init__(self, prefix: FrozenPrefix, envelope: Envelope) -> None:
        self.prefix = prefix
        self._envelope = envelope
        self._head = prefix.session_digest
        self.messages: list[Rendered] = []
        self._tags: list[Tag] = []

    def add(self, seq: int, message: Message, fragments: tuple[Fragment, ...]) -> None:
        """Append one message."""
        rendered = self.render(seq, message, fragments)
        self._head = rendered.digests[-1] if rendered.digests else self._head
        self._tags.append(message.tag)
        self.messages.append(rendered)

    @property
    def after(self) -> Tag | None:
        """What the last message is of which something is sent; None before there is one."""
        sent = (tag for tag, message in zip(reversed(self._tags), reversed(self.messages), strict=True) if message.wire)
        return next(sent, None)

    def first(self, count: int) -> Projection:
        """The first messages alone, as they were when there were no others."""
        shorter = Projection(self.prefix, self._envelope)
        shorter.messages, shorter._tags = self.messages[:count], self._tags[:count]
        digests = (message.digests[-1] for message in reversed(shorter.messages) if message.digests)
        shorter._head = next(digests, self.prefix.session_digest)
        return shorter

    def render(self, seq: int, message: Message, fragments: tuple[Fragment, ...]) -> Rendered:
        """The message as it would follow the last one; the projection itself stays as it is."""
        digests, head = [], self._head
        for index, fragment in enumerate(fragments):
            # role and message boundary belong to what a vendor hashes
            head = chain(head, f"{message.role} {min(index, 1)} ".encode("ascii") + fragment.wire)
            digests.append(head)
        wire = self._envelope(message.role, tuple(fragment.wire for fragment in fragments)) if fragments else b""
        last = self.messages[-1] if self.messages else None
        first = last.first + len(last.digests) if last else SYSTEM_BLOCKS
        return Rendered(seq, first, message.role, message.tag == "system_injected", fragments, tuple(digests), wire)

    def with_tail(self, tail: Sequence[Rendered]) -> Sequence[Rendered]:
        """The messages and, behind them, those of a side request."""
        return [*self.messages, *tail] if tail else self.messages


def batches(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Messages that were queued between two answers, together; an answer stands alone."""
    batches: list[list[Entry]] = []
    for entry in entries:
        if batches and entry.message.tag != "answer" != batches[-1][-1].message.tag:
            batches[-1].append(entry)
        else:
            batches.append([entry])
    return batches
