"""The cache of tool outputs: what makes a key, how long, in which scope, and that two processes are safe."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.caches.entries import Entries, Entry
from harness.caches.tool_outputs import CALL, Loaded, Lookup, Policy, Served, ToolOutputs, spoken
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
        self.keep = True

    async def __call__(self) -> Loaded:
        if self.failure is not None:
            raise self.failure
        self.count += 1
        return Loaded({"number": self.count}, self.keep)


LOOKUP = Lookup("web_fetch", 1, {"url": "https://a.test/"}, {"accept": "x"}, "a.test", "https://a.test/")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Source:
    return Source()


def cache(folder: Path | None, clock: Seam, session: str = "s1", **policy: Any) -> ToolOutputs:
    return ToolOutputs(Policy(**policy), lambda: folder, clock, lambda: session)


def ask(
    outputs: ToolOutputs, source: Source, lookup: Lookup = LOOKUP, call: str = "c1", *, fresh: bool = False
) -> Served:
    async def once() -> Served:
        CALL.set(call)
        return await outputs.through(lookup, source, fresh=fresh)

    return asyncio.run(once())


def facts(served: Served) -> dict[str, Json]:
    found: dict[str, Json] = served.facts["cache"]
    return found


def test_a_hit_says_its_age_and_where_it_came_from(tmp_path: Path, clock: Clock, source: Source) -> None:
    first = ask(cache(tmp_path, clock), source)
    clock.time += 600
    second = ask(cache(tmp_path, clock, "s2"), source, call="c9")

    assert (first.value, first.note, facts(first)["how"]) == ({"number": 1}, "", "stored")
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


def test_an_entry_ends_with_its_time_and_a_clock_that_went_back_harms_nothing(
    tmp_path: Path, clock: Clock, source: Source
) -> None:
    outputs = cache(tmp_path, clock)
    ask(outputs, source)
    clock.time -= 5_000
    assert facts(ask(outputs, source))["age"] == 0.0
    clock.time += 5_000 + 3_600
    assert ask(outputs, source).value == {"number": 2}


def test_fresh_from_the_model_and_from_the_person(tmp_path: Path, clock: Clock, source: Source) -> None:
    ask(cache(tmp_path, clock), source)
    assert ask(cache(tmp_path, clock), source, fresh=True).value == {"number": 2}
    assert ask(cache(tmp_path, clock, fresh=True), source).value == {"number": 3}
    # what was asked anew is what is kept
    assert ask(cache(tmp_path, clock), source).value == {"number": 3}


def test_the_last_good_answer_stands_in_and_says_so(tmp_path: Path, clock: Clock, source: Source) -> None:
    outputs = cache(tmp_path, clock, stale=86_400.0)
    ask(outputs, source)
    clock.time += 7_200
    source.failure = WebFailed("a.test did not answer in time", temporary=True)
    served = ask(outputs, source)

    assert served.value == {"number": 1}
    assert served.note == "from the cache: 2 h old, because it cannot be had anew: a.test did not answer in time"
    assert facts(served)["how"] == "stale"
    # asked for anew, too: an old answer that says so is better than none
    assert facts(ask(outputs, source, fresh=True))["how"] == "stale"
    source.failure = WebFailed("HTTP status 404")
    with pytest.raises(WebFailed, match="404"):
        ask(outputs, source)
    source.failure = WebFailed("no way", temporary=True)
    clock.time += 86_400
    with pytest.raises(WebFailed, match="no way"):
        ask(outputs, source)


def test_what_is_not_to_be_kept_is_not(tmp_path: Path, clock: Clock, source: Source) -> None:
    source.keep = False
    for number in (1, 2):
        assert ask(cache(tmp_path, clock), source).value == {"number": number}
    assert list(Entries(tmp_path).all()) == []


def test_memory_lasts_for_a_run(clock: Clock, source: Source) -> None:
    outputs = cache(None, clock, scope="run")
    ask(outputs, source)

    assert ask(outputs, source).note
    assert not ask(cache(None, clock, scope="run"), source).note


def test_files_are_private_json_and_whole(tmp_path: Path, clock: Clock, source: Source) -> None:
    folder = tmp_path / "state" / "outputs"
    ask(cache(folder, clock), source)
    (path,) = folder.rglob("*.json")

    assert json.loads(path.read_bytes())["value"] == {"number": 1}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [one.name for one in folder.rglob("*.part")] == []


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"format":1}', b'{"format":2}', b"\x80\x04K\x01.", b'{"format":NaN}'],
)
def test_a_broken_entry_is_none(tmp_path: Path, clock: Clock, source: Source, raw: bytes) -> None:
    ask(cache(tmp_path, clock), source)
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(raw)

    assert ask(cache(tmp_path, clock), source).value == {"number": 2}
    assert ask(cache(tmp_path, clock), source).value == {"number": 2}


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
    assert "could not be kept" in facts(served)["problem"]


def entry(number: int, size: int = 10, at: float = 0.0) -> Entry:
    key = replace(LOOKUP, version=number).key
    return Entry(key, "web_fetch", "x", at, 100.0, "s", "c", "v" * size)


def test_the_oldest_go_when_there_is_too_much(tmp_path: Path) -> None:
    entries = Entries(tmp_path, total=100_000)
    for number in range(30):
        assert entries.put(entry(number, 10_000)) == ""
    kept = list(entries.all())

    assert 5 <= len(kept) <= 10
    assert entries.get(entry(29).key) is not None
    assert "too large" in entries.put(entry(99, 9_000_000))


def test_prune(tmp_path: Path) -> None:
    entries = Entries(tmp_path)
    for number in range(4):
        entries.put(entry(number, at=number * 1_000.0))
    (tmp_path / entry(0).key[:2] / ".7.part").write_bytes(b"left")
    path = tmp_path / "ab" / f"ab{'0' * 62}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"broken")

    assert entries.prune(None, now=3_050.0, grace=0.0) == (4, 1)
    assert entries.prune(9_999.0, now=3_050.0, grace=0.0) == (1, 0)
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []


WRITER = """
import sys
from pathlib import Path
from harness.caches.entries import Entries, Entry
entries = Entries(Path(sys.argv[1]))
for number in range(150):
    for key in ("a" * 64, "b" * 64):
        problem = entries.put(Entry(key, "web_fetch", "x", 0.0, 9.0, sys.argv[2], "c", sys.argv[2] * 20_000))
        found = entries.get(key)
        assert not problem and found is not None and found.value == found.session * 20_000, (problem, found)
"""


def test_two_processes_at_once(tmp_path: Path) -> None:
    words = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*words, name], stderr=subprocess.PIPE) for name in ("one", "two")]
    for writer in writers:
        assert writer.communicate(timeout=120)[1] == b""
        assert writer.returncode == 0
    assert len(list(Entries(tmp_path).all())) == 2


def test_ages_in_words() -> None:
    assert [spoken(age) for age in (0, 59, 60, 5_400, 90_000, 864_000)] == [
        "0 s",
        "59 s",
        "1 min",
        "2 h",
        "1 d",
        "10 d",
    ]
