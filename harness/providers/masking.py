"""No credential in what is told of a failure: a gateway or a proxy may quote the request that it refused.

Invariant: keys, headers' values and proxies' passwords go to the wire alone; what stands for one says which it was.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from harness.providers.network import PROXIES

SHORTEST = 8
"""Characters from which one is looked for; a shorter one is a placeholder and would be in any word."""

_KNOWN = re.compile(
    r"accept|accept-encoding|connection|content-type|host|user-agent|x-stainless-.*|openai-(organization|project)"
    r"|.*-(beta|version)|(http-)?referer|x-title",
    re.IGNORECASE,
)
"""Headers that hold no credential. Of any other nobody knows."""


@dataclass(frozen=True, slots=True)
class Masks:
    """What is hidden, and what stands there instead; the longest first."""

    pairs: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def hide(self, text: str) -> str:
        """The text without any of them; of one that was cut off, too, half is enough."""
        for secret, shown in self.pairs:
            half, at = secret[: max(SHORTEST, len(secret) // 2)], 0
            while (at := text.find(half, at)) >= 0:
                rest = range(len(half), len(secret))
                end = at + next((n for n in rest if text[at + n : at + n + 1] != secret[n]), len(secret))
                text = text[:at] + shown + text[end:]
                at += len(shown)
        return text


def masks(key: str, headers: Mapping[str, object], environment: Mapping[str, str]) -> Masks:
    """For requests with this key and these headers, through the proxies of this environment."""
    found = {secret: shown for secret, shown in _secrets(key, headers, environment) if len(secret) >= SHORTEST}
    return Masks(tuple(sorted(found.items(), key=lambda pair: -len(pair[0]))))


def _secrets(key: str, headers: Mapping[str, object], environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in (*PROXIES, *(name.lower() for name in PROXIES)):
        for password in _passwords(environment.get(name, "")):
            yield password, f"[password of {name}]"
    for name, value in headers.items():
        if isinstance(value, str) and not _KNOWN.fullmatch(name):
            # `Bearer …`, `name=…; name=…`: what follows may be quoted alone
            for part in (value, *re.split(r"[\s;,=]+", value)):
                yield part, f"[header {name}]"
    yield key, "[key]"


def _passwords(proxy: str) -> Iterator[str]:
    """The password of a proxy's address, as it is written, as it is meant, and as it is sent."""
    user, colon, rest = proxy.rpartition("://")[2].partition(":")
    written = rest.rpartition("@")[0] if colon else ""
    if written:
        yield from (written, unquote(written), b64encode(unquote(f"{user}:{written}").encode()).decode())
