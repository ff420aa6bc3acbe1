"""Faults on the OpenAI wires: errors in their form, broken streams, and what the SDK makes of them."""

from __future__ import annotations

import time
from typing import Any

import openai
import pytest

from harness.simulator import Fault

HI: list[Any] = [{"role": "user", "content": "hi"}]
LOOK = [{"text": "Grüße"}, {"call": "look", "input": {"path": "a"}}]
WIRES = ["respond", "chat"]
LAST = {"respond": "response.completed", "chat": "[DONE]"}


def send(call: Any, wire: str, **fields: Any) -> Any:
    return getattr(call, wire)(HI, **fields)


def count(reply: Any, wire: str) -> int:
    return len(reply.events if wire == "respond" else reply.chunks)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        (400, "", "invalid_request_error", None),
        (401, "", "invalid_request_error", "invalid_api_key"),
        (403, "", "invalid_request_error", "unsupported_country_region_territory"),
        (404, "", "invalid_request_error", "model_not_found"),
        (429, "", "requests", "rate_limit_exceeded"),
        (429, "insufficient_quota", "insufficient_quota", "insufficient_quota"),
        (500, "", "server_error", None),
        (503, "", "server_error", "server_is_overloaded"),
    ],
)
def test_status_faults(start: Any, wire: str, status: int, error: str, kind: str, code: str | None) -> None:
    call = start()
    call.sim.fault(Fault("status", status=status, error_type=error, headers={"retry-after-ms": "70"}))
    reply = send(call, wire)
    assert (reply.status, reply.json["error"]["type"], reply.json["error"]["code"]) == (status, kind, code)
    assert reply.json["error"].keys() == {"message", "type", "param", "code"}
    assert (reply.headers["retry-after-ms"], reply.headers["x-request-id"][:4]) == ("70", "req_")
    assert send(call, wire).status == 200
    path = {"respond": "/v1/responses", "chat": "/v1/chat/completions"}[wire]
    assert [(item.status, item.code, item.path) for item in call.sim.refused] == [(status, code, path)]


@pytest.mark.parametrize("wire", WIRES)
def test_other_bodies_resets_and_waits(start: Any, wire: str) -> None:
    call = start()
    call.sim.fault(Fault("status", status=502, body="html"))
    assert send(call, wire).body.startswith(b"<html>")
    call.sim.fault(Fault("reset"))
    with pytest.raises(ConnectionError):
        send(call, wire)
    call.sim.fault(Fault("late", seconds=0.1))
    began = time.monotonic()
    assert send(call, wire).status == 200
    assert time.monotonic() - began >= 0.1
    call.sim.fault(Fault("drop"))
    assert not send(call, wire).complete
    assert [item.status for item in call.sim.refused] == [502, 0]


@pytest.mark.parametrize("wire", WIRES)
def test_drops_stalls_and_pings(start: Any, wire: str) -> None:
    call = start(lambda _: LOOK)
    sound = send(call, wire, stream=True)
    call.sim.fault(Fault("drop", after=3))
    reply = send(call, wire, stream=True)
    assert (reply.complete, count(reply, wire)) == (False, 3)
    call.sim.fault(Fault("drop", after_bytes=100))
    assert len(send(call, wire, stream=True).body) == 100
    call.sim.fault(Fault("drop", inside_tool=True))
    reply = send(call, wire, stream=True)
    assert not reply.complete
    assert reply.body.rstrip().endswith((b'"delta":"{\\"pa"}', b'"finish_reason":null}]}'))
    assert b'{\\"pa' in reply.body
    assert b'th\\":' not in reply.body
    for fault in (Fault("stall", seconds=0.1, inside_tool=True), Fault("slow", seconds=0.01), Fault("one_byte")):
        call.sim.fault(fault)
        assert send(call, wire, stream=True).body.count(b"data:") == sound.body.count(b"data:")
    call.sim.fault(Fault("pings", after=3, seconds=0.05, every=0.01))
    assert send(call, wire, stream=True).body.count(b": keep-alive\n\n") == 5
    call.sim.fault(Fault("big_event", size=1_000_000))
    assert len(send(call, wire, stream=True).body) > 1_000_000
    call.sim.fault(Fault("malformed", after=2))
    assert b'"delta"\n\n' in send(call, wire, stream=True).body


@pytest.mark.parametrize("wire", WIRES)
def test_the_end_may_be_missing(start: Any, wire: str) -> None:
    call = start()
    assert LAST[wire].encode() in send(call, wire, stream=True).body
    call.sim.fault(Fault("no_stop"))
    reply = send(call, wire, stream=True)
    assert (reply.complete, LAST[wire].encode() in reply.body) == (True, False)


