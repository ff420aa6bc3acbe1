"""The store of both caches: whole or absent, whoever writes, dies or meddles; private or shared; bounded."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.caches.store import About, Bounds, Damaged, Store, spoken, too_old
from harness.errors import StorageFull
from harness.seam import Seam

ROOT = Path(__file__).resolve().parents[2]
DAY = 86_400.0
BOUNDS = Bounds(entry=1_000_000, total=100_000_000, count=1000, unused=30 * DAY)


class At(Seam):
    """A machine whose wall clock stands."""

    def now(self) -> float:
        return 1_000_000.0


def key(name: str) -> str:
    return name.encode().hex().ljust(64, "0")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "kept", At(), BOUNDS)


def file_of(store: Store, name: str) -> Path:
    return store.folder / key(name)[:2] / f"{key(name)}.json"


def age(store: Store, name: str, seconds: float) -> None:
    os.utime(file_of(store, name), (0, 1_000_000.0 - seconds))


def names(store: Store) -> list[str]:
    """The last used first."""
    return [bytes.fromhex(file.key).rstrip(b"\0").decode() for file in store.files()]


def python(code: str, *arguments: object, **more: object) -> subprocess.CompletedProcess[str]:
    words = [
        sys.executable,
        "-c",
        f"import os, sys\nfrom tests.caches.test_store import *\n{code}",
        *map(str, arguments),
    ]
    return subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True, **more)  # type: ignore[call-overload, no-any-return]


def test_what_was_put_is_there(store: Store) -> None:
    assert store.put(key("a"), b"one") == ""
    assert store.put(key("a"), b"two") == ""
    assert store.get(key("a")) == b"two"
    with pytest.raises(FileNotFoundError):
        store.get(key("b"))


def test_files_are_private(store: Store) -> None:
    store.put(key("a"), b"one")
    path = file_of(store, "a")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, store.folder)} == {0o700}


def test_a_shared_folder_has_the_rights_of_the_umask(tmp_path: Path) -> None:
    python("os.umask(0o027); Store(Path(sys.argv[1]), At(), BOUNDS, shared=True).put(key('a'), b'x')", tmp_path / "s")
    (path,) = (tmp_path / "s").glob("??/*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750


@pytest.mark.parametrize("what", ["pipe", "folder", "link", "device", "too large"])
def test_what_is_no_regular_file_is_not_read(what: str, store: Store, tmp_path: Path) -> None:
    store.put(key("a"), b"one")
    path, elsewhere = file_of(store, "a"), tmp_path / "elsewhere"
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
                file.truncate(BOUNDS.entry + 1)

    with pytest.raises((Damaged, OSError)):
        store.get(key("a"))
    # it is told, and no hindrance to others
    store.put(key("b"), b"two")
    told = {file.key: about for file, about in store.told(lambda _key, raw: About(raw.decode(), 0.0, "", ""))}
    assert isinstance(told[key("a")], str)
    assert told[key("b")] == About("two", 0.0, "", "")


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import resource\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "print(Store(Path(sys.argv[1]), At(), BOUNDS).put(key('a'), b'x' * 10_000))"
    )
    ran = python(code, tmp_path / "kept")
    assert "File too large" in ran.stdout
    assert [path for path in (tmp_path / "kept").rglob("*") if path.is_file()] == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    store = Store(tmp_path / "kept", At(), BOUNDS)
    said = store.put(key("a"), b"one")
    assert said.startswith(f"cannot write {store.folder}: File exists; set XDG_STATE_HOME ")
    assert store.files() == []
    shared = Store(tmp_path / "kept", At(), BOUNDS, shared=True)
    assert "; set folder under [caches] to a folder" in shared.put(key("a"), b"one")


def test_a_folder_that_can_only_be_read_serves() -> None:
    """As another person where the tests run as root, who may write everywhere."""
    code = (
        "os.geteuid() or os.setuid(65534)\n"
        "store = Store(Path(sys.argv[1]), At(), BOUNDS)\n"
        "print(store.get(key('a')), store.used(key('a')), store.put(key('b'), b'two'))"
    )
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "kept", At(), BOUNDS)
        store.put(key("a"), b"one")
        places = [Path(folder), store.folder, *store.folder.rglob("*")]
        for path in places:
            path.chmod(0o555 if path.is_dir() else 0o444)
        ran = python(code, store.folder)
        for path in places[:-1]:
            path.chmod(0o700)

    assert ran.stdout.startswith("b'one' None cannot write ")
    assert "Permission denied" in ran.stdout


def test_pruning_goes_by_use_then_by_bounds(store: Store) -> None:
    for name, days in (("a", 0), ("b", 10), ("c", 20), ("d", 40)):
        store.put(key(name), b"x" * 100)
        age(store, name, days * DAY)

    assert store.prune() == (1, 100)
    assert store.prune(15 * DAY) == (1, 100)
    tight = Store(store.folder, At(), replace(BOUNDS, total=150))
    assert tight.prune() == (1, 100)
    assert names(store) == ["a"]
    assert Store(store.folder, At(), replace(BOUNDS, count=0)).prune() == (1, 100)


def test_use_saves_from_pruning(store: Store) -> None:
    for name, seconds in (("a", 2000), ("b", 1000)):
        store.put(key(name), b"x")
        age(store, name, seconds)
    store.used(key("a"))
    Store(store.folder, At(), replace(BOUNDS, count=1)).prune()
    assert names(store) == ["a"]


def test_what_is_put_is_bounded_in_bytes_and_in_number(tmp_path: Path) -> None:
    large = Store(tmp_path / "large", Seam(), Bounds(entry=20_000, total=100_000, count=1000, unused=DAY))
    many = Store(tmp_path / "many", Seam(), Bounds(entry=20_000, total=100_000_000, count=20, unused=DAY))
    for number in range(60):
        assert large.put(key(str(number)), b"x" * 10_000) == ""
        assert many.put(key(str(number)), b"x") == ""

    assert 5 <= len(large.files()) <= 11
    assert 15 <= len(many.files()) <= 22
    assert large.get(key("59"))
    assert large.put(key("big"), b"x" * 20_001) == "it is larger than 20,000 bytes"


def test_what_a_killed_process_left_behind_goes_in_time(store: Store) -> None:
    store.put(key("a"), b"x")
    age(store, "a", 0)
    parted = file_of(store, "a").parent / ".left.part"
    parted.write_text("half")
    os.utime(parted, (0, 1_000_000.0 - 60))
    assert store.prune() == (0, 0)
    os.utime(parted, (0, 1_000_000.0 - 7200))
    assert store.prune() == (1, 0)
    assert not parted.exists()
    # nor is half of what is cleared left
    parted.write_text("half")
    os.utime(parted, (0, 1_000_000.0 - 7200))
    assert store.clear() == (2, 1)
    assert not parted.exists()


def test_clearing_all_and_what_begins_alike(store: Store) -> None:
    for name in ("ab1", "ab2", "ac1"):
        store.put(key(name), b"x")
    (store.folder / "61").joinpath("notes.json").write_text("somebody's")
    assert store.clear(b"ab".hex()) == (2, 2)
    assert names(store) == ["ac1"]
    assert store.clear() == (1, 1)
    assert [path.name for path in store.folder.glob("??/*")] == ["notes.json"]


def test_nothing_is_removed_behind_a_link(store: Store, tmp_path: Path) -> None:
    """As whoever writes to a shared folder may put one there."""
    store.put(key("a"), b"x")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    files = [theirs / ".half.part", theirs / f"{'61'.ljust(64, '0')}.json"]
    for path in files:
        path.write_text("somebody's")
        os.utime(path, (0, 0))
    (store.folder / "zz").symlink_to(theirs)
    age(store, "a", 40 * DAY)

    assert [file.key for file in store.files()] == [key("a")]
    assert store.prune() == (1, 1)
    assert store.clear("zz") == (0, 0)
    assert store.clear() == (0, 0)
    assert all(path.exists() for path in files)


@pytest.mark.parametrize("how", ["clear", "prune"])
def test_what_cannot_be_removed_is_said_and_all_others_are(how: str, store: Store) -> None:
    """As of entries that another person put into a shared folder."""
    for name in "abc":
        store.put(key(name), b"x")
        age(store, name, 40 * DAY)
    file_of(store, "b").unlink()
    file_of(store, "b").mkdir()
    age(store, "b", 40 * DAY)
    with pytest.raises(StorageFull, match=f"cannot remove .*{key('b')}.json: "):
        store.clear() if how == "clear" else store.prune()
    assert names(store) == ["b"]


_WRITER = """
store = Store(Path(sys.argv[1]), Seam(), BOUNDS)
tight = Store(Path(sys.argv[1]), Seam(), replace(BOUNDS, count=30))
print("ready", flush=True)
number = 0
while True:
    number += 1
    assert store.put(key("same"), (sys.argv[2] * 200_000).encode()) == ""
    assert store.put(key(f"{sys.argv[2]}{number % 50}"), b"x" * 100_000) == ""
    if number % 20 == 0:
        tight.prune()
