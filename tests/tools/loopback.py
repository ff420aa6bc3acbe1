"""A server on loopback that misbehaves: each path writes raw bytes, and the names that lead to it."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.workspace.web import Limits, Resolve, Web

Say = Callable[[Callable[[bytes], object]], object]
"""Answers one request, given a way to send."""


def answer(body: bytes, kind: str = "text/html; charset=utf-8", status: str = "200 OK", **headers: str) -> Say:
    """A plain answer."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return lambda send: send(head.encode("latin-1") + body)


def moved(to: str) -> Say:
    return answer(b"", status="302 Found", location=to)


@dataclass
class Loopback:
    """What it says by path; `asked`: the requests as they came."""

    says: dict[str, Say] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    port: int = 0
    context: ssl.SSLContext | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[Loopback]:
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(20)
                link = self.request
                if outer.context is not None:
                    link = outer.context.wrap_socket(link, server_side=True, do_handshake_on_connect=False)
                with contextlib.suppress(OSError), link:
                    raw = b""
                    while b"\r\n\r\n" not in raw:
                        if not (piece := link.recv(65536)):
                            return
                        raw += piece
                    outer.asked.append(raw.decode("latin-1"))
                    path = raw.split(b" ")[1].decode("latin-1")
                    outer.says.get(path.partition("?")[0], answer(b"no", status="404 Not Found"))(link.sendall)
                    link.shutdown(socket.SHUT_WR)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        with Server(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            yield self
            server.shutdown()
            thread.join()

    def url(self, path: str, host: str = "site.test") -> str:
        return f"{'https' if self.context else 'http'}://{host}:{self.port}{path}"


def names(**addresses: str | Sequence[str]) -> Resolve:
    """A resolver that knows these names (`_` for `.`); IP addresses are themselves."""
    known = {
        name.replace("_", "."): [found] if isinstance(found, str) else list(found) for name, found in addresses.items()
    }

    async def resolve(host: str, port: int) -> Sequence[str]:
        if host in known:
            return known[host]
        try:
            return [str(address[4][0]) for address in socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST)]
        except OSError:
            raise socket.gaierror(f"{host} is not known") from None

    return resolve


def web(limits: Limits | None = None, tls: ssl.SSLContext | None = None, **addresses: str | Sequence[str]) -> Web:
    """A client that may reach loopback, which `site.test` is."""
    resolve = names(**{"site_test": "127.0.0.1", **addresses})
    return Web({}, resolve, frozenset({"127.0.0.1"}), tls, limits or Limits(seconds=10, idle=5))
