#!/usr/bin/env python3
"""Makes harness/providers/catalog.toml from litellm's table and genai-prices; called by scripts/update-catalog.

Invariant: the same inputs give the same bytes. What facts.toml says of a model is left out here, so that it stands in
one place; where the two lists differ, the careful figure is taken (the higher price, the smaller window) and the row
says so.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import importlib.metadata
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
"""window, max_input, max_output, images, efforts, cache.minimum, price, long, later, notes."""

LISTS = ("litellm", "genai-prices")
JUMP = 10.0
"""A figure that grows or shrinks by that factor is refused without --force: more likely a slip than a price."""

# Our prefix -> (litellm's, genai-prices', TTL of litellm's first write price, of its dearer one).
PREFIXES: Mapping[str, tuple[str | None, str | None, str, str]] = {
    "anthropic/": ("", "anthropic/", "5m", "1h"),
    "openai/": ("", "openai/", "30m", "12h"),
    "openai-chat/deepseek/": ("deepseek/", "deepseek/", "5m", "1h"),
    "openai-chat/moonshot/": ("moonshot/", "moonshotai/", "5m", "1h"),
    "openai-chat/zai/": ("zai/", "zai/", "5m", "1h"),
    "openai-chat/qwen/": ("dashscope/", None, "5m", "1h"),
    "openai-chat/minimax/": ("minimax/", "minimax/", "5m", "1h"),
    "openai-chat/xai/": ("xai/", "x-ai/", "5m", "1h"),
    "openai-chat/mistral/": ("mistral/", "mistral/", "5m", "1h"),
    "openai-chat/gemini/": ("gemini/", "google/", "5m", "1h"),
    "openai-chat/groq/": ("groq/", "groq/", "5m", "1h"),
    "openai-chat/openrouter/openai/": (None, "openrouter/openai/", "30m", "12h"),
    "openai-chat/openrouter/": (None, "openrouter/", "5m", "1h"),
}
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


# ----------------------------------------------------------------------------------------------- the two lists


def from_litellm(entry: Mapping[str, Any], ttls: tuple[str, str]) -> Row:
    """One entry of litellm's table in our form. Prices there are USD per token."""
    above = next(
        (int(found[1]) for key in entry if (found := re.fullmatch(r"input_cost_per_token_above_(\d+)k_tokens", key))), 0
    )
    row: Row = {
        "window": _whole(entry.get("max_input_tokens")),
        "max_output": _whole(entry.get("max_output_tokens")),
        "images": entry.get("supports_vision", False),
        "efforts": _efforts(entry),
        "price": _litellm_price(entry, ttls, ""),
        "cache": {"minimum": _whole(entry["prompt_cache_min_tokens"])} if "prompt_cache_min_tokens" in entry else None,
    }
    if above:
        row["long"] = {"above": above * 1000} | _litellm_price(entry, ttls, f"_above_{above}k_tokens")
    return _clean(row)


def _litellm_price(entry: Mapping[str, Any], ttls: tuple[str, str], tier: str) -> Row:
    short, long = ttls
    names = {
        "input": "input_cost_per_token",
        "read": "cache_read_input_token_cost",
        f"write_{short}": "cache_creation_input_token_cost",
        f"write_{long}": f"cache_creation_input_token_cost_above_{long}r",
        "output": "output_cost_per_token",
    }
    found = {
        name: _dollars(entry[key + tier] * 1e6) for name, key in names.items() if entry.get(key + tier) is not None
    }
    # a write price of 0 stands for "no surcharge", which is what a missing one means here
    return {name: price for name, price in found.items() if price or not name.startswith("write_")}


def _efforts(entry: Mapping[str, Any]) -> list[str] | None:
    if "reasoning_effort_levels" in entry:
        return [str(level) for level in entry["reasoning_effort_levels"]]
    if not entry.get("supports_output_config") and entry.get("litellm_provider") != "openai":
        return [] if entry.get("litellm_provider") == "anthropic" else None
    always = {"low", "medium", "high"}
    return [level for level in EFFORTS if level in always or entry.get(f"supports_{level}_reasoning_effort")]


def read_genai(as_of: dt.date) -> dict[str, Row]:
    """All of genai-prices in our form, by lower-case "provider/model"."""
    providers = importlib.import_module("genai_prices.data").providers
    return {
        f"{provider.id}/{model.id}".lower(): from_genai(model.context_window, model.prices, as_of)
        for provider in providers
        for model in provider.models
    }


def from_genai(window: int | None, prices: Any, as_of: dt.date) -> Row:
    """One model of genai-prices in our form: the price of that day, of the dearest hours; and those of days to come."""
    row: Row = {"window": window}
    later: Row = {}
    dated = prices if isinstance(prices, list) else []
    for choice in dated:
        start = getattr(choice.constraint, "start_date", None)
        if start is not None and start > as_of:
            later[str(start)], _ = _genai_price(choice.prices)
    chosen = _chosen(dated, as_of) if dated else prices
    base, tier = _genai_price(chosen)
    row |= {"price": base, "long": tier or None, "later": later or None}
    return _clean(row)


