"""Web addresses: which may be asked for, spelled in one way; and which IP addresses are public.

Invariant: pure. What `parse` gives has one spelling of its host (lower case, punycode, no dot at its end) and of its
port; whatever two readers could understand differently is refused.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from harness.errors import UsageError

LONGEST = 4_000
"""Characters of an address."""

_PORTS = {"http": 80, "https": 443}
_SAFE = "/%:@!$&'()*+,;=~-._[]"
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST = ipaddress.IPv6Network("2000::/3")
_ISATAP = (0x5EFE, 0x02005EFE)
_KEPT = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20")))
"""Assigned to protocols, to relays and to documentation, which the standard library of some versions calls global.

One cloud has its metadata at 192.0.0.192.
"""

_METADATA = frozenset({"168.63.129.16"})
"""Public by its number, and yet the platform's own (Azure); the others are link-local, private or shared."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be asked for. path: with query, percent-encoded, begins with "/". No fragment, no user."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def place(self) -> str:
        """What a permission rule names: the host, with its port where it is not 80 or 443."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port in _PORTS.values() else f"{host}:{self.port}"

    @property
    def netloc(self) -> str:
        """As the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole address."""
        return f"{self.scheme}://{self.netloc}{self.path}"


def parse(text: str) -> Target:
    """An address as a model or a server wrote it.

    Raises:
        UsageError: not http or https, with a user, with a host of unclear spelling, too long.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise UsageError(f"the address has more than {LONGEST:,} characters")
    if re.search(r"[\x00-\x20\x7f\\\ud800-\udfff]", text):
        raise UsageError(
            "the address has blanks, control characters, backslashes or halves of characters in it; percent-encode them"
        )
    scheme, found, _ = text.partition("://")
    if not found or scheme.lower() not in _PORTS:
        raise UsageError("the address must begin with https:// or http://; read files with read")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise UsageError("the address is malformed") from None
    if "@" in parts.netloc:
        raise UsageError("the address has a user or a password in it: leave them out")
    if port == 0:
        raise UsageError("the port 0 cannot be asked")
    scheme = parts.scheme.lower()
    path = quote(parts.path or "/", safe=_SAFE)
    query = f"?{quote(parts.query, safe=_SAFE + '?')}" if parts.query else ""
    return Target(scheme, host_of(parts.netloc), port or _PORTS[scheme], path + query)


def joined(base: Target, location: str) -> Target:
    """Where a redirect leads.

    Raises:
        UsageError: nowhere that may be asked for.
    """
    try:
        # blanks are sent by many servers, and every browser encodes them
        return parse(urljoin(base.url, location.strip(" ").replace(" ", "%20")))
    except ValueError:
        raise UsageError("the address is malformed") from None


def host_of(netloc: str) -> str:
    """The host of `host`, `host:port` or `[v6]:port` in its one spelling.

    Raises:
        UsageError: none, or one that two readers could take for different hosts.
    """
    if netloc.startswith("["):
        inner, closed, rest = netloc[1:].partition("]")
        try:
            found = ipaddress.IPv6Address(inner)
        except ValueError:
            found = None
        if found is None or found.scope_id or not closed or not re.fullmatch(r"(:[0-9]*)?", rest):
            raise UsageError(f"{netloc[:80]!r} is no IPv6 address that can be asked (no zones)")
        return found.compressed
    host = netloc.partition(":")[0].removesuffix(".")
    name = (host if host.isascii() else _punycode(host)).lower()
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise UsageError(f"{host[:80]!r} is not the name of a host")
    if _NUMBER.fullmatch(labels[-1]):
        # decimal, octal, hexadecimal, short: one reader's name is another's 127.0.0.1
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise UsageError(
                f"{host[:80]!r} is an IP address in an unusual spelling: write four decimal parts"
            ) from None
    return name


def _punycode(host: str) -> str:
    import idna

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise UsageError(f"{host[:80]!r} is not the name of a host") from None


def public(address: str) -> bool:
    """Whether an IP address is one of the open internet: not this machine, not its network, nobody's metadata."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or (ipaddress.IPv4Address(int(found) & 0xFFFFFFFF) if found in _NAT64 else None)
        if inner is not None:
            return public(str(inner))
        hidden = found.sixtofour or found.teredo or (int(found) >> 32) & 0xFFFFFFFF in _ISATAP
        if found not in _UNICAST or hidden or found.scope_id:
            return False
    if any(found in network for network in _KEPT):
        return False
    inside = found.is_multicast or found.is_reserved or found.is_unspecified or found.is_loopback or found.is_link_local
    return found.is_global and not inside and str(found) not in _METADATA
