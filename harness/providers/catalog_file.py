"""Reads a person's own catalog.toml: the form of every table, and the line of whatever does not have it.

Invariant: what passes has only known keys and values of the right kind; the bundled tables keep to the same form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from harness.config import PROVIDERS
from harness.config_file import line_of, read_toml, unknown_setting
from harness.conversation.request import CacheKind, Refresh
from harness.errors import ConfigError
from harness.providers import facts

FILE_NAME = "catalog.toml"

Check = Callable[[object], None]
"""Raises ValueError, whose text says what the value must be."""

Form = Mapping[str, "Check | Form"]
"""The keys of a table; `*` stands for any, `write_*` for any that begins so."""


def _text(value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a non-empty string")


def _maybe_text(value: object) -> None:
    if not isinstance(value, str):
        raise ValueError("a string")  # noqa: TRY004 - all checks speak through ValueError


def _texts(value: object) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise ValueError("a list of non-empty strings")


def _flag(value: object) -> None:
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004 - as above


def _count(value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1_000_000_000:
        raise ValueError("a whole number, 0 or more")


def _tokens(value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1_000_000_000:
        raise ValueError("a whole number of tokens, 1 or more")


def _price(value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e6:
        raise ValueError("USD per million tokens, 0 or more")


def _seconds(value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e9:
        raise ValueError("a number of seconds, above 0")


def _url(value: object) -> None:
    # no trailing slash: the base URL is part of a line's identity, and has one spelling only
    # no credentials either: the address is journaled and shown
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*[^\s?#/])?", value):
        raise ValueError("an address that begins with https:// or http://, without user, password and slash at its end")


def _variable(value: object) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("the name of a variable, not the key itself")


def _affinity(value: object) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"((body|header):[A-Za-z0-9_-]+)?", value):
        raise ValueError('"body:FIELD", "header:NAME" or an empty string')


def _header(value: object) -> None:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("a printable string")


def _one_of(choices: object) -> Check:
    names = get_args(choices)

    def check(value: object) -> None:
        if value not in names:
            raise ValueError(f"one of {', '.join(names)}")

    return check


_CACHING: Form = {
    "source": _texts,
    "kind": _one_of(CacheKind),
    "minimum": _count,
    "granularity": _count,
    "ttls": {"*": _seconds},
    "max_markers": _count,
    "lookback": _count,
    "refresh": _one_of(Refresh),
    "key": _one_of(facts.CacheKey),
    "strips_thinking": _flag,
}
_PRICE: Form = {"input": _price, "output": _price, "read": _price, "write_*": _price}
_CHANGE: Form = {
    "loses": _one_of(facts.Level),
    "how": _one_of(facts.How),
    "form": _maybe_text,
    "beta": _maybe_text,
    "from_birth": _flag,
}
MODEL: Form = {
    "source": _texts,
    "family": _text,
    "base": _text,
    "aliases": _texts,
    "window": _tokens,
    "max_input": _tokens,
    "max_output": _tokens,
    "thinking": _one_of(facts.Thinking),
    "efforts": _texts,
    "rejects": _texts,
    "images": _flag,
    "binds_thinking": _flag,
    "diagnostics": _texts,
    "caching": _text,
    "cache": _CACHING,
    "changes": _text,
    "change": {"*": _CHANGE},
    "price": _PRICE,
    "long": {**_PRICE, "above": _tokens},
    "later": {"*": _PRICE},
    "notes": _texts,
}
_PROFILE: Form = {
    "source": _texts,
    "base_url": _url,
    "key_env": _variable,
    "key_optional": _flag,
    "markers": _one_of(facts.Markers),
    "caching": _text,
    "changes": _text,
    "like": _one_of(Literal["anthropic", "openai"]),
    "affinity": _affinity,
    "usage_read": _maybe_text,
    "usage_written": _maybe_text,
    "text_form": _one_of(Literal["string", "parts"]),
    "system_role": _one_of(Literal["system", "developer"]),
    "max_tokens_field": _one_of(Literal["max_tokens", "max_completion_tokens"]),
    "reasoning_echo": _maybe_text,
    "images": _flag,
    "strict_alternation": _flag,
    "user_after_tools": _flag,
    "stream_usage": _flag,
    "headers": {"*": _header},
}
FORM: Form = {
    "aliases": {"*": _text},
    "models": {"*": MODEL},
    "families": {"*": MODEL},
    "caching": {"*": _CACHING},
    "changes": {"*": {"source": _texts, "*": _CHANGE}},
    "profiles": {"*": _PROFILE},
    "defaults": MODEL,
}
BUNDLED: Form = {**FORM, "sources": {"*": _text}, "unknown": {"*": MODEL}, "generated": {"*": _text}}


def read(config_dir: Path) -> tuple[str, str, dict[str, Any]]:
    """The place, the text and the tables of the person's catalog; empty where there is none.

    Raises:
        ConfigError: a key or a value is wrong; it names the file and the line.
    """
    path = config_dir / FILE_NAME
    text, table = read_toml(path, str(path))
    check(str(path), text, table, FORM)
    return str(path), text, table


def check(place: str, text: str, table: Mapping[str, Any], form: Form, keys: tuple[str, ...] = ()) -> None:
    """Refuse what does not have the form. Raises ConfigError."""
    for key, value in table.items():
        here = (*keys, key)
        expected = form.get(key) or form.get(key.partition("_")[0] + "_*") or form.get("*")
        # the line is looked for only where something is wrong: it takes parsing the file again and again
        if expected is None:
            prefix = ".".join((*keys, ""))
            known = [prefix + name for name in form if name != "*"]
            raise unknown_setting(f"{place}:{line_of(text, here)}", ".".join(here), known)
        if isinstance(expected, Mapping):
            if not isinstance(value, dict):
                raise ConfigError(f"{place}:{line_of(text, here)}: `{'.'.join(here)}` must be a table")
            check(place, text, value, expected, here)
            continue
        try:
            expected(value)
        except ValueError as wrong:
            where = f"{place}:{line_of(text, here)}"
            # an address, a header or a misplaced key of the person's server may be secret
            shown = "" if here[0] == "profiles" else f", not {value!r:.80}"
            raise ConfigError(f"{where}: `{'.'.join(here)}` must be {wrong}{shown}") from None
    if keys[:1] == ("models",) and len(keys) == 2:
        provider, _, name = keys[1].partition("/")
        if provider not in PROVIDERS or not name:
            where = f"{place}:{line_of(text, keys)}"
            raise ConfigError(
                f"{where}: `{keys[1]}` names no model; it begins with {', '.join(p + '/' for p in PROVIDERS)}"
            )
