"""Streams that no simulator sends: odd framing, foreign servers, comments for ever."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from harness import errors
from harness.conversation.blocks import Text, ToolCall
from harness.providers.anthropic import Anthropic
from harness.providers.anthropic_wire import Decoder
from harness.providers.base import BlockBroken, BlockDone, Finished, Part, Recorder
from harness.providers.calls import DEEPEST
from harness.seam import Seam
from tests.waiting import PATIENCE

EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 3}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüße"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]


def wire(events: list[dict[str, Any]], end: str = "\n") -> bytes:
    text = "".join(
        f"event: {event['type']}{end}data: {json.dumps(event, ensure_ascii=False)}{end}{end}" for event in events
    )
    return text.encode("utf-8", "surrogatepass")


@contextlib.contextmanager
def server(
    *pieces: bytes, kind: str = "text/event-stream", every: float = 0.0, until: threading.Event | None = None
) -> Iterator[str]:
    """Sends these pieces as a stream; its address. `until`: the connection stays open till then."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            if kind:
                self.send_header("content-type", kind)
            self.end_headers()
            with contextlib.suppress(OSError):
                for piece in pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()
                    time.sleep(every)
            if until is not None:
                until.wait(PATIENCE)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
            """Silent."""

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}"
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


class Hurried(Seam):
    """Whoever looks at its clock finds a second gone."""

    def __init__(self) -> None:
        self._looks = 0

    def monotonic(self) -> float:
        self._looks += 1
        return float(self._looks)


def stream(
    url: str, key: str = "sk-test-0123456789", record: Recorder = lambda _: None, seam: Seam | None = None
) -> tuple[list[Part], Exception | None]:
    """All parts, and how it ended."""

    async def collect() -> tuple[list[Part], Exception | None]:
        provider = Anthropic("anthropic/claude-sonnet-5-5", url, key, seam or Seam(), 20.0, {})
        parts: list[Part] = []
        try:
            async for part in provider.stream(b"{}", record):
                parts.append(part)  # noqa: PERF401 - what came before an error counts
        except errors.ProviderError as error:
            return parts, error
        finally:
            await provider.close()
        return parts, None

    return asyncio.run(collect())


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    with server(wire(EVENTS, end)) as url:
        parts, error = stream(url)

    assert error is None
    assert BlockDone(Text("Grüße")) in parts
    assert isinstance(parts[-1], Finished)


def test_events_of_a_newer_api_are_passed_over() -> None:
    new = {"type": "frobnicated", "anything": [1, 2]}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "frob_delta", "frob": 1}}
    with server(wire([EVENTS[0], new, *EVENTS[1:3], delta, *EVENTS[3:]])) as url:
        parts, error = stream(url)

    assert error is None
    assert BlockDone(Text("Grüße")) in parts


def test_what_comes_after_the_end_is_not_waited_for() -> None:
    heard = threading.Event()
    with server(wire(EVENTS), until=heard) as url:
        _, error = stream(url)  # silence until `idle` would be an error
        heard.set()

    assert error is None


@pytest.mark.parametrize("piece", [b": keep-alive\n\n", b": keep-alive\n", wire([{"type": "ping"}])])
def test_signs_of_life_alone_are_no_answer(piece: bytes) -> None:
    with server(wire(EVENTS[:1]), *[piece] * 400, every=0.02) as url:
        _, error = stream(url, seam=Hurried())

    assert isinstance(error, errors.StreamBroken)
    assert "pings" in str(error), "a stream that ended is told in other words"


@pytest.mark.parametrize(
    ("data", "kind", "expected"),
    [
        (b'{"ok": true}', "application/json", errors.NotAnApi),
        (b'[{"candidates": []}]', "application/json", errors.NotAnApi),
        (b"[]", "application/json", errors.NotAnApi),
        (b'[{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}]', "application/json", errors.RateLimited),
        (b"<html>", "text/html", errors.NotAnApi),
        (b"hello", "", errors.NotAnApi),
        (b"", "text/event-stream", errors.StreamBroken),
        (b"data: \xff\xfe\n\n", "text/event-stream", errors.StreamBroken),
        (b"data: [1]\n\n", "text/event-stream", errors.StreamBroken),
        (b"data: null\n\n", "text/event-stream", errors.StreamBroken),
        (b'data: {"type": "content_block_delta", "index": 7}\n\n', "text/event-stream", errors.StreamBroken),
        (b'data: {"type": "message_start"}\n\n', "text/event-stream", errors.StreamBroken),
        (b"data: " + b"[" * 100_000 + b"\n\n", "text/event-stream", errors.StreamBroken),
    ],
)
def test_what_is_no_answer(data: bytes, kind: str, expected: type[Exception]) -> None:
    with server(data, kind=kind) as url:
        _, error = stream(url)

    assert type(error) is expected
    assert len(str(error)) < 500


def test_a_header_that_cannot_be_sent_is_not_tried_again() -> None:
    with server(wire(EVENTS)) as url:
        _, error = stream(url, key="sk-test\n01234567")

    assert isinstance(error, errors.BadRequest)
    assert "01234567" not in str(error)


