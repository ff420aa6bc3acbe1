"""Cached tool outputs: what makes a key, for how long, and what the model and the journal are told."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.caches.entry import opened, sealed
from harness.caches.store import About, Store
from harness.caches.tool_outputs import BOUNDS, CALLER, FORMAT, Loaded, Lookup, Policy, Served, ToolOutputs, about
from harness.conversation.canonical import Json
from harness.errors import WebFailed
from harness.seam import Seam


class Clock(Seam):
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def now(self) -> float:
        return self.time


class Source:
    """What is looked up: a new number each time, or a failure."""

    def __init__(self) -> None:
        self.count = 0
        self.failure: WebFailed | None = None
        self.unkept = ""

    async def __call__(self) -> Loaded:
        if self.failure is not None:
            raise self.failure
        self.count += 1
        return Loaded({"number": self.count}, self.unkept)


LOOKUP = Lookup(
    tool="web_fetch",
    version=1,
    arguments={"url": "https://a.test/"},
    identity={"accept": "x"},
    form={"number": 0},
    host="a.test",
    shown="https://a.test/",
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Source:
    return Source()


def cache(folder: Path, clock: Seam, **policy: Any) -> ToolOutputs:
    store = Store(folder, clock, BOUNDS)
    return ToolOutputs(Policy(**policy), lambda: store, clock)


def ask(
    outputs: ToolOutputs,
    source: Source,
    lookup: Lookup = LOOKUP,
    caller: tuple[str, str] = ("s1", "c1"),
    *,
    fresh: bool = False,
) -> Served:
    async def once() -> Served:
        CALLER.set(caller)
        return await outputs.through(lookup, source, fresh=fresh)

    return asyncio.run(once())


def facts(served: Served) -> dict[str, Json]:
    found: dict[str, Json] = served.facts["cache"]
    return found


def test_a_hit_says_its_age_and_where_it_came_from(tmp_path: Path, clock: Clock, source: Source) -> None:
    first = ask(cache(tmp_path, clock), source)
    clock.time += 600
    second = ask(cache(tmp_path, clock), source, caller=("s2", "c9"))

    assert (first.value, first.note) == ({"number": 1}, "")
    assert (facts(first)["how"], facts(first)["cause"]) == ("stored", "nothing is cached of it")
    assert second.value == {"number": 1}
    assert second.note == "from the cache: 10 min old; fresh: true asks again"
    assert facts(second) == {
        "how": "hit",
        "tool": "web_fetch",
        "key": LOOKUP.key,
        "scope": "user",
        "shown": "https://a.test/",
        "age": 600.0,
        "origin": {"session": "s1", "call": "c1", "at": 1_000_000.0},
    }


def test_each_part_of_the_question_is_in_the_key() -> None:
    others = [
        replace(LOOKUP, tool="web_search"),
        replace(LOOKUP, version=2),
        replace(LOOKUP, arguments={"url": "https://a.test/x"}),
        replace(LOOKUP, arguments={"url": "https://a.test/", "more": 1}),
        replace(LOOKUP, identity={"accept": "y"}),
        replace(LOOKUP, identity={}),
    ]
    assert len({LOOKUP.key, *(one.key for one in others)}) == 7
    assert replace(LOOKUP, shown="other", host="other").key == LOOKUP.key


def test_tiers_by_tool_and_host(tmp_path: Path, clock: Clock, source: Source) -> None:
    tiers = {"web_fetch": 60.0, "web_fetch:a.test": 600.0, "web_fetch:never.test": 0.0}
    outputs = cache(tmp_path, clock, tiers=tiers)
    other, never = (replace(LOOKUP, arguments={"url": host}, host=host) for host in ("b.test", "never.test"))
    for lookup in (LOOKUP, other, never):
        ask(outputs, source, lookup)
    clock.time += 100

    assert ask(outputs, source).note
    assert not ask(outputs, source, other).note
    assert not ask(outputs, source, never).facts
    # a tool that nobody gave a time keeps nothing
    assert not ask(outputs, source, replace(LOOKUP, tool="shell")).facts


def test_off_and_a_scope_that_others_read(tmp_path: Path, clock: Clock, source: Source) -> None:
    for outputs in (cache(tmp_path, clock, scope="off"), cache(tmp_path, clock, tiers={"web_fetch": 0.0})):
        assert not ask(outputs, source).facts
    tiers = {"read": 60.0}
    assert cache(tmp_path, clock, tiers=tiers).keeps_files("read")
    # what is in a person's files is not for others
    assert not cache(tmp_path, clock, tiers=tiers, scope="global").keeps_files("read")
    assert not cache(tmp_path, clock).keeps_files("read")
    assert list(tmp_path.iterdir()) == []


def test_an_entry_ends_with_its_time_and_none_is_from_the_future(tmp_path: Path, clock: Clock, source: Source) -> None:
    outputs = cache(tmp_path, clock)
    ask(outputs, source)
    clock.time += 3_600
    assert ask(outputs, source).note
    clock.time += 1
    late = ask(outputs, source)
    assert late.value == {"number": 2}
    assert facts(late)["cause"] == f"the entry {LOOKUP.key[:12]} is too old (1 h)"
    clock.time -= 5_000
    early = ask(outputs, source)
    assert early.value == {"number": 3}
    assert "is from the future (1 h)" in facts(early)["cause"]


def test_fresh_from_the_model_and_from_the_person(tmp_path: Path, clock: Clock, source: Source) -> None:
    ask(cache(tmp_path, clock), source)
    assert ask(cache(tmp_path, clock), source, fresh=True).value == {"number": 2}
    assert ask(cache(tmp_path, clock, fresh=True), source).value == {"number": 3}
    assert facts(ask(cache(tmp_path, clock, fresh=True), source))["cause"] == "a fresh answer was asked for"
    # what was asked anew is what is kept
    assert ask(cache(tmp_path, clock), source).value == {"number": 4}


def test_the_last_good_answer_stands_in_and_says_so(tmp_path: Path, clock: Clock, source: Source) -> None:
    outputs = cache(tmp_path, clock, stale=86_400.0)
    ask(outputs, source)
    clock.time += 7_200
    source.failure = WebFailed("a.test did not answer in time", temporary=True)
    served = ask(outputs, source)

    assert served.value == {"number": 1}
    assert served.note == "from the cache: 2 h old, because it cannot be had anew: a.test did not answer in time"
    assert (facts(served)["how"], facts(served)["cause"]) == ("stale", "a.test did not answer in time")
    # asked for anew, too: an old answer that says so is better than none
    assert facts(ask(outputs, source, fresh=True))["how"] == "stale"
    assert facts(served)["age"] == 7_200.0
    source.failure = WebFailed("HTTP status 404")
    with pytest.raises(WebFailed, match="404"):
        ask(outputs, source)
    source.failure = WebFailed("no way", temporary=True)
    clock.time += 86_400
    with pytest.raises(WebFailed, match="no way"):
        ask(outputs, source)


def test_nothing_stands_in_beyond_its_time_or_where_the_person_wants_all_anew(
    tmp_path: Path, clock: Clock, source: Source
) -> None:
    tiers = {"web_fetch": 86_400.0}
    ask(cache(tmp_path, clock, tiers=tiers), source)
    clock.time += 7_200
    source.failure = WebFailed("no way", temporary=True)

    assert facts(ask(cache(tmp_path, clock, tiers=tiers), source, fresh=True))["how"] == "stale"
    # `stale_if_error` is off, or shorter than the time for which it is served
    for stale in (0.0, 3_600.0):
        with pytest.raises(WebFailed, match="no way"):
            ask(cache(tmp_path, clock, tiers=tiers, stale=stale), source, fresh=True)
    # --fresh serves nothing
    with pytest.raises(WebFailed, match="no way"):
        ask(cache(tmp_path, clock, tiers=tiers, fresh=True), source)


def test_what_a_newer_answer_contradicts_is_not_served_again(tmp_path: Path, clock: Clock, source: Source) -> None:
    """As a page that is gone, or has moved away, by the time when it is asked for anew."""
    outputs = cache(tmp_path, clock)
    ask(outputs, source)
    source.failure = WebFailed("HTTP status 404")
    with pytest.raises(WebFailed):
        ask(outputs, source, fresh=True)
    source.failure = None
    assert facts(ask(outputs, source))["cause"] == "nothing is cached of it"

    source.unkept = "it leads to another host"
    ask(outputs, source, fresh=True)
    source.unkept = ""
    assert facts(ask(outputs, source))["cause"] == "nothing is cached of it"

    # what passes contradicts nothing
    source.failure = WebFailed("no way", temporary=True)
    with pytest.raises(WebFailed):
        ask(cache(tmp_path, clock, fresh=True), source)
    assert facts(ask(outputs, source))["how"] == "hit"


def test_what_is_not_to_be_kept_is_not(tmp_path: Path, clock: Clock, source: Source) -> None:
    source.unkept = "it has no results"
    for number in (1, 2):
        served = ask(cache(tmp_path, clock), source)
        assert served.value == {"number": number}
        assert (facts(served)["how"], facts(served)["problem"]) == ("unkept", "it has no results")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("changed", "kept"), [(0.0, True), (2.0, True), (1.9, False), (-5.0, False)])
def test_what_changed_a_moment_before_is_not_kept(
    changed: float, kept: bool, tmp_path: Path, clock: Clock, source: Source
) -> None:
    """Nor what changed in the future: a clock that is off tells nothing."""
    at = clock.time - changed if changed else 0.0
    served = ask(cache(tmp_path, clock), source, replace(LOOKUP, changed=at))
    assert facts(served)["how"] == ("stored" if kept else "unkept")


def covering(path: Path, version: int = 1) -> Lookup:
    return replace(LOOKUP, tool="grep", version=version, covers=str(path), host="")


def test_writing_drops_what_covers_the_path_and_nothing_else(tmp_path: Path, clock: Clock, source: Source) -> None:
    work = (tmp_path / "work").resolve()
    outputs = cache(tmp_path / "kept", clock, tiers={"grep": 600.0})
    lookups = [covering(path) for path in (work / "a.py", work, work / "sub", work / "b.py", work / "a.pyc")]
    lookups += [covering(work, 2), LOOKUP]
    for lookup in lookups:
        ask(outputs, source, lookup)
    # by another spelling, and by another run
    cache(tmp_path / "kept", clock, tiers={"grep": 600.0}).drop([work / "sub" / ".." / "a.py"])

    assert [bool(ask(outputs, source, lookup).note) for lookup in lookups] == [
        False,
        False,
        True,
        True,
        True,
        False,
        True,
    ]


def test_what_covers_a_path_has_a_key_that_begins_with_it() -> None:
    keys = {covering(Path("/a"), version).key for version in range(3)}
    assert len(keys) == 3
    assert len({key[:16] for key in keys}) == 1
    assert {len(key) for key in keys} == {64}
    assert covering(Path("/b")).key[:16] not in {key[:16] for key in keys}


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"format":1}', b'{"format":2}', b"\x80\x04K\x01.", b'{"format":NaN}'],
)
def test_a_broken_entry_is_none(tmp_path: Path, clock: Clock, source: Source, raw: bytes) -> None:
    ask(cache(tmp_path, clock), source)
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(raw)

    served = ask(cache(tmp_path, clock), source)
    assert served.value == {"number": 2}
    assert f"the entry {LOOKUP.key[:12]} is damaged: " in facts(served)["cause"]
    assert ask(cache(tmp_path, clock), source).value == {"number": 2}


@pytest.mark.parametrize(
    "change",
    [
        {"value": {"number": "1"}},
        {"value": {"number": 1, "more": 2}},
        {"value": [1]},
        {"value": None},
        {"at": "now"},
        {"at": 10**400},
        {"at": True},
        {"session": None},
        {"key": "0" * 64},
        {"more": 1},
    ],
    ids=str,
)
def test_an_entry_of_other_types_is_none(change: dict[str, Json], tmp_path: Path, clock: Clock, source: Source) -> None:
    """Made by somebody who knows how an entry is sealed: it must not reach the tool."""
    ask(cache(tmp_path, clock), source)
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(sealed(FORMAT, opened(FORMAT, path.read_bytes()) | change))

    served = ask(cache(tmp_path, clock), source)
    assert served.value == {"number": 2}
    assert "is damaged: " in facts(served)["cause"]


def test_an_entry_with_one_wrong_bit_is_none(tmp_path: Path, clock: Clock, source: Source) -> None:
    ask(cache(tmp_path, clock), source)
    (path,) = tmp_path.rglob("*.json")
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        served = ask(cache(tmp_path, clock), source)
        assert "is damaged: " in facts(served)["cause"], whole[at : at + 20]


@pytest.mark.parametrize("what", ["pipe", "link", "folder", "too large"])
def test_what_is_no_file_of_ours_costs_time_only(what: str, tmp_path: Path, clock: Clock, source: Source) -> None:
    ask(cache(tmp_path, clock), source)
    (path,) = tmp_path.rglob("*.json")
    path.rename(tmp_path / "elsewhere")
    match what:
        case "pipe":
            os.mkfifo(path)
        case "link":
            path.symlink_to(tmp_path / "elsewhere")
        case "folder":
            path.mkdir()
        case _:
            with path.open("wb") as file:
                file.truncate(BOUNDS.entry + 1)

    served = ask(cache(tmp_path, clock), source)
    assert served.value == {"number": 2}
    assert f"the entry {LOOKUP.key[:12]} " in facts(served)["cause"]


def test_an_entry_under_another_key_is_none(tmp_path: Path, clock: Clock, source: Source) -> None:
    ask(cache(tmp_path, clock), source)
    (path,) = tmp_path.rglob("*.json")
    other = replace(LOOKUP, version=2)
    place = tmp_path / other.key[:2] / f"{other.key}.json"
    place.parent.mkdir(exist_ok=True)
    path.rename(place)

    assert ask(cache(tmp_path, clock), source, other).value == {"number": 2}


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path, clock: Clock, source: Source) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    served = ask(cache(blocked / "cache", clock), source)

    assert served.value == {"number": 1}
    assert facts(served)["how"] == "unkept"
    assert "cannot write" in facts(served)["problem"]


def test_what_a_person_is_told_of_an_entry(tmp_path: Path, clock: Clock, source: Source) -> None:
    ask(cache(tmp_path, clock), source)
    (path,) = tmp_path.rglob("*.json")
    assert json.loads(path.read_bytes())["value"] == {"number": 1}
    assert about(LOOKUP.key, path.read_bytes()) == About("web_fetch https://a.test/", 1_000_000.0, "s1", "c1")