def _chosen(dated: Sequence[Any], as_of: dt.date) -> Any:
    current = None
    peaks = []
    for choice in dated:
        if choice.constraint is None or getattr(choice.constraint, "start_date", dt.date.max) <= as_of:
            current = choice.prices
        elif hasattr(choice.constraint, "start_time"):
            peaks.append(choice.prices)
    return max([current, *peaks], key=lambda price: _genai_price(price)[0].get("input", 0))


def _genai_price(price: Any) -> tuple[Row, Row]:
    names = {
        "input": "input_mtok",
        "read": "cache_read_mtok",
        "write": "cache_write_mtok",
        "write_1h": "cache_write_1h_mtok",
        "output": "output_mtok",
    }
    base: Row = {}
    tier: Row = {}
    for name, key in names.items():
        value = getattr(price, key, None)
        if value is None:
            continue
        tiers = getattr(value, "tiers", [])
        base[name] = _dollars(float(value.base if tiers else value))
        if len(tiers) == 1:
            # "from 199,999 on" is how it writes "above 200k"
            tier["above"] = round(tiers[0].start, -3)
            tier[name] = _dollars(float(tiers[0].price))
    return base, tier


# ----------------------------------------------------------------------------------------------------- merging


def merge(
    kept: Mapping[str, Row], litellm: Mapping[str, Any], genai: Mapping[str, Row]
) -> tuple[dict[str, Row], list[str]]:
    """The generated rows of the models that facts.toml names, in its order, and every conflict in words.

    kept: its rows, which win. litellm: its table as it is. genai: rows by lower-case "provider/model".
    """
    rows: dict[str, Row] = {}
    conflicts: list[str] = []
    for model, own in kept.items():
        prefix = max((prefix for prefix in PREFIXES if model.startswith(prefix)), key=len, default=None)
        if prefix is None:
            continue
        ours, theirs, short, long = PREFIXES[prefix]
        name = model.removeprefix(prefix)
        first = litellm.get(f"{ours}{name}") if ours is not None else None
        second = genai.get(f"{theirs}{name}".lower()) if theirs is not None else None
        found = {
            "litellm": from_litellm(first, (short, long)) if first else {},
            "genai-prices": _named_writes(second or {}, short),
        }
        row, said = _both(found)
        conflicts += [f"{model}: {text}" for text in said]
        conflicts += [f"{model}: {text}" for text in _against(own, found)]
        row = _without(row, own)
        if set(row) - {"notes"}:
            notes = [*row.pop("notes", []), *said]
            rows[model] = {
                "source": [name for name in LISTS if found[name]],
                **row,
                **({"notes": notes} if notes else {}),
            }
    return rows, conflicts


def _without(row: Row, own: Mapping[str, Any]) -> Row:
    """What facts.toml does not say itself."""
    left: Row = {}
    for key, value in row.items():
        mine = own.get(key, {})
        if isinstance(value, dict):
            # a price with input and output is a whole one
            if not {"input", "output"} <= set(mine) and (
                rest := {name: one for name, one in value.items() if name not in mine}
            ):
                left[key] = rest
        elif key == "notes" or key not in own:
            left[key] = value
    return left


def _named_writes(row: Row, short: str) -> Row:
    """genai-prices' first write price has no TTL in its name."""

    def named(price: Row) -> Row:
        return {f"write_{short}" if name == "write" else name: value for name, value in price.items()}

    renamed = row | {key: named(row[key]) for key in ("price", "long") if key in row}
    if "later" in row:
        renamed["later"] = {day: named(price) for day, price in row["later"].items()}
    return renamed


def _both(found: Mapping[str, Row]) -> tuple[Row, list[str]]:
    """One row of two. litellm's window is the prompt's alone where genai-prices has a larger one."""
    first, second = (found[name] for name in LISTS)
    row: Row = {**second, **first}
    said: list[str] = []
    if "window" in first and "window" in second:
        row["window"], row["max_input"] = second["window"], first["window"]
        if first["window"] > second["window"]:
            # 1,048,576 and "1M" are one figure told twice
            if first["window"] > 1.06 * second["window"]:
                said.append(f"window: litellm {first['window']}, genai-prices {second['window']}; the smaller")
            row["window"] = second["window"]
        if row["max_input"] >= row["window"]:
            del row["max_input"]
    for table in ("price", "long"):
        if table in first and table in second:
            row[table] = {**second[table], **first[table]}
            for key in sorted(first[table].keys() & second[table].keys()):
                one, other = first[table][key], second[table][key]
                if abs(one - other) > 1e-9:
                    row[table][key] = max(one, other)
                    said.append(f"{table}.{key}: litellm {one:g}, genai-prices {other:g}; the higher")
        elif table == "long" and first and second and (first.get(table) or second.get(table)):
            name = LISTS[0] if table in first else LISTS[1]
            said.append(f"a price for long prompts: {name} only")
    return row, said


