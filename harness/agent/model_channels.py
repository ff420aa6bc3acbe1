"""The models of one run: found, reached, and each called through one channel.

Invariant: no model has two connections, and all are closed together; every key that was used is hidden from tools.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.agent.compaction_rules import most_output
from harness.agent.model_call import Channel
from harness.agent.session import Session
from harness.agent.web_access import search_variable
from harness.caches.run import Caches
from harness.config import Config
from harness.conversation.request import Line
from harness.errors import UsageError
from harness.options import Options
from harness.providers import connect
from harness.providers.base import Access
from harness.providers.catalog import Catalog
from harness.providers.facts import Model
from harness.providers.keys import variables_to_hide
from harness.providers.retry import RetryPolicy
from harness.seam import Seam


class ModelChannels:
    """See the module. `close` it.

    chosen, fallback: the models that flags and settings name.

    Raises:
        UsageError: there is no such model.
    """

    def __init__(self, options: Options, config: Config, config_dir: Path, seam: Seam, caches: Caches) -> None:
        self._options = options
        self._config = config
        self._seam = seam
        self._caches = caches
        self.catalog = Catalog.load(config_dir)
        self.chosen = self.catalog.find(config.model)
        self.fallback = self.catalog.find(config.fallback_model) if config.fallback_model else None
        self.secrets: set[str] = set(self._key_variables())
        """Variables that no command gets."""
        self._channels: dict[str, Channel] = {}

    def _key_variables(self) -> list[str]:
        """The variables that are said to hold a key, whatever their names look like."""
        settings = [vendor.api_key_env for vendor in self._config.providers.values() if vendor.api_key_env]
        settings += [search_variable(self._config)] if search_variable(self._config) else []
        return settings + [self.catalog.profile(name).key_env for name in self.catalog.profiles()]

    def reach(self, model: Model) -> Access:
        """Address and key of a model's vendor; the key is hidden from tools from now on.

        Raises:
            HarnessError: there is no key, or no address.
        """
        environment = self._seam.environment()
        reached = connect.access(model, self._config.providers, environment)
        self.secrets.update(variables_to_hide(reached.key, (), environment))
        return reached

    def check(self, model: Model) -> None:
        """Refuse a model that cannot be used as the flags say, before anything is written or sent.

        Raises:
            HarnessError: as `reach`; or --max-cost was given and a price is unknown.
        """
        for flag, one in (("--model", model), ("--fallback-model", self.fallback)):
            if self._options.max_cost is not None and one is not None and one.price is None:
                raise UsageError(f"--max-cost cannot be kept: the price of {one.id} is unknown; choose another {flag}")
        self.reach(model)

    def unknown(self, model: Model) -> Iterator[str]:
        """What a person is told of this model, and of the fallback, where the catalog does not have it."""
        yield from (one.unknown for one in (model, self.fallback) if one is not None and not one.known)

    def to(self, model: Model, session: Session) -> Channel:
        """The channel to a model, with the settings that its line has in the session.

        Raises:
            HarnessError: as `reach`.
        """
        if (channel := self._channels.get(model.id)) is None:
            channel = self._channels[model.id] = self._opened(model, session)
        return channel

    def keep(self, channel: Channel) -> None:
        """Know a channel as it is by now: its line may have other settings."""
        self._channels[channel.model.id] = channel

    def _opened(self, model: Model, session: Session) -> Channel:
        config, about = self._config, session.about
        cache, cache_key = about["cache"], about.get("cache_key", "")
        provider = connect.provider(model, self.reach(model), cache_key, self._seam, config.idle_timeout)
        ttl = connect.ttl_for(model, cache["ttl"])
        born_with = connect.settings(model, session.efforts.of_line(model.id), cache_key, ttl)
        return Channel(
            provider=self._caches.around(provider, model),
            model=model.on(self._seam.now()),
            line=Line(model.wire, provider.base_url, model.name, born_with),
            max_tokens=min(model.max_output, config.max_output_tokens or most_output(model.window)),
            retry=RetryPolicy(retries=config.max_retries),
            cache=cache["enabled"],
            ttl=ttl,
            strict_prefix=self._options.strict_prefix,
            diagnostics=connect.diagnoses(model, provider.base_url),
        )

    async def close(self) -> None:
        """Let go of all connections."""
        for channel in self._channels.values():
            await channel.provider.close()
