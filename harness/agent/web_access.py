"""The tools that reach the web, made from the settings, with the cache of what they gave.

Invariant: a key is read when it is first needed and goes to its provider only; settings decide, never the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

from harness.agent.session import Session
from harness.caches.entries import Entries
from harness.caches.tool_outputs import Policy, Scope, ToolOutputs
from harness.config import Config, state_dir
from harness.errors import ConfigError
from harness.providers.keys import find_key
from harness.seam import Seam
from harness.tools import web_fetch, web_search
from harness.tools.base import Tool
from harness.tools.output import Spill
from harness.workspace.search_providers import Engine, Provider
from harness.workspace.web import Web

KEYS: Mapping[str, str] = {"brave": "BRAVE_API_KEY", "tavily": "TAVILY_API_KEY"}
"""The variable of a provider's key, where no setting names another."""


_FOLDER = "tool_outputs"


def entries_in(config: Config, environment: Mapping[str, str], sessions: Iterable[Path]) -> list[Entries]:
    """Every place where entries may be: the person's, those of their sessions, the shared one where one is set."""
    places = [state_dir(environment) / "cache", *sessions]
    places += [Path(config.caches_folder)] if config.caches_folder else []
    return [Entries(place / _FOLDER) for place in places if (place / _FOLDER).is_dir()]


def outputs(config: Config, seam: Seam, session: Callable[[], Session], *, fresh: bool) -> ToolOutputs:
    """The cache of one run, in the scope that is set.

    Raises:
        ConfigError: the scope "global" without a folder.
    """
    if config.caches_scope == "global" and config.caches_folder is None:
        raise ConfigError('caches.scope is "global": set caches.folder to a folder that is shared')

    def folder() -> Path | None:
        match config.caches_scope:
            case "run":
                return None
            case "session":
                return session().journal.folder / _FOLDER
            case "global":
                return Path(config.caches_folder or "") / _FOLDER
            case _:
                return state_dir(seam.environment()) / "cache" / _FOLDER

    policy = Policy(config.caches_tools, cast("Scope", config.caches_scope), config.caches_stale, fresh)
    return ToolOutputs(policy, folder, seam, lambda: session().journal.folder.name)


def engine(config: Config, environment: Mapping[str, str]) -> Engine | None:
    """The search provider with its key; None where none is set.

    Raises:
        ConfigError: its address or its key is missing.
    """
    if config.web_search is None:
        return None
    provider = cast("Provider", config.web_search)
    if provider == "searxng" and not config.web_search_url:
        raise ConfigError('web.search is "searxng": set web.search_url to the address of the instance')
    key = ""
    if provider in KEYS:
        key = find_key(provider, search_variable(config), environment, config.web_search_key_file)
    return Engine(provider, config.web_search_url or "", key)


def search_variable(config: Config) -> str:
    """The variable that holds the search provider's key; "" where it needs none."""
    return config.web_search_key_env or KEYS.get(config.web_search or "", "")


def web_tools(config: Config, environment: Mapping[str, str], spill: Spill, kept: ToolOutputs) -> list[Tool]:
    """Both tools; they are there whatever is set, so that the tool list is one."""
    web = Web(environment)
    return [
        web_fetch.make(web, spill, kept),
        web_search.make(web, lambda: engine(config, environment), kept),
    ]
