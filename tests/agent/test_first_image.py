"""The first image of a line makes the vendor key its messages anew: that miss is the vendor's, and said to be."""

from __future__ import annotations

import base64
from collections.abc import Callable

from tests.speaker import Script, Speaker

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_a_miss_through_the_first_image_is_the_vendors(speaker: Callable[..., Speaker]) -> None:
    look = {"call": "read", "input": {"path": "pixel.png"}}
    person = speaker(Script([{"text": "I look."}, look], "A pixel.", [{"text": "Again."}, look], "The same."))
    (person.project / "pixel.png").write_bytes(PIXEL)

    person.say("Look at it.")
    person.say("And again.")

    # the second request carries the first image; the third reads what the second wrote
    assert person.verdicts() == ["first", "vendor stripped", "hit", "hit"]
    assert [request.read == request.perfect_read for request in person.mainline] == [True] * 4
