"""What of one model's history another model can be sent.

Invariant: pure and per profile: the same block always becomes the same bytes, so a line that is left and taken up again
finds its prefix as it was. Thinking goes to its maker only; an id that a wire would refuse is replaced by one derived
from it, in the call and in its result alike.
"""

from __future__ import annotations

import re

from harness.conversation.blocks import Block, Message, Setting, Text, Thinking
from harness.conversation.canonical import digest

ANTHROPIC_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")
"""platform.claude.com/docs/en/api/messages: tool_use.id."""

NO_ANSWER = "(no answer)"
"""Stands where a server wants an answer between two messages, and there was none."""

RESPONSES_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""developers.openai.com/api/docs/api-reference/responses: call_id has at most 64 characters."""

CHAT_ID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
"""As public reports quote the vendor's refusal: 40 characters on the Chat wire; elsewhere as RESPONSES_ID."""

LONGEST_NAME = 64
"""Of a function, on both OpenAI wires; a longer one names no tool of ours, and only its call is remembered."""


def wire_id(call_id: str, allowed: re.Pattern[str]) -> str:
    """The id itself where a wire takes it, else one derived from it."""
    return call_id if allowed.fullmatch(call_id) else "call_" + digest(call_id.encode("utf-8"))[:24]


def for_model(message: Message, model: str) -> tuple[Block, ...]:
    """The blocks of a message that `model` ("provider/name") can be sent.

    Thinking that another model made, or that was never signed, and a setting of another's are left out; so is text
    without a visible character. An answer never ends with thinking: no vendor takes one, and a stream that broke may
    have left it so.
    """
    blocks = [block for block in message.blocks if _for(block, model)]
    while message.tag == "answer" and blocks and isinstance(blocks[-1], Thinking):
        blocks.pop()
    return tuple(blocks)


def _for(block: Block, model: str) -> bool:
    match block:
        case Text(text):
            return bool(text.strip())
        case Thinking():
            return block.maker == model and block.can_be_sent
        case Setting():
            return block.model == model
        case _:
            return True
