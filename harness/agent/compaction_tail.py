"""Which of the last messages stay whole after a compaction.

Invariant: pure; calls and their results are never parted; what is kept holds no thinking, which is bound to what stood
before it. Sizes are bytes, because no token estimate may decide what is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.conversation.blocks import Block, Image, Message, Setting, Text, Thinking, ToolCall, ToolResult
from harness.conversation.canonical import encode

AFTER_SYSTEM = 26_000
"""Bytes of all that follows the system blocks after a compaction: under 10,000 tokens with every known tokenizer,
which need 2.6 bytes a token or more."""

_IMAGE = 5_000
"""What an image counts for: about 1,600 tokens, whatever its bytes."""
_FRAME = 60
"""Bytes around a block."""


def cut(conversation: Sequence[Message], budget: int, largest: int) -> int:
    """The index from which on messages stay: the longest tail that fits.

    Args:
        conversation: all messages, oldest first.
        budget: bytes for the tail.
        largest: bytes that the last unit (an answer with its results, or words) may have when it alone is over budget.
    """
    starts = [index for index, message in enumerate(conversation) if message.tag != "results"]
    first, used = len(conversation), 0
    for start in reversed(starts):
        unit = sum(size(kept) for message in conversation[start:first] if (kept := clean(message)))
        if used + unit > (budget if used else max(budget, largest)):
            break
        first, used = start, used + unit
    return first


def clean(message: Message) -> Message | None:
    """A message as it is kept, without thinking; None where nothing of it is: what was injected is told anew."""
    blocks = tuple(block for block in message.blocks if not isinstance(block, Thinking))
    return replace(message, blocks=blocks) if blocks and message.tag not in ("system_injected", "setting") else None


def size(message: Message) -> int:
    """About how many bytes a message is sent as."""
    return sum(_size(block) for block in message.blocks)


def _size(block: Block) -> int:
    match block:
        case Text(text):
            return len(text.encode("utf-8")) + _FRAME
        case Image():
            return _IMAGE
        case Thinking() | Setting():
            return 0
        case ToolCall(_, name, arguments):
            return len(encode(arguments)) + len(name) + 2 * _FRAME
        case ToolResult(_, content):
            return sum(map(_size, content)) + 2 * _FRAME
