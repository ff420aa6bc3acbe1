"""What file tools found, served again: only while nothing changed, and with the facts that a later edit needs."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.caches.file_state import FileState, state_of
from harness.caches.store import Store
from harness.caches.tool_outputs import BOUNDS, Lookup, Policy, ToolOutputs
from harness.conversation.blocks import Image, Text
from harness.conversation.canonical import Json, digest
from harness.seam import Seam
from harness.tools import edit, grep, read, write
from harness.tools.base import Outcome, Tool, error
from harness.tools.unchanged import unchanged
from harness.workspace import files
from harness.workspace.paths import Workspace
from harness.workspace.ripgrep import find_rg
from tests.e2e.entry import ShiftedSeam
from tests.tools.conftest import Known, just_now

Call = Callable[..., Outcome]
RG = find_rg(os.environ["PATH"])
LINES = "".join(f"line {number} of a large file\n" for number in range(150_000))


def outputs_in(folder: Path, seam: Seam | None = None) -> ToolOutputs:
    """A cache some seconds after all that the test writes, so that no change is a moment ago."""
    seam = seam or ShiftedSeam(10)
    store = Store(folder, seam, BOUNDS)
    return ToolOutputs(Policy(tiers={"read": 600.0, "grep": 600.0}), lambda: store, seam)


@pytest.fixture
def outputs(tmp_path: Path) -> ToolOutputs:
    return outputs_in(tmp_path / "cache")


@pytest.fixture
def reading(space: Workspace, outputs: ToolOutputs) -> Tool:
    (space.root / "large.txt").write_text(LINES)
    assert len(LINES) > files.KEPT
    return read.make(space, outputs)


@pytest.fixture
def searching(space: Workspace, outputs: ToolOutputs) -> Tool:
    (space.root / "src").mkdir()
    (space.root / "src" / "a.py").write_text("x = 1\n")
    (space.root / "notes.md").write_text("x marks the spot\n")
    return grep.make(space, RG, outputs)


def text(outcome: Outcome) -> str:
    return "".join(part.text for part in outcome.content if isinstance(part, Text))


def how(outcome: Outcome) -> str:
    about: dict[str, Json] = outcome.facts.get("cache", {})
    return str(about.get("how", "not cached"))


def test_a_large_file_is_served_with_what_was_seen_of_it(reading: Tool, call: Call) -> None:
    first = call(reading, path="large.txt", offset=100_000, limit=2)
    second = call(reading, path="large.txt", offset=100_000, limit=2)

    assert (how(first), how(second)) == ("stored", "hit")
    assert just_now(text(second)) == f"[from the cache: 0 s old; unchanged since]\n{text(first)}"
    assert "100000\tline 99999 of a large file" in text(second)
    assert first.facts["seen"] == second.facts["seen"]
    assert list(first.facts["seen"].values()) == [digest(LINES.encode())]
    assert second.shown == "2 lines, from the cache"
    assert how(call(reading, path="large.txt", offset=100_002, limit=2)) == "stored"


def test_after_a_served_read_an_edit_works_and_what_is_cached_is_gone(
    reading: Tool, space: Workspace, known: Known, outputs: ToolOutputs, call: Call, tmp_path: Path
) -> None:
    call(reading, path="large.txt")
    known.identities.clear()
    assert how(call(reading, path="large.txt")) == "hit"
    editing = edit.make(space, known, wrote=outputs.drop)
    assert not call(editing, path="large.txt", old="line 7 of", new="LINE 7 of").is_error

    assert list((tmp_path / "cache").glob("??/*.json")) == []
    again = call(reading, path="large.txt")
    assert how(again) == "stored"
    assert "LINE 7 of" in text(again)


def test_small_files_and_images_are_read_each_time(space: Workspace, outputs: ToolOutputs, call: Call) -> None:
    """Their bytes are kept beside the journal, or shown, and so would have to be read all the same."""
    (space.root / "small.txt").write_text("small\n")
    picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0" + b"x" * files.KEPT + b"IEND" + bytes(4)
    (space.root / "large.png").write_bytes(picture)
    reading = read.make(space, outputs)
    for _ in range(2):
        small, image = call(reading, path="small.txt"), call(reading, path="large.png")
        assert how(small) == "not cached"
        assert small.blobs == (b"small\n",)
        assert how(image) == "unkept"
        assert any(isinstance(part, Image) for part in image.content)


def test_what_went_wrong_is_not_cached(reading: Tool, call: Call) -> None:
    for _ in range(2):
        assert how(call(reading, path="large.txt", offset=900_000)) == "unkept"
        assert how(call(reading, path="missing.txt")) == "not cached"
        assert how(call(reading, path=".")) == "not cached"


def test_a_change_that_hides_is_seen(reading: Tool, space: Workspace, call: Call) -> None:
    """The same size, and the time of writing put back: the time of change tells."""
    path = space.root / "large.txt"
    call(reading, path="large.txt")
    was = path.stat()
    path.write_text(LINES.replace("line 3 ", "LINE 3 "))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))

    again = call(reading, path="large.txt")
    assert path.stat().st_size == was.st_size
    assert how(again) == "stored"
    assert again.facts["cache"]["cause"] == "nothing is cached of it as it is now"
    assert "LINE 3 " in text(again)


def test_a_search_is_served_while_nothing_changed(searching: Tool, call: Call) -> None:
    first, second = call(searching, pattern="x"), call(searching, pattern="x")

    assert (how(first), how(second)) == ("stored", "hit")
    assert just_now(text(second)) == f"[from the cache: 0 s old; unchanged since]\n{text(first)}"
    assert second.shown == "2 matches, from the cache"
    for other in ({"pattern": "X"}, {"pattern": "x", "ignore_case": True}, {"pattern": "x", "path": "src"}):
        assert how(call(searching, **other)) == "stored"


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file written": lambda root: (root / "src" / "a.py").write_text("x = 2\n"),
    "a file made": lambda root: (root / "src" / "b.py").write_text("x = 3\n"),
    "a file removed": lambda root: (root / "src" / "a.py").unlink(),
    "a file renamed": lambda root: (root / "src" / "a.py").rename(root / "src" / "c.py"),
    "a folder renamed": lambda root: (root / "src").rename(root / "lib"),
    "a file exchanged": lambda root: (root / "new").write_text("x = 4\n") and (root / "new").replace(root / "src/a.py"),
    "a file ignored": lambda root: (root / ".gitignore").write_text("*.md\n"),
    "a folder ignored": lambda root: (root / ".ignore").write_text("src\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_what_is_searched_is_seen(change: str, searching: Tool, space: Workspace, call: Call) -> None:
    call(searching, pattern="x")
    CHANGES[change](space.root)
    again = call(searching, pattern="x")

    assert how(again) == "stored"
    assert text(again) == text(call(grep.make(space, RG), pattern="x"))


def test_a_file_that_the_search_does_not_look_into_changes_nothing(
    searching: Tool, space: Workspace, call: Call
) -> None:
    call(searching, pattern="x", glob="*.py")
    (space.root / "notes.md").write_text("x marks another spot\n")
    assert how(call(searching, pattern="x", glob="*.py")) == "hit"
    assert how(call(searching, pattern="x", glob="*.md")) == "stored"


def test_names_are_shown_as_seen_from_the_working_folder(
    searching: Tool, space: Workspace, outputs: ToolOutputs, call: Call
) -> None:
    call(searching, pattern="x", path="src")
    inside = grep.make(Workspace(space.root, cwd=space.root / "src"), RG, outputs)
    found = call(inside, pattern="x", path=str(space.root / "src"))

    assert how(found) == "stored"
    assert text(found).startswith("a.py\n")


def test_what_is_written_drops_searches_of_the_folders_above(
    searching: Tool, space: Workspace, known: Known, outputs: ToolOutputs, call: Call, tmp_path: Path
) -> None:
    (space.root / "other").mkdir()
    for path in (".", "src", "other", "src/a.py"):
        call(searching, pattern="x", path=path)
    assert not call(write.make(space, known, wrote=outputs.drop), path="src/new.py", content="x\n").is_error

    assert len(list((tmp_path / "cache").glob("??/*.json"))) == 2
    assert [how(call(searching, pattern="x", path=path)) for path in ("other", "src/a.py", "src", ".")] == [
        "hit",
        "hit",
        "stored",
        "stored",
    ]


def test_a_change_a_moment_ago_is_not_relied_on(space: Workspace, tmp_path: Path, call: Call) -> None:
    """A second change within one tick of the file system's clock would leave the same state."""
    (space.root / "a.py").write_text("x = 1\n")
    searching = grep.make(space, RG, outputs_in(tmp_path / "cache", Seam()))
    for _ in range(2):
        found = call(searching, pattern="x")
        assert how(found) == "unkept"
        assert found.facts["cache"]["problem"] == "it had changed a moment before"
    # nor a time that is still to come: a clock is off
    os.utime(space.root / "a.py", (0, 4_000_000_000))
    assert how(call(grep.make(space, RG, outputs_in(tmp_path / "later")), pattern="x")) == "unkept"


