"""The pretend vendor without its sockets: takes a request's bytes, decides, accounts, says what to send back.

Invariant: a request touches the cache, the oracle and the list of requests only when its response begins, and
all of that happens under one lock; the look-up itself belongs to the moment of arrival.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.simulator import wire_anthropic_reply as replies
from harness.simulator.answers import Answer, answer_from
from harness.simulator.clock import Clock
from harness.simulator.diagnostics import diagnose
from harness.simulator.faults import (
    BEFORE_START,
    Cut,
    Fault,
    Pause,
    Send,
    Step,
    damage,
    error_body,
    limit_bytes,
)
from harness.simulator.oracle import Oracle, Perfect
from harness.simulator.prefix_cache import PrefixCache, Reading
from harness.simulator.records import Received, Refusal, Refused
from harness.simulator.rules import Rules
from harness.simulator.scenario import Scenario, ScenarioMismatch
from harness.simulator.validation import check_request, check_version
from harness.simulator.wire_anthropic import WIRE, Understood, understand

Brain = Callable[[dict[str, Any]], object]


def starts_with_side_mark(request: Mapping[str, Any]) -> bool:
    """The default side test: the last text of the last user message begins with "[Side request"."""
    users = [message for message in request["messages"] if message["role"] == "user"]
    if not users:
        return False
    content = users[-1]["content"]
    texts = [content] if isinstance(content, str) else [part["text"] for part in content if part["type"] == "text"]
    return bool(texts) and str(texts[-1]).startswith("[Side request")


@dataclass(frozen=True, slots=True)
class Response:
    """What the server has to do. `began` is called once, directly before the first byte of the head."""

    status: int
    """0: cut the connection without an answer."""
    headers: dict[str, str]
    steps: Iterator[Step]
    length: int | None = None
    """Bytes of the body; None for a stream of chunks."""
    began: Callable[[], None] = lambda: None
    wait: float = 0.0
    """Seconds before the head."""


@dataclass(frozen=True, slots=True)
class _Ticket:
    """An accepted request between its arrival and the beginning of its response."""

    index: int
    at: float
    body: bytes
    json: dict[str, Any]
    headers: dict[str, str]
    known: Understood
    reading: Reading
    perfect: Perfect
    kind: Literal["mainline", "side"]


class Vendor:
    """All state of one simulator. Thread-safe."""

    def __init__(self, brain: Brain, rules: Rules, key: str | None, clock: Clock) -> None:
        self.brain = brain
        self.rules = rules
        self.clock = clock
        self.is_side: Callable[[dict[str, Any]], bool] = starts_with_side_mark
        self._key = key
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self.refused: list[Refusal] = []
        self._begun: dict[int, Received] = {}
        self._answers: dict[str, Received] = {}
        self._cache = PrefixCache(self.rules)
        self._oracle = Oracle(self.rules)
        self._faults: deque[Fault] = deque()
        self._struck: Counter[bytes] = Counter()
        self._next_index = 0
        self._next_id = 0

    def reset(self) -> None:
        """Forget everything but brain, rules, key and clock."""
        with self._lock:
            self._clear()

    def requests(self) -> list[Received]:
        """Every request whose response began, in order of arrival."""
        with self._lock:
            return [self._begun[index] for index in sorted(self._begun)]

    def fault(self, fault: Fault) -> None:
        """Queue a fault for the next `fault.times` requests."""
        with self._lock:
            self._faults.extend([fault] * fault.times)

    def evict(self, share: float) -> int:
        """Evict the least recently used share of the entries; returns how many."""
        with self._lock:
            gone = self._cache.evict(share)
            self._oracle.forget(gone)
            return len(gone)

    def message(self, body: bytes, headers: dict[str, str]) -> Response:
        """Answer POST /v1/messages."""
        request_id = self._request_id()
        try:
            return self._message(body, headers, request_id)
        except Exception as error:  # noqa: BLE001 - a fault of the simulator itself: recorded, never a dead thread
            failed = Refused(f"the simulator failed: {error!r}", status=500, kind="api_error")
            return self.refuse(failed, body, request_id)

    def _message(self, body: bytes, headers: dict[str, str], request_id: str) -> Response:
        fault = self._take_fault()
        try:
            if fault is not None and fault.kind in BEFORE_START:
                return self._struck_down(fault, body, request_id)
            request, workspace = self._admit(body, headers)
            facts = check_request(request, headers)
            known = understand(request, headers, facts, self.rules, workspace)
            ticket = self._arrive(body, request, headers, known)
        except Refused as refused:
            return self.refuse(refused, body, request_id)
        try:
            answer = self._think(ticket)
        except Refused as refused:
            self._abandon(ticket)
            return self.refuse(refused, body, request_id)
        fault = fault or self._scripted_fault(answer, body)
        if fault is not None and fault.kind in BEFORE_START:
            self._abandon(ticket)
            return self._struck_down(fault, body, request_id)
        return self._respond(ticket, answer, fault, request_id)

    def count_tokens(self, body: bytes, headers: dict[str, str]) -> Response:
        """Answer POST /v1/messages/count_tokens: the same checks (A4: signatures too), no caching."""
        request_id = self._request_id()
        try:
            request, workspace = self._admit(body, headers)
            facts = check_request(request, headers, counting=True)
            known = understand(request, headers, facts, self.rules, workspace)
        except Refused as refused:
            return self.refuse(refused, body, request_id, path="/v1/messages/count_tokens")
        return whole(200, {"input_tokens": known.prompt.total}, request_id)

    def refuse(self, refused: Refused, body: bytes, request_id: str = "", path: str = "/v1/messages") -> Response:
        """Record a refusal and answer it (A6 errors)."""
        request_id = request_id or self._request_id()
        with self._lock:
            self.refused.append(Refusal(self.clock.now(), refused.status, refused.kind, refused.message, body, path))
        data = error_body(refused.kind, refused.message, request_id)
        return _body(refused.status, {"content-type": "application/json", "request-id": request_id}, data)

    def _request_id(self) -> str:
        with self._lock:
            self._next_id += 1
            return f"req_{self._next_id:024d}"

    def _take_fault(self) -> Fault | None:
        with self._lock:
            return self._faults.popleft() if self._faults else None

    def _struck_down(self, fault: Fault, body: bytes, request_id: str) -> Response:
        """A fault that keeps the response from beginning: nothing was accepted, the cache is untouched."""
        if fault.kind == "reset":
            with self._lock:
                self.refused.append(Refusal(self.clock.now(), 0, "reset", "connection reset before any header", body))
            return Response(0, {}, iter(()))
        status, kind, headers, data = fault.error_response(request_id)
        with self._lock:
            self.refused.append(Refusal(self.clock.now(), status, kind, fault.message, body))
        return _body(status, {"request-id": request_id, **headers}, data)

    def _admit(self, body: bytes, headers: Mapping[str, str]) -> tuple[dict[str, Any], str]:
        """Size, key, version, JSON; returns the request and the workspace of the key."""
        if len(body) > self.rules.body_limit:
            raise Refused("Request exceeds the maximum size", status=413, kind="request_too_large")
        workspace = self._workspace(headers)
        check_version(headers)
        try:
            request = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(f"The request body is not valid JSON: {error}") from None
        if not isinstance(request, dict):
            raise Refused("The request body must be a JSON object")
        return request, workspace

    def _workspace(self, headers: Mapping[str, str]) -> str:
        # A1: the key comes as `x-api-key`, or as a bearer token from newer clients.
        scheme, _, token = headers.get("authorization", "").partition(" ")
        key = headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
        if self._key is not None:
            if not key:
                raise Refused("x-api-key header is required", status=401, kind="authentication_error")
            if self._key not in ("any", key):
                raise Refused("invalid x-api-key", status=401, kind="authentication_error")
        # A2 isolation: nothing is shared between workspaces; here every key is one.
        return key if self.rules.isolation == "key" else ""

    def _arrive(self, body: bytes, request: dict[str, Any], headers: dict[str, str], known: Understood) -> _Ticket:
        side = headers.get("x-sim-kind") == "side" or self.is_side(request)
        with self._lock:
            index, at = self._next_index, self.clock.now()
            self._next_index += 1
            reading = self._cache.look_up(known.prompt, at, index)
            perfect = self._oracle.look_up(known.prompt, known.line, at)
        return _Ticket(index, at, body, request, headers, known, reading, perfect, "side" if side else "mainline")

    def _abandon(self, ticket: _Ticket) -> None:
        with self._lock:
            self._cache.forgotten(ticket.reading, ticket.index)
            if ticket.index == self._next_index - 1:
                self._next_index -= 1

    def _think(self, ticket: _Ticket) -> Answer:
        if ticket.json["max_tokens"] == 0:
            return Answer((), "max_tokens")  # A5 pre-warm
        if isinstance(self.brain, Scenario) and ticket.kind == "side":
            return self.brain.side
        try:
            return answer_from(self.brain(ticket.json))
        except ScenarioMismatch as mismatch:
            raise Refused(str(mismatch), kind="scenario_mismatch") from None
        except Exception as error:  # noqa: BLE001 - a faulty script is the vendor's 500
            raise Refused(f"the scripted model failed: {error!r}", status=500, kind="api_error") from None

    def _scripted_fault(self, answer: Answer, body: bytes) -> Fault | None:
        """The answer's own fault, until this very body was struck `times` times: a retry gets through."""
        if answer.fault is None:
            return None
        digest = hashlib.sha256(body).digest()
        with self._lock:
            self._struck[digest] += 1
            return answer.fault if self._struck[digest] <= answer.fault.times else None

    def _respond(self, ticket: _Ticket, answer: Answer, fault: Fault | None, request_id: str) -> Response:
        known, body = ticket.known, ticket.body
        reply = replies.Reply(
            message_id=replies.message_id(body),
            model=ticket.json["model"],
            contents=replies.contents_of(answer, body, known.facts.name, known.prefix()),
            stop_reason=answer.stop_reason,
            usage=replies.usage_of(ticket.reading, answer),
            diagnostics=self._diagnostics(ticket),
        )
        began = self._beginning(ticket, reply)
        wait = fault.seconds if fault is not None and fault.kind == "late" else 0.0
        headers = {"request-id": request_id}
        if ticket.json.get("stream"):
            steps = damage(replies.events(reply), fault, answer.delay)
            if fault is not None and fault.kind == "drop" and fault.after_bytes is not None:
                steps = limit_bytes(steps, fault.after_bytes)
            headers |= {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
            return Response(200, headers, steps, None, began, wait)
        data = json.dumps(replies.message(reply), ensure_ascii=False).encode("utf-8", "surrogatepass")
        headers["content-type"] = "application/json"
        return Response(200, headers, _whole_damaged(data, fault), len(data), began, wait)

    def _diagnostics(self, ticket: _Ticket) -> dict[str, Any] | None:
        asked = ticket.json.get("diagnostics")
        if not isinstance(asked, dict) or asked.get("previous_message_id") is None:
            return None
        with self._lock:
            earlier = self._answers.get(asked["previous_message_id"])
        return diagnose(earlier, ticket.known)

    def _beginning(self, ticket: _Ticket, reply: replies.Reply) -> Callable[[], None]:
        received = Received(
            index=ticket.index,
            at=ticket.at,
            wire=WIRE,
            model=ticket.json["model"],
            body=ticket.body,
            json=ticket.json,
            headers=ticket.headers,
            blocks=ticket.known.blocks,
            line=ticket.known.line,
            usage=reply.usage,
            prompt_tokens=ticket.known.prompt.total,
            perfect_read=ticket.perfect.read,
            explain=f"{ticket.reading.explain}; {ticket.perfect.explain}",
            kind=ticket.kind,
            message_id=reply.message_id,
        )

        def began() -> None:
            with self._lock:
                self._cache.began(ticket.reading, ticket.at, ticket.index)
                self._oracle.began(
                    ticket.known.prompt,
                    ticket.known.line,
                    ticket.perfect,
                    ticket.at,
                    mainline=ticket.kind == "mainline",
                )
                self._begun[ticket.index] = received
                self._answers[reply.message_id] = received

        return began


def whole(status: int, value: object, request_id: str = "") -> Response:
    """A response with one JSON body."""
    headers = {"content-type": "application/json"}
    if request_id:
        headers["request-id"] = request_id
    return _body(status, headers, json.dumps(value).encode())


def _body(status: int, headers: dict[str, str], data: bytes) -> Response:
    return Response(status, headers, iter((Send(data),)), len(data))


def _whole_damaged(data: bytes, fault: Fault | None) -> Iterator[Step]:
    """The faults that make sense for a body that is not a stream."""
    if fault is not None and fault.kind == "drop":
        yield Send(data[: len(data) // 2 if fault.after_bytes is None else fault.after_bytes])
        yield Cut()
        return
    if fault is not None and fault.kind in ("stall", "slow"):
        yield Pause(fault.seconds)
    yield Send(data)
