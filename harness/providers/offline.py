"""The forms of all wires without their networks: what a request would be, and what an answer was.

Invariant: imports no SDK and opens nothing; each form is the very functions that the wire itself is made of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from harness.conversation.blocks import Message, Tag
from harness.conversation.request import Fragment, FrozenPrefix, Request
from harness.providers import anthropic_wire, openai_chat_stream, openai_chat_wire, openai_responses_wire
from harness.providers.base import Decodes
from harness.providers.facts import Model
from harness.providers.splice import joined

Render = Callable[[Sequence[Message], Tag | None], Sequence[tuple[Fragment, ...]]]


@dataclass(frozen=True, slots=True)
class Form:
    """How one model is spoken to; see `Provider` for its parts."""

    prefix: Callable[[FrozenPrefix], FrozenPrefix]
    render: Render
    envelope: Callable[[str, tuple[bytes, ...]], bytes]
    body: Callable[[Request], bytes]
    decoder: Callable[[], Decodes]


def form(model: Model) -> Form:
    """The form of a model's wire."""
    profile = model.profile
    if model.wire == "anthropic":
        wire = anthropic_wire
        return Form(
            lambda frozen: frozen,
            lambda batch, after: wire.batch(batch, model.id, after),
            wire.envelope,
            wire.body,
            partial(wire.Decoder, model.id),
        )
    if profile is None:
        responses = openai_responses_wire
        return Form(
            responses.prefix,
            lambda batch, _: [responses.render(message, model.id) for message in batch],
            joined,
            responses.body,
            partial(responses.Decoder, model.id),
        )
    return Form(
        openai_chat_wire.prefix,
        openai_chat_wire.Renderer(model.id, profile, model.images).render,
        joined,
        lambda request: openai_chat_wire.body(request, profile),
        partial(openai_chat_stream.Decoder, model.id, profile),
    )


_BREAK = re.compile(rb"\r\n|\r|\n")


def events(raw: bytes) -> Iterator[str]:
    """The data of each event of a recorded stream that says something; a last event without its end is none.

    Raises:
        UnicodeDecodeError: a line is not UTF-8; the events before it were given.
    """
    name, data = "", list[str]()
    for encoded in _BREAK.split(raw)[:-1]:
        line = encoded.decode("utf-8")
        field, _, value = line.partition(":")
        if line == "":
            if data and name != "ping" and (text := "\n".join(data)):
                yield text
            name, data = "", []
        elif field == "event":
            name = value.removeprefix(" ")
        elif field == "data":
            data.append(value.removeprefix(" "))
