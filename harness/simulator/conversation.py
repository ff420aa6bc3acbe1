"""Reads any wire's request as a conversation: who said what, in order.

Invariant: pure, and never refuses: it looks only at requests that a wire has accepted, and skips what is not
text. On the Responses wire neighbouring items of the model are one turn, as they came from one answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Speaker = Literal["system", "user", "assistant", "tool"]
_SPEAKERS: dict[str, Speaker] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


@dataclass(frozen=True, slots=True)
class Said:
    """One message, or one run of the model's items."""

    speaker: Speaker
    """"tool" for a message that is only a tool's output."""
    texts: tuple[str, ...]
    every: tuple[str, ...]
    """Texts and results of tools in the order sent."""


def said(request: Mapping[str, Any]) -> list[Said]:
    """The conversation of a request on any wire, system and instructions left out."""
    if "input" in request and "messages" not in request:
        return list(_joined(_items(request["input"])))
    return [_message(str(message.get("role")), message.get("content")) for message in request.get("messages", ())]


def user_texts(request: Mapping[str, Any]) -> list[str]:
    """Every text of every user message, in order; tool results are not texts of the user."""
    return [text for message in said(request) if message.speaker == "user" for text in message.texts]


def last_user_text(request: Mapping[str, Any]) -> str:
    """All texts after the last turn of the model, tool results included, joined by newlines."""
    texts: list[str] = []
    messages = said(request)
    while messages and messages[0].speaker == "system":
        messages.pop(0)
    for message in reversed(messages):
        if message.speaker == "assistant":
            break
        texts[:0] = message.every
    return "\n".join(texts)


def turns_of_the_model(request: Mapping[str, Any]) -> int:
    """How many answers of the model the request carries."""
    return sum(1 for message in said(request) if message.speaker == "assistant")


def starts_with_side_mark(request: Mapping[str, Any]) -> bool:
    """The default side test: the last text of the last user message begins with "[Side request"."""
    for message in reversed(said(request)):
        if message.speaker in {"user", "tool"}:
            return bool(message.texts) and message.texts[-1].startswith("[Side request")
    return False


def _message(role: str, content: object) -> Said:
    speaker = _SPEAKERS.get(role, "user")
    parts = list(_parts(content, result=speaker == "tool"))
    texts = tuple(text for kind, text in parts if kind == "text")
    return Said(speaker, texts, tuple(text for _, text in parts))


def _parts(content: object, *, result: bool) -> Iterator[tuple[str, str]]:
    kind = "result" if result else "text"
    if isinstance(content, str):
        yield kind, content
    elif isinstance(content, list):
        for part in content:
            if not isinstance(part, Mapping):
                continue
            if part.get("type") == "tool_result":
                yield from _parts(part.get("content"), result=True)
            elif isinstance(part.get("text"), str):
                yield kind, part["text"]


def _items(given: object) -> Iterator[Said]:
    if isinstance(given, str):
        yield _message("user", given)
        return
    for item in given if isinstance(given, list) else ():
        match item.get("type", "message"):
            case "message":
                yield _message(str(item.get("role")), item.get("content"))
            case "function_call_output":
                yield _message("tool", item.get("output"))
            case "reasoning" | "function_call":
                yield Said("assistant", (), ())
            case _:
                yield Said("system", (), ())


def _joined(items: Iterator[Said]) -> Iterator[Said]:
    run: Said | None = None
    for item in items:
        if run is not None and item.speaker == run.speaker == "assistant":
            run = Said("assistant", run.texts + item.texts, run.every + item.every)
            continue
        if run is not None:
            yield run
        run = item
    if run is not None:
        yield run
