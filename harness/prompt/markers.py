"""Where the cache markers of a request go, as one pure function.

Invariant: the positions depend on nothing but the arguments, and never on the bytes of a marker. Four breakpoints:
*static* and *session* at the ends of the two system blocks; *read* on the deepest position of this line that is alive;
*write* on the last markable block of the last message that the program did not inject. The pair rolls: today's write is
tomorrow's read. Because *read* stands on the earlier write itself, nothing depends on a vendor's look-back window: a
fan-out of two hundred calls, another model's turns in between, and a discarded tail all still hit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.conversation.request import CacheRules, FrozenPrefix, LedgerEntry, Marker, Rendered, Ttl

Alive = Callable[[str], LedgerEntry | None]
"""The entry of a prefix digest on this line, if it can be read now and is long enough to have been written."""


def place(
    prefix: FrozenPrefix,
    messages: Sequence[Rendered],
    alive: Alive,
    rules: CacheRules,
    ttl: Ttl,
    *,
    side: bool = False,
) -> tuple[Marker, ...]:
    """The markers of one request, in the order of their positions.

    Args:
        messages: of the request, rendered, in order.
        ttl: of every marker; one TTL for all, because TTLs may never increase along positions.
        side: a side request reads the line's cache and leaves no entry behind.
    """
    if rules.max_markers == 0:
        return ()
    system = (
        Marker("static", -1, 0, prefix.static_digest, ttl),
        Marker("session", -1, 1, prefix.session_digest, ttl),
    )
    write = next(_markable(messages, len(messages)), None)
    if write is None:
        return system[: rules.max_markers]
    read = _deepest_alive(messages, write, alive, side=side)
    if read is None and not side:
        # nothing alive: the end of the previous message, so that there are always two
        read = next(_markable(messages, write[0]), None)
    pair = [("read", read)] if side else [("read", read), ("write", write)]
    rolling = tuple(
        Marker("read" if role == "read" else "write", at[0], at[1], messages[at[0]].digests[at[1]], ttl)
        for role, at in pair
        if at is not None
    )
    # where a server takes fewer, the deepest are worth the most: they cover all that is before them
    return (*system, *rolling)[-rules.max_markers :]


def _markable(messages: Sequence[Rendered], before: int) -> Iterator[tuple[int, int]]:
    """The last markable block of each message before an index, deepest first; injected messages are passed over."""
    for index in range(before - 1, -1, -1):
        message = messages[index]
        if message.injected:
            continue
        for block in range(len(message.fragments) - 1, -1, -1):
            if message.fragments[block].markable:
                yield index, block
                break


def _deepest_alive(
    messages: Sequence[Rendered], write: tuple[int, int], alive: Alive, *, side: bool
) -> tuple[int, int] | None:
    """The deepest position before `write` (for a side request: up to it) whose entry can be read now."""
    for index in range(write[0], -1, -1):
        message = messages[index]
        if message.injected:
            continue
        last = write[1] - (0 if side else 1) if index == write[0] else len(message.fragments) - 1
        for block in range(last, -1, -1):
            if message.fragments[block].markable and alive(message.digests[block]) is not None:
                return index, block
    return None