"""


def _start(folder: Path, name: str) -> subprocess.Popen[str]:
    code = f"import sys\nfrom tests.caches.test_store import *\n{_WRITER}"
    running = subprocess.Popen(
        [sys.executable, "-c", code, str(folder), name], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert running.stdout
    assert running.stdout.readline() == "ready\n"
    return running


def test_processes_that_write_are_killed_at_any_time(tmp_path: Path) -> None:
    """Two at once write one key and others, and prune; each is killed; whatever is there is whole."""
    store, whole = Store(tmp_path / "kept", Seam(), BOUNDS), {b"a" * 200_000, b"b" * 200_000}
    found: set[bytes] = set()
    for delay in range(5):
        writers = [_start(store.folder, name) for name in "ab"]
        until = time.monotonic() + 0.03 * delay
        while time.monotonic() < until or not found:
            try:
                found.add(store.get(key("same")))
            except FileNotFoundError:
                continue
        for writer in writers:
            with writer:
                assert writer.poll() is None
                writer.send_signal(signal.SIGKILL)
        for file in store.files():
            assert store.get(file.key) in {*whole, b"x" * 100_000}
    assert found
    assert found <= whole


def test_ages_in_words() -> None:
    said = [spoken(seconds) for seconds in (0, 59, 60, 5_400, 90_000, 864_000)]
    assert said == ["0 s", "59 s", "1 min", "2 h", "1 d", "10 d"]


def test_neither_an_old_entry_nor_one_from_the_future_is_believed() -> None:
    assert too_old(100.0, 160.0, 60.0) == ""
    assert too_old(100.0, 7_300.0, 60.0) == "is too old (2 h)"
    assert too_old(3_700.0, 100.0, 60.0) == "is from the future (1 h)"
