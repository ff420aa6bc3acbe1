"""Reads the settings: flags over environment over project file over user file over defaults.

Invariant: this is the only reader of configuration. Every setting it returns was checked, every setting it
refuses is named with its file and line, and a project file, which a stranger may have written, can neither
say where requests go, with what key or header, nor allow more than the person did.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness import config_values as look
from harness.config_file import line_of, read_toml, unknown_setting
from harness.config_values import Check
from harness.errors import ConfigError

PROVIDERS = ("anthropic", "openai", "openai-chat")


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """How to reach one vendor. `None` and empty: the vendor's own default.

    `api_key_file` is absolute. `api_key_command` is an argument vector, run without a shell. Header values
    may be secret: they are not shown.
    """

    base_url: str | None = None
    api_key_env: str | None = None
    api_key_file: str | None = None
    api_key_command: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting. Times are seconds; `idle_timeout` is how long the vendor may send no byte.

    `sources` names what gave at least one setting, the weakest first.
    """

    model: str = "anthropic/claude-sonnet-5-5"
    fallback_model: str | None = None
    permission_mode: look.Mode = "edit"
    allow: tuple[str, ...] = ()
    effort: str | None = None
    max_output_tokens: int | None = None
    cache_enabled: bool = True
    cache_ttl: str = "5m"
    min_cache_hit: float | None = None
    idle_timeout: float = 120.0
    max_retries: int = 5
    shell_timeout: float = 120.0
    snapshots_enabled: bool = True
    memory_propose: bool = True
    compaction_enabled: bool = True
    compaction_share: float = 0.8
    compaction_cost_from: int = 200_000
    compaction_idle: bool = True
    compaction_idle_from: int = 20_000
    compaction_margin: float = 30.0
    compaction_returns: float = 0.25
    caches_responses: look.CacheScope = "off"
    caches_responses_ttl: float = 30 * 86_400.0
    caches_tool_outputs: look.CacheScope | None = None
    caches_tiers: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    caches_stale: float = 86_400.0
    caches_folder: str | None = None
    web_search: look.SearchProvider | None = None
    web_search_url: str | None = None
    web_search_key_env: str | None = None
    web_search_key_file: str | None = None
    providers: Mapping[str, ProviderConfig] = field(default_factory=lambda: MappingProxyType({}))
    sources: tuple[str, ...] = ()


def config_dir(environment: Mapping[str, str]) -> Path:
    """Where the person's own files are: config.toml, USER.md, SOUL.md, memory/, skills/."""
    return _xdg(environment, "XDG_CONFIG_HOME", ".config")


def state_dir(environment: Mapping[str, str]) -> Path:
    """Where sessions are kept."""
    return _xdg(environment, "XDG_STATE_HOME", ".local/state")


def data_dir(environment: Mapping[str, str]) -> Path:
    """Where what the person made their own is kept: repaired scripts."""
    return _xdg(environment, "XDG_DATA_HOME", ".local/share")


def cache_dir(environment: Mapping[str, str]) -> Path:
    """Where is what can be made again."""
    return _xdg(environment, "XDG_CACHE_HOME", ".cache")


def load(
    environment: Mapping[str, str],
    cwd: Path,
    project_root: Path,
    flags: Mapping[str, object],
    default_mode: str = "edit",
) -> Config:
    """The settings in force.

    `flags` has names of `Config` fields; `None` means not given. Files are named as seen from `cwd`. `allow`
    adds up over its places, everything else is replaced by the stronger place. `default_mode` holds where the
    person set none; a project can only tighten it. Raises ConfigError.
    """
    user_path = config_dir(environment) / "config.toml"
    project_path = project_root / ".harness" / "config.toml"
    user = _read(user_path, str(user_path))
    project = _read(project_path, os.path.relpath(project_path, cwd))
    _refuse_loosening(project, user)
    layers = [user, project, _from_environment(environment), _from_flags(flags)]

    values: dict[str, Any] = {}
    providers: dict[str, dict[str, Any]] = {}
    for layer in layers:
        allow = (*values.get("allow", ()), *layer.values.get("allow", ()))
        values |= {**layer.values, "allow": tuple(dict.fromkeys(allow))}
        for name, settings in layer.providers.items():
            providers.setdefault(name, {}).update(settings)
    if not any("permission_mode" in layer.values for layer in layers if layer is not project):
        modes = (default_mode, project.values.get("permission_mode", default_mode))
        values["permission_mode"] = min(modes, key=look.MODES.index)
    for found in providers.values():
        if "api_key_file" in found:
            found["api_key_file"] = _absolute(found["api_key_file"], environment)
    for name in ("web_search_key_file", "caches_folder"):
        if name in values:
            values[name] = _absolute(values[name], environment)
    return Config(
        **values,
        providers=MappingProxyType({name: ProviderConfig(**found) for name, found in sorted(providers.items())}),
        sources=tuple(layer.place for layer in layers if layer.values or layer.providers),
    )


