"""The order of roles on the Chat Completions wire: calls and outputs, system messages, alternation, reasoning.

Invariant: every call of an assistant message is answered by the tool messages directly after it, and every tool
message answers such a call.
Texts: openai, as quoted in router-for-me/CLIProxyAPI#2798 and others; DeepSeek, earendil-works/pi#3636; the chat
templates of public models (section C).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from harness.simulator.openai_fields import typed
from harness.simulator.openai_models import Profile
from harness.simulator.records import Refused
from harness.simulator.rules import Rules
from harness.simulator.thought_signatures import check_signatures

# Ends the id of a call that came with reasoning (DeepSeek: it has to come back).
REASONED = "r"
_SYSTEM = ("system", "developer")


def check_order(messages: list[Any], request: Mapping[str, Any], profile: Profile, rules: Rules) -> None:
    """Refuse what may not stand where it stands."""
    _check_calls(messages)
    if not profile.mid_system:
        for place, message in enumerate(messages):
            if place and message["role"] in _SYSTEM:
                # C SGLang, vLLM.
                raise Refused("System message must be at the beginning.", param=f"messages.[{place}].role")
    if not profile.user_after_tools:
        for place, (before, message) in enumerate(pairwise(messages), start=1):
            if (before["role"], message["role"]) == ("tool", "user"):
                raise Refused("Unexpected role 'user' after role 'tool'", param=f"messages.[{place}].role")
    if rules.strict_alternation:
        _check_alternation(messages)
    if profile.echo == "signature":
        check_signatures(messages, str(request["model"]))
        return
    _check_echo(messages, request, profile, rules)


def _check_calls(messages: list[Any]) -> None:
    waiting: list[str] = []
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                raise Refused(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    param=f"messages.[{place}].role",
                )
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            raise _unanswered(waiting, place)
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
    if waiting:
        raise _unanswered(waiting, len(messages))


def _unanswered(waiting: list[str], place: int) -> Refused:
    return Refused(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(waiting)}",
        param=f"messages.[{place}].role",
    )


def _check_alternation(messages: list[Any]) -> None:
    """As common chat templates do it; calls and their outputs do not count."""
    rest = messages[1:] if messages[0]["role"] in _SYSTEM else messages
    counted = [message["role"] for message in rest if message["role"] != "tool" and not message.get("tool_calls")]
    for place, role in enumerate(counted):
        if (role == "user") != (place % 2 == 0):
            raise Refused("Conversation roles must alternate user/assistant/user/assistant/...")


def _check_echo(messages: list[Any], request: Mapping[str, Any], profile: Profile, rules: Rules) -> None:
    """DeepSeek's thinking mode: reasoning_content comes back with the calls that it led to."""
    wanted = profile.echo if rules.reasoning_echo == "profile" else rules.reasoning_echo
    if wanted == "free" or typed("thinking", request.get("thinking") or {}, dict).get("type") == "disabled":
        return
    for message in messages:
        echoed = isinstance(message.get("reasoning_content"), str)
        calls = message.get("tool_calls") or ()
        if wanted == "forbidden" and echoed:
            raise Refused("The reasoning_content must not be passed back to the API.", code="invalid_request_error")
        due = wanted == "all" or any(len(call["id"]) == 32 and call["id"].endswith(REASONED) for call in calls)
        if wanted != "forbidden" and calls and due and not echoed:
            raise Refused(
                "The `reasoning_content` in the thinking mode must be passed back to the API.",
                code="invalid_request_error",
            )
