"""A model's tool call, from what it streamed. Arguments that are no JSON object are never guessed at.

Invariant: what does not parse is kept, quoted, and marked so that it cannot run; name and id, which come back with
every later request, are of a form that every vendor takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from harness.conversation.blocks import ToolCall
from harness.conversation.canonical import Json, clean, clean_json, decode, encode

DEEPEST = 100
"""Levels of nesting in arguments: far more than any tool takes, far less than any parser's limit."""

_WORD = re.compile("[a-zA-Z0-9_-]{1,128}")
_NO_WORD = re.compile("[^a-zA-Z0-9_-]")


def parse_call(call_id: str, name: str, raw: str, given: Json = None) -> ToolCall:
    """The call.

    Args:
        call_id: as the vendor gave it; one that it would not take back becomes "".
        raw: the text of its arguments; empty for none.
        given: arguments that came as a value already, used where there is no text.
    """
    call = ToolCall(call_id if _WORD.fullmatch(call_id) else "", name, {})
    if not _WORD.fullmatch(name):
        call = replace(
            call, name=_NO_WORD.sub("_", name)[:128] or "unnamed", invalid=f"there is no tool {clean(name[:128])!r}"
        )
    if not raw.strip():
        return replace(call, arguments=clean_json(given)) if isinstance(given, dict) else call
    try:
        value = decode(raw)
        problem = _problem(value)
    except (ValueError, RecursionError) as error:
        problem = f"the arguments are not valid JSON: {error}"
    if problem:
        return replace(call, arguments={"invalid_json": raw}, invalid=call.invalid or problem)
    return replace(call, arguments=clean_json(value))


def _problem(value: Json) -> str:
    """Why a parsed value is no arguments; "" where it is.

    Raises:
        ValueError: a number that is too large for JSON.
    """
    if not isinstance(value, dict):
        return f"the arguments must be a JSON object, not {type(value).__name__}"
    level: list[Json] = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            encode(clean_json(value))  # 1e999 is infinite only once it was parsed
            return ""
    return f"the arguments are nested deeper than {DEEPEST} levels"


def _inside(value: Json) -> Iterable[Json]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