# Setting as written in a file -> (field of Config, check).
_SETTINGS: Mapping[str, tuple[str, Check]] = {
    "model": ("model", look.text),
    "fallback_model": ("fallback_model", look.text),
    "permission_mode": ("permission_mode", look.one_of(*look.MODES)),
    "allow": ("allow", look.texts),
    "effort": ("effort", look.one_of(*look.EFFORTS)),
    "max_output_tokens": ("max_output_tokens", look.whole(1, 10_000_000)),
    "cache.enabled": ("cache_enabled", look.flag),
    "cache.ttl": ("cache_ttl", look.one_of(*look.CACHE_TTLS)),
    "cache.min_hit": ("min_cache_hit", look.share(0.0, 1.0)),
    "network.idle_timeout": ("idle_timeout", look.seconds),
    "network.max_retries": ("max_retries", look.whole(0, 100)),
    "tools.shell_timeout": ("shell_timeout", look.seconds),
    "snapshots.enabled": ("snapshots_enabled", look.flag),
    "memory.propose": ("memory_propose", look.flag),
    "compaction.enabled": ("compaction_enabled", look.flag),
    "compaction.share": ("compaction_share", look.share(0.1, 0.95)),
    "compaction.cost_from": ("compaction_cost_from", look.whole(0, 10_000_000)),
    "compaction.idle": ("compaction_idle", look.flag),
    "compaction.idle_from": ("compaction_idle_from", look.whole(0, 10_000_000)),
    "compaction.margin": ("compaction_margin", look.seconds),
    "compaction.returns": ("compaction_returns", look.share(0.0, 1.0)),
    "caches.responses": ("caches_responses", look.one_of(*look.CACHE_SCOPES)),
    "caches.responses_ttl": ("caches_responses_ttl", look.duration),
    "caches.tool_outputs": ("caches_tool_outputs", look.one_of(*look.CACHE_SCOPES)),
    "caches.tools": ("caches_tiers", look.lifetimes),
    "caches.stale_if_error": ("caches_stale", look.lifetime),
    "caches.folder": ("caches_folder", look.text),
    "web.search": ("web_search", look.one_of(*look.SEARCH_PROVIDERS)),
    "web.search_url": ("web_search_url", look.url),
    "web.search_key_env": ("web_search_key_env", look.variable),
    "web.search_key_file": ("web_search_key_file", look.text),
}
_PROVIDER_SETTINGS: Mapping[str, Check] = {
    "base_url": look.url,
    "api_key_env": look.variable,
    "api_key_file": look.text,
    "api_key_command": look.command,
    "headers": look.headers,
}
_TABLES = frozenset(name.partition(".")[0] for name in _SETTINGS if "." in name)
_CHECK_OF_FIELD = dict(_SETTINGS.values())

_VARIABLES: Mapping[str, str] = {
    "HARNESS_MODEL": "model",
    "HARNESS_FALLBACK_MODEL": "fallback_model",
    "HARNESS_PERMISSION_MODE": "permission_mode",
    "HARNESS_EFFORT": "effort",
    "HARNESS_CACHE_TTL": "cache_ttl",
}
_BASE_URLS: Mapping[str, tuple[str, ...]] = {
    "ANTHROPIC_BASE_URL": ("anthropic",),
    "OPENAI_BASE_URL": ("openai", "openai-chat"),
}


# --------------------------------------------------------------------------------------- the four places


@dataclass(frozen=True, slots=True)
class _Layer:
    """What one place says: checked values by field, provider settings by provider; a file keeps its text."""

    place: str
    values: Mapping[str, Any]
    providers: Mapping[str, Mapping[str, Any]]
    text: str = ""


def _from_environment(environment: Mapping[str, str]) -> _Layer:
    # An empty variable is an unset one.
    values = {
        name: _checked(_CHECK_OF_FIELD[name], environment[variable], variable)
        for variable, name in _VARIABLES.items()
        if environment.get(variable)
    }
    providers = {
        provider: {"base_url": _checked(look.url, environment[variable], variable, secret=True)}
        for variable, names in _BASE_URLS.items()
        if environment.get(variable)
        for provider in names
    }
    return _Layer("environment", values, providers)


def _from_flags(flags: Mapping[str, object]) -> _Layer:
    values = {
        name: _checked(_CHECK_OF_FIELD[name], value, "--" + name.replace("_", "-"))
        for name, value in flags.items()
        if value is not None
    }
    return _Layer("flags", values, {})


