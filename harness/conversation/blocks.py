"""What was said: immutable values, equal when their content is equal.

Invariant: content is always a tuple of blocks, tool results too, from birth; no vendor's wire form appears here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.conversation.canonical import Json


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text, never empty once it is part of a message.

    `phase` is a vendor's label of what its model said, which comes back with it (OpenAI: "commentary", "final_answer").
    """

    text: str
    phase: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """An image: `media_type` like "image/png", `data` base64."""

    media_type: str
    data: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """A model's thinking, verbatim, with the signature that binds it to what preceded it.

    `maker` is the model that made it ("anthropic/claude-sonnet-5-5"); it is sent back to that model only.
    `redacted` is the vendor's opaque data when the text itself was withheld. `item` is a vendor's own form of it as
    JSON text, sent back verbatim (an OpenAI reasoning item, the reasoning fields of a Chat message); `signature` then
    says what kind of item it was made with.
    """

    text: str
    signature: str
    maker: str
    redacted: str = ""
    item: str = ""

    @property
    def can_be_sent(self) -> bool:
        """Whether its maker takes it back: not without what proves that it is its own."""
        return bool(self.signature or self.redacted or self.item)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model asks for.

    `invalid` is empty, or says why the call must not run (its arguments were no JSON object); `arguments` is then
    what is sent back in place of them: an object that quotes the raw text.
    """

    id: str
    name: str
    arguments: dict[str, Json] = field(hash=False)
    invalid: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The answer to one call: at least one block."""

    call_id: str
    content: tuple[Text | Image, ...]
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that one model is told inside the conversation, so that its cache stays; no other model gets it.

    name: "effort". model: "provider/name".
    """

    name: str
    value: str
    model: str


Block = Text | Image | Thinking | ToolCall | ToolResult | Setting

Tag = Literal["person", "program", "system_injected", "results", "answer", "setting"]
"""Who speaks: a person; the program in a person's stead (a repair, a goal); facts the program injects, which are no
turn and never carry a marker; tool results; the model; a `Setting`, alone."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation, canonical. `partial` marks an answer whose stream broke."""

    tag: Tag
    blocks: tuple[Block, ...]
    partial: bool = False

    @property
    def role(self) -> Literal["user", "assistant", "system"]:
        """The role every wire knows; "system" only for what is no text."""
        match self.tag:
            case "answer":
                return "assistant"
            case "setting":
                return "system"
            case _:
                return "user"

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls in this message, in order."""
        return tuple(block for block in self.blocks if isinstance(block, ToolCall))

    @property
    def has_image(self) -> bool:
        """Whether an image is in it, be it in a tool's result."""
        parts = [part for b in self.blocks for part in (b.content if isinstance(b, ToolResult) else (b,))]
        return any(isinstance(part, Image) for part in parts)

    @property
    def text(self) -> str:
        """All its text blocks, joined."""
        return "".join(block.text for block in self.blocks if isinstance(block, Text))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens a vendor billed for one request, normalised: the five are disjoint.

    The prompt is `uncached + read + written_short + written_long`; the last two are the vendor's shorter and its longer
    lived writes (Anthropic: 5m and 1h, OpenAI: 30m and 12h), as `Price.write_short` and `Price.write_long` are.
    Anthropic's `input_tokens` is already exclusive (platform.claude.com/docs/en/build-with-claude/prompt-caching);
    inclusive vendors are converted by their wire.
    """

    uncached: int = 0
    read: int = 0
    written_short: int = 0
    written_long: int = 0
    output: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.uncached + other.uncached,
            self.read + other.read,
            self.written_short + other.written_short,
            self.written_long + other.written_long,
            self.output + other.output,
        )

    def __neg__(self) -> Usage:
        return Usage(-self.uncached, -self.read, -self.written_short, -self.written_long, -self.output)

    @property
    def written(self) -> int:
        """Tokens written to the cache, both TTLs."""
        return self.written_short + self.written_long

    @property
    def prompt(self) -> int:
        """All input tokens."""
        return self.uncached + self.read + self.written
