"""`harness models`: what is known of each model, and of one model everything, with where it is from.

Invariant: reads the catalog and nothing else; no key, no network. What is not known is said to be unknown.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from harness.commands.arguments import Parser
from harness.config import config_dir
from harness.errors import UsageError
from harness.providers.catalog import Catalog
from harness.providers.facts import Caching, Change, Model, Price
from harness.seam import Seam
from harness.ui.plain import one_line
from harness.ui.tables import print_table

SAMPLE = 100_000
"""Tokens of prompt of the request whose cost `explain` tells."""

COLUMNS = ("window", "output", "in", "read", "write", "out", "caching", "model")


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Run the command; the exit code."""
    if list(arguments[:1]) == ["explain"]:
        return _explain(arguments[1:], seam)
    parser = Parser(
        prog="harness models",
        description="The models that are known. `harness models explain NAME`: everything about one.",
        epilog="Prices: USD per million tokens. Your own prices, models and servers: catalog.toml beside config.toml.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "filter", nargs="?", default="", metavar="FILTER", help="only names and aliases with this in it"
    )
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    flags = parser.parse_args(arguments)
    catalog = Catalog.load(config_dir(seam.environment()))
    wanted = flags.filter.lower()
    models = (model.on(seam.now()) for model in catalog.models())
    found = [model for model in models if any(wanted in name.lower() for name in (model.id, *model.aliases))]
    if not found:
        raise UsageError(f"no model has `{flags.filter:.80}` in its name; `harness models` lists all")
    if flags.json:
        _print_json([_as_json(model) for model in found])
        return 0
    rows = [_row(model) for model in found]
    width = max(shutil.get_terminal_size().columns, _width([COLUMNS, *rows]))
    print_table("Models (USD per million tokens)", COLUMNS, rows, width)
    return 0


def _explain(arguments: Sequence[str], seam: Seam) -> int:
    parser = Parser(prog="harness models explain", allow_abbrev=False)
    parser.add_argument("name", metavar="NAME", help="provider/model, openai-chat/profile/model, or an alias")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    flags = parser.parse_args(arguments)
    catalog = Catalog.load(config_dir(seam.environment()))
    model = catalog.find(flags.name).on(seam.now())
    facts = catalog.explain(model)
    if flags.json:
        _print_json(_as_json(model) | {"facts": {fact.name: [fact.value, fact.origin] for fact in facts}})
        return 0
    title = model.unknown or model.id
    _table(
        f"{title}\n{caching_words(model.caching)}",
        ("from", "fact", "value"),
        [(fact.origin, fact.name, fact.value) for fact in facts],
    )
    rows = [(change.setting, change.loses, change.how, _what(change)) for change in model.changes]
    _table("\nWhat a change in mid-session costs the cache", ("setting", "loses", "how", "what is done"), rows)
    if model.profile:
        profile = model.profile
        said = [(name, _value(getattr(profile, name))) for name in profile.__dataclass_fields__ if name != "headers"]
        _table(f"\nServer profile {profile.name}", ("setting", "value"), said)
    today = f"\nA request of {SAMPLE:,} tokens today, answer aside"
    _table(today, ("USD", "when"), _costs(model))
    sys.stdout.write("\n" + "".join(one_line(f"! {note}", 400) + "\n" for note in model.notes))
    used = [key for key in _keys(facts) if catalog.source(key) != key]
    sys.stdout.write("\n" + "".join(f"[{key}] {catalog.source(key)}\n" for key in used))
    return 0


def caching_words(caching: Caching) -> str:
    """A caching contract in words."""
    match caching.kind:
        case "none":
            return "nothing is known of its cache; no read is expected"
        case "markers":
            what = f"what is marked, up to {caching.max_markers} places"
        case "automatic":
            what = "any prefix, by itself"
        case "units":
            what = "whole units, by itself"
        case "blocks":
            what = "in the server's memory"
    parts = [what, f"from {caching.minimum:,} tokens on"]
    if caching.granularity > 1:
        parts.append(f"in steps of {caching.granularity:,}")
    if caching.ttls:
        parts.append("for " + " or ".join(name for name, _ in caching.ttls))
    if caching.key != "none":
        parts.append(f"key {caching.key}")
    if caching.strips_thinking:
        parts.append("earlier thinking is stripped")
    return ", ".join(parts)


