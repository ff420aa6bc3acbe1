"""Gateways between the program and a pretend vendor: each hands requests on, and spoils caching in one way.

Invariant: nothing is changed but what the spoiling names; what comes back is handed on as it is.
"""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.waiting import PATIENCE

Spoil = Callable[[dict[str, Any], dict[str, str], int], None]
"""Changes body and headers of the n-th request, from 0."""


def drops_markers(body: dict[str, Any], _headers: dict[str, str], _number: int) -> None:
    for block in _blocks(body):
        block.pop("cache_control", None)


def shortens_ttl(body: dict[str, Any], _headers: dict[str, str], _number: int) -> None:
    for block in _blocks(body):
        if "cache_control" in block:
            block["cache_control"] = {"type": "ephemeral"}


def lengthens_ttl(body: dict[str, Any], _headers: dict[str, str], _number: int) -> None:
    for block in _blocks(body):
        if "cache_control" in block:
            block["cache_control"] = {"type": "ephemeral", "ttl": "1h"}


def marks_the_system_only(body: dict[str, Any], _headers: dict[str, str], _number: int) -> None:
    for message in body["messages"]:
        for block in message["content"]:
            block.pop("cache_control", None)


def another_account_each_time(_body: dict[str, Any], headers: dict[str, str], number: int) -> None:
    headers["authorization"] = f"Bearer account-{number}"


def one_of_two_accounts(_body: dict[str, Any], headers: dict[str, str], number: int) -> None:
    # A A B: the second request reads, the third does not
    headers["authorization"] = f"Bearer account-{number // 2}"


def _blocks(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from body["system"]
    for message in body["messages"]:
        yield from message["content"]


@contextlib.contextmanager
def gateway(vendor: str, spoil: Spoil) -> Iterator[str]:
    """Its URL, until the end of the block."""
    seen = iter(range(1_000_000))

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            """Silent."""

        def do_GET(self) -> None:
            self._say(401, "application/json", b"{}")

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            spoil(body, headers, next(seen))
            for name in ("host", "content-length", "connection", "accept-encoding"):
                headers.pop(name, None)
            request = urllib.request.Request(vendor + self.path, json.dumps(body).encode(), headers)
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                    self._say(answer.status, answer.headers["content-type"], answer.read())
            except urllib.error.HTTPError as error:
                with error:
                    self._say(error.code, error.headers["content-type"], error.read())

        def _say(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
