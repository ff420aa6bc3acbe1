"""Messages and their journal form: the two directions, and nothing else.

Invariant: `read(write(message)) == message`; large payloads are blobs, so a journal line stays small.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.conversation.blobs import BLOB_FROM, Blobs
from harness.conversation.blocks import Block, Image, Message, Setting, Text, Thinking, ToolCall, ToolResult, Usage
from harness.conversation.canonical import Json, decode, encode
from harness.conversation.events import SubAgentDone


def write_message(message: Message, blobs: Blobs) -> dict[str, Json]:
    """The JSON of a message record."""
    data: dict[str, Json] = {"tag": message.tag, "blocks": [write_block(block, blobs) for block in message.blocks]}
    if message.partial:
        data["partial"] = True
    return data


def read_message(data: Mapping[str, Json], blobs: Blobs) -> Message:
    """The message of a record."""
    blocks = tuple(read_block(block, blobs) for block in data["blocks"])
    return Message(data["tag"], blocks, bool(data.get("partial")))


def write_block(block: Block, blobs: Blobs) -> dict[str, Json]:
    """The JSON of one block; its `is` names the kind."""
    match block:
        case Text(text, phase):
            said: dict[str, Json] = {"is": "text", "text": keep(text, blobs)}
            return said | {"phase": phase} if phase else said
        case Image(media_type, data):
            return {"is": "image", "media_type": media_type, "data": keep(data, blobs)}
        case Thinking(text, signature, maker, redacted, item):
            thinking: dict[str, Json] = {
                "is": "thinking",
                "text": keep(text, blobs),
                "signature": signature,
                "maker": maker,
                "redacted": redacted,
            }
            return thinking | {"item": keep(item, blobs)} if item else thinking
        case ToolCall(id_, name, arguments, invalid):
            kept = keep_json(arguments, blobs)
            return {"is": "call", "id": id_, "name": name, "arguments": kept, "invalid": invalid}
        case ToolResult(call_id, content, is_error):
            parts = [write_block(part, blobs) for part in content]
            return {"is": "result", "call_id": call_id, "content": parts, "is_error": is_error}
        case Setting(name, value, model):
            return {"is": "setting", "name": name, "value": value, "model": model}


def read_block(data: Mapping[str, Json], blobs: Blobs) -> Block:
    """The block of its JSON."""
    match data["is"]:
        case "text":
            return Text(fetch(data["text"], blobs), data.get("phase", ""))
        case "image":
            return Image(data["media_type"], fetch(data["data"], blobs))
        case "thinking":
            item = fetch(data.get("item", ""), blobs)
            return Thinking(fetch(data["text"], blobs), data["signature"], data["maker"], data["redacted"], item)
        case "call":
            return ToolCall(data["id"], data["name"], fetch_json(data["arguments"], blobs), data["invalid"])
        case "result":
            parts = tuple(read_block(part, blobs) for part in data["content"])
            content = tuple(part for part in parts if isinstance(part, Text | Image))
            return ToolResult(data["call_id"], content, data["is_error"])
        case "setting":
            return Setting(data["name"], data["value"], data["model"])
        case other:
            raise ValueError(f"unknown block {other!r}")


def keep(text: str, blobs: Blobs) -> Json:
    """The text itself, or a reference to its blob where it is large."""
    raw = text.encode("utf-8")
    return text if len(raw) < BLOB_FROM else {"blob": blobs.put(raw)}


def fetch(kept: Json, blobs: Blobs) -> str:
    """What `keep` kept."""
    return kept if isinstance(kept, str) else blobs.get(kept["blob"]).decode("utf-8")


def keep_json(value: dict[str, Json], blobs: Blobs) -> Json:
    """A JSON object as its text, kept; as text because a key order or a `blob` key of the model's own must survive."""
    return keep(encode(value).decode("utf-8"), blobs)


def fetch_json(kept: Json, blobs: Blobs) -> dict[str, Json]:
    """What `keep_json` kept."""
    value: dict[str, Any] = decode(fetch(kept, blobs))
    return value


_USAGE = {"written_5m": "written_short", "written_1h": "written_long"}
"""The journal has the names of Anthropic's TTLs, whichever the vendor's shorter and longer ones are."""


def write_usage(usage: Usage) -> dict[str, int]:
    """The JSON of billed usage."""
    return {
        "uncached": usage.uncached,
        "read": usage.read,
        "written_5m": usage.written_short,
        "written_1h": usage.written_long,
        "output": usage.output,
    }


def read_sub_agent(data: Mapping[str, Json]) -> SubAgentDone:
    """The sub-agent of a `subagent` record: its session is the record's `child`."""
    first: Mapping[str, Json] = data["first"]
    return SubAgentDone(
        call_id=str(data["call_id"]),
        session=str(data["child"]),
        skill=str(data["skill"]),
        context=str(data["context"]),
        model=str(data["model"]),
        end=str(data["end"]),
        requests=int(data["requests"]),
        usage=read_usage(data["usage"]),
        cost=data["cost"],
        first_read=first["read"],
        expected=first["expected"],
    )


def read_usage(data: Mapping[str, int]) -> Usage:
    """Usage of its JSON."""
    return Usage(**{_USAGE.get(name, name): tokens for name, tokens in data.items()})