def _row(model: Model) -> tuple[str, ...]:
    price = model.price
    ttls = "/".join(name for name, _ in model.caching.ttls)
    contract = " ".join(part for part in (model.caching.kind, f"≥{_short(model.caching.minimum)}", ttls) if part)
    return (
        _short(model.max_input),
        _short(model.max_output),
        *(_money(getattr(price, name, None)) for name in ("input", "read")),
        _writes(price),
        _money(price.output if price else None) + (f" (long: {_money(model.long.output)})" if model.long else ""),
        "unknown" if model.caching.kind == "none" else contract,
        one_line(model.id + (f"  ({', '.join(model.aliases)})" if model.aliases else "")),
    )


def _writes(price: Price | None) -> str:
    if price is None:
        return "unknown"
    return "/".join(_money(value) for _, value in price.writes) or "-"


def _money(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}" if round(value, 2) == value else f"{value:g}"


def _short(tokens: int) -> str:
    if tokens >= 1_000_000:
        return f"{tokens / 1_000_000:.3g}M"
    return f"{tokens / 1000:.3g}k" if tokens >= 10_000 else str(tokens)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "(yours to give)" if value is None else str(value) or "-"


def _what(change: Change) -> str:
    match change.how:
        case "safe":
            return f"sent as {change.form}" + (f" (beta {change.beta})" if change.beta else "")
        case "deferred":
            return "waits for the next epoch"
        case "confirmed":
            return "done when you confirm its price"
        case "vendor":
            return f"cannot be avoided: {change.form}"


def _costs(model: Model) -> list[tuple[str, str]]:
    price = model.price_for(SAMPLE)
    if price is None:
        return [("unknown", "cold"), ("unknown", "warm")]
    each = SAMPLE / 1_000_000
    cold = [(f"{each * value:.4f}", f"cold, written for {ttl}") for ttl, value in price.writes]
    cold = cold or [(f"{each * price.input:.4f}", "cold")]
    return [*cold, (f"{each * price.read:.4f}", "warm: all of it read")]


def _as_json(model: Model) -> dict[str, Any]:
    def price(value: Price | None) -> dict[str, Any] | None:
        if value is None:
            return None
        return {"input": value.input, "read": value.read, "writes": dict(value.writes), "output": value.output}

    caching = model.caching
    names = ("kind", "minimum", "granularity", "max_markers", "lookback", "refresh", "key", "strips_thinking")
    return {
        "id": model.id,
        "aliases": list(model.aliases),
        "known": model.known,
        "wire": model.wire,
        "profile": model.profile.name if model.profile else None,
        "window": model.window,
        "max_input": model.max_input,
        "max_output": model.max_output,
        "thinking": model.thinking,
        "efforts": None if model.efforts is None else list(model.efforts),
        "rejects": list(model.rejects),
        "price": price(model.price),
        "later": {day.isoformat(): price(later) for day, later in model.later},
        "long": price(model.long) and {"above": model.long_above, **(price(model.long) or {})},
        "caching": {name: getattr(caching, name) for name in names} | {"ttls": dict(caching.ttls)},
        "changes": {change.setting: {"loses": change.loses, "how": change.how} for change in model.changes},
        "notes": list(model.notes),
    }


def _keys(facts: Iterable[Any]) -> list[str]:
    """The source keys of some facts, each once."""
    found: dict[str, None] = {}
    for fact in facts:
        found |= dict.fromkeys(part.partition("]")[0] for part in fact.origin.split("[")[1:])
    return sorted(found)


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _width(rows: Iterable[Sequence[str]]) -> int:
    """Columns that a table of these rows takes: nothing is cut where the output is no terminal."""
    return sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True))


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    shown = [[one_line(cell) for cell in row] for row in rows]
    print_table(title, columns, shown, max(shutil.get_terminal_size().columns, _width([columns, *shown])))
