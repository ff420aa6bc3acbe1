"""What the pretend vendor knows about each model: one row of facts per model name.

Invariant: a name that is not a row (or an alias of one) does not exist and is answered with 404
not_found_error. The figures are the vendor's own published ones; this table is not shared with any client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EFFORTS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model. Sizes are tokens."""

    name: str
    min_cacheable: int
    context_window: int = 1_000_000
    max_output: int = 128_000
    binds_thinking: bool = False
    """Thinking signatures are tied to the exact conversation before them."""
    always_thinks: bool = False
    """`thinking: {"type": "disabled"}` is refused."""
    rejects_forced_tools: bool = False
    rejects_sampling: bool = False
    """Non-default temperature, top_p, top_k are refused even on the old API version."""
    rejects_prefill: bool = True
    efforts: tuple[str, ...] = EFFORTS
    """Values of output_config.effort; none where the field is refused."""
    system_messages: bool = False
    """`{"role": "system"}` is allowed inside `messages`."""
    effort_messages: bool = False
    """Such a message may carry `output_config.effort`, behind its beta."""
    later: bool = False
    """Newer than what the documentation of those messages lists."""
    strips_thinking: bool = False
    """A user message that is not only tool results removes earlier thinking from the prompt."""


# Minimum cacheable prompt: A2 "Minimum cacheable tokens"
# (platform.claude.com/docs/en/build-with-claude/prompt-caching). Those of Fable 5.2 and Mythos 5.2 are
# unpublished: 512, as Fable 5.1.
# Windows: A7 (1M context, 128k output; Haiku 4.5 200k and 64k); litellm 1.109.1 has the latter for all of 4.5.
# Bound thinking: A4 scope. Forced tools, disabled thinking: A4. Sampling and prefill: A1. System role: A5.
# Effort in a message: A5, which lists Fable and Mythos 5.1, Opus 5 and 5.5, Sonnet 5.5, and not the later 5.2.
# Values of effort: litellm 1.109.1, supports_*_reasoning_effort.
# Stripping of earlier thinking: A3 (platform.claude.com/docs/en/build-with-claude/thinking).
_FABLE_BOUND: dict[str, Any] = {
    "binds_thinking": True,
    "always_thinks": True,
    "rejects_forced_tools": True,
    "rejects_sampling": True,
    "system_messages": True,
}
_FABLE: dict[str, Any] = {**_FABLE_BOUND, "binds_thinking": False}
_MYTHOS: dict[str, Any] = {"rejects_sampling": True, "system_messages": True}
_EFFORT: dict[str, Any] = {"effort_messages": True}
_NO_XHIGH = ("low", "medium", "high", "max")
_SMALL: dict[str, Any] = {"context_window": 200_000, "max_output": 64_000, "rejects_prefill": False}

_ROWS = (
    ModelFacts("claude-fable-5-2", 512, later=True, **_FABLE_BOUND),
    ModelFacts("claude-fable-5-1", 512, **_FABLE_BOUND, **_EFFORT),
    ModelFacts("claude-fable-5", 512, **_FABLE),
    ModelFacts("claude-mythos-5-2", 512, later=True, binds_thinking=True, **_MYTHOS),
    ModelFacts("claude-mythos-5-1", 512, **_MYTHOS, **_EFFORT),
    ModelFacts("claude-mythos-5", 512, **_MYTHOS),
    ModelFacts("claude-mythos-preview", 2_048, rejects_sampling=True),
    ModelFacts("claude-opus-5-5", 512, **_FABLE_BOUND, **_EFFORT),
    ModelFacts("claude-opus-5", 512, rejects_sampling=True, system_messages=True, **_EFFORT),
    ModelFacts("claude-opus-4-8", 1_024, rejects_sampling=True, system_messages=True),
    ModelFacts("claude-opus-4-7", 2_048, rejects_sampling=True),
    ModelFacts("claude-opus-4-6", 4_096, efforts=_NO_XHIGH),
    ModelFacts("claude-opus-4-5", 4_096, efforts=EFFORTS[:3], **_SMALL),
    ModelFacts("claude-sonnet-5-5", 512, binds_thinking=True, rejects_sampling=True, system_messages=True, **_EFFORT),
    ModelFacts("claude-sonnet-5", 1_024, rejects_sampling=True),
    ModelFacts("claude-sonnet-4-6", 1_024, efforts=_NO_XHIGH),
    ModelFacts("claude-sonnet-4-5", 1_024, strips_thinking=True, efforts=(), **_SMALL),
    ModelFacts("claude-haiku-5-5", 512, rejects_sampling=True),
    ModelFacts("claude-haiku-4-5", 4_096, strips_thinking=True, efforts=(), **_SMALL),
)

_ALIASES = {
    "claude-opus-4-5-20251101": "claude-opus-4-5",
    "claude-sonnet-4-5-20250929": "claude-sonnet-4-5",
    "claude-haiku-4-5-20251001": "claude-haiku-4-5",
}

MODELS: dict[str, ModelFacts] = {row.name: row for row in _ROWS}


def facts_of(name: str) -> ModelFacts | None:
    """The row for a model name or a dated alias; None when the vendor has no such model."""
    return MODELS.get(_ALIASES.get(name, name))
