"""What each setting's value must look like: a check gives it or says what it must be; and the words that some can be.

Invariant: a check raises nothing but ValueError, whose text completes "must be …"; what may be secret is not in it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from typing import Literal, get_args

Mode = Literal["plan", "ask", "edit", "yolo"]
MODES: tuple[Mode, ...] = get_args(Mode)
"""Permission modes, from strict to loose: a project may only be stricter than the person."""

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Of all models together; each has some of them (`efforts` in catalog.toml)."""

CACHE_TTLS = ("5m", "1h")

CacheScope = Literal["run", "session", "user", "global", "off"]
CACHE_SCOPES: tuple[CacheScope, ...] = get_args(CacheScope)
"""How far a cache of ours is shared."""

SearchProvider = Literal["searxng", "brave", "tavily", "ddgs"]
SEARCH_PROVIDERS: tuple[SearchProvider, ...] = get_args(SearchProvider)

Check = Callable[[object], object]


def text(value: object) -> str:
    """Something to read."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a non-empty string")
    return value


def texts(value: object) -> tuple[str, ...]:
    """Several of them."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item.strip() for item in value):
        raise ValueError("a list of non-empty strings")
    return tuple(value)


def command(value: object) -> tuple[str, ...]:
    """Words, or one string that is split as a shell would."""
    try:
        words = tuple(shlex.split(value)) if isinstance(value, str) else texts(value)
    except ValueError:
        words = ()
    if not words:
        raise ValueError("a command: a string or a list of strings")
    return words


def flag(value: object) -> bool:
    """Yes or no."""
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004 - all checks speak through ValueError
    return value


def one_of(*choices: str) -> Callable[[object], str]:
    """One of some words."""

    def check(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return value

    return check


def whole(low: int, high: int) -> Callable[[object], int]:
    """A whole number within bounds."""

    def check(value: object) -> int:
        # A bool is an int in Python, not in TOML.
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def share(low: float, high: float) -> Callable[[object], float]:
    """A number within bounds."""

    def check(value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return float(value)

    return check


def seconds(value: object) -> float:
    """A duration."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 86_400:
        raise ValueError("a number of seconds, above 0 and at most 86400")
    return float(value)


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_OF_HOSTS = ("web_fetch", "web_search")
_OF_FILES = ("read", "grep")
_PLACE = re.compile(r"([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::(?!(?:80|443)\Z)([1-9][0-9]{0,4}))?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label that makes of a name an IP address, in whatever spelling."""


def duration(value: object) -> float:
    """How long, in seconds."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a time such as "30m", "1h" or "7d"')
    return int(match[1]) * _UNITS[match[2]]


def lifetime(value: object) -> float:
    """How long something may be kept, in seconds; 0 for not at all."""
    try:
        return 0.0 if value == "off" else duration(value)
    except ValueError as wrong:
        raise ValueError(f'{wrong}, or "off"') from None


def lifetimes(value: object) -> Mapping[str, float]:
    """Lifetimes by "tool" or "tool:host"."""
    if not isinstance(value, dict):
        raise ValueError('a table such as "web_fetch:docs.python.org" = "1d"')  # noqa: TRY004 - as flag
    for name, time in value.items():
        tool, narrow, place = name.partition(":")
        if tool not in _OF_HOSTS and name not in _OF_FILES:
            tools = ", ".join(_OF_HOSTS + _OF_FILES)
            raise ValueError(f'a table of {tools} (what only looks), or with a host as "web_fetch:docs.python.org"')
        if narrow and tool == "web_search" and place not in SEARCH_PROVIDERS:
            raise ValueError(f"a table whose `{name}` is of one of {', '.join(SEARCH_PROVIDERS)}")
        if narrow and tool == "web_fetch" and not _met(place):
            shown = "lower case, punycode, no *, IP addresses in their usual form, a port where it is not 80 or 443"
            raise ValueError(f"a table whose `{name}` is of one host, as web_fetch shows it: {shown}")
        try:
            lifetime(time)
        except ValueError as wrong:
            raise ValueError(f"a table whose `{name}` is {wrong}") from None
    return MappingProxyType({name: lifetime(time) for name, time in value.items()})


def _met(place: str) -> bool:
    """Whether it is in the one spelling in which a host is compared: another would never be met."""
    match = _PLACE.fullmatch(place)
    if match is None or int(match[2] or 1) > 65_535:
        return False
    host = match[1]
    try:
        if host.startswith("["):
            return f"[{IPv6Address(host[1:-1]).compressed}]" == host
        return not _NUMBER.fullmatch(host.rpartition(".")[2]) or str(IPv4Address(host)) == host
    except ValueError:
        return False


def variable(value: object) -> str:
    """A variable that holds a key, by its name."""
    # Someone who puts the key itself here must not find it in an error or in a list of variables.
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("the name of a variable, not the key itself")
    return value


def url(value: object) -> str:
    """Where a server is."""
    # Without credentials: the address is journaled and shown.
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
        raise ValueError("an address that begins with https:// or http:// and has no user and password in it")
    # The base URL is part of a line's identity: one spelling only.
    return value.rstrip("/")


def headers(value: object) -> Mapping[str, str]:
    """HTTP headers."""
    if not isinstance(value, dict) or not all(
        isinstance(text, str) and text.isprintable() and re.fullmatch(r"[A-Za-z0-9-]+", name)
        for name, text in value.items()
    ):
        raise ValueError("a table of header names and printable strings")
    return MappingProxyType(dict(value))
