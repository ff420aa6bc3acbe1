"""The signatures that Gemini's models put on their calls, and want back with them.

Invariant: pure; a signature holds for the model, the function and the arguments that it was made for. Of one answer
only the first call is signed, and only the calls of the turn that is not over are looked at.
Source: ai.google.dev/gemini-api/docs/thought-signatures; its OpenAI endpoint's form as quoted by its users.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

from harness.simulator.records import Refused

SKIP = frozenset({"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"})
"""What stands for the signature of a call that another model made."""

_KEY = b"a pretend vendor of signed calls"


def extra_content(model: str, function: Mapping[str, Any]) -> dict[str, Any]:
    """What a signed call carries beside its function."""
    return {"google": {"thought_signature": _signature(model, function)}}


def check_signatures(messages: list[Any], model: str) -> None:
    """Refuse a call of the turn that is not over whose signature is missing or another's."""
    begin = max((place for place, message in enumerate(messages) if message["role"] == "user"), default=0)
    for place, message in enumerate(messages[begin:], start=begin):
        for call in (message.get("tool_calls") or ())[:1]:
            given = ((call.get("extra_content") or {}).get("google") or {}).get("thought_signature")
            if not given:
                raise Refused(
                    "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                    "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                    f"data, function call `default_api:{call['function']['name']}` , position {place}.",
                )
            if given not in SKIP and given != _signature(model, call["function"]):
                raise Refused("Corrupted thought signature.")


def _signature(model: str, function: Mapping[str, Any]) -> str:
    try:
        arguments = json.loads(function["arguments"])
    except ValueError:
        arguments = function["arguments"]
    signed = json.dumps([model, function["name"], arguments], sort_keys=True).encode()
    return base64.b64encode(hmac.digest(_KEY, signed, "sha256")).decode()
