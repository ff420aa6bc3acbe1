"""The frozen prefix: tools, static system block, session system block, as bytes, assembled once.

Invariant: equal inputs give equal bytes; the result is journaled as sent and never assembled again within an epoch, so
a resume, a new day, another model or a newer version of the program sends the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.conversation.canonical import Json, encode
from harness.conversation.journal import Blobs
from harness.conversation.request import FrozenPrefix
from harness.conversation.stored import fetch, keep


def assemble(tools: Sequence[Mapping[str, Json]], static: str, session: str) -> FrozenPrefix:
    """Freeze definitions and texts.

    Args:
        tools: {"name", "description", "input_schema"} each; sorted by name here, in whatever order they come.
    """
    fragments = tuple(encode(dict(tool)) for tool in sorted(tools, key=lambda tool: str(tool["name"])))
    return FrozenPrefix.chained(fragments, _text(static), _text(session))


def write_prefix(prefix: FrozenPrefix, blobs: Blobs) -> dict[str, Json]:
    """The journal form: the very bytes that are sent."""
    return {
        "tools": [keep(fragment.decode("utf-8"), blobs) for fragment in prefix.tools],
        "static": keep(prefix.static.decode("utf-8"), blobs),
        "session": keep(prefix.session.decode("utf-8"), blobs),
    }


def read_prefix(data: Mapping[str, Json], blobs: Blobs) -> FrozenPrefix:
    """The prefix of its journal form."""
    tools = tuple(fetch(fragment, blobs).encode("utf-8") for fragment in data["tools"])
    static, session = (fetch(data[name], blobs).encode("utf-8") for name in ("static", "session"))
    return FrozenPrefix.chained(tools, static, session)


def _text(text: str) -> bytes:
    return encode({"text": text, "type": "text"})
