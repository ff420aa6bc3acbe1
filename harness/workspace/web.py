"""The guarded HTTP client: one request at a time to where it may go, within limits of size and time.

Invariant: a connection goes to an address that was looked at, and to no other: a name is resolved once per hop, all its
addresses must be public, and the connection is made to one of them, whatever the name says later. TLS is verified for
the name. No cookie, no user, no key of ours is sent; nothing is read beyond a limit, compressed or not.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.util import find_spec
from urllib.parse import urlsplit

import httpx2

from harness import __version__
from harness.errors import UsageError, WebFailed
from harness.workspace.address import Target, joined, public

USER_AGENT = f"harness/{__version__}"
HOPS = 5
TRIES = 3
"""Addresses of one name that are tried."""

_LOCAL = (".localhost", ".local", ".internal", ".home.arpa")
"""Ends of names that are nowhere public, nor is one without a dot: a proxy could reach them all the same."""

_MEDIA = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a name. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Limits:
    """size: bytes of a body, decompressed. seconds: for everything; idle: without one byte."""

    size: int = 5_000_000
    seconds: float = 30.0
    idle: float = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. target: who said it, after redirects. moved: a redirect to another host, not followed.

    media: lower case, "" where not said. charset: as said, or "". body: empty for a status of 400 or more. whole: not
    cut at the limit. wait: seconds, where it says when to come again.
    """

    target: Target
    status: int
    media: str
    charset: str
    body: bytes
    whole: bool = True
    moved: Target | None = None
    wait: int = 0


