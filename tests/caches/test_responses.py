"""Cached responses: which one is served, and that what is no sound entry is none, whoever meddled."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.caches.entry import opened, sealed
from harness.caches.response_key import FORMAT, Components
from harness.caches.responses import BOUNDS, COMPARED_BYTES, CachedResponse, Responses, about
from harness.caches.store import File, Store
from harness.conversation.blocks import Usage
from harness.conversation.canonical import digest, encode
from harness.seam import Seam

DAY = 86_400.0


class At(Seam):
    """A machine whose wall clock stands."""

    def __init__(self, at: float = 1_000_000.0) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


def parts(*texts: str, model: str = "m") -> Components:
    messages = tuple(("person", digest(text.encode())) for text in texts)
    return Components(
        (("wire", "anthropic"), ("model", model)),
        (("read", "d1"),),
        (("static system block", "s"), ("session system block", "t")),
        messages,
        {digest(text.encode()): text for text in texts},
    )


def entry(*texts: str, says: bytes = b"data: hi\n\n", at: float = 1_000_000.0, model: str = "m") -> CachedResponse:
    mine = parts(*texts, model=model)
    usage = Usage(3, 2)
    chunks = ((0, says), (12, b"\xff\x00"))
    return CachedResponse(mine.key, mine, chunks, usage, "end_turn", "req_1", "v/m", "S", 7, at)


@pytest.fixture
def kept(tmp_path: Path) -> Responses:
    return Responses(Store(tmp_path / "kept", At(), BOUNDS), At(), 30 * DAY)


def file_of(kept: Responses, entry: CachedResponse) -> Path:
    return kept.store.folder / entry.key[:2] / f"{entry.key}.json"


def test_what_was_kept_is_found(kept: Responses) -> None:
    kept.keep(entry("a", "b"))
    assert kept.find(parts("a", "b")) == entry("a", "b")


@pytest.mark.parametrize(("age", "said"), [(31 * DAY, "too old (31 d)"), (-3600, "from the future (1 h)")])
def test_what_is_too_old_or_too_new_is_not_given(age: float, said: str, kept: Responses) -> None:
    kept.keep(entry("a", at=1_000_000.0 - age))
    found = kept.find(parts("a"))
    assert isinstance(found, str)
    assert said in found


def test_a_miss_says_so_of_the_nearest(kept: Responses) -> None:
    assert kept.find(parts("a")) is None
    assert kept.nearest(parts("a")) == "nothing is cached yet"
    kept.keep(entry("a", "x", says=b"1"))
    kept.keep(entry("a", "b", "c", model="other"))
    kept.keep(entry("z"))
    found = kept.nearest(parts("a", "y"))
    assert found == f"message 2 (person): …y… was …x… (nearest: {entry('a', 'x').key[:12]}, of session S)"
    assert kept.nearest(parts("a", "b", "c")).startswith("model: m, was other (nearest: ")


def test_the_nearest_is_sought_in_so_many_bytes_and_further_with_each_miss(kept: Responses) -> None:
    for age, one in enumerate([entry("b"), entry("c", says=b"x" * COMPARED_BYTES), entry("a", "x")]):
        kept.keep(one)
        os.utime(file_of(kept, one), (10_000.0 - age, 10_000.0 - age))

    assert "was …x…" not in kept.nearest(parts("a", "y"))
    assert "was …x…" in kept.nearest(parts("a", "y"))  # those that were read before count no more


class Unlisted(Store):
    """A store that must not be listed."""

    def files(self, begins: str = "") -> list[File]:
        raise AssertionError(f"the files that begin with {begins!r} were listed")


def test_a_look_up_takes_as_long_however_many_there_are(kept: Responses) -> None:
    kept.keep(entry("a"))
    unlisted = Responses(Unlisted(kept.store.folder, At(), BOUNDS), At(), DAY)
    assert unlisted.find(parts("b")) is None
    assert unlisted.find(parts("a")) == entry("a")


def test_what_another_process_kept_meanwhile_differs_in_nothing(kept: Responses) -> None:
    kept.keep(entry("a"))
    assert kept.nearest(parts("a")).startswith("it came only now (nearest: ")


HOSTILE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "no fields": lambda _: {},
    "other components": lambda data: data | {"components": parts("b").to_json()},
    "components of another kind": lambda data: data | {"components": {"about": 1}},
    "a component that is no string": lambda data: data | {"components": data["components"] | {"about": [["a", 1]]}},
    "chunks of another kind": lambda data: data | {"chunks": [["0", "x"]]},
    "chunks beyond bytes": lambda data: data | {"chunks": [[0, "\u2028"]]},
    "a negative offset": lambda data: data | {"chunks": [[-1, ""]]},
    "usage of another kind": lambda data: data | {"usage": {"uncached": "many"}},
    "usage below nothing": lambda data: data | {"usage": data["usage"] | {"read": -5}},
    "usage of unknown names": lambda data: data | {"usage": {"tokens": 5}},
    "a refusal": lambda data: data | {"stop": "refusal"},
    "an answer that was cut short": lambda data: data | {"stop": "max_tokens"},
    "a time that is none": lambda data: data | {"at": "yesterday"},
    "a time beyond all numbers": lambda data: data | {"at": 10**400},
    "texts that are none": lambda data: data | {"texts": [1]},
}
"""Each made by somebody who knows how an entry is sealed."""


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_entry_is_a_miss_that_says_so(what: str, kept: Responses) -> None:
    kept.keep(entry("a"))
    path = file_of(kept, entry("a"))
    path.write_bytes(sealed(FORMAT, HOSTILE[what](opened(FORMAT, path.read_bytes()))))

    found = kept.find(parts("a"))
    assert isinstance(found, str)
    assert "is damaged: " in found
    assert [type(told) for _, told in kept.store.told(about)] == [str]
    # and it is no hindrance: neither to what is kept instead, nor as a neighbour
    assert kept.find(parts("b")) is None
    assert kept.nearest(parts("b")) == "nothing is cached yet"
    kept.keep(entry("a"))
    assert kept.find(parts("a")) == entry("a")


def test_an_entry_with_one_wrong_bit_is_a_miss(kept: Responses) -> None:
    kept.keep(entry("a"))
    path = file_of(kept, entry("a"))
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert "is damaged: " in str(kept.find(parts("a"))), whole[at : at + 20]


RAW = {
    "empty": b"",
    "no object": b"[]",
    "a number": b"17",
    "no entry": b"{}",
    "another format": sealed(FORMAT + 1, {}),
    "cut": encode({"format": FORMAT})[:-3],
    "pickle": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.",
    "deep": b"[" * 200_000,
    "not UTF-8": b'{"format":"\xff"}',
    "NaN": b'{"format":NaN}',
    "huge number": b'{"format":' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("what", RAW)
def test_bytes_that_are_no_entry(what: str, kept: Responses) -> None:
    kept.keep(entry("a"))
    file_of(kept, entry("a")).write_bytes(RAW[what])
    assert "is damaged" in str(kept.find(parts("a")))


def test_entries_are_json_that_anybody_can_read(kept: Responses) -> None:
    kept.keep(replace(entry("a"), session="S-1"))
    data = json.loads(file_of(kept, entry("a")).read_text("utf-8"))
    assert data["session"] == "S-1"
    assert data["chunks"] == [[0, "data: hi\n\n"], [12, "\u00ff\u0000"]]
