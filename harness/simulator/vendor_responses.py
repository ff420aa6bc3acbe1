"""The OpenAI Responses wire as the vendor needs it: checks, accounting, speech and errors put together.

Invariant: no state; everything about one request is in what `accept` returns.
Shapes of errors: section D; openai 3.54.0, _exceptions.py, and texts as quoted in public reports.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness.simulator import wire_responses_reply as replies
from harness.simulator.diagnostics_openai import diagnose, told
from harness.simulator.faults import Fault
from harness.simulator.openai_fields import need
from harness.simulator.openai_models import facts_for, heard, profile_of
from harness.simulator.records import Refused
from harness.simulator.responses_validation import check_request
from harness.simulator.rules import Rules
from harness.simulator.wire_responses import WIRE, Understood, understand
from harness.simulator.wires import Accepted, Speech, Spoken

# Status of a fault: the error's type and code.
_ERRORS: dict[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("server_error", "server_is_overloaded"),
}
# Codes that are their own type.
_OWN_TYPE = frozenset({"insufficient_quota", "server_error", "invalid_request_error"})


class OpenAIErrors:
    """What both OpenAI wires do with headers, keys and errors."""

    id_header = "x-request-id"

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """As `Wire`: there is no version to check."""

    def no_key(self, key: str) -> Refused:
        """As `Wire`."""
        if not key:
            text = "You didn't provide an API key. You need to provide your API key in an Authorization header."
            return Refused(text, status=401)
        text = f"Incorrect API key provided: {key[:4]}***. You can find your API key in your account settings."
        return Refused(text, status=401, code="invalid_api_key")

    def error(self, refused: Refused, request_id: str) -> bytes:
        """{"error": {message, type, param, code}}."""
        del request_id
        kind = "server_error" if refused.kind == "api_error" else refused.kind
        error = {"message": refused.message, "type": kind, "param": refused.param, "code": refused.code}
        return json.dumps({"error": error}, ensure_ascii=False).encode()

    def struck(self, fault: Fault) -> Refused:
        """As `Wire`: `error_type` is the code, and the type too where the vendor has it so."""
        default = ("server_error", None) if fault.status >= 500 else ("invalid_request_error", None)
        kind, code = _ERRORS.get(fault.status, default)
        if fault.error_type:
            code = fault.error_type
            kind = code if code in _OWN_TYPE else kind
        return Refused(fault.message, status=fault.status, kind=kind, code=code)


def limits_of(request: Mapping[str, Any], *names: str) -> tuple[tuple[int, str], ...]:
    """The limits of an answer that a request sets under one of these names."""
    return tuple((int(request[name]), "max_tokens") for name in names if request.get(name) is not None)


class ResponsesWire(OpenAIErrors):
    """POST /v1/responses. Implements `Wire`."""

    name = WIRE

    def accept(self, request: dict[str, Any], headers: Mapping[str, str], rules: Rules, workspace: str) -> Accepted:
        """As `Wire`."""
        profile = profile_of(rules)
        if not profile.responses:
            raise Refused("Not Found", status=404)
        request = heard(request, profile)
        facts = facts_for(need("", request, "model", str), profile, rules)
        items = check_request(request, facts, profile, rules)
        known = understand(request, items, headers, facts, profile, rules, workspace)
        options = request.get("prompt_cache_options") or {}
        return Accepted(
            model=request["model"],
            blocks=known.blocks,
            line=known.settings.line,
            total=known.prompt.total,
            contract=facts.contract,
            prompt=known.prompt,
            stream=bool(request.get("stream")),
            speak=lambda speech: _speak(request, known, rules, speech),
            silent=bool(options.get("prewarm")),
            compare_with=options.get("comparison_response_id"),
            effort=known.effort,
            limits=limits_of(request, "max_output_tokens"),
        )


def _speak(request: Mapping[str, Any], known: Understood, rules: Rules, speech: Speech) -> Spoken:
    options = request.get("prompt_cache_options") or {}
    extras: dict[str, Any] = {}
    if options.get("comparison_response_id") is not None:
        extras |= told(diagnose(speech.earlier, known), rules.diagnostics)
    if known.withheld:
        extras["input_transformations"] = list(known.withheld)
    encrypted = rules.encrypted_content == "always" or "reasoning.encrypted_content" in (request.get("include") or ())
    output = replies.output_of(
        speech.answer,
        speech.body,
        known.facts.name,
        summaries=(request.get("reasoning") or {}).get("summary") is not None,
        encrypted=encrypted,
        phases=known.profile.name == "openai",
    )
    reply = replies.Reply(
        id=replies.response_id(speech.body),
        at=speech.at,
        request=request,
        output=output,
        incomplete=replies.incomplete_reason(speech.answer),
        usage=replies.usage_of(speech.bill, speech.answer),
        context=known.context,
        extras=extras,
    )
    return Spoken(
        id=reply.id,
        usage=reply.usage,
        message=replies.message(reply),
        events=lambda: tuple(replies.events(reply)),
        dialect=replies.dialect(reply),
    )
