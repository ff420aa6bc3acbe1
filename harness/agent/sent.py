"""The blocks of a line as they were sent, from the journal: what a moved prefix is compared with.

Invariant: read from the file, not from memory, so that what moved in memory shows.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.audit.verdict import first_difference
from harness.conversation.journal import Blobs, Record
from harness.conversation.request import FrozenPrefix, Request
from harness.conversation.stored import fetch
from harness.prompt.prefix import read_prefix


def first_moved(records: Iterable[Record], blobs: Blobs, profile: str, count: int, request: Request) -> tuple[int, str]:
    """The first block in which a request differs from what its line was sent, and a short diff.

    Blocks are numbered from 0 through tools, system and messages. (-1, "…") where the journal no longer holds it.

    Args:
        count: blocks of the line's last mainline request, from the static system block on.
    """
    prefix: FrozenPrefix | None = None
    rendered: dict[int, list[bytes]] = {}
    for record in records:
        if record.kind == "prefix":
            prefix = prefix or read_prefix(record.data, blobs)
        elif record.kind == "wire_prefix" and record.data["profile"] == profile:
            prefix = read_prefix(record.data, blobs)
        elif record.kind == "rendering" and record.data["profile"] == profile:
            for seq, fragments in record.data["messages"]:
                rendered.setdefault(seq, [fetch(text, blobs).encode("utf-8") for text, _ in fragments])
    if prefix is None:
        return -1, "what was sent is no longer in the journal"
    messages = [fragment for seq in sorted(rendered) for fragment in rendered[seq]]
    before = [*prefix.tools, prefix.static, prefix.session, *messages][: len(prefix.tools) + count]
    now = request.prefix
    wires = [fragment.wire for message in request.messages for fragment in message.fragments]
    block, diff = first_difference(before, [*now.tools, now.static, now.session, *wires])
    return block, diff or "what was sent is no longer in the journal"
