"""Kept answers on the disk: whole or absent, whoever writes, dies or meddles."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.caches.response_key import Components
from harness.caches.responses import Entry, Responses
from harness.conversation.blocks import Usage
from harness.conversation.canonical import decode, digest, encode
from harness.errors import StorageFull
from harness.seam import Seam

ROOT = Path(__file__).resolve().parents[2]
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


def entry(*texts: str, says: bytes = b"data: hi\n\n", at: float = 1_000_000.0, model: str = "m") -> Entry:
    mine = parts(*texts, model=model)
    return Entry(mine.key, mine, ((0, says), (12, b"\xff\x00")), Usage(3, 2), "end_turn", "req_1", "v/m", "S", 7, at)


@pytest.fixture
def kept(tmp_path: Path) -> Responses:
    return Responses(tmp_path / "kept", At(), 30 * DAY)


def file_of(kept: Responses, entry: Entry) -> Path:
    return kept.folder / entry.key[:2] / f"{entry.key}.json"


def test_what_was_kept_is_found(kept: Responses) -> None:
    kept.keep(entry("a", "b"))
    assert kept.find(parts("a", "b")) == entry("a", "b")


def test_files_are_private(kept: Responses) -> None:
    kept.keep(entry("a"))
    path = file_of(kept, entry("a"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, kept.folder)} == {0o700}


def test_a_shared_folder_has_the_rights_of_the_umask(tmp_path: Path) -> None:
    code = (
        "import os, sys; os.umask(0o027); from tests.caches.test_responses import *\n"
        "Responses(Path(sys.argv[1]), At(), 1, shared=True).keep(entry('a'))"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "kept"], cwd=ROOT, check=True)
    (path,) = (tmp_path / "kept").glob("??/*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750


@pytest.mark.parametrize(("age", "said"), [(31 * DAY, "too old (31.0 days)"), (-3600, "from the future (1.0 h)")])
def test_what_is_too_old_or_too_new_is_not_given(age: float, said: str, kept: Responses) -> None:
    kept.keep(entry("a", at=1_000_000.0 - age))
    found = kept.find(parts("a"))
    assert isinstance(found, str)
    assert said in found


def test_a_miss_says_so_of_the_nearest(kept: Responses) -> None:
    assert kept.find(parts("a")) == "nothing is kept yet"
    kept.keep(entry("a", "x", says=b"1"))
    kept.keep(entry("a", "b", "c", model="other"))
    kept.keep(entry("z"))
    found = kept.find(parts("a", "y"))
    assert found == f"message 2 (person): …y… was …x… (nearest: {entry('a', 'x').key[:12]}, of session S)"
    assert str(kept.find(parts("a", "b", "c"))).startswith("model: m, was other (nearest: ")


HOSTILE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no object": lambda _: [],
    "a number": lambda _: 17,
    "no fields": lambda _: {},
    "another format": lambda data: data | {"format": 99},
    "another answer": lambda data: data | {"chunks": [[0, "data: rm -rf\n\n"]]},
    "another answer, and its sum": lambda data: data | {"chunks": [["0", "x"]], "sum": digest(encode([["0", "x"]]))},
    "other components": lambda data: data | {"components": parts("b").to_json()},
    "components of another kind": lambda data: data | {"components": {"about": 1}},
    "a component that is no string": lambda data: data | {"components": data["components"] | {"about": [["a", 1]]}},
    "chunks beyond bytes": lambda data: data | {"chunks": [[0, "\u2028"]], "sum": digest(encode([[0, "\u2028"]]))},
    "a negative offset": lambda data: data | {"chunks": [[-1, ""]], "sum": digest(encode([[-1, ""]]))},
    "usage of another kind": lambda data: data | {"usage": {"uncached": "many"}},
    "usage below nothing": lambda data: data | {"usage": data["usage"] | {"read": -5}},
    "usage of unknown names": lambda data: data | {"usage": {"tokens": 5}},
    "a refusal": lambda data: data | {"stop": "refusal"},
    "an answer that was cut short": lambda data: data | {"stop": "max_tokens"},
    "a time that is none": lambda data: data | {"at": "yesterday"},
    "texts that are none": lambda data: data | {"texts": [1]},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_entry_is_a_miss_that_says_so(what: str, kept: Responses) -> None:
    kept.keep(entry("a"))
    path = file_of(kept, entry("a"))
    path.write_bytes(encode(HOSTILE[what](decode(path.read_bytes()))))

    found = kept.find(parts("a"))
    assert isinstance(found, str)
    assert "is damaged: " in found
    assert [file.entry for file in kept.files()] == [None]
    # and it is no hindrance: neither to what is kept instead, nor as a neighbour
    assert isinstance(kept.find(parts("b")), str)
    kept.keep(entry("a"))
    assert kept.find(parts("a")) == entry("a")


RAW = {
    "empty": b"",
    "cut": encode({"format": 1})[:-3],
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


@pytest.mark.parametrize("what", ["pipe", "folder", "link", "device", "too large"])
def test_what_is_no_regular_file_is_not_read(what: str, kept: Responses, tmp_path: Path) -> None:
    kept.keep(entry("a"))
    path = file_of(kept, entry("a"))
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    match what:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(elsewhere)
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            with path.open("wb") as file:
                file.truncate(65 * 1024 * 1024)

    found = str(kept.find(parts("a")))
    assert "is damaged" in found or "cannot be read" in found
    assert isinstance(kept.find(parts("b")), str)


def test_a_full_disk_is_said_and_leaves_nothing(kept: Responses) -> None:
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "import sys; from tests.caches.test_responses import *\n"
        "try: Responses(Path(sys.argv[1]), At(), 1).keep(entry('a', says=b'x' * 10_000))\n"
        "except StorageFull as error: print(error)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, kept.folder], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert "File too large" in ran.stdout
    assert [path for path in kept.folder.rglob("*") if path.is_file()] == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(StorageFull):
        Responses(tmp_path / "kept", At(), 1).keep(entry("a"))
    assert Responses(tmp_path / "kept", At(), 1).find(parts("a")) != entry("a")


def test_pruning_goes_by_age_then_by_last_use(kept: Responses) -> None:
    for number, age in enumerate((0.0, 10 * DAY, 20 * DAY, 40 * DAY)):
        kept.keep(entry(str(number)))
        os.utime(file_of(kept, entry(str(number))), (0, 1_000_000.0 - age))

    assert kept.prune()[0] == 1
    # what is found was used
    os.utime(file_of(kept, entry("2")), (0, 1_000_000.0))
    size = file_of(kept, entry("0")).stat().st_size
    assert kept.prune(bytes_at_most=2 * size + size // 2)[0] == 1
    assert {str(isinstance(kept.find(parts(str(number))), Entry)) for number in (0, 2)} == {"True"}
    assert kept.prune(entries_at_most=0)[0] == 2
    assert list(kept.files()) == []


def test_use_saves_from_pruning(kept: Responses) -> None:
    for name in ("a", "b"):
        kept.keep(entry(name))
        os.utime(file_of(kept, entry(name)), (0, 999_000.0 + ord(name)))
    assert isinstance(kept.find(parts("a")), Entry)
    kept.prune(entries_at_most=1)
    assert [file.entry for file in kept.files()] == [entry("a")]


def test_what_a_killed_process_left_behind_goes_in_time(kept: Responses) -> None:
    kept.keep(entry("a"))
    parted = file_of(kept, entry("a")).parent / ".left.part"
    parted.write_text("half")
    os.utime(parted, (0, 1_000_000.0 - 60))
    assert kept.prune() == (0, 0)
    os.utime(parted, (0, 1_000_000.0 - 7200))
    assert kept.prune()[0] == 1
    assert not parted.exists()


_WRITER = """
import sys
from tests.caches.test_responses import *
kept = Responses(Path(sys.argv[1]), Seam(), 30 * DAY)
print("ready", flush=True)
number = 0
while True:
    number += 1
    kept.keep(entry("same", says=(sys.argv[2] * 200_000).encode(), at=Seam().now()))
    kept.keep(entry(f"{sys.argv[2]}{number % 50}", says=b"x" * 100_000, at=Seam().now()))
    if number % 20 == 0:
        kept.prune(entries_at_most=30)
