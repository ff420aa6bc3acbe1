"""The tables of models and servers, one file over the other, and which rows hold for a name.

Invariant: a later layer wins key by key. A project has no say here: only the two bundled files and the one in the
person's own settings folder are layers.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from harness.errors import UsageError
from harness.providers.facts import Profile

CHAT = "openai-chat"
GENERIC = "generic"
CAREFUL = "careful default"
"""The origin of what holds where nothing is known."""

_PER_MODEL = frozenset({"aliases", "base", "changes", "family", "later", "long", "notes", "price", "source"})
"""Keys of a row that hold for that model and server alone, and not for the same model elsewhere."""

# `claude-opus-4-5-20251101`, `gpt-5.4-2026-03-05`: a dated name has the facts of the undated one
_DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Layer:
    """One file's tables. place: as a person is told of it; text: of the person's own and the bundled ones."""

    place: str
    tables: Mapping[str, Any]
    text: str = ""

    def row(self, table: str, name: str) -> Row:
        """The row of that name; an empty one where it has none."""
        found: Row = self.tables.get(table, {}).get(name, {})
        return found


@cache
def bundled() -> tuple[Layer, Layer]:
    """The generated table, and the hand-kept one over it."""
    folder = resources.files("harness.providers")
    texts = [(name, folder.joinpath(name).read_text("utf-8")) for name in ("catalog.toml", "facts.toml")]
    generated, kept = (Layer(name, tomllib.loads(text), text) for name, text in texts)
    return generated, kept


@dataclass(frozen=True, slots=True)
class Named:
    """A model as a row names it. name: as it is sent; profile: of the server, on the chat wire."""

    provider: str
    profile: Profile | None
    name: str

    @property
    def key(self) -> str:
        """The name of its row."""
        return f"{self.provider}/{self.profile.name}/{self.name}" if self.profile else f"{self.provider}/{self.name}"


class Tables:
    """The rows of all layers, the weakest layer first."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)

    def names(self, table: str) -> dict[str, None]:
        """The names of a table's rows: those kept by hand, the generated ones, the person's own."""
        generated, kept, *own = self.layers
        return {name: None for layer in (kept, generated, *own) for name in layer.tables.get(table, {})}

    def aliases(self) -> dict[str, str]:
        """The row that each alias means."""
        found: dict[str, str] = {}
        for layer in self.layers:
            for name, row in layer.tables.get("models", {}).items():
                found |= dict.fromkeys(row.get("aliases", ()), name)
            found |= layer.tables.get("aliases", {})
        return found

    def row(self, table: str, name: str) -> dict[str, Any]:
        """The row of that name in all layers together. Raises KeyError."""
        found: dict[str, Any] = {}
        for layer in self.layers:
            found = merged(found, layer.row(table, name))
        if not found:
            raise KeyError(f"`{name}` is not in [{table}]; known: {', '.join(self.names(table))}")
        found.pop("source", None)
        return found

    def rows(self, name: str) -> list[tuple[Layer, Row]]:
        """The model's own rows, of each layer that has one."""
        return [(layer, row) for layer in self.layers if (row := layer.row("models", name))]

    def own(self, name: str) -> dict[str, Any]:
        """What the model's own rows say, without any that they build on."""
        return {key: value for _, row in self.rows(name) for key, value in row.items()}

    def profile(self, name: str) -> Profile:
        """How a server speaks. Raises UsageError where nothing is known of it."""
        if name not in self.names("profiles"):
            raise UsageError(f"unknown profile `{name}`; known: {', '.join(self.names('profiles'))}")
        row: dict[str, Any] = {"like": ""}
        for layer in self.layers:
            row |= layer.row("profiles", GENERIC)
        # address, key and headers are of one server: no other inherits them
        row |= {"base_url": None, "key_env": re.sub(r"\W", "_", name).upper() + "_API_KEY", "headers": {}}
        for layer in self.layers:
            row = merged(row, layer.row("profiles", name))
        row.pop("source", None)
        return Profile(name=name, **row)

    def split(self, name: str) -> Named:
        """The parts of "provider/…"."""
        provider, _, rest = name.partition("/")
        if provider != CHAT:
            return Named(provider, None, rest)
        first, slash, last = rest.partition("/")
        if slash and first in self.names("profiles"):
            return Named(provider, self.profile(first), last)
        # "org/model" of a compatible server: no profile is meant
        return Named(provider, self.profile(GENERIC), rest)

    def stack(self, named: Named) -> Iterator[tuple[str, Row]]:
        """(origin, row), the weakest first: defaults, server, same model elsewhere, family, the model's own rows."""
        profile = named.profile
        rows = self.rows(named.key) or (self.rows(f"{named.provider}/{named.name}") if profile else [])
        own = {key: value for _, row in rows for key, value in row.items()}
        for layer in self.layers:
            yield CAREFUL, layer.tables.get("defaults", {})
            yield CAREFUL, layer.row("unknown", named.provider)
        if profile:
            server = {"caching": profile.caching, "changes": profile.changes, "images": profile.images}
            yield f"profile {profile.name}", server
        if twin := own.get("base") or ("" if rows else self._twin(named)):
            # elsewhere the same model has its own price and name, unless it is the same vendor
            hidden = _PER_MODEL if "base" in own else frozenset({"aliases", "changes"} if profile else {"aliases"})
            for origin, row in self.stack(self.split(twin)):
                if origin != CAREFUL:
                    yield origin, {key: value for key, value in row.items() if key not in hidden}
        for layer in self.layers:
            if row := layer.row("families", own.get("family", "")):
                yield origin_of(layer, row, f"family {own['family']}"), row
        for layer, row in rows:
            yield origin_of(layer, row), row

    def _twin(self, named: Named) -> str:
        """The model whose facts one without a row has: the undated one, or its vendor's own."""
        undated = Named(named.provider, named.profile, _DATED.sub("", named.name))
        if undated != named and self.rows(undated.key):
            return undated.key
        if named.profile and named.profile.like and self.rows(f"{named.profile.like}/{undated.name}"):
            return f"{named.profile.like}/{undated.name}"
        return ""


def merged(under: Row, over: Row) -> dict[str, Any]:
    """Tables merge key by key, everything else is replaced."""
    both = dict(under)
    for key, value in over.items():
        both[key] = merged(both[key], value) if isinstance(value, dict) and isinstance(both.get(key), dict) else value
    return both


def origin_of(layer: Layer, row: Row, what: str = "") -> str:
    """Where a row's facts are from, in words: a person's file or `what`, and the sources that the row names."""
    named = ", ".join(f"[{key}]" for key in row.get("source", ()))
    place = layer.place if layer.text and layer not in bundled() else ""
    return " ".join(part for part in (place or what, named) if part) or "by hand"
