"""OpenAI's prompt_cache_diagnostics: why a response could not reuse the prefix of another one.

Invariant: compares two requests only, without looking at what the cache holds; settings come before content.
Source: section B Diagnostics; openai 3.54.0, types/responses/response.py, PromptCacheDiagnostics.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness.simulator.records import Received
from harness.simulator.wire_responses import WIRE, Understood

_REASONS = (
    ("text_format", "text_format_changed"),
    ("effort", "reasoning_effort_changed"),
    ("verbosity", "verbosity_changed"),
    ("service_tier", "service_tier_changed"),
)


def diagnose(earlier: Received | None, now: Understood) -> dict[str, Any]:
    """`prompt_cache_diagnostics` of a response that was to be compared with an earlier one."""
    if earlier is None or earlier.wire != WIRE:
        return {"type": "comparison_response_not_found"}
    old, same = [block for block in earlier.blocks if block.counted], 0
    new = [block for block in now.blocks if block.counted]
    for before, after in zip(old, new, strict=False):
        if (before.level, before.role, before.canonical) != (after.level, after.role, after.canonical):
            break
        same += 1
    reason, reusable = _setting_changed(earlier, now), 0
    if not reason:
        if same == len(old):
            return {"type": "cache_hit"}
        levels = {block.level for block in (*old[same : same + 1], *new[same : same + 1])}
        reason, reusable = "tools_changed" if "tools" in levels else "input_changed", same
    return {
        "type": "cache_miss",
        "reason": reason,
        "cache_missed_tokens": sum(block.tokens for block in new[reusable:]),
        "comparison_reusable_tokens": sum(block.tokens for block in new[:reusable]),
    }


def told(found: dict[str, Any], how: str) -> dict[str, Any]:
    """The field of the response, as the rule `diagnostics` has it."""
    match how:
        case "absent":
            return {}
        case "malformed":
            return {"prompt_cache_diagnostics": ["cache_miss", {"reason": 7}]}
        case "contradicting":
            wrong = {"type": "cache_miss", "reason": "verbosity_changed", "cache_missed_tokens": 1}
            return {"prompt_cache_diagnostics": wrong if found["type"] == "cache_hit" else {"type": "cache_hit"}}
        case _:
            return {"prompt_cache_diagnostics": found}


def _setting_changed(earlier: Received, now: Understood) -> str:
    model, _, text = earlier.line.partition(" ")
    old: Mapping[str, Any] = json.loads(text) if text else {}
    if model != now.settings.model:
        return "model_changed"
    if old.get("prompt_cache_key") != now.settings.key:
        return "prompt_cache_key_changed"
    for name, reason in _REASONS:
        if old.get(name) != now.settings.values.get(name):
            return reason
    return ""
