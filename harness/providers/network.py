"""The network settings of the environment, looked at before an SDK stumbles over them with a traceback.

Invariant: reads names and files only; of a proxy nothing but its scheme is quoted: the rest may hold a password.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import httpx2

from harness.errors import ConfigError

PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def check(environment: Mapping[str, str]) -> None:
    """Nothing, where every setting can be used.

    Raises:
        ConfigError: a proxy of a kind that cannot be used, or certificates that are not there.
    """
    for name in (*PROXIES, *(name.lower() for name in PROXIES)):
        address = environment.get(name, "")
        scheme, found, _ = address.partition("://")
        if found and scheme.startswith("socks") and find_spec("socksio") is None:
            raise ConfigError(f"{name} names a SOCKS proxy: install the package socksio beside harness, or use http://")
        if found and not scheme.startswith("socks") and scheme not in ("http", "https"):
            raise ConfigError(
                f"{name} begins with `{scheme[:20]}://`: a proxy's address begins with http:// or https://"
            )
        try:
            httpx2.URL(address if found else f"http://{address}")
        except httpx2.InvalidURL:
            raise ConfigError(
                f"{name} is no address: make it http://HOST:PORT; in a password write / as %2F, # as %23, ? as %3F"
            ) from None
    for name in CERTIFICATES:
        if (path := environment.get(name)) and not Path(path).exists():
            raise ConfigError(f"{name} names {path}, which does not exist: correct it or unset it")
