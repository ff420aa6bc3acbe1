"""The vendor's own view of why a request could not reuse an earlier one's prefix.

Invariant: compares two requests only, without looking at what the cache holds; the earliest divergence wins.
Source: platform.claude.com/docs/en/build-with-claude/cache-diagnostics (A5 Diagnostics).
"""

from __future__ import annotations

import json
from typing import Any

from harness.simulator.records import Block, Level, Received
from harness.simulator.wire_anthropic import Understood

_REASONS: tuple[tuple[Level, str], ...] = (
    ("tools", "tools_changed"),
    ("system", "system_changed"),
    ("messages", "messages_changed"),
)


def diagnose(earlier: Received | None, now: Understood) -> dict[str, Any] | None:
    """`diagnostics` of a response: None when nothing diverged, else one cache_miss_reason."""
    if earlier is None:
        return {"cache_miss_reason": {"type": "previous_message_not_found"}}
    if _model_and_speed(earlier.line) != _model_and_speed(now.line):
        # anthropic 2.12.0, types/cache_miss_model_changed.py: a changed speed too.
        return _missed("model_changed", earlier.blocks, 0)
    same = 0
    for old, new in zip(earlier.blocks, now.blocks, strict=False):
        if (old.level, old.role, old.canonical) != (new.level, new.role, new.canonical):
            break
        same += 1
    if same < len(earlier.blocks):
        return _missed(_reason(earlier.blocks, now.blocks, same), earlier.blocks, same)
    if earlier.line != now.line:
        return {"cache_miss_reason": {"type": "unavailable"}}
    return None


def _model_and_speed(line: str) -> tuple[str, object]:
    model, _, settings = line.partition(" ")
    return model, json.loads(settings).get("speed") if settings else None


def told(found: dict[str, Any] | None, how: str) -> dict[str, Any]:
    """The field of the message, as the rule `diagnostics` has it."""
    match how:
        case "absent":
            return {}
        case "malformed":
            return {"diagnostics": {"cache_miss_reason": [None, {"type": 7}]}}
        case "contradicting":
            wrong = {"cache_miss_reason": {"type": "system_changed", "cache_missed_input_tokens": 1}}
            return {"diagnostics": wrong if found is None else None}
        case _:
            return {"diagnostics": found}


def _reason(old: tuple[Block, ...], new: tuple[Block, ...], at: int) -> str:
    """The first level that differs: the lower of the two blocks at the divergence."""
    levels = {block.level for block in (*old[at : at + 1], *new[at : at + 1])}
    return next(reason for level, reason in _REASONS if level in levels)


def _missed(reason: str, blocks: tuple[Block, ...], same: int) -> dict[str, Any]:
    missed = sum(block.tokens for block in blocks[same:])
    return {"cache_miss_reason": {"type": reason, "cache_missed_input_tokens": missed}}