def _against(own: Row, found: Mapping[str, Row]) -> Iterator[str]:
    """Where facts.toml says something else than a list does."""
    mine = dict(_numbers(own))
    for name in LISTS:
        for key, value in _numbers(found[name]):
            if key in mine and abs(mine[key] - value) > 1e-9:
                yield f"{key}: facts.toml {mine[key]:g} wins over {name} {value:g}"


# ----------------------------------------------------------------------------------------- comparing, writing


def _numbers(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in row.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + key, float(value)


def compare(old: Mapping[str, Row], new: Mapping[str, Row]) -> tuple[list[str], list[str]]:
    """(what changed, which of it is a suspicious jump), both in words."""
    changed: list[str] = []
    jumps: list[str] = []
    for model in [*new, *(gone for gone in old if gone not in new)]:
        if model not in old or model not in new:
            changed.append(f"{'+' if model in new else '-'} {model}")
            continue
        before, after = dict(_numbers(old[model])), dict(_numbers(new[model]))
        for key in dict.fromkeys([*after, *before]):
            was, now = before.get(key), after.get(key)
            if was == now:
                continue
            text = (
                f"~ {model} {key}: {'none' if was is None else f'{was:g}'} -> {'none' if now is None else f'{now:g}'}"
            )
            changed.append(text)
            if was and now and not 1 / JUMP < now / was < JUMP:
                jumps.append(text)
        if old[model] != new[model] and before == after:
            changed.append(f"~ {model}: words only")
    return changed, jumps


def render(rows: Mapping[str, Row], versions: Mapping[str, str], as_of: dt.date) -> str:
    """The file. Notes keep what the lists disagree on."""
    lines = [
        "# Made by scripts/update-catalog; do not edit. What is wrong here is put right in facts.toml, which wins.",
        "# Prices: USD per million tokens. Windows, minimums: tokens. Both lists are under the MIT licence.",
        "",
        "[generated]",
        *(f'{name} = "{version}"' for name, version in versions.items()),
        f'as_of = "{as_of}"',
        "",
        "[sources]",
        f'litellm = "litellm {versions["litellm"]}, model_prices_and_context_window_backup.json"',
        f'genai-prices = "genai-prices {versions["genai-prices"]}, data.py"',
    ]
    for model, row in rows.items():
        lines += ["", f"[models.{json.dumps(model)}]"]
        for key in ("source", "window", "max_input", "max_output", "images", "efforts"):
            if key in row:
                lines.append(f"{key} = {_toml(row[key])}")
        if "cache" in row:
            lines.append(f"cache.minimum = {row['cache']['minimum']}")
        lines += [f"{key} = {_toml(row[key])}" for key in ("price", "long") if key in row]
        lines += [f"later.{json.dumps(day)} = {_toml(price)}" for day, price in row.get("later", {}).items()]
        lines += [f"notes = {_toml(row['notes'])}"] if "notes" in row else []
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(value[key])}" for key in sorted(value, key=_order)) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else json.dumps(value)


def _order(key: str) -> int:
    return ("above", "input", "read", "write_5m", "write_1h", "write_30m", "write_12h", "output").index(key)


def _dollars(price: float) -> float:
    return round(price, 6)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _clean(row: Row) -> Row:
    return {key: value for key, value in row.items() if value is not None and value != {} and (value or key != "notes")}


def main(arguments: Sequence[str]) -> int:
    """Write the table; 1 where a figure jumps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--litellm", type=Path, required=True, metavar="FILE", help="litellm's JSON")
    parser.add_argument("--providers", type=Path, required=True, metavar="DIR", help="the folder of the two tables")
    parser.add_argument("--as-of", type=dt.date.fromisoformat, required=True, metavar="DATE")
    parser.add_argument("--force", action="store_true", help=f"also where a figure changes by {JUMP:g} times or more")
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")
    flags = parser.parse_args(arguments)

    kept = tomllib.loads((flags.providers / "facts.toml").read_text("utf-8"))["models"]
    rows, conflicts = merge(kept, json.loads(flags.litellm.read_text("utf-8")), read_genai(flags.as_of))
    target = flags.providers / "catalog.toml"
    old = tomllib.loads(target.read_text("utf-8")).get("models", {}) if target.exists() else {}
    text = render(rows, {name: importlib.metadata.version(name) for name in LISTS}, flags.as_of)
    changed, jumps = compare(old, tomllib.loads(text)["models"])
    _say("conflicts", conflicts)
    _say("in neither list", [model for model in kept if model not in rows])
    _say("changes", changed)
    if jumps and not flags.force:
        _say("refused, because these jump (--force takes them)", jumps)
        return 1
    if not flags.dry_run:
        target.write_text(text, "utf-8")
    return 0


def _say(title: str, lines: Iterable[str]) -> None:
    lines = list(lines)
    sys.stdout.write(f"{title}: {len(lines) or 'none'}\n" + "".join(f"  {line}\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
