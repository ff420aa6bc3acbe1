"""Which blocks of an answer are sent back to a model, and under which ids its calls are known.

Invariant: pure; what is left out is named, so that nothing of an answer is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.conversation.blocks import Block, Message, Text, Thinking, ToolCall


def checked(one: Block, before: Sequence[Block], knows: Callable[[str], bool], request: int) -> Block:
    """A block that came, as it is known from now on.

    A call whose id is empty or taken gets its own, and does not run: its result could not be told apart.

    Args:
        before: the blocks of the same answer that came before it.
        knows: whether a call of an id is part of the conversation.
        request: the journal record of the request.
    """
    if not isinstance(one, ToolCall):
        return one
    here = [other.id for other in before if isinstance(other, ToolCall)]
    if one.id and one.id not in here and not knows(one.id):
        return one
    return replace(one, id=f"call_{request}_{len(before)}", invalid=f"its id {one.id!r} is empty or was used before")


def sent_back(kept: tuple[Block, ...], stop: str, *, partial: bool) -> Message | None:
    """The answer as it is part of the conversation; None where nothing of it can be.

    A call of an answer that did not come to its end is not run, so it is not sent either; at the output limit the
    last call may be half a call that happens to parse. A refused answer is dropped whole, as its vendor asks.
    """
    if stop == "refusal":
        return None
    if partial or stop != "tool_use":
        kept = tuple(block for block in kept if not isinstance(block, ToolCall))
    return Message("answer", kept, partial) if _substance(kept) else None


def left_out(kept: Sequence[Block], message: Message | None) -> list[Block]:
    """What came and is not part of the conversation."""
    return [block for block in kept if message is None or block not in message.blocks]


def _substance(blocks: tuple[Block, ...]) -> bool:
    """Whether anything but thinking and white space is left: no vendor takes an answer without."""
    return any(not isinstance(b, Thinking) and not (isinstance(b, Text) and not b.text.strip()) for b in blocks)
