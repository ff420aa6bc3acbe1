"""The frozen prefix: tools, static system block, session system block, as bytes, assembled once.

Invariant: equal inputs give equal bytes; the result is journaled as sent and never assembled again within an epoch, so
a resume, a new day, another model or a newer version of the program sends the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.conversation.blobs import Blobs
from harness.conversation.canonical import Json, digest, encode
from harness.conversation.request import FrozenPrefix
from harness.conversation.stored import fetch, keep
from harness.prompt.layers import Layer, session_text


def assemble(tools: Sequence[Mapping[str, Json]], static: str, session: str | Sequence[Layer]) -> FrozenPrefix:
    """Freeze definitions and texts.

    Args:
        tools: {"name", "description", "input_schema"} each; sorted by name here, in whatever order they come.
        session: the text of the session block, or what it is made of, which is then journaled with it.
    """
    fragments = tuple(encode(dict(tool)) for tool in sorted(tools, key=lambda tool: str(tool["name"])))
    if isinstance(session, str):
        return FrozenPrefix.chained(fragments, _text(static), _text(session))
    made = FrozenPrefix.chained(fragments, _text(static), _text(session_text(session)))
    return replace(made, layers=tuple((layer.title, layer.text) for layer in session))


def write_prefix(prefix: FrozenPrefix, blobs: Blobs) -> dict[str, Json]:
    """The journal form: the very bytes that are sent, the digest of each, and what the session block was made of."""
    layers = [[title, keep(text, blobs)] for title, text in prefix.layers]
    fragments = (*prefix.tools, prefix.static, prefix.session)
    return (
        {"digests": [digest(fragment)[:16] for fragment in fragments]}
        | ({"layers": layers} if layers else {})
        | {
            "tools": [keep(fragment.decode("utf-8"), blobs) for fragment in prefix.tools],
            "static": keep(prefix.static.decode("utf-8"), blobs),
            "session": keep(prefix.session.decode("utf-8"), blobs),
        }
    )


def read_prefix(data: Mapping[str, Json], blobs: Blobs) -> FrozenPrefix:
    """The prefix of its journal form."""
    tools = tuple(fetch(fragment, blobs).encode("utf-8") for fragment in data["tools"])
    static, session = (fetch(data[name], blobs).encode("utf-8") for name in ("static", "session"))
    layers = tuple((title, fetch(text, blobs)) for title, text in data.get("layers", ()))
    return replace(FrozenPrefix.chained(tools, static, session), layers=layers)


def _text(text: str) -> bytes:
    return encode({"text": text, "type": "text"})
