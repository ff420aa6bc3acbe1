"""Chat Completions requests: from checked JSON to blocks, breakpoints, a line and a prompt for the cache.

Invariant: pure; the order is tools, messages; byte for byte as sent, breakpoints aside.
Source: sections B and C; openai 3.54.0, types/chat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.simulator import openai_fields as f
from harness.simulator.contracts import Text
from harness.simulator.openai_models import OpenAIFacts, Profile
from harness.simulator.openai_prompt import MARKS, Settings, block_of, prompt_of, settings_of
from harness.simulator.prefix_cache import Prompt
from harness.simulator.records import Block, Level, Refused, Ttl
from harness.simulator.rules import Rules

WIRE = "openai-chat"


@dataclass(frozen=True, slots=True)
class Understood:
    """A request that was accepted."""

    facts: OpenAIFacts
    profile: Profile
    blocks: tuple[Block, ...] = field(repr=False)
    prompt: Prompt | Text = field(repr=False)
    settings: Settings


@dataclass(frozen=True, slots=True)
class _Marks:
    """Which marks count, and as what."""

    facts: OpenAIFacts
    controls: bool
    """Whether marks are `cache_control`."""
    default: Ttl


def understand(
    request: Mapping[str, Any],
    headers: Mapping[str, str],
    facts: OpenAIFacts,
    profile: Profile,
    rules: Rules,
    workspace: str,
) -> Understood:
    """Account for a checked request."""
    ttl: Ttl = (request.get("prompt_cache_options") or {}).get("ttl", "30m")
    marks = _Marks(facts, profile.name in ("openrouter", "qwen"), ttl) if profile.markers else None
    blocks = tuple(_blocks(request, profile, marks))
    found = sum(1 for block in blocks if block.marker)
    if facts.contract == "anthropic" and found > rules.max_markers:
        # C OpenRouter passes cache_control on; A2, A6 texts.
        raise Refused(f"A maximum of {rules.max_markers} blocks with cache_control may be provided. Found {found}.")
    settings = settings_of(facts, profile, request, headers, _values(request))
    prompt = prompt_of(blocks, settings, facts, request, rules, workspace, profile.seconds)
    answer = request.get("max_completion_tokens", request.get("max_tokens"))
    f.check_window(prompt.total, answer, facts, profile, rules.context_window)
    return Understood(facts, profile, blocks, prompt, settings)


def _values(request: Mapping[str, Any]) -> dict[str, Any]:
    """B Prefix breakers; medium is the default of effort and verbosity, text that of the format."""
    form, effort = request.get("response_format"), request.get("reasoning_effort")
    return {
        "text_format": None if form in (None, {"type": "text"}) else form,
        "verbosity": None if request.get("verbosity") == "medium" else request.get("verbosity"),
        "effort": None if effort == "medium" else effort,
    }


def _blocks(request: Mapping[str, Any], profile: Profile, marks: _Marks | None) -> Iterator[Block]:
    for place, tool in enumerate(request.get("tools") or ()):
        yield block_of("tools", "", -1, tool, first=place == 0, kind="function")
    level: Level = "system"
    for place, message in enumerate(request["messages"]):
        if level == "system" and message["role"] not in ("system", "developer"):
            level = "messages"
        yield from message_blocks(level, place, message, profile, marks)


def message_blocks(
    level: Level, place: int, message: Mapping[str, Any], profile: Profile, marks: _Marks | None = None
) -> Iterator[Block]:
    """Reasoning, content, refusal, calls: in the order in which chat templates render them."""
    role, first = str(message["role"]), True
    reasoning = message.get(profile.reasoning) if profile.reasoning else None
    if role == "assistant" and isinstance(reasoning, str):
        yield block_of(level, role, place, reasoning, first=True, kind="reasoning")
        first = False
    content = message.get("content")
    parts: Sequence[Any] = [content] if isinstance(content, str) else content or ()
    envelope = {name: message[name] for name in ("tool_call_id", "name") if name in message}
    for index, part in enumerate(parts):
        bare = part
        if isinstance(part, dict) and envelope:
            bare = {name: value for name, value in part.items() if name not in MARKS}
        yield block_of(
            level,
            role,
            place,
            {**envelope, "content": bare} if envelope else bare,
            first=first,
            kind=str(part.get("type")) if isinstance(part, dict) else "text",
            marker=_marker(part, role, marks),
            eligible=role != "assistant" and index == len(parts) - 1,
        )
        first = False
    if isinstance(message.get("refusal"), str):
        yield block_of(level, role, place, {"refusal": message["refusal"]}, first=first, kind="refusal")
        first = False
    for call in message.get("tool_calls") or ():
        yield block_of(level, role, place, call, first=first, kind="tool_call")
        first = False


def _marker(part: object, role: str, marks: _Marks | None) -> Ttl | None:
    if marks is None or not isinstance(part, dict):
        return None
    if marks.controls and isinstance(part.get("cache_control"), dict):
        # C OpenRouter: passed on to Anthropic, translated to a breakpoint without its TTL for OpenAI.
        if marks.facts.contract == "anthropic":
            return "1h" if part["cache_control"].get("ttl") == "1h" else "5m"
        return marks.default if marks.facts.contract == "breakpoints" and role != "assistant" else None
    return f.breakpoint_of("", part, marks.facts, marks.default) if marks.facts.contract == "breakpoints" else None
