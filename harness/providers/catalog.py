"""What is known of models and servers: the bundled tables, and the person's own catalog.toml over them.

Invariant: an unknown model gets careful defaults and an unknown price, never a zero one. A project has no say here:
only the two bundled files and the one in the person's own settings folder are read.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from harness.config import PROVIDERS
from harness.config_file import line_of
from harness.conversation.request import TTL_SECONDS, CacheRules, Ttl
from harness.errors import ConfigError, UsageError
from harness.providers import catalog_file
from harness.providers.facts import Caching, Change, Fact, Model, Price, Profile, Wire

CHAT = "openai-chat"
GENERIC = "generic"
_WIRES: Mapping[str, Wire] = {"anthropic": "anthropic", "openai": "openai-responses", CHAT: "openai-chat"}
_TTLS: tuple[Ttl, ...] = get_args(Ttl)
_CAREFUL = "careful default"
_PER_MODEL = frozenset({"aliases", "base", "changes", "family", "later", "long", "notes", "price", "source"})
"""Keys of a row that hold for that model and server alone, and not for the same model elsewhere."""

# `claude-opus-4-5-20251101`, `gpt-5.4-2026-03-05`: a dated name has the facts of the undated one
_DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")
# What a bare name that is in no table is taken for.
_MAKERS = (("openai", re.compile(r"gpt-|o\d|codex-")),)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One file's tables. place: as a person is told of it."""

    place: str
    tables: Mapping[str, Any]
    text: str = ""

    def row(self, table: str, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.tables.get(table, {}).get(name, {})
        return found


@cache
def _bundled() -> tuple[_Layer, _Layer]:
    """The generated table, and the hand-kept one over it."""
    folder = resources.files("harness.providers")
    texts = [(name, folder.joinpath(name).read_text("utf-8")) for name in ("catalog.toml", "facts.toml")]
    generated, kept = (_Layer(name, tomllib.loads(text), text) for name, text in texts)
    return generated, kept


class Catalog:
    """All that is known of models; made by `load`. Never changes."""

    def __init__(self, layers: Sequence[_Layer]) -> None:
        self._layers = tuple(layers)

    @classmethod
    def load(cls, config_dir: Path | None = None) -> Catalog:
        """The bundled tables, and over them catalog.toml of that folder, if there is one.

        Raises:
            ConfigError: the person's file has a key or a value that is wrong; it names the line.
        """
        if config_dir is None:
            return cls(_bundled())
        place, text, tables = catalog_file.read(config_dir)
        user = _Layer(place, tables, text)
        catalog = cls((*_bundled(), user))
        catalog._check(user)
        return catalog

    def models(self) -> tuple[Model, ...]:
        """Every model that has a row: the hand-kept table's order, then the person's own."""
        return tuple(self._build(*self._split(name)) for name in self._names())

    def profiles(self) -> tuple[str, ...]:
        """The names of the servers that the chat wire knows."""
        return tuple(self._keys("profiles"))

    def find(self, text: str) -> Model:
        """The model that a person named: "provider/model", "openai-chat/profile/model", a bare name or an alias.

        Raises:
            UsageError: nothing is named, or a provider that the program does not speak to.
        """
        named = self._aliases().get(text, text)
        if "/" not in named:
            own = (name for name in self._names() if self._split(name)[2] == named)
            maker = next((maker for maker, pattern in _MAKERS if pattern.match(named)), "anthropic")
            named = next(own, f"{maker}/{named}")
        provider, _, name = named.partition("/")
        if provider not in PROVIDERS:
            hint = f"; did you mean {CHAT}/{named}?" if provider in self.profiles() else ""
            raise UsageError(
                f"unknown provider `{provider}` in model `{text}`; this version speaks to: {', '.join(PROVIDERS)}{hint}"
            )
        model = self._split(named)
        if not model[2]:
            raise UsageError(f"`{text}` names no model; use provider/model, e.g. anthropic/claude-sonnet-5-5")
        # "anthropic/sonnet": an alias behind its provider; on the chat wire any word may be a model of the server's
        alias = self._aliases().get(name)
        if provider != CHAT and alias and alias.startswith(f"{provider}/") and not self._rows(named):
            model = self._split(alias)
        return self._build(*model)

    def profile(self, name: str) -> Profile:
        """How a server speaks. Raises UsageError where nothing is known of it."""
        if name not in self.profiles():
            raise UsageError(f"unknown profile `{name}`; known: {', '.join(self.profiles())}")
        row: dict[str, Any] = {"like": ""}
        for layer in self._layers:
            row |= layer.row("profiles", GENERIC)
        # address, key and headers are of one server: no other inherits them
        row |= {"base_url": None, "key_env": re.sub(r"\W", "_", name).upper() + "_API_KEY", "headers": {}}
        for layer in self._layers:
            row = _merged(row, layer.row("profiles", name))
        row.pop("source", None)
        return Profile(name=name, **row)

    def explain(self, model: Model) -> tuple[Fact, ...]:
        """Every fact that a row gives of a model, with the row and the source that it is from."""
        where: dict[str, Fact] = {}
        for origin, row in self._stack(model.provider, model.profile, model.name):
            for name, value in _flat(row):
                where[name] = Fact(name, value, origin)
        contract = model.caching.name
        for layer in self._layers:
            row = layer.row("caching", contract)
            for name, value in _flat(row, "cache."):
                where.setdefault(name, Fact(name, value, _origin(layer, row, f"contract {contract}")))
        hidden = {"aliases", "base", "caching", "changes", "family", "source", "cache.source"}
        return tuple(where[name] for name in sorted(where) if name not in hidden)

    def source(self, key: str) -> str:
        """What a key in square brackets stands for."""
        for layer in reversed(self._layers):
            if key in layer.tables.get("sources", {}):
                return str(layer.tables["sources"][key])
        return key

    # -------------------------------------------------------------------------------------------- rows

    def _keys(self, table: str) -> dict[str, None]:
        """The names of a table's rows: those kept by hand, the generated ones, the person's own."""
        generated, kept, *own = self._layers
        return {name: None for layer in (kept, generated, *own) for name in layer.tables.get(table, {})}

    def _names(self) -> dict[str, None]:
        return self._keys("models")

    def _aliases(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for layer in self._layers:
            for name, row in layer.tables.get("models", {}).items():
                found |= dict.fromkeys(row.get("aliases", ()), name)
            found |= layer.tables.get("aliases", {})
        return found

    def _split(self, name: str) -> tuple[str, Profile | None, str]:
        """(provider, profile, name as sent) of "provider/…"."""
        provider, _, rest = name.partition("/")
        if provider != CHAT:
            return provider, None, rest
        first, slash, last = rest.partition("/")
        if slash and first in self.profiles():
            return provider, self.profile(first), last
        # "org/model" of a compatible server: no profile is meant
        return provider, self.profile(GENERIC), rest

    def _rows(self, name: str) -> list[tuple[_Layer, Mapping[str, Any]]]:
        return [(layer, row) for layer in self._layers if (row := layer.row("models", name))]

    def _stack(self, provider: str, profile: Profile | None, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """(origin, row), the weakest first: defaults, server, same model elsewhere, family, the model's own rows."""
        rows = self._rows(_key(provider, profile, name)) or (self._rows(f"{provider}/{name}") if profile else [])
        own = {key: value for _, row in rows for key, value in row.items()}
        twin = own.get("base") or self._twin(rows, provider, profile, name)
        for layer in self._layers:
            yield _CAREFUL, layer.tables.get("defaults", {})
            yield _CAREFUL, layer.row("unknown", provider)
        if profile:
            yield (
                f"profile {profile.name}",
                {"caching": profile.caching, "changes": profile.changes, "images": profile.images},
            )
        if twin:
            # elsewhere the same model has its own price and name, unless it is the same vendor
            hidden = _PER_MODEL if "base" in own else frozenset({"aliases", "changes"} if profile else {"aliases"})
            for origin, row in self._stack(*self._split(twin)):
                if origin != _CAREFUL:
                    yield origin, {key: value for key, value in row.items() if key not in hidden}
        for layer in self._layers:
            if row := layer.row("families", own.get("family", "")):
                yield _origin(layer, row, f"family {own['family']}"), row
        for layer, row in rows:
            yield _origin(layer, row), row

    def _twin(self, rows: object, provider: str, profile: Profile | None, name: str) -> str:
        """The model whose facts one without a row has: the undated one, or its vendor's own."""
        undated = _DATED.sub("", name)
        if not rows and undated != name and self._rows(_key(provider, profile, undated)):
            return _key(provider, profile, undated)
        if not rows and profile and profile.like and self._rows(f"{profile.like}/{undated}"):
            return f"{profile.like}/{undated}"
        return ""

    def _build(self, provider: str, profile: Profile | None, name: str) -> Model:
        row: dict[str, Any] = {}
        notes: list[str] = []
        known = False
        for origin, part in self._stack(provider, profile, name):
            if "price" in part or "long" in part:
                row.pop("later", None)  # the prices of days to come are of the list that has today's
            row = _merged(row, part)
            notes += part.get("notes", ())
            known = known or not origin.startswith((_CAREFUL, "profile "))
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
            provider=provider,
            name=name,
            window=row["window"],
            max_output=row["max_output"],
            thinking=row["thinking"],
            rules=rules,
            caching=caching,
            wire=_WIRES[provider],
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
            near="" if known else self._nearest(_key(provider, profile, name)),
        )

    def _nearest(self, name: str) -> str:
        """The row of the same provider and server with the most similar name; "" where none is similar."""
        place, _, last = name.rpartition("/")
        there = [one.rpartition("/")[2] for one in self._names() if one.rpartition("/")[0] == place]
        close = get_close_matches(last, there, n=1, cutoff=0.7)
        return f"{place}/{close[0]}" if close else ""

    def _caching(self, row: Mapping[str, Any]) -> Caching:
        found = self._named("caching", row["caching"]) | row.get("cache", {})
        found.pop("source", None)
        return Caching(name=row["caching"], **(found | {"ttls": tuple(found.get("ttls", {}).items())}))

    def _changes(self, row: Mapping[str, Any]) -> tuple[Change, ...]:
        found = _merged(self._named("changes", row["changes"]), row.get("change", {}))
        found.pop("source", None)
        return tuple(Change(setting, **what) for setting, what in found.items())

    def _named(self, table: str, name: str) -> dict[str, Any]:
        """The row of that name in all layers together. Raises KeyError."""
        found: dict[str, Any] = {}
        for layer in self._layers:
            found = _merged(found, layer.row(table, name))
        if not found:
            raise KeyError(f"`{name}` is not in [{table}]; known: {', '.join(self._keys(table))}")
        return found

    def _check(self, user: _Layer) -> None:
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
        own = {key: value for _, row in self._rows(name) for key, value in row.items()}
        if "family" in own:
            self._named("families", own["family"])
        if "base" in own and any("base" in row for _, row in self._rows(own["base"])):
            raise KeyError(f"base `{own['base']}` has a base itself")
        if "base" in own and not self._rows(own["base"]):
            raise KeyError(f"base `{own['base']}` is not in the catalog")
        model = self._build(*self._split(name))
        if "price" in own and model.price is None:
            raise KeyError("a price needs `input` and `output`")
        if "long" in own and not (model.long and model.long_above):
            raise KeyError("`long` needs `above`, `input` and `output`")
        if model.later and model.long:
            raise KeyError("`later` is for a model with one price for every length")

    def _build_contract(self, name: str) -> None:
        if missing := {"kind", "minimum"} - self._named("caching", name).keys():
            raise KeyError(f"a contract needs `{min(missing)}`")

    def _build_profile(self, name: str) -> None:
        profile = self.profile(name)
        self._named("caching", profile.caching)
        self._named("changes", profile.changes)


def _key(provider: str, profile: Profile | None, name: str) -> str:
    return f"{provider}/{profile.name}/{name}" if profile else f"{provider}/{name}"


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Tables merge key by key, everything else is replaced."""
    both = dict(under)
    for key, value in over.items():
        both[key] = _merged(both[key], value) if isinstance(value, dict) and isinstance(both.get(key), dict) else value
    return both


def _price(row: Mapping[str, float] | None, caching: Caching) -> tuple[Price | None, int]:
    """The price and the length above which it holds; None where input or output is not known."""
    if not row or "input" not in row or "output" not in row:
        return None, 0
    lives = dict(caching.ttls)
    writes = [(key.removeprefix("write_"), value) for key, value in row.items() if key.startswith("write_")]
    writes.sort(key=lambda write: lives.get(write[0], 0.0))
    return Price(row["input"], row["output"], row.get("read", row["input"]), tuple(writes)), int(row.get("above", 0))


def _later(row: Mapping[str, Any], caching: Caching) -> tuple[tuple[date, Price], ...]:
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


def _origin(layer: _Layer, row: Mapping[str, Any], what: str = "") -> str:
    named = ", ".join(f"[{key}]" for key in row.get("source", ()))
    place = layer.place if layer.text and layer not in _bundled() else ""
    return " ".join(part for part in (place or what, named) if part) or "by hand"


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
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
