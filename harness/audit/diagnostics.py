"""What the vendor itself says of a miss, beside the verdict that our own bytes and bills give.

Invariant: never depended on. What is absent, malformed or unknown says nothing; what contradicts our bytes is recorded
as a contradiction and changes nothing. Only where our bytes leave the cause open ("evicted") may it name one.
Source: platform.claude.com/docs/en/build-with-claude/cache-diagnostics (`diagnostics.cache_miss_reason.type`);
openai 3.54.0, types/responses/response.py (`prompt_cache_diagnostics`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.audit.verdict import Verdict
from harness.conversation.canonical import Json

NOTHING = "nothing changed"
_SETTINGS = ("prompt_cache_key", "text_format", "reasoning_effort", "verbosity", "service_tier")
_WORDS: Mapping[str, str] = {
    "model_changed": "the model changed",
    "system_changed": "the system changed",
    "tools_changed": "the tools changed",
    "messages_changed": "the messages changed",
    "input_changed": "the input changed",
    "context_compacted": "the context was compacted",
    **{f"{name}_changed": f"a setting changed ({name})" for name in _SETTINGS},
}


def said(extra: Mapping[str, Json]) -> str:
    """What the vendor says became of the prefix, in words; "" where it says nothing that is known.

    Args:
        extra: of an answer whose request asked for a comparison with an earlier one.
    """
    match extra:
        case {"diagnostics": None} | {"prompt_cache_diagnostics": {"type": "cache_hit"}}:
            return NOTHING
        case {"diagnostics": {"cache_miss_reason": {"type": str(reason)}}}:
            return _WORDS.get(reason, "")
        case {"prompt_cache_diagnostics": {"type": "cache_miss", "reason": str(reason)}}:
            return _WORDS.get(reason, "")
        case _:
            return ""


def weigh(verdict: Verdict, words: str, *, thinking: bool = False) -> Verdict:
    """The verdict with what the vendor said of it.

    Args:
        words: as `said` gives them.
        thinking: whether the request carried any of this model's.
    """
    if not words:
        return verdict
    agrees = _agrees(verdict, words)
    judged = replace(verdict, vendor=words, agrees=agrees)
    match verdict.kind:
        case "evicted" if words == _WORDS["messages_changed"] and thinking:
            cause = "our bytes are the same and the vendor says that the messages changed: it left thinking out"
            return replace(judged, kind="vendor stripped", cause=cause, agrees=True)
        case "evicted" if agrees:
            return replace(judged, cause=f"{verdict.cause}; it confirms that nothing changed")
        case "evicted" | "ours" | "expired" if agrees is False:
            return replace(judged, cause=f"{verdict.cause} (the vendor says: {words})")
        case "ours" | "first" | "declared" if agrees:
            return replace(judged, cause=f"{verdict.cause} (the vendor confirms: {words})")
        case _:
            return judged


def _agrees(verdict: Verdict, words: str) -> bool | None:
    """Whether the vendor says what our bytes say; None where they do not say anything that it speaks of."""
    setting = words.startswith("a setting changed")
    match verdict.kind:
        case "hit" | "evicted" | "expired":
            return words == NOTHING
        case "ours" if verdict.where.startswith("tool "):
            return words in (_WORDS["tools_changed"], _WORDS["input_changed"])
        case "ours" if verdict.where.endswith(" system"):
            return words in (_WORDS["system_changed"], _WORDS["input_changed"])
        case "ours" if verdict.where.startswith("message "):
            return words in (_WORDS["messages_changed"], _WORDS["input_changed"])
        case "ours":
            return words == NOTHING
        case "first" if verdict.cause.startswith("model switch"):
            return words == _WORDS["model_changed"]
        case "declared" if verdict.cause.startswith("settings"):
            # one vendor has no word for it: the change counts as one of the messages
            return setting or words == _WORDS["messages_changed"] or None
        case _:
            return None