def _checked(check: Check, value: object, name: str, *, secret: bool = False) -> object:
    """The value, checked. secret: how to reach a vendor, which may hold a key or a password: it is not shown."""
    try:
        return check(value)
    except ValueError as wrong:
        shown = "" if secret else f", not {value!r:.80}"
        raise ConfigError(f"{name} must be {wrong}{shown}") from None


def _read(path: Path, place: str) -> _Layer:
    """One file; an absent one says nothing. Raises ConfigError, naming the line at fault."""
    text, table = read_toml(path, place)
    values: dict[str, Any] = {}
    providers: dict[str, dict[str, Any]] = {}
    for keys, value in _flatten(table):
        where = f"{place}:{line_of(text, keys)}"
        name = ".".join(keys)
        if keys[0] == "providers":
            provider, setting, check = _provider_setting(keys, where)
            providers.setdefault(provider, {})[setting] = _checked(check, value, f"{where}: `{name}`", secret=True)
        elif name in _SETTINGS:
            target, check = _SETTINGS[name]
            values[target] = _checked(check, value, f"{where}: `{name}`")
        else:
            raise unknown_setting(where, name, [*_SETTINGS, "providers"])
    return _Layer(place, values, providers, text)


def _flatten(table: Mapping[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    """The settings of a file, in its order, each with its keys. Headers stay one value."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for key, value in table.items():
        if key in _TABLES and isinstance(value, dict):
            found += [((key, inner), setting) for inner, setting in value.items()]
        elif key == "providers" and isinstance(value, dict):
            for provider, settings in value.items():
                if isinstance(settings, dict) and provider in PROVIDERS:
                    found += [((key, provider, inner), setting) for inner, setting in settings.items()]
                else:
                    found.append(((key, provider), settings))
        else:
            found.append(((key,), value))
    return found


def _provider_setting(keys: tuple[str, ...], where: str) -> tuple[str, str, Check]:
    match keys:
        case (_, provider, setting):
            if setting not in _PROVIDER_SETTINGS:
                known = [f"providers.{provider}.{name}" for name in _PROVIDER_SETTINGS]
                raise unknown_setting(where, ".".join(keys), known)
            return provider, setting, _PROVIDER_SETTINGS[setting]
        case (_, provider) if provider not in PROVIDERS:
            raise unknown_setting(where, ".".join(keys), [f"providers.{name}" for name in PROVIDERS])
        case _:
            raise ConfigError(f"{where}: `{'.'.join(keys)}` must be a table")


def _refuse_loosening(project: _Layer, user: _Layer) -> None:
    """A repository is other people's text: it may restrict what the person set, never widen it."""
    home = "set it in your own config.toml or on the command line"

    def refuse(keys: tuple[str, ...], what: str) -> ConfigError:
        where = f"{project.place}:{line_of(project.text, keys)}"
        return ConfigError(f"{where}: a project file may not set `{'.'.join(keys)}`{what}; {home}")

    for provider, settings in project.providers.items():
        raise refuse(("providers", provider, next(iter(settings))), "")
    if "allow" in project.values:
        raise refuse(("allow",), "")
    for setting, (name, _) in _SETTINGS.items():
        # where words are sent, with what key; what is believed, from where, and for how long
        if name in project.values and setting.startswith(("web.", "caches.")):
            raise refuse(tuple(setting.split(".")), "")
    if project.values.get("snapshots_enabled") is False:
        raise refuse(("snapshots", "enabled"), " to `false`")
    mode = project.values.get("permission_mode")
    set_by_person = user.values.get("permission_mode", Config().permission_mode)
    if mode is not None and look.MODES.index(mode) > look.MODES.index(set_by_person):
        raise refuse(("permission_mode",), f" to `{mode}`, looser than `{set_by_person}`")


def _absolute(path: str, environment: Mapping[str, str]) -> str:
    """`~/` is HOME; anything else not absolute is beside config.toml."""
    if path.startswith("~/"):
        return str(Path(environment.get("HOME", "/")) / path[2:])
    return str(config_dir(environment) / path)


def _xdg(environment: Mapping[str, str], variable: str, fallback: str) -> Path:
    # The XDG rules: a relative path is ignored.
    given = Path(environment.get(variable) or ".")
    if given.is_absolute():
        return given / "harness"
    if not environment.get("HOME"):
        raise ConfigError(f"neither {variable} nor HOME is set; set HOME")
    if not (home := Path(environment["HOME"])).is_absolute():
        raise ConfigError(
            f"HOME is {home}, which is another folder wherever you are; set it to a path that begins with /"
        )
    return home / fallback / "harness"
