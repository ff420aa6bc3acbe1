"""Faults on demand: what can go wrong between a vendor and a client, as values and as a plan of steps.

Invariant: `damage` is pure; it turns the events of a sound answer into what the socket will do, which only
the server does. A fault that keeps the response from beginning never touches the cache.
Shapes of errors: A6 (platform.claude.com/docs/en/api/errors).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

FaultKind = Literal[
    "status",  # refuse with `status`, `body`, `headers`
    "reset",  # cut the connection before any header
    "late",  # wait `seconds` before the headers
    "stall",  # after `after` events (inside_tool: after the first argument bytes) wait `seconds`, then go on
    "drop",  # end the connection after `after` events, `after_bytes` bytes, or inside a tool call
    "error_event",  # `event: error` after `after` events, then the stream ends
    "no_stop",  # the stream ends in good order without message_stop
    "one_byte",  # every byte is a chunk of its own, so that UTF-8 is split
    "big_event",  # one event of `size` bytes before the content
    "malformed",  # an event whose data is not JSON after `after` events
    "pings",  # after `after` events only pings, every `every` seconds, for `seconds`
    "slow",  # wait `seconds` before every event
]
KINDS: tuple[str, ...] = get_args(FaultKind)
BEFORE_START = frozenset({"status", "reset"})

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_HTML = "<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center></body></html>\n"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Only the fields that its kind names in the list above are used."""

    kind: FaultKind
    times: int = 1
    """How many requests it is done to."""
    status: int = 529
    body: str = "json"
    """"json" (the vendor's error), "html", "empty", or the literal text."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Extra response headers of a status fault: retry-after in seconds, as a date, huge, or absent."""
    error_type: str = ""
    """Error type of a status fault or an error event; default: the one of the status, or overloaded_error."""
    message: str = "Overloaded"
    after: int = 0
    """Events sent in good order first."""
    after_bytes: int | None = None
    inside_tool: bool = False
    seconds: float = 60.0
    every: float = 0.05
    size: int = 10 * 1024 * 1024

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault kind {self.kind!r}; known: {', '.join(KINDS)}")
        if self.times < 1 or self.seconds < 0 or self.after < 0:
            raise ValueError("a fault's times, seconds and after must not be negative, and times at least 1")

    def error_response(self, request_id: str) -> tuple[int, str, dict[str, str], bytes]:
        """Of a status fault: status, error type, headers, body."""
        kind = self.error_type or ERROR_TYPES.get(self.status, "api_error")
        headers = {"content-type": "application/json", **self.headers}
        match self.body:
            case "json":
                body = error_body(kind, self.message, request_id)
            case "html":
                headers["content-type"] = "text/html; charset=utf-8"
                body = _HTML.format(status=self.status).encode()
            case "empty":
                body = b""
            case literal:
                body = literal.encode()
        return self.status, kind, headers, body


def error_body(kind: str, message: str, request_id: str) -> bytes:
    """A6 errors: the body of a refusal."""
    error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
    return json.dumps(error, ensure_ascii=False).encode()


def fault_from(value: object) -> Fault:
    """A Fault from a Fault or a JSON object. ValueError says what is wrong."""
    if isinstance(value, Fault):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("a fault must be an object")  # noqa: TRY004 - one kind of error for callers
    known = {item.name: item for item in fields(Fault)}
    unknown = value.keys() - known.keys()
    if unknown or "kind" not in value:
        raise ValueError(f"unknown or missing key in a fault; keys: {', '.join(known)}")
    try:
        return Fault(**value)
    except TypeError as error:
        raise ValueError(f"bad fault: {error}") from None


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes to put on the wire as one chunk."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds to wait, cut short when the server closes."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """End the connection without finishing the response."""


Step = Send | Pause | Cut


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event of a sound answer."""

    name: str
    data: Mapping[str, Any]

    @property
    def wire(self) -> bytes:
        """A6 SSE: `event:` and `data:` lines and an empty line."""
        return sse(self.name, json.dumps(self.data, ensure_ascii=False, separators=(",", ":")))

    @property
    def is_delta(self) -> bool:
        """Whether it carries a piece of content."""
        return self.name == "content_block_delta"

    @property
    def has_arguments(self) -> bool:
        """Whether it carries a non-empty piece of a tool call's arguments."""
        return bool(self.is_delta and self.data["delta"].get("partial_json"))


def sse(name: str, data: str) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: {data}\n\n".encode("utf-8", "surrogatepass")


_PING = sse("ping", '{"type":"ping"}')


def damage(events: Iterable[Event], fault: Fault | None, delay: float = 0.0) -> Iterator[Step]:
    """What the socket does for these events under this fault; `delay` seconds before each delta."""
    done = False
    for sent, event in enumerate(events):
        if fault is not None and not done and _due(fault, event, sent):
            done = True
            yield from _strike(fault)
            if fault.kind in {"drop", "error_event"}:
                return
        if fault is not None and fault.kind == "slow":
            yield Pause(fault.seconds)
        if delay and event.is_delta:
            yield Pause(delay)
        if fault is not None and fault.kind == "no_stop" and event.name == "message_stop":
            return
        yield from _whole_or_parts(event.wire, fault)
        if fault is not None and fault.inside_tool and event.has_arguments and not done:
            done = True
            yield from _strike(fault)
            if fault.kind in {"drop", "error_event"}:
                return
    if fault is not None and not done and fault.kind in _AT_A_PLACE and not fault.inside_tool:
        yield from _strike(fault)


_AT_A_PLACE = frozenset({"stall", "drop", "error_event", "malformed", "pings"})


def _due(fault: Fault, event: Event, sent: int) -> bool:
    if fault.kind == "big_event":
        return event.name == "content_block_start"
    if fault.kind not in _AT_A_PLACE or fault.inside_tool or fault.after_bytes is not None:
        return False
    return sent >= fault.after


def _strike(fault: Fault) -> Iterator[Step]:
    match fault.kind:
        case "stall":
            yield Pause(fault.seconds)
        case "drop":
            yield Cut()
        case "error_event":
            # A6 SSE: a failure after 200 is an `error` event.
            kind = fault.error_type or "overloaded_error"
            error = {"type": "error", "error": {"type": kind, "message": fault.message}}
            yield Send(sse("error", json.dumps(error)))
        case "malformed":
            yield Send(sse("content_block_delta", '{"type":"content_block_delta","index":0,"delta":{"type"'))
        case "pings":
            for _ in range(max(1, int(fault.seconds / max(fault.every, 0.001)))):
                yield Send(_PING)
                yield Pause(fault.every)
        case "big_event":
            yield Send(sse("ping", json.dumps({"type": "ping", "padding": "x" * fault.size})))
        case _:
            return


def _whole_or_parts(wire: bytes, fault: Fault | None) -> Iterator[Step]:
    if fault is not None and fault.kind == "one_byte":
        yield from (Send(wire[at : at + 1]) for at in range(len(wire)))
    else:
        yield Send(wire)


def limit_bytes(steps: Iterable[Step], limit: int) -> Iterator[Step]:
    """Cut the connection after `limit` bytes."""
    left = limit
    for step in steps:
        if isinstance(step, Send) and len(step.data) >= left:
            yield Send(step.data[:left])
            yield Cut()
            return
        if isinstance(step, Send):
            left -= len(step.data)
        yield step
