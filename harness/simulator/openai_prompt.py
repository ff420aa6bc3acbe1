"""What the OpenAI wires share in accounting: parts to blocks, settings to a line, blocks to a contract's prompt.

Invariant: pure; blocks come out in the vendor's order (tools, instructions and initial developer messages, the
rest), each as sent but for its breakpoint. The settings that every prefix depends on are mixed in before the
first block (B "Prefix breakers").
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.simulator.contracts import Text
from harness.simulator.openai_models import OpenAIFacts, Profile
from harness.simulator.prefix_cache import Prompt
from harness.simulator.records import Block, Level, Ttl, trailing_settings
from harness.simulator.rules import Rules

MARKS = frozenset({"prompt_cache_breakpoint", "cache_control"})
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_HOUR, _DAY = 3_600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What an OpenAI prefix depends on besides its blocks. A default is as omitted (None)."""

    model: str
    key: str | None
    values: Mapping[str, Any]

    @property
    def line(self) -> str:
        """Model, settings and key."""
        found = {name: value for name, value in self.values.items() if value is not None}
        if self.key is not None:
            found["prompt_cache_key"] = self.key
        return f"{self.model} {json.dumps(found, sort_keys=True)}" if found else self.model


def block_of(
    level: Level,
    role: str,
    message: int,
    value: Any,
    *,
    first: bool,
    kind: str,
    marker: Ttl | None = None,
    eligible: bool = False,
) -> Block:
    """One block; the marks of `value` are left out of its canonical form."""
    bare = value
    if isinstance(value, dict) and not MARKS.isdisjoint(value):
        bare = {name: part for name, part in value.items() if name not in MARKS}
    canonical = _encode(bare).encode("utf-8", "surrogatepass")
    return Block(level, role, message, first, canonical, marker, kind, eligible=eligible)


def settings_of(
    facts: OpenAIFacts,
    profile: Profile,
    request: Mapping[str, Any],
    headers: Mapping[str, str],
    values: Mapping[str, Any],
) -> Settings:
    """B Prefix breakers: text.format, effort, verbosity, service tier, key. A local engine knows none of them."""
    key = request.get("prompt_cache_key")
    if profile.name == "openrouter":
        # C OpenRouter, sticky routing: session_id, then x-session-id, then prompt_cache_key.
        key = request.get("session_id") or headers.get("x-session-id") or key
    if profile.contract is not None:
        # C: local engines ignore prompt_cache_*; cache_salt isolates on vLLM and SGLang.
        pinned = request.get(profile.affinity) or headers.get(profile.affinity)
        return Settings(facts.name, pinned or request.get("cache_salt"), {})
    tier = request.get("service_tier")
    tier = None if tier in (None, "auto", "default") else tier
    return Settings(facts.name, key, {**values, "service_tier": "priority" if tier == "fast" else tier})


def prompt_of(
    blocks: Sequence[Block],
    settings: Settings,
    facts: OpenAIFacts,
    request: Mapping[str, Any],
    rules: Rules,
    workspace: str,
    idle: float | None = None,
) -> Prompt | Text:
    """The form that the model's contract takes. idle: seconds that an entry of the profile lives unread."""
    salt = f"{workspace} {settings.line}"
    if facts.contract == "breakpoints" and rules.cache_key == "required" and settings.key is None:
        # B Key, F1: routed anywhere, so that only the very same request finds what it wrote.
        salt += f" unrouted {hashlib.sha256(_encode(request).encode('utf-8', 'surrogatepass')).hexdigest()}"
    if facts.contract in {"breakpoints", "anthropic"}:
        return _marked(blocks, salt, facts, request)
    counted = tuple(block for block in blocks if block.counted)
    life, most = _lives(request, facts, rules) if facts.contract == "steps" else (idle, None)
    return Text(
        blocks=counted,
        salt=salt,
        total=sum(block.tokens for block in counted),
        minimum=facts.min_cacheable,
        step=facts.step,
        ends=facts.contract == "units",
        seconds=life,
        at_most=most,
        recompute_last=facts.contract in {"blocks", "slots"},
        reuse=request.get("cache_prompt") is not False,
    )


def _lives(request: Mapping[str, Any], facts: OpenAIFacts, rules: Rules) -> tuple[float, float]:
    """B Control: idle life and greatest age of an entry, by retention."""
    if (request.get("prompt_cache_retention") or ("24h" if facts.only_24h else rules.retention)) == "in_memory":
        return float(rules.idle_seconds), _HOUR
    return _DAY, _DAY


def _marked(blocks: Sequence[Block], salt: str, facts: OpenAIFacts, request: Mapping[str, Any]) -> Prompt:
    options = request.get("prompt_cache_options") or {}
    state = hashlib.sha256(salt.encode("utf-8", "surrogatepass"))
    digests: list[bytes] = []
    tokens: list[int] = []
    counted = [block for block in blocks if block.counted]
    total = 0
    for block in counted:
        state.update(f"{block.level}/{block.role}:{block.size}:".encode())
        state.update(block.canonical)
        total += block.tokens
        digests.append(state.digest())
        tokens.append(total)
    ends = tuple(index for index, block in enumerate(counted) if block.level == "system")
    return Prompt(
        digests=tuple(digests),
        tokens=tuple(tokens),
        positions=tuple(range(len(counted))),
        markers=tuple((index, block.marker) for index, block in enumerate(counted) if block.marker),
        system_ends=ends,
        minimum=facts.min_cacheable,
        default_ttl="5m" if facts.contract == "anthropic" else options.get("ttl", "30m"),
        endings=tuple(index for index, block in enumerate(counted) if block.eligible),
        explicit_only=options.get("mode") == "explicit",
        lead=ends[-1] if ends else -1,
        trailing=trailing_settings(counted),
    )
