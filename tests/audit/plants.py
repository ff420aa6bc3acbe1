"""Plants a bug of ours in a running session: what is in memory is no longer what was sent.

Invariant: the journal is left alone, as such a bug would leave it; everything else is the real program.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from harness.conversation.request import Fragment, FrozenPrefix
from harness.prompt.projection import Projection
from tests.speaker import Speaker

Rewrite = Callable[[Any], Any]
"""Gives a block's JSON value as the bug would send it."""


def same(value: Any) -> Any:
    return value


def plant(person: Speaker, *, tool: Rewrite = same, static: Rewrite = same, message: Rewrite = same) -> None:
    """The last tool, the static system block or the last block of the second message as rewritten, from now on."""
    plant_message(person, 1, message, tool, static)


def plant_message(person: Speaker, at: int, message: Rewrite, tool: Rewrite = same, static: Rewrite = same) -> None:
    """As `plant`, for the message with that index."""
    session, channel = person.app.session, person.app.agent.channel
    sent = session.project(channel.model.id, channel.provider)
    old = sent.prefix
    tools = (*old.tools[:-1], rewritten(old.tools[-1], tool))
    prefix = FrozenPrefix.chained(tools, rewritten(old.static, static), old.session)
    planted = Projection(prefix, channel.provider.envelope)
    for index, (entry, rendered) in enumerate(zip(session.history.entries, sent.messages, strict=False)):
        fragments = rendered.fragments
        if index == at:
            *before, last = fragments
            wire = rewritten(last.wire, message)
            fragments = (*before, last if wire == last.wire else Fragment(wire))
        planted.add(entry.seq, entry.message, fragments)
    session.projections._projections[channel.model.id] = planted


def rewritten(raw: bytes, rewrite: Rewrite) -> bytes:
    """The same bytes where nothing is rewritten."""
    value = json.loads(raw)
    changed = rewrite(json.loads(raw))
    if changed == value and list(walk(changed)) == list(walk(value)):
        return raw
    return json.dumps(changed, separators=(",", ":"), ensure_ascii=False).encode()


def walk(value: Any) -> list[Any]:
    """Keys in their order, at all depths."""
    match value:
        case dict():
            return [part for key, inner in value.items() for part in (key, *walk(inner))]
        case list():
            return [part for inner in value for part in walk(inner)]
        case _:
            return []


def schema_of(tool: dict[str, Any]) -> dict[str, Any]:
    """Where a tool's schema stands on each wire."""
    function = tool.get("function", tool)
    found: dict[str, Any] = function.get("input_schema") or function["parameters"]
    return found


def changed_tool(tool: Any) -> Any:
    schema_of(tool)["properties"]["extra"] = {"type": "string"}
    return tool


def reordered_schema(tool: Any) -> Any:
    properties = schema_of(tool)["properties"]
    schema_of(tool)["properties"] = dict(reversed(properties.items()))
    return tool


def edited_text(block: Any) -> Any:
    """The text of a block, a message item or a part, with a word before it."""
    if isinstance(block.get("content"), list):
        block["content"][-1]["text"] = "edited " + block["content"][-1]["text"]
    else:
        block["text"] = "edited " + block["text"]
    return block


def string_for_list(block: Any) -> Any:
    """A text where a list of one text was."""
    block["content"] = block["content"][0]["text"]
    return block
