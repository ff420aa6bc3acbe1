"""The vendor's rules as options, with the documented behaviour as defaults.

Invariant: a rule that public sources leave open, or tell differently, is a field here and never a constant
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal, get_args

Vendors = Literal[
    "openai", "openrouter", "deepseek", "moonshot", "zai", "qwen", "minimax", "xai", "mistral", "gemini", "groq"
]
ServerName = Literal[Vendors, "ollama", "llamacpp", "vllm", "sglang", "generic"]


@dataclass(frozen=True, slots=True)
class Rules:
    """Row names are those of the public documentation notes (A2 = cache_control semantics, and so on)."""

    lookback: int = 20
    """A2 lookback: positions checked per breakpoint, itself included."""
    max_markers: int = 4
    """A2 cache_control: breakpoints per request."""
    collapse_tool_runs: bool = False
    """A2 lookback: a run of tool_use is one position, and so is a run of tool_result (told by one source)."""
    refresh: Literal["hit", "marked", "all"] = "marked"
    """A2 TTL: what a read refreshes: the entry hit, also live ones at markers before it, or every prefix."""
    readable_after_start: bool = True
    """A2: an entry is readable only once the response of the request that writes it began."""
    minimum: int | None = None
    """A2 minimum cacheable tokens: overrides the model's figure."""
    context_window: int | None = None
    """A7: overrides the model's window."""
    isolation: Literal["key", "none"] = "key"
    """A2 isolation: each API key is a workspace of its own, or all share one."""
    settings_level: Literal["messages", "system", "tools"] = "messages"
    """A3 "model-specific": the first level that a change of thinking parameters or effort invalidates."""
    betas_in_key: bool = False
    """Whether the beta header takes part in the cache key (documented nowhere); if so, it is part of the line."""
    effort_messages: Literal["listed", "later", "none"] = "listed"
    """A5 Effort change: models that take it as a message: those listed, later ones too, or none (as at a gateway)."""
    binding: Literal["all", "models", "none"] = "models"
    """A4 scope: whose signatures are bound to the prefix: every model's, the listed models', nobody's."""
    foreign_thinking: Literal["drop", "reject"] = "drop"
    """A thinking block made by another model is left out of the prompt, or refused."""
    body_limit: int = 32 * 1024 * 1024
    """A6 errors: bytes of a request above which 413 request_too_large is answered."""
    requests_per_minute: int = 0
    """A6, B Rate limits: of one key; 0: none. Above it, 429 with the headers of the vendor."""
    input_tokens_per_minute: int = 0
    """A6, B Rate limits: of one key; 0: none. Cache reads count on the OpenAI wires only."""

    diagnostics: Literal["right", "absent", "malformed", "contradicting"] = "right"
    """A5, B Diagnostics: what is told where a comparison is asked for; only "right" is documented."""

    # From here on: the OpenAI wires. Rows are those of sections B, C and F of the notes.
    profile: ServerName = "openai"
    """C: which vendor or engine answers on the OpenAI wires."""
    contract: Literal["model", "breakpoints", "steps", "units", "blocks", "slots", "none"] = "model"
    """B, C: the caching contract of the OpenAI wires; `model`: what the model and the profile say."""
    breakpoint_lookback: Literal["latest80", "first2_latest50"] = "latest80"
    """B Lookback, F1: the SDK's docstring of November, or the guide's copy of September."""
    cache_key: Literal["optional", "required"] = "optional"
    """B Key, F1: with `required`, a GPT-5.6 request without prompt_cache_key never matches."""
    retention: Literal["24h", "in_memory"] = "24h"
    """B Control: retention of older models when the request names none (24h; in_memory for ZDR organizations)."""
    idle_seconds: int = 300
    """B Control: idle life of an in_memory entry, 5 to 10 minutes; an hour at most in any case."""
    unit_interval: int = 64
    """C DeepSeek, F7: tokens between the fixed boundaries of units; 0: only the ends of inputs and outputs."""
    block_tokens: int = 16
    """C vLLM: tokens of a full block (528 on some hybrid models)."""
    slots: int = 1
    """C llama.cpp: prompts that the engine holds at one time."""
    cache_report: Literal["profile", "on", "off", "nothing"] = "profile"
    """C Local engines: whether a flag of the server makes it report cached tokens; on Anthropic's wire `off` is as
    Ollama's /v1/messages, whose usage has no field for them. `nothing`: a streamed answer has no usage at all, asked
    for or not (the server of llama-cpp-python 0.3.36, seen by scripts/real-engine)."""
    strict_alternation: bool = False
    """Some servers: the chat template wants user and assistant to alternate."""
    mid_system: Literal["profile", "accept", "reject"] = "profile"
    """C SGLang: whether a system message after the first place is refused."""
    reasoning_echo: Literal["profile", "required", "all", "forbidden", "free"] = "profile"
    """Whether an assistant message with tool calls must, or must not, carry the reasoning_content it came with;
    `all`: also when the call was made elsewhere."""
    encrypted_content: Literal["include", "always"] = "include"
    """B Stateless: asked for by `include`, or always sent, as openai 3.54.0 says of reasoning items."""
    foreign_reasoning: Literal["reject", "remove"] = "reject"
    """B Stateless: another model's reasoning item is refused, or withheld and named in input_transformations."""
    configuration_updates: Literal["breakpoints", "all", "none"] = "breakpoints"
    """B Cache-safe: which models take configuration_update items: from 5.6 on, all, or none (it is not published)."""

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}")
        for name, least in (
            ("lookback", 1),
            ("block_tokens", 1),
            ("slots", 1),
            ("unit_interval", 0),
            ("idle_seconds", 1),
            ("requests_per_minute", 0),
            ("input_tokens_per_minute", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}")

    @staticmethod
    def parse(pairs: Iterable[str]) -> Rules:
        """Rules from `name=value` texts. ValueError names the pair that is wrong."""
        known = {field.name for field in fields(Rules)}
        values: dict[str, object] = {}
        for pair in pairs:
            name, equals, text = pair.partition("=")
            if not equals or name not in known:
                raise ValueError(f"unknown rule {pair!r}; known rules: {', '.join(sorted(known))}")
            values[name] = _value(name, text)
        return Rules(**values)  # type: ignore[arg-type]


_CHOICES = {
    "refresh": ("hit", "marked", "all"),
    "isolation": ("key", "none"),
    "settings_level": ("messages", "system", "tools"),
    "binding": ("all", "models", "none"),
    "foreign_thinking": ("drop", "reject"),
    "effort_messages": ("listed", "later", "none"),
    "profile": get_args(ServerName),
    "diagnostics": ("right", "absent", "malformed", "contradicting"),
    "contract": ("model", "breakpoints", "steps", "units", "blocks", "slots", "none"),
    "breakpoint_lookback": ("latest80", "first2_latest50"),
    "cache_key": ("optional", "required"),
    "retention": ("24h", "in_memory"),
    "cache_report": ("profile", "on", "off", "nothing"),
    "mid_system": ("profile", "accept", "reject"),
    "reasoning_echo": ("profile", "required", "all", "forbidden", "free"),
    "encrypted_content": ("include", "always"),
    "foreign_reasoning": ("reject", "remove"),
    "configuration_updates": ("breakpoints", "all", "none"),
}
_FLAGS = {"collapse_tool_runs", "readable_after_start", "betas_in_key", "strict_alternation"}


def _value(name: str, text: str) -> object:
    if name in _CHOICES:
        return text
    if name in _FLAGS:
        if text.lower() not in {"true", "false"}:
            raise ValueError(f"rule {name} must be true or false, not {text!r}")
        return text.lower() == "true"
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"rule {name} must be a whole number, not {text!r}") from None
