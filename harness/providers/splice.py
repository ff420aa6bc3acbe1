"""Stored bytes to a body: where a marker goes into a fragment, and how fragments become a request.

Invariant: nothing is serialised here but settings; a marker is spliced in at the place that was noted when the fragment
was made, and taking it out again gives the fragment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from harness.conversation.canonical import Json, encode
from harness.conversation.request import Fragment, Marker, Request

Control = Callable[[Marker], bytes]
"""The bytes of a marker: a key, its value and a comma."""

Envelope = Callable[[str, tuple[bytes, ...]], bytes]
"""Joins the fragments of one message, given its role."""

FIRST = 1
"""Where a key goes that sorts before every other key of its object."""


def last_part(head: bytes, parts: Sequence[bytes], tail: bytes, at: int = FIRST) -> Fragment:
    """An item with content parts, of which the last one can carry a marker.

    Args:
        at: where in that part a marker's key goes.
    """
    before = head + b",".join([*parts[:-1], b""])
    return Fragment(before + parts[-1] + tail, len(before) + at)


def marked(fragment: Fragment, control: bytes) -> bytes:
    """A fragment with a marker in it."""
    at = fragment.marker_at
    return fragment.wire[:at] + control + fragment.wire[at:]


def placed(request: Request, control: Control, envelope: Envelope) -> tuple[list[bytes], list[bytes]]:
    """The system blocks and the messages of a request, with its markers in them."""
    system = [request.prefix.static, request.prefix.session]
    messages = [message.wire for message in request.messages]
    by_message: dict[int, list[Marker]] = {}
    for marker in request.markers:
        if marker.message < 0:
            system[marker.block] = marked(Fragment(system[marker.block], FIRST), control(marker))
        else:
            by_message.setdefault(marker.message, []).append(marker)
    for index, markers in by_message.items():
        fragments = request.messages[index].fragments
        blocks = [fragment.wire for fragment in fragments]
        for marker in markers:
            blocks[marker.block] = marked(fragments[marker.block], control(marker))
        messages[index] = envelope(request.messages[index].role, tuple(blocks))
    # a message of which this model gets nothing is no message
    return system, [wire for wire in messages if wire]


def body_of(fixed: Mapping[str, tuple[bytes, ...]], settings: Mapping[str, Json]) -> bytes:
    """A JSON object of fields whose values are pieces of bytes, and of settings; keys in order."""
    parts: dict[str, tuple[bytes, ...]] = {name: (encode(value),) for name, value in settings.items()}
    parts |= fixed
    pieces = [b"{"]
    for name in sorted(parts):
        # one join over all pieces: megabytes of messages are copied as seldom as can be
        pieces += (b'"' if len(pieces) == 1 else b',"', name.encode("ascii"), b'":', *parts[name])
    return b"".join([*pieces, b"}"])


def joined(_role: str, blocks: tuple[bytes, ...]) -> bytes:
    """The envelope of a wire whose fragments are whole items already."""
    return b",".join(blocks)


def key_place(part: bytes, key: bytes) -> int:
    """Where in a part (an object of one or two texts and its "type") a key goes, so that keys stay in order."""
    if part.startswith(b'{"text"') or key < b'"i':
        return FIRST
    return part.rindex(b'"type":')
