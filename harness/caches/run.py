"""The caches of one run: of responses around its providers, of tool outputs for its tools; its sub-agents share them.

Invariant: settings decide what is cached, where and for how long, never a model or a project.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from harness.caches import responses, tool_outputs
from harness.caches.cached_provider import CachedProvider, ResponseCache
from harness.caches.scopes import Cache, Scopes
from harness.caches.store import Store
from harness.config import Config
from harness.config_values import CacheScope
from harness.providers.base import Provider
from harness.providers.connect import cache_fields
from harness.providers.facts import Model
from harness.seam import Seam


def policy_of(config: Config, *, fresh: bool = False) -> tool_outputs.Policy:
    """What the settings say of tool outputs.

    Where responses are cached, outputs are not, unless the person says so: one that is served tells its age, and with
    that every later request would be one that nobody answered before.
    """
    scope = config.caches_tool_outputs or ("user" if config.caches_responses == "off" else "off")
    return tool_outputs.Policy(config.caches_tiers, scope, config.caches_stale, fresh)


def store_in(folder: Path, cache: Cache, scope: CacheScope, config: Config, seam: Seam) -> Store:
    """The store of a cache, with its bounds."""
    if cache == "responses":
        bounds = replace(responses.BOUNDS, unused=config.caches_responses_ttl)
    else:
        bounds = replace(tool_outputs.BOUNDS, unused=policy_of(config).longest)
    return Store(folder, seam, bounds, shared=scope == "global")


class Caches:
    """See the module. `close` it.

    Args:
        state: the person's folder. session: gives that of the session; asked when it is needed.
        fresh: serve nothing, and keep what is said now.

    Raises:
        UsageError: a scope is "global", and no folder is named.
    """

    def __init__(self, config: Config, seam: Seam, state: Path, session: Callable[[], Path], *, fresh: bool) -> None:
        self._config = config
        self._seam = seam
        self._fresh = fresh
        self._scopes = Scopes(state, config.caches_folder, session)
        self._policy = policy_of(config, fresh=fresh)
        for scope in (config.caches_responses, self._policy.scope):
            self._scopes.check(scope)
        self.outputs = tool_outputs.ToolOutputs(self._policy, lambda: self._tool_outputs, seam)

    def around(self, provider: Provider, model: Model) -> Provider:
        """The provider of a model, its responses cached; as it is where that is off.

        Raises:
            StorageFull: no folder for a run can be made.
        """
        if self._config.caches_responses == "off":
            return provider
        return CachedProvider(provider, self._responses, model.id, cache_fields(model))

    def close(self) -> None:
        """What was kept for the run alone is removed."""
        self._scopes.close()

    @cached_property
    def _responses(self) -> ResponseCache:
        scope = self._config.caches_responses
        found = responses.Responses(self._store("responses", scope), self._seam, self._config.caches_responses_ttl)
        return ResponseCache(found, self._seam, scope, self._fresh)

    @cached_property
    def _tool_outputs(self) -> Store:
        return self._store("tool_outputs", self._policy.scope)

    def _store(self, cache: Cache, scope: CacheScope) -> Store:
        return store_in(self._scopes.folder(cache, scope), cache, scope, self._config, self._seam)
