"""Faults on demand: what can go wrong between a vendor and a client, as values and as a plan of steps.

Invariant: `damage` is pure; it turns the events of a sound answer into what the socket will do, which only
the server does. A fault that keeps the response from beginning never touches the cache. What an error looks like
is the wire's part (`Dialect`).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

FaultKind = Literal[
    "status",  # refuse with `status`, `body`, `headers`
    "reset",  # cut the connection before any header
    "late",  # wait `seconds` before the headers
    "stall",  # after `after` events (inside_tool: after the first argument bytes) wait `seconds`, then go on
    "drop",  # end the connection after `after` events, `after_bytes` bytes, or inside a tool call
    "error_event",  # an error event after `after` events, then the stream ends
    "failed",  # Responses: `response.failed` after `after` events, then the stream ends; elsewhere as error_event
    "no_stop",  # the stream ends in good order without its last event (message_stop, response.completed, [DONE])
    "gzip",  # the stream is compressed, as some gateways do where the client takes it
    "one_byte",  # every byte is a chunk of its own, so that UTF-8 is split
    "big_event",  # one event of `size` bytes before the content
    "malformed",  # an event whose data is not JSON after `after` events
    "pings",  # after `after` events only pings, every `every` seconds, for `seconds`
    "slow",  # wait `seconds` before every event
]
KINDS: tuple[str, ...] = get_args(FaultKind)
BEFORE_START = frozenset({"status", "reset"})

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
    """Error type (OpenAI wires: code) of a status fault or an error event; default: the status's, or overloaded."""
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

    def answer(self, error: bytes) -> tuple[dict[str, str], bytes]:
        """Of a status fault: headers and body; `error` is the vendor's own form of the error."""
        headers = {"content-type": "application/json", **self.headers}
        match self.body:
            case "json":
                body = error
            case "html":
                headers["content-type"] = "text/html; charset=utf-8"
                body = _HTML.format(status=self.status).encode()
            case "empty":
                body = b""
            case literal:
                body = literal.encode()
        return headers, body


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


Part = Literal["", "opening", "delta", "arguments", "end"]


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event of a sound answer."""

    name: str
    """"" on a wire whose events have no names (Chat Completions)."""
    data: Mapping[str, Any] | str
    part: Part = ""
    """What it is to a fault: it opens a content, carries a piece of it or of a call's arguments, ends the stream."""

    @property
    def wire(self) -> bytes:
        """A6 SSE: `event:` and `data:` lines and an empty line."""
        if isinstance(self.data, str):
            return sse(self.name, self.data)
        return sse(self.name, json.dumps(self.data, ensure_ascii=False, separators=(",", ":")))

    @property
    def is_delta(self) -> bool:
        """Whether it carries a piece of content."""
        return self.part in {"delta", "arguments"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a wire says what only a fault makes it say. `sent`: events sent before."""

    ping: bytes
    malformed: bytes
    error: Callable[[Fault, int], bytes]
    failed: Callable[[Fault, int], bytes]
    big: Callable[[int], bytes]
    """An event, or a comment, of at least so many bytes that means nothing."""


def sse(name: str, data: str) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data}\n\n".encode("utf-8", "surrogatepass")


def damage(events: Iterable[Event], fault: Fault | None, dialect: Dialect, delay: float = 0.0) -> Iterator[Step]:
    """What the socket does for these events under this fault; `delay` seconds before each delta."""
    done, sent = False, -1
    for sent, event in enumerate(events):
        if fault is not None and not done and _due(fault, event, sent):
            done = True
            yield from _strike(fault, dialect, sent)
            if fault.kind in _ENDS:
                return
        if fault is not None and fault.kind == "slow":
            yield Pause(fault.seconds)
        if delay and event.is_delta:
            yield Pause(delay)
        if fault is not None and fault.kind == "no_stop" and event.part == "end":
            return
        yield from _whole_or_parts(event.wire, fault)
        if fault is not None and fault.inside_tool and event.part == "arguments" and not done:
            done = True
            yield from _strike(fault, dialect, sent + 1)
            if fault.kind in _ENDS:
                return
    if fault is not None and not done and fault.kind in _AT_A_PLACE and not fault.inside_tool:
        yield from _strike(fault, dialect, sent + 1)


_AT_A_PLACE = frozenset({"stall", "drop", "error_event", "failed", "malformed", "pings"})
_ENDS = frozenset({"drop", "error_event", "failed"})


def _due(fault: Fault, event: Event, sent: int) -> bool:
    if fault.kind == "big_event":
        return event.part == "opening"
    if fault.kind not in _AT_A_PLACE or fault.inside_tool or fault.after_bytes is not None:
        return False
    return sent >= fault.after


def _strike(fault: Fault, dialect: Dialect, sent: int) -> Iterator[Step]:
    match fault.kind:
        case "stall":
            yield Pause(fault.seconds)
        case "drop":
            yield Cut()
        case "error_event":
            yield Send(dialect.error(fault, sent))
        case "failed":
            yield Send(dialect.failed(fault, sent))
        case "malformed":
            yield Send(dialect.malformed)
        case "pings":
            for _ in range(max(1, int(fault.seconds / max(fault.every, 0.001)))):
                yield Send(dialect.ping)
                yield Pause(fault.every)
        case "big_event":
            yield Send(dialect.big(fault.size))
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


_GZIP = 16 + zlib.MAX_WBITS


def compressed(steps: Iterable[Step]) -> Iterator[Step]:
    """The same bytes under gzip, each step's complete in its chunk."""
    packer = zlib.compressobj(wbits=_GZIP)
    for step in steps:
        if isinstance(step, Send):
            yield Send(packer.compress(step.data) + packer.flush(zlib.Z_SYNC_FLUSH))
        else:
            yield step
    yield Send(packer.flush())
