"""Which tool results may follow which tool calls.

Invariant: every call of an assistant turn has exactly one result, and the results are the first blocks of the
next user turn. Consecutive messages of one role are one turn, as the vendor combines them
(platform.claude.com/docs/en/api/messages).
Texts are the vendor's as quoted in public reports (A6 texts, and the orphan rows of public trackers).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.simulator.records import Refused
from harness.simulator.signatures import THINKING_KINDS


@dataclass(slots=True)
class _Turn:
    role: str
    first: int
    """Index of its first message."""
    parts: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    """(message, content index, block); a text given as a string is a text block."""
    last: int = 0


def check_pairs(messages: list[Any]) -> None:
    """Refuse orphan calls, orphan, repeated or late results, repeated ids, and thinking that ends a turn."""
    turns = list(_turns(messages))
    seen: set[str] = set()
    for place, turn in enumerate(turns):
        if turn.role == "assistant":
            calls = _calls(turn, seen)
            if calls and place + 1 < len(turns):
                _check_answered(calls, turn, turns[place + 1])
            elif calls:
                raise Refused(_orphans(turn, list(calls)))
        elif turn.role == "user":
            before = turns[place - 1] if place else None
            _check_results(turn, before)


def _turns(messages: list[Any]) -> Iterator[_Turn]:
    turn: _Turn | None = None
    for place, message in enumerate(messages):
        if turn is None or turn.role != message["role"]:
            if turn is not None:
                yield turn
            turn = _Turn(message["role"], place)
        turn.last = place
        content = message["content"]
        if isinstance(content, str):
            turn.parts.append((place, 0, {"type": "text", "text": content}))
        else:
            turn.parts.extend((place, index, block) for index, block in enumerate(content))
    if turn is not None:
        yield turn


def _calls(turn: _Turn, seen: set[str]) -> dict[str, int]:
    """Ids of the calls of an assistant turn, with the message each stands in."""
    calls: dict[str, int] = {}
    for message, index, block in turn.parts:
        if block["type"] == "tool_use":
            if block["id"] in seen:
                raise Refused(f"messages.{message}.content.{index}: `tool_use` ids must be unique")
            seen.add(block["id"])
            calls[block["id"]] = message
    if turn.parts and turn.parts[-1][2]["type"] in THINKING_KINDS:
        raise Refused(f"messages.{turn.last}: The final block in an assistant message cannot be `thinking`.")
    return calls


def _check_answered(calls: dict[str, int], turn: _Turn, following: _Turn) -> None:
    answered: set[str] = set()
    for _, _, block in following.parts:
        if block["type"] != "tool_result":
            break
        answered.add(block["tool_use_id"])
    missing = [call for call in calls if call not in answered]
    if missing:
        raise Refused(_orphans(turn, missing, calls[missing[0]]))


def _orphans(turn: _Turn, ids: list[str], message: int | None = None) -> str:
    where = turn.last if message is None else message
    return (
        f"messages.{where}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(ids)}. "
        "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )


def _check_results(turn: _Turn, before: _Turn | None) -> None:
    calls: set[str] = set()
    if before is not None and before.role == "assistant":
        calls = {block["id"] for _, _, block in before.parts if block["type"] == "tool_use"}
    answered: set[str] = set()
    for message, index, block in turn.parts:
        if block["type"] != "tool_result":
            continue
        call = block["tool_use_id"]
        where = f"messages.{message}.content.{index}"
        if call not in calls:
            raise Refused(
                f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {call}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        if call in answered:
            raise Refused(
                f"{where}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {call}"
            )
        answered.add(call)
