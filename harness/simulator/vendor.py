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

from harness.simulator.answers import Answer, answer_from
from harness.simulator.clock import Clock
from harness.simulator.contract_breakpoints import BreakpointBook
from harness.simulator.contract_slots import SlotBook
from harness.simulator.contract_units import UnitBook
from harness.simulator.contracts import Bill, Book, Contract, MarkedBook, NoBook
from harness.simulator.conversation import starts_with_side_mark
from harness.simulator.faults import BEFORE_START, Cut, Fault, Pause, Send, Step, compressed, damage, limit_bytes
from harness.simulator.rate_limits import RateLimits
from harness.simulator.records import Received, Refusal, Refused
from harness.simulator.rules import Rules
from harness.simulator.scenario import Scenario, ScenarioMismatch
from harness.simulator.vendor_anthropic import AnthropicWire, count_tokens
from harness.simulator.vendor_chat import ChatWire
from harness.simulator.vendor_responses import ResponsesWire
from harness.simulator.wires import Accepted, Speech, Spoken, Wire

Brain = Callable[[dict[str, Any]], object]


MESSAGES = "/v1/messages"
WIRES: dict[str, Wire] = {
    MESSAGES: AnthropicWire(),
    "/v1/responses": ResponsesWire(),
    "/v1/chat/completions": ChatWire(),
    # C: the base addresses of DeepSeek and OpenRouter.
    "/chat/completions": ChatWire(),
    "/api/v1/chat/completions": ChatWire(),
}


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
    path: str
    body: bytes
    json: dict[str, Any]
    headers: dict[str, str]
    known: Accepted
    bill: Bill
    kind: Literal["mainline", "side"]
    limits: Mapping[str, str]
    """Headers that tell how rate limits stand."""


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
        self._books: dict[Contract, Book] = {
            "anthropic": MarkedBook(self.rules),
            "breakpoints": BreakpointBook(self.rules),
            "steps": UnitBook(),
            "units": UnitBook(),
            "blocks": UnitBook(),
            "slots": SlotBook(self.rules.slots),
            "none": NoBook(),
        }
        self._limits = RateLimits(self.rules)
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
            return sum(book.evict(share) for book in self._books.values())

    def message(self, body: bytes, headers: dict[str, str], path: str = MESSAGES) -> Response:
        """Answer a request for a message on the wire of this path."""
        request_id = self._request_id()
        try:
            return self._message(body, headers, path, request_id)
        except Exception as error:  # noqa: BLE001 - a fault of the simulator itself: recorded, never a dead thread
            failed = Refused(f"the simulator failed: {error!r}", status=500, kind="api_error")
            return self.refuse(failed, body, request_id, path)

    def _message(self, body: bytes, headers: dict[str, str], path: str, request_id: str) -> Response:
        fault = self._take_fault()
        try:
            if fault is not None and fault.kind in BEFORE_START:
                return self._struck_down(fault, body, path, request_id)
            request, workspace = self._admit(body, headers, WIRES[path])
            known = WIRES[path].accept(request, headers, self.rules, workspace)
            ticket = self._arrive(body, request, headers, path, known, workspace)
        except Refused as refused:
            return self.refuse(refused, body, request_id, path)
        try:
            answer = self._think(ticket)
        except Refused as refused:
            self._abandon(ticket)
            return self.refuse(refused, body, request_id, path)
        fault = fault or self._scripted_fault(answer, body)
        if fault is not None and fault.kind in BEFORE_START:
            self._abandon(ticket)
            return self._struck_down(fault, body, path, request_id)
        return self._respond(ticket, answer, fault, request_id)

    def count_tokens(self, body: bytes, headers: dict[str, str]) -> Response:
        """Answer POST /v1/messages/count_tokens."""
        request_id = self._request_id()
        try:
            request, workspace = self._admit(body, headers, WIRES[MESSAGES])
            tokens = count_tokens(request, headers, self.rules, workspace)
        except Refused as refused:
            return self.refuse(refused, body, request_id, path=f"{MESSAGES}/count_tokens")
        return whole(200, {"input_tokens": tokens}, request_id)

    def refuse(self, refused: Refused, body: bytes, request_id: str = "", path: str = MESSAGES) -> Response:
        """Record a refusal and answer it as the wire of the path does (A6 errors)."""
        request_id = request_id or self._request_id()
        wire = WIRES.get(path, WIRES[MESSAGES])
        self._record(refused, body, path)
        headers = {"content-type": "application/json", wire.id_header: request_id, **refused.headers}
        return _body(refused.status, headers, self._worded(wire, refused, request_id))

    def _worded(self, wire: Wire, refused: Refused, request_id: str) -> bytes:
        refused.profile = self.rules.profile
        return wire.error(refused, request_id)

    def _record(self, refused: Refused, body: bytes, path: str) -> None:
        with self._lock:
            now = self.clock.now()
            self.refused.append(Refusal(now, refused.status, refused.kind, refused.message, body, path, refused.code))

    def _request_id(self) -> str:
        with self._lock:
            self._next_id += 1
            return f"req_{self._next_id:024d}"

    def _take_fault(self) -> Fault | None:
        with self._lock:
            return self._faults.popleft() if self._faults else None

    def _struck_down(self, fault: Fault, body: bytes, path: str, request_id: str) -> Response:
        """A fault that keeps the response from beginning: nothing was accepted, the cache is untouched."""
        if fault.kind == "reset":
            self._record(Refused("connection reset before any header", status=0, kind="reset"), body, path)
            return Response(0, {}, iter(()))
        wire = WIRES[path]
        refused = wire.struck(fault)
        self._record(refused, body, path)
        headers, data = fault.answer(self._worded(wire, refused, request_id))
        return _body(fault.status, {wire.id_header: request_id, **headers}, data)

    def _admit(self, body: bytes, headers: Mapping[str, str], wire: Wire) -> tuple[dict[str, Any], str]:
        """Size, key, version, JSON; returns the request and the workspace of the key."""
        if len(body) > self.rules.body_limit:
            raise Refused("Request exceeds the maximum size", status=413, kind="request_too_large")
        workspace = self._workspace(headers, wire)
        wire.check_headers(headers)
        try:
            request = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(f"The request body is not valid JSON: {error}") from None
        if not isinstance(request, dict):
            raise Refused("The request body must be a JSON object")
        return request, workspace

    def _workspace(self, headers: Mapping[str, str], wire: Wire) -> str:
        # A1: the key comes as `x-api-key`, or as a bearer token; on the OpenAI wires always as the latter.
        scheme, _, token = headers.get("authorization", "").partition(" ")
        key = headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
        if self._key is not None and (not key or self._key not in ("any", key)):
            raise wire.no_key(key)
        # A2 isolation: nothing is shared between workspaces; here every key is one.
        return key if self.rules.isolation == "key" else ""

    def _arrive(
        self,
        body: bytes,
        request: dict[str, Any],
        headers: dict[str, str],
        path: str,
        known: Accepted,
        workspace: str,
    ) -> _Ticket:
        side = headers.get("x-sim-kind") == "side" or self.is_side(request)
        with self._lock:
            index, at = self._next_index, self.clock.now()
            book = self._books[known.contract]
            bill = book.look_up(known.prompt, known.line, at, index)
            try:
                limits = self._limits.admit(workspace, WIRES[path].name, bill, at)
            except Refused:
                book.forgotten(bill, index)
                raise
            self._next_index += 1
        kind: Literal["mainline", "side"] = "side" if side else "mainline"
        return _Ticket(index, at, path, body, request, headers, known, bill, kind, limits)

    def _abandon(self, ticket: _Ticket) -> None:
        with self._lock:
            self._books[ticket.known.contract].forgotten(ticket.bill, ticket.index)
            if ticket.index == self._next_index - 1:
                self._next_index -= 1

    def _think(self, ticket: _Ticket) -> Answer:
        if ticket.known.silent:
            return Answer(())
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
        known = ticket.known
        for limit, stop in sorted(known.limits, reverse=True):
            answer = answer.within(limit, stop)
        with self._lock:
            earlier = self._answers.get(known.compare_with or "")
        spoken = known.speak(Speech(answer, ticket.body, ticket.bill, ticket.at, earlier))
        began = self._beginning(ticket, spoken)
        wait = fault.seconds if fault is not None and fault.kind == "late" else 0.0
        headers = {WIRES[ticket.path].id_header: request_id, **ticket.limits}
        if known.stream:
            steps = damage(spoken.events(), fault, spoken.dialect, answer.delay)
            if fault is not None and fault.kind == "drop" and fault.after_bytes is not None:
                steps = limit_bytes(steps, fault.after_bytes)
            headers |= {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
            if fault is not None and fault.kind == "gzip" and "gzip" in ticket.headers.get("accept-encoding", ""):
                headers["content-encoding"] = "gzip"
                steps = compressed(steps)
            return Response(200, headers, steps, None, began, wait)
        data = json.dumps(spoken.message, ensure_ascii=False).encode("utf-8", "surrogatepass")
        headers["content-type"] = "application/json"
        return Response(200, headers, _whole_damaged(data, fault), len(data), began, wait)

    def _beginning(self, ticket: _Ticket, spoken: Spoken) -> Callable[[], None]:
        known, bill = ticket.known, ticket.bill
        received = Received(
            index=ticket.index,
            at=ticket.at,
            wire=WIRES[ticket.path].name,
            model=known.model,
            body=ticket.body,
            json=ticket.json,
            headers=ticket.headers,
            blocks=known.blocks,
            line=known.line,
            usage=spoken.usage,
            prompt_tokens=known.total,
            perfect_read=bill.perfect,
            explain=bill.explain,
            kind=ticket.kind,
            message_id=spoken.id,
            read=bill.read,
            written=sum(bill.written.values()),
            contract=known.contract,
            effort=known.effort,
        )

        def began() -> None:
            with self._lock:
                mainline = ticket.kind == "mainline"
                book = self._books[known.contract]
                book.began(bill, ticket.at, ticket.index, mainline=mainline, outputs=spoken.outputs)
                self._begun[ticket.index] = received
                self._answers[spoken.id] = received

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
