"""Faults on demand: HTTP errors, broken streams; they touch the cache only if the response began."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any

import anthropic
import pytest

from harness.simulator import Fault
from tests.waiting import PATIENCE, wait_for

HI: list[Any] = [{"role": "user", "content": "hi"}]
LOOK = [{"text": "Grüße"}, {"call": "look", "input": {"path": "a"}}]


def names(reply: Any) -> list[str]:
    return [name for name, _ in reply.events]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (409, "conflict_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_a6_status_faults(start: Any, status: int, kind: str) -> None:
    call = start()
    call.sim.fault(Fault("status", status=status, times=2, headers={"retry-after": "7"}))
    for _ in range(2):
        reply = call(HI)
        assert (reply.status, reply.json["error"]["type"]) == (status, kind)
        assert reply.headers["retry-after"] == "7"
        assert reply.headers["request-id"] == reply.json["request_id"]
    assert call(HI).status == 200
    assert ([item.status for item in call.sim.refused], len(call.sim.requests)) == ([status, status], 1)


@pytest.mark.parametrize(("body", "starts"), [("html", b"<html>"), ("empty", b""), ("plain", b"plain")])
def test_status_faults_with_other_bodies(start: Any, body: str, starts: bytes) -> None:
    call = start()
    call.sim.fault(Fault("status", status=503, body=body))
    reply = call(HI)
    assert (reply.status, reply.body[: len(starts)]) == (503, starts)
    assert "retry-after" not in reply.headers


def test_reset_before_headers_leaves_the_cache_alone(start: Any, row: Any) -> None:
    call = start()
    call.sim.fault(Fault("reset"))
    with pytest.raises(ConnectionError):
        call(row(5, {5: "5m"}))
    assert call(row(5, {5: "5m"})).usage[0] == 0
    assert [item.status for item in call.sim.refused] == [0]


def test_a_stream_that_began_has_written_the_cache(start: Any, row: Any) -> None:
    call = start()
    call.sim.fault(Fault("drop"))
    reply = call(row(5, {5: "5m"}), stream=True)
    assert (reply.complete, reply.body) == (False, b"")
    assert call(row(5, {5: "5m"})).usage[0] > 0


def test_drop_after_events_bytes_and_inside_a_call(start: Any) -> None:
    call = start(lambda _: LOOK)
    call.sim.fault(Fault("drop", after=3))
    reply = call(HI, stream=True)
    assert (reply.complete, names(reply)) == (False, ["message_start", "ping", "content_block_start"])
    call.sim.fault(Fault("drop", after_bytes=100))
    assert len(call(HI, stream=True).body) == 100
    call.sim.fault(Fault("drop", inside_tool=True))
    reply = call(HI, stream=True)
    assert not reply.complete
    assert reply.events[-1][1]["delta"]["partial_json"] == '{"pa'


@pytest.mark.parametrize("place", [{"after": 0}, {"after": 4}, {"inside_tool": True}])
def test_stalls_go_on_afterwards(start: Any, place: dict[str, Any]) -> None:
    call = start(lambda _: LOOK)
    call.sim.fault(Fault("stall", seconds=0.15, **place))
    began = time.monotonic()
    reply = call(HI, stream=True)
    assert time.monotonic() - began >= 0.15
    assert names(reply)[-1] == "message_stop"


def test_a_long_stall_ends_with_the_server(start: Any) -> None:
    call = start()
    call.sim.fault(Fault("late", seconds=600))
    with pytest.raises(TimeoutError):
        call.send(
            "/v1/messages",
            b'{"model":"claude-opus-4-8","max_tokens":9,"messages":[{"role":"user","content":"x"}]}',
            timeout=0.1,
        )
    stopping = threading.Thread(target=call.sim.stop, daemon=True)
    stopping.start()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_before_the_answer_has_paid_for_it(start: Any, row: Any, stream: bool) -> None:
    call = start()
    call.sim.fault(Fault("late", seconds=2))  # the next request must be through by then
    body = {"model": "claude-opus-4-8", "max_tokens": 9, "messages": row(5, {5: "5m"}), "stream": stream}
    with pytest.raises(TimeoutError):
        call.send("/v1/messages", json.dumps(body).encode(), timeout=0.2)
    assert (call.sim.requests, call(row(5, {5: "5m"})).usage[0]) == ([], 0)
    wait_for(lambda: len(call.sim.requests) == 2)
    left, after = call.sim.requests
    assert (left.index, left.written, after.written) == (0, after.written, left.written)


def test_error_event_after_200(start: Any) -> None:
    call = start()
    call.sim.fault(Fault("error_event", after=2))
    reply = call(HI, stream=True)
    assert (reply.status, reply.complete, names(reply)) == (200, True, ["message_start", "ping", "error"])
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert reply.events[-1][1] == error
    client = anthropic.Anthropic(base_url=call.sim.url, api_key="k", max_retries=0)
    call.sim.fault(Fault("error_event", after=2))
    with (
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
        client.messages.stream(model="claude-opus-5-5", max_tokens=9, messages=HI) as stream,
    ):
        stream.get_final_message()
    client.close()


def test_missing_message_stop(start: Any) -> None:
    call = start()
    call.sim.fault(Fault("no_stop"))
    reply = call(HI, stream=True)
    assert (reply.complete, names(reply)[-1]) == (True, "message_delta")


def test_utf8_split_over_chunks(start: Any) -> None:
    call = start(lambda _: LOOK)
    whole = call(HI, stream=True).body
    call.sim.reset()
    call.sim.fault(Fault("one_byte"))
    assert call(HI, stream=True).body == whole


def test_one_huge_event_malformed_data_and_pings(start: Any) -> None:
    call = start()
    call.sim.fault(Fault("big_event", size=10 * 1024 * 1024))
    assert len(call(HI, stream=True).body) > 10 * 1024 * 1024
    call.sim.fault(Fault("malformed", after=3))
    assert call(HI, stream=True).events[3] == ("content_block_delta", None)
    call.sim.fault(Fault("pings", after=3, seconds=0.05, every=0.01))
    assert names(call(HI, stream=True)).count("ping") == 6
    call.sim.fault(Fault("slow", seconds=0.01))
    began = time.monotonic()
    assert names(call(HI, stream=True))[-1] == "message_stop"
    assert time.monotonic() - began > 0.05


def test_a_scripted_fault_strikes_one_body_once_so_that_a_retry_gets_through(start: Any) -> None:
    call = start(lambda _: {"answer": [{"text": "x"}], "fault": {"kind": "status", "status": 529, "times": 2}})
    assert [call(HI).status for _ in range(3)] == [529, 529, 200]
    assert call([*HI, *HI]).status == 529
    assert [request.index for request in call.sim.requests] == [0]


def test_a_dropped_whole_message(start: Any) -> None:
    call = start()
    call.sim.fault(Fault("drop"))
    assert not call(HI).complete


@pytest.mark.parametrize("bad", [{"kind": "rain"}, {"times": 0, "kind": "reset"}, {}, {"kind": "reset", "x": 1}, 3])
def test_bad_faults(start: Any, bad: Any) -> None:
    reply = start().post("/_sim/fault", bad)
    assert (reply.status, "fault" in reply.json["error"]) == (400, True)


def test_the_connection_stays_open_between_requests(start: Any) -> None:
    call = start()
    connection = http.client.HTTPConnection(call.sim.url.removeprefix("http://"), timeout=5)
    for _ in range(2):
        connection.request("GET", "/_sim/health")
        response = connection.getresponse()
        assert response.read()
        assert not response.will_close
    connection.close()
