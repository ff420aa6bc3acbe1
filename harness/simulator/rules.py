"""The vendor's rules as options, with the documented behaviour as defaults.

Invariant: a rule that public sources leave open, or tell differently, is a field here and never a constant
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal


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
    """Whether the beta header takes part in the cache key (documented nowhere)."""
    binding: Literal["all", "models", "none"] = "models"
    """A4 scope: whose signatures are bound to the prefix: every model's, the listed models', nobody's."""
    foreign_thinking: Literal["drop", "reject"] = "drop"
    """A thinking block made by another model is left out of the prompt, or refused."""
    body_limit: int = 32 * 1024 * 1024
    """A6 errors: bytes of a request above which 413 request_too_large is answered."""

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}")
        if self.lookback < 1:
            raise ValueError("lookback must be at least 1")

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
}
_FLAGS = {"collapse_tool_runs", "readable_after_start", "betas_in_key"}


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
