"""The simulator's HTTP: a threaded loopback server, and the `Simulator` that tests hold.

Invariant: binds 127.0.0.1 only; decides nothing about requests: it carries bytes to the vendor and performs
its steps.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self, cast

from harness.simulator.clock import Clock
from harness.simulator.control import control
from harness.simulator.faults import Cut, Fault, Pause, Send
from harness.simulator.records import Received, Refusal, Refused
from harness.simulator.rules import Rules
from harness.simulator.vendor import WIRES, Brain, Response, Vendor, whole

_READ_AT_MOST = 256 * 1024 * 1024
_RESETS = struct.pack("ii", 1, 0)
"""Linger 0: the peer sees a reset, not an orderly end."""


class Simulator:
    """A pretend vendor on a loopback port, from `with` (or `start`) to the end of the block (or `stop`).

    `brain` gets a request's JSON and returns what the model says: an Answer, or what `answer_from` accepts.
    `key`: "any" wants some key, None wants none, anything else is the only right key.
    """

    def __init__(
        self,
        brain: Brain,
        rules: Rules | None = None,
        key: str | None = "any",
        clock: Clock | None = None,
        port: int = 0,
    ) -> None:
        self.clock = clock or Clock()
        self._vendor = Vendor(brain, rules or Rules(), key, self.clock)
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Bind and serve in a thread of this process. OSError when the port is taken."""
        server = _Server(self._vendor, self._port)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="simulator", daemon=True)
        thread.start()
        self._server, self._thread = server, thread

    def stop(self) -> None:
        """Cut every connection and close the port. Safe to call twice."""
        if self._server is not None and self._thread is not None:
            self._server.close_all()
            self._thread.join()
            self._server = self._thread = None

    @property
    def url(self) -> str:
        """Base URL, without /v1. RuntimeError when not serving."""
        if self._server is None:
            raise RuntimeError("the simulator is not running")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def brain(self) -> Brain:
        """The scripted model; may be replaced at any time."""
        return self._vendor.brain

    @brain.setter
    def brain(self, brain: Brain) -> None:
        self._vendor.brain = brain

    @property
    def is_side(self) -> Callable[[dict[str, Any]], bool]:
        """Test of a request's JSON for being a side request; may be replaced."""
        return self._vendor.is_side

    @is_side.setter
    def is_side(self, test: Callable[[dict[str, Any]], bool]) -> None:
        self._vendor.is_side = test

    @property
    def requests(self) -> list[Received]:
        """Every accepted message request whose response began, in order of arrival."""
        return self._vendor.requests()

    @property
    def refused(self) -> list[Refusal]:
        """Every refused or reset request, in order."""
        return list(self._vendor.refused)

    @property
    def connections(self) -> tuple[int, int]:
        """TCP connections: all that were accepted since `start`, and those that are open now."""
        return self._server.connections() if self._server is not None else (0, 0)

    def hang_up(self, *, reset: bool = False) -> int:
        """End every open connection, in good order or with a reset; how many there were."""
        return self._server.hang_up(reset=reset) if self._server is not None else 0

    def fault(self, fault: Fault) -> None:
        """Queue a fault for the next `fault.times` message requests."""
        self._vendor.fault(fault)

    def evict(self, share: float | Literal["all"] = "all") -> int:
        """Evict the least recently used share (0 to 1) of the cache; returns the number of entries gone."""
        return self._vendor.evict(1.0 if share == "all" else share)

    def reset(self) -> None:
        """Forget requests, refusals, cache and faults; the clock goes on."""
        self._vendor.reset()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, vendor: Vendor, port: int) -> None:
        self.vendor = vendor
        self.closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._accepted = 0
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's: it looks the host's name up, which may take seconds without a network.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def track(self, connection: socket.socket, *, is_open: bool) -> None:
        with self._open_lock:
            (self._open.add if is_open else self._open.discard)(connection)
            self._accepted += is_open

    def connections(self) -> tuple[int, int]:
        with self._open_lock:
            return self._accepted, len(self._open)

    def hang_up(self, *, reset: bool) -> int:
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            try:
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS)
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it was ended by the other side
        return len(connections)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are no news; anything else is a fault of the simulator and is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def close_all(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()
        self.hang_up(reset=False)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "simulator"
    sys_version = ""
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._server.track(self.connection, is_open=True)

    def finish(self) -> None:
        self._server.track(self.connection, is_open=False)
        try:
            super().finish()
        except OSError:
            self.close_connection = True

    @property
    def _server(self) -> _Server:
        return cast("_Server", self.server)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Silent: what happened is in the records."""

    def do_GET(self) -> None:
        """Control pages only; the vendor has no GET here."""
        self._answer("GET", b"")

    def do_POST(self) -> None:
        """The wires, count_tokens, control."""
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > _READ_AT_MOST:
            self.close_connection = True
            self._perform(
                whole(411 if not length.isdigit() else 413, {"error": "content-length is missing or too large"})
            )
            return
        body = self.rfile.read(int(length))
        if len(body) == int(length):
            self._answer("POST", body)
        else:
            self.close_connection = True

    def _answer(self, method: str, body: bytes) -> None:
        vendor = self._server.vendor
        path = self.path.partition("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        if path.startswith("/_sim/"):
            self._perform(whole(*control(vendor, method, path, body)))
        elif method == "POST" and path in WIRES:
            self._perform(vendor.message(body, headers, path))
        elif method == "POST" and path == "/v1/messages/count_tokens":
            self._perform(vendor.count_tokens(body, headers))
        else:
            self._perform(vendor.refuse(Refused("Not Found", status=404, kind="not_found_error"), body, path=path))

    def _perform(self, response: Response) -> None:
        try:
            if response.wait:
                self._server.closing.wait(response.wait)
            if response.status == 0:
                self._cut(reset=True)
                return
            response.began()
            self._send_head(response)
            for step in response.steps:
                match step:
                    case Send(data):
                        self.wfile.write(data if response.length is not None else b"%x\r\n%b\r\n" % (len(data), data))
                    case Pause(seconds):
                        if self._server.closing.wait(seconds):
                            self._cut(reset=False)
                            return
                    case Cut():
                        self._cut(reset=False)
                        return
            if response.length is None:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def _send_head(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.length is None:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(response.length))
        self.end_headers()

    def _cut(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS)
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
