"""The Chat Completions wire as the vendor needs it: checks, accounting, speech and errors put together.

Invariant: no state; everything about one request is in what `accept` returns. Which server it is, is a rule.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness.simulator import wire_chat_reply as replies
from harness.simulator.chat_validation import check_request
from harness.simulator.openai_fields import need
from harness.simulator.openai_models import facts_for, heard, profile_of
from harness.simulator.records import Refused
from harness.simulator.rules import Rules
from harness.simulator.vendor_responses import OpenAIErrors, limits_of
from harness.simulator.wire_chat import WIRE, Understood, understand
from harness.simulator.wires import Accepted, Speech, Spoken

# google.rpc.Code
_GOOGLE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class ChatWire(OpenAIErrors):
    """POST /v1/chat/completions. Implements `Wire`."""

    name = WIRE

    def accept(self, request: dict[str, Any], headers: Mapping[str, str], rules: Rules, workspace: str) -> Accepted:
        """As `Wire`."""
        profile = profile_of(rules)
        request = heard(request, profile)
        facts = facts_for(need("", request, "model", str), profile, rules)
        check_request(request, facts, profile, rules)
        known = understand(request, headers, facts, profile, rules, workspace)
        limits = limits_of(request, "max_completion_tokens", "max_tokens")
        if profile.contract is not None:
            # C Local engines: an answer ends with the window.
            limits = (*limits, ((rules.context_window or facts.max_input) - known.prompt.total, "max_tokens"))
        return Accepted(
            model=request["model"],
            blocks=known.blocks,
            line=known.settings.line,
            total=known.prompt.total,
            contract=facts.contract,
            prompt=known.prompt,
            stream=bool(request.get("stream")),
            effort=request.get("reasoning_effort"),
            speak=lambda speech: _speak(request, known, rules, speech),
            limits=limits,
        )

    def error(self, refused: Refused, request_id: str) -> bytes:
        """As `Wire`; Gemini's errors are Google's, in a list."""
        if refused.profile != "gemini":
            return super().error(refused, request_id)
        status = _GOOGLE.get(refused.status, "UNKNOWN")
        error = {"code": refused.status, "message": refused.message, "status": status}
        return json.dumps([{"error": error}], ensure_ascii=False).encode()


def _speak(request: Mapping[str, Any], known: Understood, rules: Rules, speech: Speech) -> Spoken:
    reply = replies.reply_of(request, speech.answer, speech.body, speech.bill, speech.at, known.profile, rules)
    return Spoken(
        id=reply.id,
        usage=reply.usage,
        message=replies.completion(reply),
        events=lambda: tuple(replies.events(reply)),
        dialect=replies.DIALECT,
        outputs=replies.outputs_of(reply, known.profile),
    )
