"""Which items of a Responses input belong together: calls and outputs, reasoning and what came after it.

Invariant: every function_call has exactly one output somewhere after it; a reasoning item stands directly before
the item it was produced with, and that item, when it carries its id, directly after its reasoning item; no id
occurs twice.
Texts: openai/codex#8145, continuedev/continue#8933, vercel/ai#7099 and the trackers that quote the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.simulator.records import Refused
from harness.simulator.sealed import Sealed, reasoning_before, unseal


def kind_of(item: Mapping[str, Any]) -> str:
    """Type of an item; one without is a message."""
    return str(item.get("type") or "message")


def check_items(items: list[Any]) -> None:
    """Refuse what does not belong together."""
    _check_ids(items)
    _check_calls(items)
    _check_reasoning(items)


def _refused(text: str) -> Refused:
    return Refused(text, param="input")


def _check_ids(items: list[Any]) -> None:
    seen: set[str] = set()
    for item in items:
        identity = item.get("id")
        if identity is None:
            continue
        if identity in seen:
            raise _refused(
                f"Duplicate item found with id {identity}. Remove duplicate items from your input and try again."
            )
        seen.add(identity)


def _check_calls(items: list[Any]) -> None:
    waiting: dict[str, None] = {}
    for item in items:
        match kind_of(item):
            case "function_call":
                if item["call_id"] in waiting:
                    raise _refused(f"Duplicate function call found with call_id {item['call_id']}.")
                waiting[item["call_id"]] = None
            case "function_call_output":
                if item["call_id"] not in waiting:
                    raise _refused(f"No tool call found for function call output with call_id {item['call_id']}.")
                del waiting[item["call_id"]]
            case _:
                continue
    if waiting:
        raise _refused(f"No tool output found for function call {next(iter(waiting))}.")


def _check_reasoning(items: list[Any]) -> None:
    before: Sealed | None = None
    for place, item in enumerate(items):
        kind = kind_of(item)
        needed = reasoning_before(item.get("id")) if kind in {"function_call", "message"} else None
        if needed is not None and (before is None or before.id != needed):
            raise _refused(
                f"Item '{item['id']}' of type '{kind}' was provided without its required 'reasoning' item: '{needed}'."
            )
        before = None
        if kind == "reasoning":
            before = unseal(item["encrypted_content"])
            following = items[place + 1] if place + 1 < len(items) else {"type": ""}
            if not _belongs(before, following):
                raise _refused(
                    f"Item '{item.get('id') or (before.id if before else '')}' of type 'reasoning' was provided "
                    "without its required following item."
                )


def _belongs(reasoning: Sealed | None, following: Mapping[str, Any]) -> bool:
    kind = kind_of(following) if following.get("type") != "" else ""
    if kind not in {"reasoning", "function_call", "message"} or (
        kind == "message" and following.get("role") != "assistant"
    ):
        return False
    if reasoning is None:
        return True
    if reasoning.follower and reasoning.follower != kind:
        return False
    needed = reasoning_before(following.get("id"))
    return needed is None or needed == reasoning.id