"""


def _start(folder: Path, name: str) -> subprocess.Popen[str]:
    running = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(folder), name], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert running.stdout
    assert running.stdout.readline() == "ready\n"
    return running


def test_processes_that_write_are_killed_at_any_time(tmp_path: Path) -> None:
    """Two at once write one key and others, and prune; each is killed; whatever is there is whole."""
    folder = tmp_path / "kept"
    kept = Responses(folder, Seam(), 30 * DAY)
    whole = 0
    for delay in range(8):
        writers = [_start(folder, name) for name in "ab"]
        until = time.monotonic() + 0.05 + 0.03 * delay
        while time.monotonic() < until:
            found = kept.find(parts("same"))
            assert isinstance(found, Entry) or "damaged" not in found, found
            whole += isinstance(found, Entry)
        for writer in writers:
            with writer:
                writer.send_signal(signal.SIGKILL)
        assert [file.problem for file in kept.files() if file.entry is None] == []
    assert whole
    found = kept.find(parts("same"))
    assert isinstance(found, Entry)
    assert found.chunks[0][1] in (b"a" * 200_000, b"b" * 200_000)


def test_entries_are_json_that_anybody_can_read(kept: Responses) -> None:
    kept.keep(replace(entry("a"), session="S-1"))
    data = json.loads(file_of(kept, entry("a")).read_text("utf-8"))
    assert data["session"] == "S-1"
    assert data["chunks"] == [[0, "data: hi\n\n"], [12, "\u00ff\u0000"]]
