"""OpenAI Responses requests: from checked JSON to blocks, breakpoints, a line and a prompt for the cache.

Invariant: pure; the order is tools, instructions, input items; byte for byte as sent, breakpoints aside.
Source: section B; openai 3.54.0, types/responses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.simulator import openai_fields as f
from harness.simulator.contracts import Text
from harness.simulator.openai_models import OpenAIFacts, Profile
from harness.simulator.openai_prompt import Settings, block_of, prompt_of, settings_of
from harness.simulator.prefix_cache import Prompt
from harness.simulator.records import Block, Level, Ttl
from harness.simulator.responses_pairing import kind_of
from harness.simulator.rules import Rules
from harness.simulator.sealed import unseal

WIRE = "openai-responses"


@dataclass(frozen=True, slots=True)
class Understood:
    """A request that was accepted."""

    facts: OpenAIFacts
    profile: Profile
    blocks: tuple[Block, ...] = field(repr=False)
    prompt: Prompt | Text = field(repr=False)
    settings: Settings
    context: str
    """The effective reasoning.context."""
    withheld: tuple[dict[str, str], ...]
    """`input_transformations`: reasoning items left out of the prompt, and why."""
    effort: str | None
    """The effort in force for the answer: that of the last configuration_update, or the request's own."""


def understand(
    request: Mapping[str, Any],
    items: list[Any],
    headers: Mapping[str, str],
    facts: OpenAIFacts,
    profile: Profile,
    rules: Rules,
    workspace: str,
) -> Understood:
    """Account for a checked request."""
    context = (request.get("reasoning") or {}).get("context") or "auto"
    if context == "auto":
        context = "all_turns" if facts.all_turns else "current_turn"
    withheld = _withheld(items, facts, context)
    ttl: Ttl = (request.get("prompt_cache_options") or {}).get("ttl", "30m")
    blocks = tuple(_blocks(request, items, facts, profile, ttl, withheld))
    settings = settings_of(facts, profile, request, headers, _values(request))
    prompt = prompt_of(blocks, settings, facts, request, rules, workspace)
    f.check_window(prompt.total, request.get("max_output_tokens"), facts, profile, rules.context_window)
    given = [request, *(item for item in items if kind_of(item) == "configuration_update")]
    efforts = [(one.get("reasoning") or {}).get("effort") for one in given]
    effort = next((effort for effort in reversed(efforts) if effort), None)
    return Understood(facts, profile, blocks, prompt, settings, context, tuple(withheld.values()), effort)


def _values(request: Mapping[str, Any]) -> dict[str, Any]:
    """B Prefix breakers; medium is the default of effort and verbosity, text that of the format."""
    text = request.get("text") or {}
    form = text.get("format")
    verbosity, effort = text.get("verbosity"), (request.get("reasoning") or {}).get("effort")
    return {
        "text_format": None if form in (None, {"type": "text"}) else form,
        "verbosity": None if verbosity == "medium" else verbosity,
        "effort": None if effort == "medium" else effort,
    }


def _withheld(items: list[Any], facts: OpenAIFacts, context: str) -> dict[int, dict[str, str]]:
    """Reasoning that is not rendered: another model's, or of an earlier turn (B Stateless, reasoning.context)."""
    users = [place for place, item in enumerate(items) if kind_of(item) == "message" and item.get("role") == "user"]
    found: dict[int, dict[str, str]] = {}
    for place, item in enumerate(items):
        if kind_of(item) != "reasoning":
            continue
        sealed = unseal(item["encrypted_content"])
        reason = ""
        if sealed is not None and sealed.model != facts.name:
            reason = "model_mismatch"
        elif context == "current_turn" and users and place < users[-1]:
            reason = "turn_boundary"
        if reason and sealed is not None:
            found[place] = {"id": sealed.id, "action": "removed", "reason": reason, "type": "reasoning"}
    return found


def _blocks(
    request: Mapping[str, Any],
    items: list[Any],
    facts: OpenAIFacts,
    profile: Profile,
    ttl: Ttl,
    withheld: Mapping[int, Any],
) -> Iterator[Block]:
    for place, tool in enumerate(request.get("tools") or ()):
        yield block_of("tools", "", -1, tool, first=place == 0, kind="function")
    if request.get("instructions"):
        yield block_of("system", "system", -1, request["instructions"], first=True, kind="instructions")
    level: Level = "system"
    for place, item in enumerate(items):
        if level == "system" and item.get("role") not in ("system", "developer"):
            level = "messages"
        made = list(_item_blocks(level, place, item, facts if profile.markers else None, ttl))
        if place in withheld:
            made = [replace(block, counted=False) for block in made]
        yield from made


def _item_blocks(
    level: Level, place: int, item: Mapping[str, Any], facts: OpenAIFacts | None, ttl: Ttl
) -> Iterator[Block]:
    """`facts`: of a model that understands breakpoints here; None: they are ignored."""
    match kind_of(item):
        case "message":
            parts, role = item["content"], str(item["role"])
            # B Lookback: implicit breakpoints stand at ends of messages that are not the model's.
            eligible, envelope = role != "assistant", {}
        case "function_call_output":
            parts, role, eligible = item["output"], "tool", True
            envelope = {name: value for name, value in item.items() if name not in {"output", "status"}}
        case kind:
            role = "assistant" if kind in {"function_call", "reasoning"} else "developer"
            yield block_of(level, role, place, item, first=True, kind=kind)
            return
    listed = [parts] if isinstance(parts, str) else parts
    for index, part in enumerate(listed):
        bare = part
        if isinstance(part, dict):
            bare = {name: value for name, value in part.items() if name != "prompt_cache_breakpoint"}
        yield block_of(
            level,
            role,
            place,
            {**envelope, "output": bare} if envelope else bare,
            first=index == 0,
            kind=str(part.get("type")) if isinstance(part, dict) else "input_text",
            marker=f.breakpoint_of("", part, facts, ttl) if facts and isinstance(part, dict) else None,
            eligible=eligible and index == len(listed) - 1,
        )
