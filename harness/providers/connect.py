"""From a model to a connection: which wire, whose address and key, and the settings that its cache is keyed on.

Invariant: only the wire that is used is imported. Address, key and headers of one server never go to another: those of
[providers.openai-chat] and OPENAI_BASE_URL are for the profiles `openai` and `generic`; any other has its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from harness.config import ProviderConfig
from harness.conversation.canonical import Json
from harness.conversation.request import Ttl
from harness.errors import MissingKey, UsageError
from harness.providers import network
from harness.providers.base import Access, Provider
from harness.providers.catalog_tables import CHAT, GENERIC
from harness.providers.facts import Model, Profile
from harness.providers.keys import find_key
from harness.seam import Seam

DEFAULT_EFFORT = "medium"
"""OpenAI's own (openai 3.54.0, `reasoning.effort`): sent or left out, the cache is the same; it is left out."""


def access(model: Model, providers: Mapping[str, ProviderConfig], environment: Mapping[str, str]) -> Access:
    """How to reach the model's vendor.

    Raises:
        MissingKey, ConfigError: there is no key, or none that can be one.
        UsageError: the server has no address.
    """
    settings = providers.get(model.provider, ProviderConfig())
    if (profile := model.profile) is not None:
        return _server(profile, settings, environment)
    variable = settings.api_key_env or f"{model.provider.upper()}_API_KEY"
    if variable == "ANTHROPIC_API_KEY" and (token := environment.get("ANTHROPIC_AUTH_TOKEN", "").strip()):
        environment = {variable: token} | dict(environment)
    key = find_key(model.provider, variable, environment, settings.api_key_file, settings.api_key_command)
    return Access(settings.base_url, key, settings.headers)


def _server(profile: Profile, settings: ProviderConfig, environment: Mapping[str, str]) -> Access:
    own = settings if profile.name in ("openai", GENERIC) else ProviderConfig()
    base_url = own.base_url or profile.base_url
    if base_url is None:
        named = f"openai-chat/{profile.name}" if profile.name != GENERIC else "a model of the form openai-chat/MODEL"
        raise UsageError(f"{named} needs the address of its server: set {_address(profile)}")
    variable = own.api_key_env or profile.key_env
    try:
        key = find_key(profile.name, variable, environment, own.api_key_file, own.api_key_command)
    except MissingKey:
        if not profile.key_optional:
            raise
        key = ""
    return Access(base_url, key, dict(profile.headers) | dict(own.headers))


def _address(profile: Profile) -> str:
    """The setting that holds a server's address."""
    if profile.name in ("openai", GENERIC):
        return "OPENAI_BASE_URL"
    return f"base_url of [profiles.{profile.name}] in catalog.toml"


def provider(model: Model, reached: Access, cache_key: str, seam: Seam, idle: float) -> Provider:
    """The model's wire, its SDK's client made.

    Args:
        cache_key: what keeps the sessions of a workspace on one cache; "" for none.
        idle: seconds without a byte after which a stream is given up.

    Raises:
        ConfigError: the environment's network settings cannot be used.
    """
    network.check(seam.environment())
    match model.wire:
        case "anthropic":
            from harness.providers.anthropic import Anthropic

            return Anthropic(
                model.id, reached.base_url, reached.key, seam, idle, reached.headers, model.change("effort")
            )
        case "openai-responses":
            from harness.providers.openai_responses import OpenAIResponses

            return OpenAIResponses(model.id, reached, seam, idle)
        case "openai-chat":
            from harness.providers.openai_chat import OpenAIChat

            profile = _profile(model)
            where, _, name = profile.affinity.partition(":")
            if where == "header" and cache_key:
                reached = Access(reached.base_url, reached.key, {name: cache_key, **reached.headers})
            return OpenAIChat(model, profile, reached, _address(profile), seam, idle)


def _profile(model: Model) -> Profile:
    if model.profile is None:
        raise UsageError(f"{model.id} names no server; use {CHAT}/PROFILE/MODEL")
    return model.profile


def ttl_for(model: Model, wanted: Ttl) -> Ttl:
    """The TTL of the model's markers for the one that the person set."""
    # openai 3.54.0: Chat Completions knows 30m only
    if model.profile is not None and model.profile.markers == "prompt_cache_breakpoint":
        return "30m"
    return model.rules.ttl_for(wanted)


def cache_fields(model: Model) -> frozenset[str]:
    """The fields of a body that only steer the vendor's cache, and "header NAME" of such a header.

    What the model says does not depend on them.
    """
    where, _, name = model.profile.affinity.partition(":") if model.profile else ("", "", "")
    own = {"body": {name}, "header": {f"header {name.lower()}"}}.get(where, set())
    return frozenset({"prompt_cache_key", "prompt_cache_options", "session_id", "diagnostics"} | own)


def diagnoses(model: Model, base_url: str) -> bool:
    """Whether what answers at this address is known to say, when asked, why a prefix could not be reused."""
    if model.wire == "openai-chat":
        return False
    return "*" in model.diagnostics or urlsplit(base_url).hostname in model.diagnostics


def effort_of(settings: Mapping[str, Json]) -> str | None:
    """The effort in the settings of a line; None where none is sent: the vendor's default."""
    for table in ("output_config", "reasoning"):
        if table in settings:
            found: str | None = settings[table].get("effort")
            return found
    return settings.get("reasoning_effort")


def says_effort(model: Model) -> bool:
    """Whether a change of effort can be told to the model inside the conversation, so that its cache stays."""
    return model.wire in ("anthropic", "openai-responses") and model.change("effort").how == "safe"


def settings(model: Model, effort: str | None, cache_key: str, ttl: Ttl) -> dict[str, Json]:
    """What is sent with every request of a line and, at most vendors, keys its cache."""
    if effort and model.efforts is not None and effort not in model.efforts:
        effort = None  # wanted of another model; this one would refuse it
    if model.wire == "anthropic":
        found: dict[str, Json] = {"thinking": {"type": "adaptive"}} if model.thinking == "adaptive" else {}
        return found | ({"output_config": {"effort": effort}} if effort else {})
    profile, vendors = model.profile, model.profile is None or model.profile.name == "openai"
    found = {}
    if effort and not (vendors and effort == DEFAULT_EFFORT):
        found |= {"reasoning": {"effort": effort}} if profile is None else {"reasoning_effort": effort}
    where, _, name = profile.affinity.partition(":") if profile else ("body", "", "prompt_cache_key")
    if where == "body" and cache_key:
        found[name] = cache_key
    if vendors and model.rules.kind == "markers":
        # a mode of one's own: nothing is written, and paid for, but where a marker is
        found["prompt_cache_options"] = {"mode": "explicit", "ttl": ttl}
    return found
