"""Whether an API answers at an address, as the SDKs would reach it: same proxies, same certificates, no key.

Invariant: sends one GET without any credential, follows no redirect, and raises nothing.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import httpx2

from harness.workspace.web import refusal

Kind = Literal["answers", "page", "redirect", "proxy", "tls", "dns", "refused", "timeout", "address", "failed"]

PATIENCE = 5.0
"""Seconds for the connection, and for each wait after it."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What happened. detail: the status of an answer, the target of a redirect, else why; one line, no secret."""

    kind: Kind
    detail: str


def reach(url: str, seconds: float = PATIENCE) -> Reached:
    """Ask for `url`. Any answer that is no page will do: without a key it is a refusal."""
    try:
        with (
            httpx2.Client(timeout=seconds) as client,
            client.stream("GET", url, headers={"accept": "application/json"}) as response,
        ):
            return _answer(response, url)
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError, ImportError) as error:
        return _failure(error)


def shown(url: str) -> str:
    """An address as it may be shown: without user and password; "" where it is none."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}{parts.path}" if host else ""


def _answer(response: httpx2.Response, url: str) -> Reached:
    status = response.status_code
    if status == httpx2.codes.PROXY_AUTHENTICATION_REQUIRED:
        return Reached("proxy", "it wants a user and a password (407)")
    if response.is_redirect:
        return Reached("redirect", shown(str(httpx2.URL(url).join(response.headers["location"]))))
    begin = next(response.iter_bytes(256), b"").lstrip().lower()
    if "html" in response.headers.get("content-type", "") or begin.startswith((b"<!doctype", b"<html")):
        return Reached("page", str(status))
    return Reached("answers", str(status))


def _failure(error: BaseException) -> Reached:
    """The first thing that says what happened, from the outside in."""
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case ssl.SSLError():
                return Reached("tls", (getattr(cause, "verify_message", "") or cause.reason or "TLS failed").lower())
            case socket.gaierror():
                return Reached("dns", "its host name was not found")
            case ConnectionRefusedError():
                return Reached("refused", "the connection was refused")
            case httpx2.ProxyError():
                return Reached("proxy", f"it refused: {refusal(cause)}")
            case httpx2.TimeoutException():
                return Reached("timeout", "no answer in time")
            case ImportError():
                return Reached("proxy", "a SOCKS proxy is set, and SOCKS is not supported")
            case httpx2.InvalidURL() | httpx2.UnsupportedProtocol() | ValueError():
                return Reached("address", "the address, or the proxy's, is malformed")
            case FileNotFoundError():
                return Reached("tls", "the file with the certificates (SSL_CERT_FILE) is not there")
            case _:
                cause = cause.__cause__ or cause.__context__
    return Reached("failed", f"the connection failed ({type(error).__name__})")
