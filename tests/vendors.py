"""Models of every wire and caching contract, the pretend vendors that serve them, and how a session gets there.

Invariant: one table; what is tried on "all models" is tried on these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.providers.facts import Model
from harness.simulator import PROFILES, Simulator


@dataclass(frozen=True)
class Served:
    """model: as on the command line. server: which of `SERVERS` has it; "" for Anthropic."""

    model: str
    server: str = ""


SERVERS: dict[str, dict[str, Any]] = {
    "": {},
    "openai": {},
    "openrouter": {"profile": "openrouter"},
    "deepseek": {"profile": "deepseek", "strict_alternation": True, "reasoning_echo": "all"},
    "vllm": {"profile": "vllm", "strict_alternation": True},
    "llamacpp": {"profile": "llamacpp", "strict_alternation": True},
    "gemini": {"profile": "gemini"},
    "mistral": {"profile": "mistral", "strict_alternation": True},
    # somebody's own, of which nothing is known
    "house": {"profile": "generic", "strict_alternation": True},
}
"""The rules of each vendor."""

MODELS: dict[str, Served] = {
    "anthropic": Served("anthropic/claude-sonnet-5-5"),
    "responses 5.6+": Served("openai/gpt-6.1-sol", "openai"),
    "responses before 5.6": Served("openai/gpt-5.4", "openai"),
    "chat 5.6+": Served("openai-chat/openai/gpt-6-sol", "openai"),
    "openrouter to anthropic": Served("openai-chat/openrouter/anthropic/claude-sonnet-5.5", "openrouter"),
    "openrouter to openai": Served("openai-chat/openrouter/openai/gpt-6.1-sol", "openrouter"),
    "deepseek": Served("openai-chat/deepseek/deepseek-v4-pro", "deepseek"),
    "vllm": Served("openai-chat/vllm/qwen3-coder-30b", "vllm"),
    "llamacpp": Served("openai-chat/llamacpp/gemma-4-27b", "llamacpp"),
    "no markers, nothing told": Served("openai-chat/house/some-model", "house"),
}

PARTICULAR: dict[str, Served] = {
    "gemini, which signs its calls": Served("openai-chat/gemini/gemini-4-argon", "gemini"),
    "mistral, which wants an answer behind results": Served("openai-chat/mistral/mistral-large-4", "mistral"),
}
"""Models that ask for something which no other does; tried beside one of another vendor, and not all against all."""


def server_of(model: Model) -> str:
    """Which of `SERVERS` a model of `MODELS` is asked of."""
    if model.profile is not None:
        return model.profile.name
    return "openai" if model.wire == "openai-responses" else ""


def reach(main: Simulator, servers: Mapping[str, Simulator]) -> tuple[dict[str, str], str]:
    """The environment and catalog.toml that lead to the vendors; `main` is asked for what has no server of its own."""
    environment = {
        "ANTHROPIC_BASE_URL": main.url,
        "ANTHROPIC_API_KEY": "k",
        "OPENAI_BASE_URL": f"{servers.get('openai', main).url}/v1",
        "OPENAI_API_KEY": "k",
    }
    profiles = [
        f'[profiles.{name}]\nbase_url = "{servers.get(name, main).url}/v1"\nkey_env = "OPENAI_API_KEY"\n'
        for name in sorted({*PROFILES, *servers} - {"openai", "generic", ""})
    ]
    return environment, "".join(profiles)
