"""A session as one JSON text: the fields are documented in docs/sessions.md and versioned by `format`.

Invariant: ASCII, so that nothing in it acts on a terminal; what a vendor signed or encrypted is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from harness.audit.report import counts, hit_rate, sub_agent_json
from harness.conversation.blocks import Block, Image, Setting, Text, Thinking, ToolCall, ToolResult
from harness.sessions.figures import Figures
from harness.sessions.transcript import Billed, Delegated, EpochBegan, Item, Problem, Said

FORMAT = 1
"""Version of this form."""


def pieces(figures: Figures, items: Iterable[Item]) -> Iterator[str]:
    """The text, piece by piece."""
    yield f'{{"format": {FORMAT},\n"session": {dump(session(figures))},\n"items": ['
    between = "\n"
    for item in items:
        yield between + dump(_item(item))
        between = ",\n"
    yield "\n]}\n"


def session(figures: Figures) -> dict[str, Any]:
    """The figures of a session."""
    return {
        "id": figures.id,
        "title": figures.title,
        "cwd": figures.cwd,
        "root": figures.root,
        "created": figures.created,
        "used": figures.used,
        "model": figures.model,
        "fork_of": figures.parent or None,
        "turns": figures.turns,
        "requests": figures.requests,
        **counts(figures.usage),
        "hit_rate": hit_rate(figures.usage),
        "cost_usd": figures.cost,
        "damage": figures.problems,
    }


def dump(value: object) -> str:
    """As JSON in ASCII, on one line."""
    return json.dumps(value, ensure_ascii=True)


def _item(item: Item) -> dict[str, Any]:
    about = {"seq": item.seq, "at": item.at}
    match item:
        case Said(_, _, message, current):
            blocks = [_block(block) for block in message.blocks]
            said = {"type": "message", "speaker": message.tag, "current": current, "blocks": blocks}
            return about | said | ({"partial": True} if message.partial else {})
        case Billed():
            return about | {
                "type": "response",
                "model": item.model,
                "side": item.side,
                **counts(item.usage),
                "hit_rate": hit_rate(item.usage),
                "cost_usd": item.cost,
                "verdict": item.verdict,
                "cause": item.cause,
                "lost_tokens": item.lost,
                "lost_usd": item.price,
                "stop": item.stop,
                "response_cache": item.served.to_json() if item.served else None,
            }
        case Delegated():
            return about | {"type": "sub_agent", "path": item.path} | sub_agent_json(item.ended)
        case EpochBegan(_, _, reason, messages):
            return about | {"type": "epoch", "reason": reason, "messages": messages}
        case Problem(_, _, text):
            return about | {"type": "problem", "text": text}


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(media_type, data):
            return {"type": "image", "media_type": media_type, "data": data}
        case Thinking(text):
            return {"type": "thinking", "text": text}
        case ToolCall(id_, name, arguments):
            return {"type": "call", "id": id_, "name": name, "arguments": arguments}
        case ToolResult(call_id, content, is_error):
            parts = [_block(part) for part in content]
            return {"type": "result", "call_id": call_id, "is_error": is_error, "content": parts}
        case Setting(name, value, model):
            return {"type": "setting", "name": name, "value": value, "model": model}