@pytest.mark.parametrize("url", ["http://[::1", "http://host:port"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(errors.UsageError, match="ANTHROPIC_BASE_URL"):
        Anthropic("anthropic/claude-sonnet-5-5", url, "key", Seam(), 1.0, {})


def called(name: Any, id_: Any, raw: str) -> ToolCall:
    decoder = Decoder("anthropic/claude-sonnet-5-5")
    block = {"type": "tool_use", "name": name, "id": id_, "input": {}}
    events: list[dict[str, Any]] = [
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": raw}},
        {"type": "content_block_stop", "index": 0},
    ]
    parts = [part for event in events for part in decoder.feed(json.dumps(event), "")]
    assert len(parts) == 1
    assert isinstance(parts[0], BlockDone)
    assert isinstance(parts[0].block, ToolCall)
    return parts[0].block


@pytest.mark.parametrize("name", ["", None, "a b", "a.b", "ä", "x" * 129, "a\n"])
def test_a_name_that_the_vendor_would_refuse_later(name: Any) -> None:
    call = called(name, "toolu_1", "{}")

    assert call.invalid
    assert 1 <= len(call.name) <= 128
    assert call.name.isascii()
    assert call.name.replace("_", "").isalnum() or set(call.name) == {"_"}


@pytest.mark.parametrize("id_", ["", None, "a b", "toolu:1", "ä"])
def test_an_id_that_the_vendor_would_refuse_later(id_: Any) -> None:
    assert called("read", id_, "{}").id == ""


@pytest.mark.parametrize("depth", [1, DEEPEST - 2, DEEPEST + 2, 400, 2_000, 100_000])
def test_deep_arguments(depth: int) -> None:
    call = called("read", "toolu_1", '{"a": ' + "[" * depth + "]" * depth + "}")

    assert bool(call.invalid) is (depth > DEEPEST)


def test_what_is_left_of_a_call() -> None:
    for name, raw in (("write", '{"path'), (None, "")):
        decoder = Decoder("anthropic/claude-sonnet-5-5")
        block = {"type": "tool_use", "name": name, "id": "toolu_1"}
        list(decoder.feed(json.dumps({"type": "content_block_start", "index": 0, "content_block": block}), ""))
        delta = {"type": "input_json_delta", "partial_json": raw}
        list(decoder.feed(json.dumps({"type": "content_block_delta", "index": 0, "delta": delta}), ""))

        assert decoder.broken() == (BlockBroken("tool_use", raw, name or ""),)


def test_a_stream_that_goes_on_behind_its_answer_is_not_waited_for() -> None:
    comments = [b": nothing\n\n"] * 100
    chunks: list[bytes] = []
    with server(wire(EVENTS), *comments, every=0.05) as url:
        parts, error = stream(url, record=chunks.append)

    assert error is None
    assert isinstance(parts[-1], Finished)
    assert 0 < len(chunks) < 50


def test_what_breaks_behind_the_answer_breaks_nothing() -> None:
    with server(wire(EVENTS), b"data: \xff\n\n") as url:
        parts, error = stream(url)

    assert error is None
    assert isinstance(parts[-1], Finished)


def fed(*events: dict[str, Any]) -> list[Part]:
    decoder = Decoder("anthropic/claude-sonnet-5-5")
    return [part for event in events for part in decoder.feed(json.dumps(event), "req_1")]


def test_usage_is_cumulative_whichever_event_has_it() -> None:
    """The vendor tells the prompt at the beginning and again at the end; gateways tell it at one of them only."""
    whole = {"input_tokens": 3, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 7}
    none = {"input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation_input_tokens": None}
    for first, last in ((whole, none), (none, whole)):
        start = {"type": "message_start", "message": {"id": "msg_1", "usage": first | {"output_tokens": 1}}}
        parts = fed(start, *EVENTS[1:4], EVENTS[4] | {"usage": last | {"output_tokens": 2}}, EVENTS[5])
        end = parts[-1]
        assert isinstance(end, Finished)
        usage = end.usage
        assert (usage.uncached, usage.read, usage.written_short, usage.output) == (3, 90, 7, 2)


def test_what_was_an_estimate_at_the_beginning_is_not_billed() -> None:
    """Gateways that put another API behind this one know only at the end what of the prompt was cached."""
    split = {"ephemeral_1h_input_tokens": 7, "ephemeral_5m_input_tokens": 0}
    first = {"input_tokens": 104, "output_tokens": 9, "cache_creation": split}
    exact = {"input_tokens": 3, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 7, "output_tokens": 2}
    last = exact | {"cache_creation": dict.fromkeys(split, 0)}
    start = {"type": "message_start", "message": {"id": "msg_1", "usage": first}}
    end = fed(start, *EVENTS[1:4], EVENTS[4] | {"usage": last}, EVENTS[5])[-1]

    assert isinstance(end, Finished)
    assert (end.usage.uncached, end.usage.read, end.usage.written_long, end.usage.output) == (3, 90, 7, 2)


def test_what_an_answer_that_is_complete_left_open_is_not_lost() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}
    opened = {"type": "content_block_start", "index": 1, "content_block": call}
    piece = {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{"}}
    parts = fed(*EVENTS[:3], opened, piece, *EVENTS[4:])
    done = [part.block for part in parts if isinstance(part, BlockDone)]

    assert done[0] == Text("Grüße")
    assert isinstance(done[1], ToolCall)
    assert done[1].invalid, "half a call is never run"
    assert isinstance(parts[-1], Finished)


@pytest.mark.parametrize(
    ("details", "why"), [({"category": "cyber", "explanation": "No."}, "cyber: No."), ("no such form", ""), (None, "")]
)
def test_why_a_model_refused_is_no_reason_to_lose_its_answer(details: Any, why: str) -> None:
    last = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}}
    end = fed(*EVENTS[:4], last, EVENTS[5])[-1]

    assert isinstance(end, Finished)
    assert (end.stop, end.why) == ("refusal", why)


def test_two_blocks_of_one_index_are_a_broken_stream() -> None:
    with pytest.raises(errors.StreamBroken, match="index"):
        fed(*EVENTS[:3], EVENTS[1])
