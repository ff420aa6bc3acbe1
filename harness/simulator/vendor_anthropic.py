"""The Anthropic Messages wire as the vendor needs it: checks, accounting, speech and errors put together.

Invariant: no state; everything about one request is in what `accept` returns.
Shapes of errors: A6 (platform.claude.com/docs/en/api/errors).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness.simulator import wire_anthropic_reply as replies
from harness.simulator.diagnostics import diagnose, told
from harness.simulator.faults import Dialect, Fault, sse
from harness.simulator.records import Refused
from harness.simulator.rules import Rules
from harness.simulator.validation import check_request, check_version
from harness.simulator.wire_anthropic import WIRE, Understood, understand
from harness.simulator.wires import Accepted, Speech, Spoken

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


def _error_event(fault: Fault, sent: int) -> bytes:
    """A6 SSE: a failure after 200 is an `error` event."""
    del sent
    kind = fault.error_type or "overloaded_error"
    return sse("error", json.dumps({"type": "error", "error": {"type": kind, "message": fault.message}}))


DIALECT = Dialect(
    ping=sse("ping", '{"type":"ping"}'),
    malformed=sse("content_block_delta", '{"type":"content_block_delta","index":0,"delta":{"type"'),
    error=_error_event,
    failed=_error_event,
    big=lambda size: sse("ping", json.dumps({"type": "ping", "padding": "x" * size})),
)


class AnthropicWire:
    """POST /v1/messages. Implements `Wire`."""

    name = WIRE
    id_header = "request-id"

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """As `Wire`."""
        check_version(headers)

    def accept(self, request: dict[str, Any], headers: Mapping[str, str], rules: Rules, workspace: str) -> Accepted:
        """As `Wire`."""
        known = understand(request, headers, check_request(request, headers, rules), rules, workspace)
        asked = request.get("diagnostics")
        return Accepted(
            model=request["model"],
            blocks=known.blocks,
            line=known.line,
            total=known.prompt.total,
            contract="anthropic",
            prompt=known.prompt,
            stream=bool(request.get("stream")),
            speak=lambda speech: _speak(request, known, rules, speech),
            silent=request["max_tokens"] == 0,  # A5 pre-warm
            compare_with=asked.get("previous_message_id") if isinstance(asked, dict) else None,
            effort=known.effort,
            # A6 stop_reason: the window ends an answer that max_tokens would still allow.
            limits=((request["max_tokens"], "max_tokens"), (known.room, "model_context_window_exceeded")),
        )

    def no_key(self, key: str) -> Refused:
        """As `Wire`."""
        text = "invalid x-api-key" if key else "x-api-key header is required"
        return Refused(text, status=401, kind="authentication_error")

    def error(self, refused: Refused, request_id: str) -> bytes:
        """A6 errors: the body of a refusal."""
        error = {"type": "error", "error": {"type": refused.kind, "message": refused.message}}
        return json.dumps(error | {"request_id": request_id}, ensure_ascii=False).encode()

    def struck(self, fault: Fault) -> Refused:
        """As `Wire`."""
        kind = fault.error_type or ERROR_TYPES.get(fault.status, "api_error")
        return Refused(fault.message, status=fault.status, kind=kind)


def count_tokens(request: dict[str, Any], headers: Mapping[str, str], rules: Rules, workspace: str) -> int:
    """Input tokens of a count_tokens request: the same checks (A4: signatures too), no caching."""
    facts = check_request(request, headers, rules, counting=True)
    return understand(request, headers, facts, rules, workspace).prompt.total


def _speak(request: Mapping[str, Any], known: Understood, rules: Rules, speech: Speech) -> Spoken:
    asked = request.get("diagnostics")
    compares = isinstance(asked, dict) and asked.get("previous_message_id") is not None
    extras: dict[str, Any] = (
        told(diagnose(speech.earlier, known), rules.diagnostics) if compares else {"diagnostics": None}
    )
    if known.transformations:
        extras["input_transformations"] = list(known.transformations)
    reply = replies.Reply(
        message_id=replies.message_id(speech.body),
        model=request["model"],
        contents=replies.contents_of(speech.answer, speech.body, known.facts.name, known.prefix()),
        stop_reason="max_tokens" if request["max_tokens"] == 0 else speech.answer.stop_reason,
        usage=replies.usage_of(speech.bill, speech.answer, tells=rules.cache_report not in ("off", "nothing")),
        extras=extras,
    )
    return Spoken(
        id=reply.message_id,
        usage=reply.usage,
        message=replies.message(reply),
        events=lambda: tuple(replies.events(reply)),
        dialect=DIALECT,
    )