def test_errors_after_200_on_responses(start: Any) -> None:
    call = start()
    call.sim.fault(Fault("error_event", after=2, error_type="rate_limit_exceeded"))
    name, data = call.respond(HI, stream=True).events[-1]
    expected = {"type": "error", "code": "rate_limit_exceeded", "message": "Overloaded", "param": None}
    assert (name, data) == ("error", expected | {"sequence_number": 2})
    call.sim.fault(Fault("failed", after=3, message="Sorry."))
    name, data = call.respond(HI, stream=True).events[-1]
    assert (name, data["sequence_number"], data["response"]["status"]) == ("response.failed", 3, "failed")
    assert data["response"]["error"] == {"code": "server_error", "message": "Sorry."}
    made: Any = openai.OpenAI(base_url=call.sim.url + "/v1", api_key="k", max_retries=0)
    with made as client:
        call.sim.fault(Fault("failed", after=3))
        *_, last = client.responses.create(model="gpt-6.1-sol", input="hi", stream=True)
        assert (last.type, last.response.error.code) == ("response.failed", "server_error")


def test_errors_after_200_on_chat(start: Any) -> None:
    call = start()
    call.sim.fault(Fault("error_event", after=2))
    assert call.chat(HI, stream=True).chunks[-1]["error"]["code"] == "server_error"
    with openai.OpenAI(base_url=call.sim.url + "/v1", api_key="k", max_retries=0) as client:
        call.sim.fault(Fault("failed", after=2))
        with pytest.raises(openai.APIError, match="Overloaded"):
            [*client.chat.completions.create(model="gpt-6.1-sol", messages=HI, stream=True)]


@pytest.mark.parametrize("wire", WIRES)
def test_a_stream_that_began_has_written_the_cache(start: Any, wire: str) -> None:
    call = start()
    call.sim.fault(Fault("drop"))
    assert send(call, wire, stream=True).body == b""
    assert send(call, wire).bill[0] > 0


@pytest.mark.parametrize("wire", WIRES)
def test_a_scripted_fault_strikes_one_body_once(start: Any, wire: str) -> None:
    call = start(lambda _: {"answer": [{"text": "x"}], "fault": {"kind": "status", "status": 503, "times": 2}})
    assert [send(call, wire).status for _ in range(3)] == [503, 503, 200]


def test_the_sdk_retries_what_the_vendor_says(start: Any) -> None:
    call = start()
    call.sim.fault(Fault("status", status=429, headers={"retry-after-ms": "1"}))
    with openai.OpenAI(base_url=call.sim.url + "/v1", api_key="k", max_retries=1) as client:
        assert client.responses.create(model="gpt-6.1-sol", input="hi").output_text == "ok"
        call.sim.fault(
            Fault("status", status=429, error_type="insufficient_quota", headers={"x-should-retry": "false"})
        )
        with pytest.raises(openai.RateLimitError) as spent:
            client.responses.create(model="gpt-6.1-sol", input="hi")
        assert spent.value.code == "insufficient_quota"
        assert spent.value.request_id is not None


def test_a_fault_of_the_script_and_of_the_vendor(start: Any) -> None:
    call = start(lambda _: 1 / 0)
    assert call.respond(HI).failure[0] == 500
    assert "ZeroDivisionError" in call.chat(HI).failure[1]
    assert start(body_limit=10).respond(HI).status == 413


STRANGE: list[Any] = [None, 1, [None], {"type": "x"}]
PART = {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}
ITEMS = [
    {"role": "user", "content": [PART, {"type": "input_image", "image_url": "https://a.example/b.png"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "x"}], "encrypted_content": "g"},
    {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "look", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": [PART]},
    {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "a", "parameters": {}}]},
]
MESSAGES = [
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]},
    {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "a", "arguments": ""}}]},
    {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "x"}]},
]
FIELDS = ["tools", "tool_choice", "reasoning", "text", "prompt_cache_options", "include", "metadata", "stream_options"]


def spoilt(value: Any) -> Any:
    """The value with something strange at every place in turn."""
    yield from STRANGE
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        for bad in spoilt(value[key]):
            copy = value.copy()
            copy[key] = bad
            yield copy


@pytest.mark.parametrize("profile", ["openai", "vllm"])
@pytest.mark.parametrize(("wire", "given"), [("respond", ITEMS), ("chat", MESSAGES)])
def test_strange_shapes_never_kill_the_server(start: Any, wire: str, given: Any, profile: str) -> None:
    call = start(profile=profile)
    for name in FIELDS:
        assert {getattr(call, wire)("hi", **{name: bad}).status for bad in STRANGE} <= {200, 400}
    for item in given:
        assert {getattr(call, wire)([bad]).status for bad in spoilt(item)} <= {200, 400, 404}
