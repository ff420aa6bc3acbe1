"""What is known of models and servers, made of the rows that hold for a name (`catalog_tables`).

Invariant: an unknown model gets careful defaults and an unknown price, never a zero one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, get_args

from harness.config import PROVIDERS
from harness.config_file import line_of
from harness.conversation.request import TTL_SECONDS, CacheRules, Ttl
from harness.errors import ConfigError, UsageError
from harness.providers import catalog_file
from harness.providers.catalog_tables import CAREFUL, CHAT, Layer, Named, Row, Tables, bundled, merged, origin_of
from harness.providers.facts import Caching, Change, Fact, Model, Price, Profile, Wire

_WIRES: Mapping[str, Wire] = {"anthropic": "anthropic", "openai": "openai-responses", CHAT: "openai-chat"}
_TTLS: tuple[Ttl, ...] = get_args(Ttl)
# What a bare name that is in no table is taken for.
_MAKERS = (("openai", re.compile(r"gpt-|o\d|codex-")),)


class Catalog:
    """All that is known of models; made by `load`. Never changes."""

    def __init__(self, *layers: Layer) -> None:
        self._tables = Tables(layers)

    @classmethod
    def load(cls, config_dir: Path | None = None) -> Catalog:
        """The bundled tables, and over them catalog.toml of that folder, if there is one.

        Raises:
            ConfigError: the person's file has a key or a value that is wrong; it names the line.
        """
        if config_dir is None:
            return cls(*bundled())
        place, text, tables = catalog_file.read(config_dir)
        user = Layer(place, tables, text)
        catalog = cls(*bundled(), user)
        catalog._check(user)
        return catalog

    def models(self) -> tuple[Model, ...]:
        """Every model that has a row: the hand-kept table's order, then the person's own."""
        return tuple(self._build(self._tables.split(name)) for name in self._tables.names("models"))

    def profiles(self) -> tuple[str, ...]:
        """The names of the servers that the chat wire knows."""
        return tuple(self._tables.names("profiles"))

    def find(self, text: str) -> Model:
        """The model that a person named: "provider/model", "openai-chat/profile/model", a bare name or an alias.

        Raises:
            UsageError: nothing is named, or a provider that the program does not speak to.
        """
        tables, aliases = self._tables, self._tables.aliases()
        named = aliases.get(text, text)
        if "/" not in named:
            own = (name for name in tables.names("models") if tables.split(name).name == named)
            maker = next((maker for maker, pattern in _MAKERS if pattern.match(named)), "anthropic")
            named = next(own, f"{maker}/{named}")
        provider, _, name = named.partition("/")
        if provider not in PROVIDERS:
            hint = f"; did you mean {CHAT}/{named}?" if provider in self.profiles() else ""
            raise UsageError(
                f"unknown provider `{provider}` in model `{text}`; this version speaks to: {', '.join(PROVIDERS)}{hint}"
            )
        model = tables.split(named)
        if not model.name:
            raise UsageError(f"`{text}` names no model; use provider/model, e.g. anthropic/claude-sonnet-5-5")
        # "anthropic/sonnet": an alias behind its provider; on the chat wire any word may be a model of the server's
        alias = aliases.get(name)
        if provider != CHAT and alias and alias.startswith(f"{provider}/") and not tables.rows(named):
            model = tables.split(alias)
        return self._build(model)

    def profile(self, name: str) -> Profile:
        """How a server speaks. Raises UsageError where nothing is known of it."""
        return self._tables.profile(name)

    def explain(self, model: Model) -> tuple[Fact, ...]:
        """Every fact that a row gives of a model, with the row and the source that it is from."""
        where: dict[str, Fact] = {}
        for origin, row in self._tables.stack(Named(model.provider, model.profile, model.name)):
            for name, value in _flat(row):
                where[name] = Fact(name, value, origin)
        contract = model.caching.name
        for layer in self._tables.layers:
            row = layer.row("caching", contract)
            for name, value in _flat(row, "cache."):
                where.setdefault(name, Fact(name, value, origin_of(layer, row, f"contract {contract}")))
        hidden = {"aliases", "base", "caching", "changes", "family", "source", "cache.source"}
        return tuple(where[name] for name in sorted(where) if name not in hidden)

    def source(self, key: str) -> str:
        """What a key in square brackets stands for."""
        for layer in reversed(self._tables.layers):
            if key in layer.tables.get("sources", {}):
                return str(layer.tables["sources"][key])
        return key

    def _build(self, named: Named) -> Model:
        profile = named.profile
        row: dict[str, Any] = {}
        notes: list[str] = []
        known = False
        for origin, part in self._tables.stack(named):
            if "price" in part or "long" in part:
                row.pop("later", None)  # the prices of days to come are of the list that has today's
            row = merged(row, part)
            notes += part.get("notes", ())
            known = known or not origin.startswith((CAREFUL, "profile "))
        caching = self._caching(row)
        markers = caching.kind == "markers" and (profile is None or profile.markers != "none")
        rules = CacheRules(
            max_markers=caching.max_markers if markers else 0,
            minimum=caching.minimum,
            ttls=tuple(ttl for ttl in _TTLS if ttl in dict(caching.ttls)) or _TTLS[:1],
            refresh=caching.refresh,
            strips_thinking=caching.strips_thinking,
            # without markers where there should be some, nothing is known of what is cached
            kind=caching.kind if caching.kind != "markers" or markers else "none",
            granularity=caching.granularity,
            default_ttl=_lifetime(caching.seconds()),
        )
        price, _ = _price(row.get("price"), caching)
        long, above = _price(row.get("long"), caching)
        return Model(
            provider=named.provider,
            name=named.name,
            window=row["window"],
            max_output=row["max_output"],
            thinking=row["thinking"],
            rules=rules,
            caching=caching,
            wire=_WIRES[named.provider],
            max_input=min(row.get("max_input", row["window"]), row["window"]),
            profile=profile,
            efforts=tuple(row["efforts"]) if "efforts" in row else None,
            rejects=tuple(row.get("rejects", ())),
            changes=self._changes(row),
            images=row["images"] and (profile is None or profile.images),
            binds_thinking=row.get("binds_thinking", False),
            diagnostics=tuple(row.get("diagnostics", ())),
            price=price,
            long=long,
            long_above=above,
            later=_later(row, caching),
            aliases=tuple(row.get("aliases", ())),
            notes=tuple(dict.fromkeys(notes)),
            known=known,
            near="" if known else self._nearest(named.key),
        )

    def _nearest(self, name: str) -> str:
        """What of the same provider and server has the most similar name or alias; "" where none is similar."""
        place, _, last = name.rpartition("/")
        there = {one.rpartition("/")[2]: one for one in self._tables.names("models") if one.rpartition("/")[0] == place}
        aliases = {short: short for short, row in self._tables.aliases().items() if row.rpartition("/")[0] == place}
        close = get_close_matches(last, found := aliases | there, n=1, cutoff=0.7)
        return found[close[0]] if close else ""

    def _caching(self, row: Row) -> Caching:
        found = self._tables.row("caching", row["caching"]) | row.get("cache", {})
        found.pop("source", None)
        return Caching(name=row["caching"], **(found | {"ttls": tuple(found.get("ttls", {}).items())}))

    def _changes(self, row: Row) -> tuple[Change, ...]:
        found = merged(self._tables.row("changes", row["changes"]), row.get("change", {}))
        return tuple(Change(setting, **what) for setting, what in found.items())

    def _check(self, user: Layer) -> None:
        """What only shows when the layers stand together. Raises ConfigError with the line."""

        def wrong(keys: tuple[str, ...], what: object) -> ConfigError:
            return ConfigError(f"{user.place}:{line_of(user.text, keys)}: {'.'.join(keys)}: {what}")

        builders = {"models": self._build_named, "profiles": self._build_profile, "caching": self._build_contract}
        for table, build in builders.items():
            for name in user.tables.get(table, {}):
                try:
                    build(name)
                except KeyError as missing:
                    raise wrong((table, name), missing.args[0]) from None
        for alias, name in user.tables.get("aliases", {}).items():
            if name.partition("/")[0] not in PROVIDERS:
                raise wrong(("aliases", alias), f"`{name}` names no model; use provider/model")

    def _build_named(self, name: str) -> None:
        own = self._tables.own(name)
        if "family" in own:
            self._tables.row("families", own["family"])
        if "base" in own and "base" in self._tables.own(own["base"]):
            raise KeyError(f"base `{own['base']}` has a base itself")
        if "base" in own and not self._tables.rows(own["base"]):
            raise KeyError(f"base `{own['base']}` is not in the catalog")
        model = self._build(self._tables.split(name))
        if "price" in own and model.price is None:
            raise KeyError("a price needs `input` and `output`")
        if "long" in own and not (model.long and model.long_above):
            raise KeyError("`long` needs `above`, `input` and `output`")
        if model.later and model.long:
            raise KeyError("`later` is for a model with one price for every length")

    def _build_contract(self, name: str) -> None:
        if missing := {"kind", "minimum"} - self._tables.row("caching", name).keys():
            raise KeyError(f"a contract needs `{min(missing)}`")

    def _build_profile(self, name: str) -> None:
        profile = self.profile(name)
        self._tables.row("caching", profile.caching)
        self._tables.row("changes", profile.changes)


def _price(row: Mapping[str, float] | None, caching: Caching) -> tuple[Price | None, int]:
    """The price and the length above which it holds; None where input or output is not known."""
    if not row or "input" not in row or "output" not in row:
        return None, 0
    lives = dict(caching.ttls)
    writes = [(key.removeprefix("write_"), value) for key, value in row.items() if key.startswith("write_")]
    writes.sort(key=lambda write: lives.get(write[0], 0.0))
    return Price(row["input"], row["output"], row.get("read", row["input"]), tuple(writes)), int(row.get("above", 0))


def _later(row: Row, caching: Caching) -> tuple[tuple[date, Price], ...]:
    """The prices of days to come. Raises KeyError where one is no day or no price."""
    found = []
    for day in sorted(row.get("later", {})):
        price, _ = _price(row["later"][day], caching)
        try:
            start = date.fromisoformat(day)
        except ValueError:
            raise KeyError(f"`{day}` in `later` is no day; write it as 2026-12-31") from None
        if price is None:
            raise KeyError(f"the price from {day} on needs `input` and `output`")
        found.append((start, price))
    return tuple(found)


def _lifetime(seconds: float | None) -> Ttl:
    """The longest TTL with a name that is not longer than that."""
    if seconds is None:
        return "kept"
    return max((ttl for ttl in _TTLS if TTL_SECONDS[ttl] <= seconds), key=lambda t: TTL_SECONDS[t], default="5m")


def _flat(row: Row, prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in row.items():
        if key == "notes":
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield f"{prefix}{key}", ", ".join(map(str, value)) or "none"
        else:
            yield f"{prefix}{key}", {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


@cache
def _default() -> Catalog:
    return Catalog.load()


def models() -> tuple[Model, ...]:
    """Every model of the bundled tables."""
    return _default().models()


def find(text: str) -> Model:
    """As `Catalog.find`, without the person's own file."""
    return _default().find(text)
