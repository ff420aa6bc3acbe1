"""What a one-shot run prints as JSON: a line for each event, and the result.

Invariant: the same facts as the text form; every field is documented in docs/output.md, and `format` counts the forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.app import App
from harness.audit.report import counts, hit_rate, sub_agent_json
from harness.conversation.events import (
    Event,
    Notice,
    Progress,
    RequestSent,
    ResponseDone,
    Retrying,
    SubAgentDone,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
    TurnEnded,
)

FORMAT = 1
"""Version of the JSON forms."""

_NAMES: dict[type[Any], str] = {
    RequestSent: "request",
    TextDelta: "text",
    ThinkingDelta: "thinking",
    ResponseDone: "response",
    Retrying: "retry",
    ToolStarted: "tool_started",
    ToolFinished: "tool_finished",
    Progress: "progress",
    SubAgentDone: "sub_agent",
    Notice: "notice",
    TurnEnded: "turn_ended",
}


def start(app: App) -> dict[str, Any]:
    """The first line of a stream."""
    return {"type": "start", "format": FORMAT, "session": app.session.journal.id, "model": app.model.id}


def line(event: Event) -> dict[str, Any]:
    """The line of an event."""
    match event:
        case ResponseDone():
            fields = _response(event)
        case SubAgentDone():
            fields = sub_agent_json(event)
        case _:
            fields = asdict(event)
    return {"type": _NAMES[type(event)], **fields}


def result(
    app: App, end: TurnEnded, code: int, responses: Sequence[ResponseDone], missed: str, *, resumable: bool
) -> dict[str, Any]:
    """What became of the run.

    Args:
        missed: how the cache target was missed; "" where it was not.
        resumable: whether another run can go on where this one was cut off.
    """
    totals = app.session.totals
    return {
        "format": FORMAT,
        "type": "result",
        "reason": end.reason,
        "detail": end.detail,
        "exit_code": code,
        "answer": end.text,
        "session": app.session.journal.id,
        "resumable": resumable,
        "model": app.model.id,
        "requests": [_response(event) for event in responses],
        "totals": {
            "requests": totals.requests,
            "response_cache_hits": totals.served,
            **counts(totals.usage),
            "hit_rate": hit_rate(totals.usage),
            "cost_usd": totals.cost,
        },
        "cache_missed": missed,
    }


def _response(event: ResponseDone) -> dict[str, Any]:
    return {
        "number": event.number,
        "model": event.model,
        **counts(event.usage),
        "hit_rate": hit_rate(event.usage),
        "cost_usd": event.cost,
        "verdict": event.verdict,
        "cause": event.cause,
        "lost_tokens": event.lost,
        "lost_usd": event.lost_usd,
        "stop": event.stop,
        "response_cache": dict(event.response_cache) or None,
    }