def run(outputs: ToolOutputs, path: Path, look: Callable[[], tuple[Outcome, bool]]) -> Outcome:
    async def state() -> FileState | None:
        return await asyncio.to_thread(state_of, [os.fsencode(path)])

    async def looked() -> tuple[Outcome, bool]:
        return look()

    return asyncio.run(unchanged(outputs, Lookup("grep", 1, {}, covers=str(path)), state, looked))


def test_what_changes_meanwhile_and_what_is_not_whole_is_not_cached(outputs: ToolOutputs, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")

    def changing() -> tuple[Outcome, bool]:
        path.write_text("another")
        return Outcome((Text("one"),)), True

    results = [
        run(outputs, path, changing),
        run(outputs, path, lambda: (Outcome((Text("a part"),)), False)),
        run(outputs, path, lambda: (error("it went wrong"), True)),
    ]
    assert [how(found) for found in results] == ["unkept"] * 3
    assert results[0].facts["cache"]["problem"] == "it changed meanwhile"
    assert how(run(outputs, path, lambda: (Outcome((Text("whole"),)), True))) == "stored"


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_done_to_the_files_the_result_is_that_of_a_search(
    seed: int, searching: Tool, space: Workspace, call: Call
) -> None:
    """By other hands than the tools', as a command does it."""
    chance, root, plain, seen = random.Random(seed), space.root, grep.make(space, RG), set()
    for step in range(25):
        names = sorted(path for path in root.rglob("*") if path.is_file() and path.name != ".gitignore")
        path = chance.choice(names) if names else root / "first"
        match chance.randrange(8):
            case 0:
                path.write_text(f"x = {step}\n")
            case 1:
                with path.open("a") as file:
                    file.write("y x\n")
            case 2:
                path.unlink(missing_ok=True)
            case 3:
                path.rename(path.with_name(f"moved{step}"))
            case 4:
                was = path.stat()
                path.write_text("z" * was.st_size)
                os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
            case 5:
                (root / ".gitignore").write_text(f"moved{chance.randrange(25)}\n")
            case 6:
                (root / f"new{step}").write_text("x\n")
            case _:
                pass
        found, expected = call(searching, pattern="x"), call(plain, pattern="x")
        assert just_now(text(found)).removeprefix("[from the cache: 0 s old; unchanged since]\n") == text(expected)
        seen.add(how(found))
    assert seen == {"stored", "hit"}
