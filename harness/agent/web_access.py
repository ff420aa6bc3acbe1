"""The tools that reach the web, made from the settings.

Invariant: a key is read when it is first needed and goes to its provider only; settings decide, never the model.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.caches.tool_outputs import ToolOutputs
from harness.config import Config
from harness.errors import ConfigError
from harness.providers.keys import find_key
from harness.tools import web_fetch, web_search
from harness.tools.base import Tool
from harness.tools.output import Spill
from harness.workspace.search_providers import Engine
from harness.workspace.web import Web

KEYS: Mapping[str, str] = {"brave": "BRAVE_API_KEY", "tavily": "TAVILY_API_KEY"}
"""The variable of a provider's key, where no setting names another."""


def engine(config: Config, environment: Mapping[str, str]) -> Engine | None:
    """The search provider with its key; None where none is set.

    Raises:
        ConfigError: its address or its key is missing.
    """
    if config.web_search is None:
        return None
    provider = config.web_search
    if provider == "searxng" and not config.web_search_url:
        raise ConfigError('web.search is "searxng": set web.search_url to the address of the instance')
    key = ""
    if provider in KEYS:
        key = find_key(provider, search_variable(config), environment, config.web_search_key_file)
    return Engine(provider, config.web_search_url or "", key)


def search_variable(config: Config) -> str:
    """The variable that holds the search provider's key; "" where it needs none."""
    return config.web_search_key_env or KEYS.get(config.web_search or "", "")


def web_tools(config: Config, environment: Mapping[str, str], spill: Spill, outputs: ToolOutputs) -> list[Tool]:
    """Both tools; they are there whatever is set, so that the tool list is one."""
    web = Web(environment)
    return [
        web_fetch.make(web, spill, outputs),
        web_search.make(web, lambda: engine(config, environment), outputs),
    ]