async def resolved(host: str, port: int) -> Sequence[str]:
    """The system's own answer. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class Web:
    """The client.

    environment: for proxies. resolve: how names become addresses. opened: addresses that may be reached although they
    are not public. tls: whom to trust; None: as everywhere else on this machine.
    """

    environment: Mapping[str, str]
    resolve: Resolve = resolved
    opened: frozenset[str] = frozenset()
    tls: ssl.SSLContext | None = None
    limits: Limits = field(default_factory=Limits)

    def never(self, target: Target) -> bool:
        """Whether an address says by itself that `get` refuses it: a number that is not public, or a local name."""
        try:
            ipaddress.ip_address(target.host)
        except ValueError:
            return "." not in target.host or target.host.endswith(_LOCAL)
        return target.host not in self.opened and not public(target.host)

    async def get(self, target: Target, wanted: Callable[[str], str]) -> Answer:
        """The page at an address; redirects are followed on the same host.

        wanted: why a body of this media type is not read, or "".

        Raises:
            WebFailed: refused, not reached, too slow, broken, or not wanted.
        """
        if self.never(target):
            raise WebFailed(f"{target.host} is not on the public internet; only public addresses are fetched")
        return await self._in_time(self._follow(target, wanted))

    async def ask(
        self, target: Target, headers: Mapping[str, str], body: bytes | None = None, *, named: bool = True
    ) -> Answer:
        """One request to a server that the person named: its address may be private, redirects are not followed.

        Raises:
            WebFailed: not reached, too slow, broken.
        """
        return await self._in_time(self._once(target, headers, body, named=named))

    async def _in_time(self, work: Awaitable[Answer]) -> Answer:
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await work
        except TimeoutError:
            raise WebFailed(f"no whole answer within {self.limits.seconds:g} s", temporary=True) from None

    async def _follow(self, target: Target, wanted: Callable[[str], str]) -> Answer:
        first = target
        for _ in range(HOPS + 1):
            answer = await self._once(target, {"accept": ACCEPT}, None, wanted=wanted)
            if answer.moved is None:
                return answer
            if answer.moved.host != first.host or answer.moved.place != first.place:
                return answer
            if target.scheme == "https" and answer.moved.scheme == "http":
                raise WebFailed(f"{target.url} leads to an address without TLS ({answer.moved.url}); not followed")
            target = answer.moved
        raise WebFailed(f"{first.url} leads in circles: more than {HOPS} redirects")

    async def _once(
        self,
        target: Target,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        named: bool = False,
        wanted: Callable[[str], str] = lambda _: "",
    ) -> Answer:
        proxy = self._proxy(target)
        places = await self._places(target, named=named, proxied=proxy is not None)
        for number, place in enumerate(places, 1):
            try:
                async with self._sent(target, place, proxy, headers, body) as response:
                    return await self._answer(target, response, wanted)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                if number == len(places):
                    raise _failed(target, error, proxied=proxy is not None) from error
            except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError, ValueError, zlib.error) as error:
                raise _failed(target, error, proxied=proxy is not None) from error
        raise WebFailed(f"{target.host} has no address", temporary=True)

    async def _places(self, target: Target, *, named: bool, proxied: bool) -> Sequence[str]:
        """The addresses to connect to. A proxy gets the name; what is seen of it here is checked all the same."""
        try:
            found = await self.resolve(target.host, target.port)
        except (OSError, UnicodeError) as error:
            if proxied:
                return (target.host,)
            raise WebFailed(f"the host {target.host} was not found", temporary=True) from error
        if not named:
            for address in found:
                if address not in self.opened and not public(address):
                    raise WebFailed(
                        f"{target.host} leads to {address}, which is not on the public internet; only public "
                        "addresses are fetched"
                    )
        return (target.host,) if proxied else found[:TRIES]

    def _proxy(self, target: Target) -> str | None:
        def of(name: str) -> str:
            return self.environment.get(name) or self.environment.get(name.upper()) or ""

        proxy = of(f"{target.scheme}_proxy") or of("all_proxy")
        if not proxy or _bypassed(target, of("no_proxy")):
            return None
        return _checked(proxy if "://" in proxy else f"http://{proxy}")

    @asynccontextmanager
    async def _sent(
        self, target: Target, place: str, proxy: str | None, headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[httpx2.Response]:
        # a client per hop: it has no cookie to give, and no connection that was made to anything else
        verify = self.tls or _trusted()
        at = f"[{place}]" if ":" in place else place
        async with httpx2.AsyncClient(
            verify=verify, trust_env=False, proxy=proxy, timeout=self.limits.idle, follow_redirects=False
        ) as client:
            request = httpx2.Request(
                "GET" if body is None else "POST",
                f"{target.scheme}://{at}:{target.port}{target.path}",
                headers={
                    "host": target.netloc,
                    "user-agent": USER_AGENT,
                    "accept-encoding": "gzip",
                    "connection": "close",
                    **headers,
                },
                content=body,
                extensions={"sni_hostname": target.host, "timeout": httpx2.Timeout(self.limits.idle).as_dict()},
            )
            response = await client.send(request, stream=True)
            try:
                yield response
            finally:
                await response.aclose()

    async def _answer(self, target: Target, response: httpx2.Response, wanted: Callable[[str], str]) -> Answer:
        status = response.status_code
        said = response.headers.get("content-type", "").lower()
        # some say it twice
        media, _, rest = said.partition(",")[0].partition(";")
        # what is no media type is none: it is shown to the model
        media = media.strip() if _MEDIA.fullmatch(media.strip()) else ""
        charset = rest.partition("charset=")[2].partition(";")[0].strip().strip("\"'")
        if status in (301, 302, 303, 307, 308) and "location" in response.headers:
            try:
                moved = joined(target, response.headers["location"])
            except UsageError as problem:
                raise WebFailed(f"{target.url} leads where nothing is fetched: {problem}") from None
            return Answer(target, status, media, charset, b"", moved=moved)
        if status >= 400:
            return Answer(target, status, media, charset, b"", wait=_wait(response.headers))
        if refusal := wanted(media):
            raise WebFailed(f"{target.url}: {refusal}")
        body, whole = await self._body(response)
        return Answer(target, status, media, charset, body, whole)

    async def _body(self, response: httpx2.Response) -> tuple[bytes, bool]:
        """The body, decompressed piece by piece, so that a small one cannot become a large one in memory."""
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "gzip", "x-gzip", "deflate", ""):
            raise WebFailed(f"the answer is compressed as {coding[:20]!r}, which was not asked for")
        # 47: a gzip or zlib header, whichever is there
        unpack = zlib.decompressobj(47) if coding not in ("identity", "") else None
        body, limit, came = bytearray(), self.limits.size, False
        async for raw in response.aiter_raw():
            piece = raw
            while piece:
                if unpack is not None and unpack.eof:
                    if not piece.startswith(b"\x1f"):
                        break  # padding behind the end
                    unpack = zlib.decompressobj(47)  # a gzip file may have several members
                came = True
                body += piece if unpack is None else unpack.decompress(piece, limit + 1 - len(body))
                if len(body) > limit:
                    return bytes(body[:limit]), False
                piece = b"" if unpack is None else unpack.unused_data
        if unpack is not None and came and not unpack.eof:
            raise WebFailed("the compressed answer ends too early", temporary=True)
        return bytes(body), True


def _wait(headers: Mapping[str, str]) -> int:
    """The seconds after which a server wants to be asked again, 0 where it does not say: by its own clock, not ours."""
    later = headers.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,6}", later):
        return int(later)
    try:
        between = parsedate_to_datetime(later) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError, OverflowError):
        return 0
    return min(max(0, int(between.total_seconds())), 999_999)


def _trusted() -> ssl.SSLContext:
    """Whom this machine trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` first, as everywhere else."""
    try:
        return httpx2.create_ssl_context()
    except (OSError, ssl.SSLError):
        raise WebFailed("the certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read") from None


ACCEPT = (
    "text/markdown, text/html, application/xhtml+xml, text/plain, application/json, application/xml;q=0.9, */*;q=0.1"
)


def _checked(proxy: str) -> str:
    """The same, where it is a proxy that can be used. Of it nothing but the scheme is told: it may hold a password."""
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in ("http", "https", "socks5", "socks5h") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise WebFailed("the proxy of the environment cannot be used: its address begins with http:// or https://")
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        raise WebFailed("the environment names a SOCKS proxy: install the package socksio beside harness")
    return proxy


def _bypassed(target: Target, listed: str) -> bool:
    """Whether `no_proxy` names this host: itself, a domain above it, with or without a dot and a port, or "*"."""
    for entry in listed.lower().split(","):
        if ":" in target.host and entry.strip().strip("[]") == target.host:
            return True
        name, _, port = entry.strip().partition(":")
        name = name.removeprefix("*").removeprefix(".")
        if (not name and entry.strip() == "*") or (
            name and port in ("", str(target.port)) and f".{target.host}".endswith(f".{name}")
        ):
            return True
    return False


def refusal(error: httpx2.ProxyError) -> str:
    """Why a proxy made no connection; of what it says itself only the status: its words may quote the password."""
    status = re.match(r"[0-9]{3}\b", str(error))
    if status is None:
        return str(error)[:60]  # of the protocol of SOCKS, in words of this side
    return " ".join([status[0], *(known.phrase for known in HTTPStatus if known == int(status[0]))])


def _failed(target: Target, error: BaseException, *, proxied: bool) -> WebFailed:
    """One line on what happened, from the outside in."""
    cause: BaseException | None = error
    there = f"the proxy for {target.place}" if proxied else target.place
    while cause is not None:
        match cause:
            case ssl.SSLCertVerificationError():
                return WebFailed(f"the certificate of {target.host} is not trusted: {cause.verify_message}")
            case ssl.SSLError():
                return WebFailed(f"no TLS connection to {target.host}: {(cause.reason or 'failed').lower()}")
            case ConnectionRefusedError():
                return WebFailed(f"{there} refused the connection", temporary=True)
            case httpx2.ProxyError():
                return WebFailed(f"the proxy refused: {refusal(cause)}", temporary=True)
            case httpx2.RemoteProtocolError():
                return WebFailed(f"{there} broke off, or did not answer in HTTP", temporary=True)
            case httpx2.TimeoutException():
                return WebFailed(f"{there} did not answer in time", temporary=True)
            case zlib.error():
                return WebFailed(f"{target.place} sent broken compressed data", temporary=True)
            case _:
                cause = cause.__cause__ or cause.__context__
    return WebFailed(f"the connection to {there} broke ({type(error).__name__})", temporary=True)
