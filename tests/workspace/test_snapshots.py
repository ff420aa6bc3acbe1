"""Snapshots of a workspace and putting them back: bytes, modes, links, hostile repositories, two at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.errors import SnapshotFailed
from harness.workspace import listing
from harness.workspace.shadow import find_git
from harness.workspace.snapshots import Restored, Snapshot, Snapshots, Step, why_not

DAY = "20260101"


class Space:
    """A workspace and its snapshots, for tests that are not async."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.store = folder / "store"
        self.root.mkdir()
        self.snapshots = self.another()

    def another(self) -> Snapshots:
        """A second session in the same workspace."""
        git = find_git(os.environ["PATH"], self.root)
        assert git
        return Snapshots(git, self.store, self.root)

    def write(self, name: str | bytes, content: str | bytes, mode: int | None = None) -> Path:
        """A file of the workspace."""
        path = self.root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        if mode is not None:
            path.chmod(mode)
        return path

    def take(self) -> Snapshot:
        """Save all."""
        return asyncio.run(self.snapshots.take(DAY))

    def undo(self, *trees: Snapshot) -> Restored:
        """From the last of the states to the first; they follow each other."""
        steps = [Step(one.tree, two.tree) for one, two in pairwise(trees)]
        return asyncio.run(self.snapshots.restore(steps, DAY))

    def state(self) -> dict[bytes, Any]:
        """What is there: contents and permissions by path; folders left out, as they are not saved."""
        found: dict[bytes, Any] = {}
        for path in self.root.rglob("*"):
            name, status = os.fsencode(path.relative_to(self.root)), path.lstat()
            if stat.S_ISLNK(status.st_mode):
                found[name] = os.fsencode(path.readlink())
            elif stat.S_ISREG(status.st_mode):
                found[name] = (path.read_bytes(), stat.S_IMODE(status.st_mode))
        return found


@pytest.fixture
def space(tmp_path: Path) -> Space:
    return Space(tmp_path)


def git(folder: Path, *words: str) -> str:
    ran = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return ran.stdout


# ------------------------------------------------------------------------------------------------ bytes


def test_whatever_changed_is_as_it_was(space: Space) -> None:
    odd: list[tuple[str | bytes, bytes]] = [
        ("crlf.txt", b"a\r\nb\nc\r\n"),
        ("bom.txt", b"\xef\xbb\xbfhello"),
        ("binary", bytes(range(256)) * 40),
        ("empty", b""),
        (b'new\nline "quoted" \\ \ttab', b"1"),
        (b"invalid \xff\xfe bytes", b"2"),
        ("ümlaut-" + "ж" * 60, b"3"),
        ("-n", b"a name like a flag"),
        (":(exclude)x", b"a name like a pathspec"),
        ("git~1", b"special elsewhere"),
        ("con.", b"special elsewhere too"),
        ("deep/er/and/deeper/file", b"4"),
    ]
    for name, content in odd:
        space.write(name, content)
    space.write("run.sh", "#!/bin/sh\n", 0o755)
    space.write("secret", "private", 0o600)
    space.write("readonly", "fixed", 0o444)
    (space.root / "link").symlink_to("crlf.txt")
    (space.root / "dangling").symlink_to("/nowhere/at all")
    (space.root / "loop").symlink_to("loop")
    (space.root / "out").symlink_to("/etc")
    before, was = space.take(), space.state()
    assert before.left_out == ()

    subprocess.run(["sh", "-c", "rm -rf -- * && mkdir deep crlf.txt && echo new > crlf.txt/inside && echo x > more"],
                   cwd=space.root, check=True)  # fmt: skip
    after, gone = space.take(), space.state()
    restored = space.undo(before, after)

    assert space.state() == was
    assert restored.since == ()
    assert restored.left == ()
    assert space.take() == before
    again = space.undo(restored.before, restored.after)  # redoing
    assert space.state() == gone
    assert again.since == ()
    assert again.left == ()
    assert again.changed == restored.changed
    assert again.after.tree == after.tree


def test_permissions_alone_are_a_change(space: Space) -> None:
    space.write("a", "1", 0o640)
    space.write("b", "2", 0o644)
    before, was = space.take(), space.state()
    (space.root / "a").chmod(0o666)
    (space.root / "b").chmod(0o755)
    after = space.take()

    restored = space.undo(before, after)

    assert restored.changed == (b"a", b"b")
    assert space.state() == was


def test_a_second_snapshot_of_the_same_is_the_same_and_reads_no_file(space: Space) -> None:
    path = space.write("a", "same")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    first = space.take()
    assert space.take() == first
    objects = space.store / "git" / "objects"
    assert len([path for path in objects.rglob("*") if path.is_file()]) == 4  # content, files, modes, both


def test_a_change_of_the_same_size_within_the_clock_s_grain_is_seen(space: Space) -> None:
    space.write("a", "000")
    for number in range(1, 10):
        before = space.take()
        space.write("a", f"{number:03d}")
        assert space.take() != before


def test_a_first_snapshot_of_many_files_goes_into_one_pack(space: Space) -> None:
    for number in range(600):
        space.write(f"d{number % 7}/f{number}", f"content {number}")
    before, was = space.take(), space.state()
    assert len(list((space.store / "git" / "objects" / "pack").glob("*.pack"))) == 1
    shutil.rmtree(space.root / "d3")
    space.undo(before, space.take())
    assert space.state() == was


# ----------------------------------------------------------------------------------------- what is left out


def test_ignored_files_are_neither_saved_nor_touched(space: Space) -> None:
    space.write(".gitignore", "*.log\nbuild/\n")
    space.write("sub/.gitignore", "!keep.log\n")
    space.write("a.log", "1")
    space.write("sub/keep.log", "kept")
    space.write("build/big", "x")
    space.write("src", "1")
    before = space.take()
    space.write("a.log", "2")
    space.write("b.log", "new")
    space.write("src", "2")
    space.write("sub/keep.log", "changed")
    shutil.rmtree(space.root / "build")

    restored = space.undo(before, space.take())

    assert restored.changed == (b"src", b"sub/keep.log")
    assert (space.root / "a.log").read_text() == "2"
    assert (space.root / "b.log").read_text() == "new"
    assert not (space.root / "build").exists()


def test_a_rule_that_came_or_went_in_between_loses_nothing(space: Space) -> None:
    space.write(".env", "KEY=1")
    before = space.take()
    space.write(".gitignore", ".env\n")
    (space.root / ".env").write_text("KEY=2")
    after = space.take()

    restored = space.undo(before, after)

    # Nobody saved what .env holds now, so it stays; redoing does not remove it either.
    assert (space.root / ".env").read_text() == "KEY=2"
    assert [one.path for one in restored.left] == [b".env"]
    again = space.undo(restored.before, restored.after)
    assert (space.root / ".gitignore").read_text() == ".env\n"
    assert (space.root / ".env").read_text() == "KEY=2"
    assert [one.path for one in again.left] == [b".env"]


def test_the_person_s_own_exclude_file_counts_and_a_strange_one_blocks_nothing(space: Space) -> None:
    git(space.root, "init", "-q")
    (space.root / ".git/info").mkdir(exist_ok=True)
    (space.root / ".git/info/exclude").write_text("private/\n")
    space.write("private/x", "1")
    space.write("a", "1")
    before = space.take()
    space.write("private/x", "2")
    assert space.take() == before
    (space.root / ".git/info/exclude").unlink()
    os.mkfifo(space.root / ".git/info/exclude")
    assert space.take() != before


@pytest.mark.parametrize("name", [".gitignore", ".gitattributes"])
def test_rules_that_never_end_stop_nobody_for_long(space: Space, name: str) -> None:
    space.write("sub/a", "1")
    os.mkfifo(space.root / "sub" / name)
    with pytest.raises(SnapshotFailed, match=f"git waits for ever for sub/{name}, which is no plain file: remove it"):
        space.take()
    (space.root / "sub" / name).unlink()
    assert space.take().left_out == ()


def test_large_files_are_left_out_and_told(space: Space) -> None:
    space.write("small", "1")
    large = space.write("large", b"")
    os.truncate(large, listing.LARGEST + 1)
    grows = space.write("grows", "small yet")
    before = space.take()
    assert [one.shown for one in before.left_out] == ["large (larger than 10 MB)"]
    os.truncate(grows, listing.LARGEST + 1)
    space.write("small", "2")

    restored = space.undo(before, space.take())

    assert restored.changed == (b"small",)
    assert [one.path for one in restored.left] == [b"grows"]
    assert grows.stat().st_size == listing.LARGEST + 1


def test_where_the_store_is_full_the_largest_new_files_are_left_out(space: Space) -> None:
    root = os.fsencode(space.root)
    for name, size in (("a", 50), ("b", 10), ("c", 40)):
        space.write(name, b"x" * size)
    listed = listing.Listed(set(), set(), {b"a", b"b", b"c"}, set())

    chosen = listing.select(root, listed, 55)

    assert chosen.take == [b"b", b"c"]
    assert [one.path for one in chosen.left_out] == [b"a"]
    # A file that was saved once and has no room now leaves the snapshot: its old content is not shown as the new one.
    chosen = listing.select(root, listing.Listed({b"a"}, {b"a"}, set(), set()), 10)
    assert (chosen.take, chosen.drop) == ([], [b"a"])


def test_what_is_no_file_is_left_alone(space: Space) -> None:
    os.mkfifo(space.root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(space.root)  # a whole path may be longer than an address
        listener.bind("socket")
        space.write("a", "1")
        before = space.take()
        space.write("a", "2")
        (space.root / "a").unlink()
        os.mkfifo(space.root / "a")
        restored = space.undo(before, space.take())
    assert [one.path for one in restored.left] == [b"a"]
    assert stat.S_ISFIFO((space.root / "a").lstat().st_mode)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files_are_told_and_stay(space: Space) -> None:
    space.write("a", "1")
    space.write("closed", "x", 0o000)
    space.write("folder/in", "y")
    before = space.take()
    assert "closed (cannot be read)" in [one.shown for one in before.left_out]
    (space.root / "folder").chmod(0o000)
    after = space.take()
    try:
        assert any("folder/in" in one.shown for one in after.left_out)
        assert space.undo(before, after).changed == ()
    finally:
        (space.root / "folder").chmod(0o755)


def test_empty_folders_are_not_saved_and_only_emptied_ones_go(space: Space) -> None:
    (space.root / "empty").mkdir()
    (space.root / "holds").mkdir()
    before = space.take()
    space.write("made/by/turn", "1")
    space.write("holds/new", "1")
    space.undo(before, space.take())
    assert (space.root / "empty").is_dir()
    assert not (space.root / "made").exists()


# ------------------------------------------------------------------------------------- repositories inside


def test_the_workspace_s_own_repository_is_not_touched(space: Space) -> None:
    git(space.root, "init", "-q", "-b", "main")
    space.write("a", "1")
    git(space.root, "add", "a")
    git(space.root, "commit", "-qm", "one")
    space.write("staged", "s")
    git(space.root, "add", "staged")
    space.write("a", "dirty")

    def own() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in (space.root / ".git").rglob("*") if p.is_file()}

    was = own()
    before = space.take()
    space.write("a", "turn")
    (space.root / "staged").unlink()
    space.undo(before, space.take())
    assert own() == was
    assert (space.root / "a").read_text() == "dirty"
    assert git(space.root, "status", "--porcelain") == " M a\nA  staged\n"


def test_repositories_inside_are_left_alone(space: Space) -> None:
    for name in ("clone", "unborn"):
        (space.root / name).mkdir()
        git(space.root / name, "init", "-q", "-b", "main")
        space.write(f"{name}/file", "1")
    git(space.root / "clone", "add", ".")
    git(space.root / "clone", "commit", "-qm", "one")
    git(space.root, "init", "-q", "-b", "main")
    git(space.root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(space.root / "clone"), "sub")
    git(space.root / "clone", "worktree", "add", "-q", str(space.root / "tree"), "-b", "side")
    space.write("plain/file", "1")
    space.write("later/file", "1")
    before = space.take()
    told = [one.shown for one in before.left_out]
    assert told == [f"{name}/ (a repository of its own)" for name in ("clone", "sub", "tree", "unborn")]

    git(space.root / "later", "init", "-q", "-b", "main")
    for name in ("clone", "unborn", "sub", "tree", "plain", "later"):
        space.write(f"{name}/file", "2")
    restored = space.undo(before, space.take())

    assert restored.changed == (b"plain/file",)
    assert [one.path for one in restored.left] == [b"later/file"]
    assert {(space.root / name / "file").read_text() for name in ("clone", "unborn", "sub", "tree", "later")} == {"2"}


def test_a_hostile_repository_runs_nothing_and_bends_no_byte(space: Space, isolation: Path) -> None:
    trap = space.root.parent / "ran"
    evil = space.root.parent / "evil"
    evil.write_text(f'#!/bin/sh\necho "$0 $*" >> {trap}\ncat\n')
    evil.chmod(0o755)
    git(space.root, "init", "-q", "-b", "main")
    for name in ("pre-commit", "post-checkout", "post-index-change", "fsmonitor-watchman", "reference-transaction"):
        shutil.copy(evil, space.root / ".git" / "hooks" / name) if (space.root / ".git" / "hooks").exists() else None
    bad = {
        "core.fsmonitor": str(evil),
        "core.hooksPath": str(space.root.parent),
        "core.autocrlf": "true",
        "core.sshCommand": str(evil),
        "core.pager": str(evil),
        "filter.evil.clean": str(evil),
        "filter.evil.smudge": str(evil),
        "filter.evil.process": str(evil),
        "filter.evil.required": "true",
        "filter.lfs.clean": str(evil),
        "diff.external": str(evil),
        "gc.auto": "1",
    }
    for name, value in bad.items():
        git(space.root, "config", name, value)
    # The person's own settings count as little.
    for place in (isolation / ".gitconfig", isolation / ".config" / "git" / "config"):
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(space.root / ".git" / "config", place)
    (isolation / ".config" / "git" / "ignore").write_text("*\n")
    space.write(
        ".gitattributes",
        "* text=auto eol=crlf ident filter=evil working-tree-encoding=UTF-16\n*.bin filter=lfs diff=lfs merge=lfs\n"
        "[attr]binary filter=evil\n",
    )
    space.write("deep/.gitattributes", "* filter=evil text ident\n")
    contents = {"a.txt": b"x\n$Id$\n", "deep/b.txt": b"x\r\n$Id: 1 $\n", "c.bin": b"\0\r\n", "d.txt": b"\xff\xfeu\0"}
    for path, content in contents.items():
        space.write(path, content)
    # A repository without a working tree, whose settings would run a program.
    bare = space.root / "bare"
    git(space.root, "init", "-q", "--bare", str(bare))
    git(bare, "config", "core.fsmonitor", str(evil))
    trap.unlink(missing_ok=True)
    before, was = space.take(), space.state()

    for path in contents:
        space.write(path, "changed")
    (bare / "HEAD").unlink()
    space.undo(before, space.take())

    assert space.state() == was
    assert not trap.exists()


def test_variables_of_git_and_a_git_in_the_workspace_are_not_used(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = space.write("git", f"#!/bin/sh\ntouch {space.root.parent / 'ran'}\n", 0o755)
    path = os.environ["PATH"]
    found = find_git(f"{space.root}:.:{path}", space.root)
    assert found
    assert found != str(fake)
    (space.root.parent / "bin").symlink_to(space.root)
    assert find_git(f"{space.root.parent / 'bin'}:{path}", space.root) == found
    assert find_git("", space.root) is None
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_EXTERNAL_DIFF"):
        monkeypatch.setenv(name, str(space.root / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(fake))
    before = space.take()
    space.write("x", "1")
    assert space.undo(before, space.take()).changed == (b"x",)
    assert not (space.root / "elsewhere").exists()
    assert not (space.root.parent / "ran").exists()


# ----------------------------------------------------------------------------------- what others changed


def test_what_somebody_changed_since_is_told_and_can_be_brought_back(space: Space) -> None:
    space.write("both", "1")
    space.write("turn", "1")
    space.write("person", "1")
    before = space.take()
    space.write("both", "2")
    space.write("turn", "2")
    after = space.take()
    space.write("both", "3 by the person")
    space.write("person", "2")

    restored = space.undo(before, after)

    assert restored.changed == (b"both", b"turn")
    assert restored.since == (b"both",)
    assert (space.root / "person").read_text() == "2"
    space.undo(restored.before, restored.after)
    assert (space.root / "both").read_text() == "3 by the person"
    assert (space.root / "turn").read_text() == "2"


def test_several_steps_go_back_to_the_first_of_each_file(space: Space) -> None:
    space.write("a", "1")
    one = space.take()
    space.write("a", "2")
    two = space.take()
    space.write("person", "between")
    three = space.take()
    space.write("a", "3")
    space.write("b", "1")
    four = space.take()
    steps = [Step(one.tree, two.tree), Step(three.tree, four.tree)]

    restored = asyncio.run(space.snapshots.restore(steps, DAY))

    assert restored.changed == (b"a", b"b")
    assert restored.since == ()
    assert (space.root / "a").read_text() == "1"
    assert (space.root / "person").read_text() == "between"
    assert not (space.root / "b").exists()


def test_a_step_without_its_end_ends_where_the_next_begins(space: Space) -> None:
    space.write("a", "1")
    one = space.take()
    space.write("a", "2")
    asyncio.run(space.snapshots.restore([Step(one.tree, None)], DAY))
    assert (space.root / "a").read_text() == "1"


# -------------------------------------------------------------------------------------------- never outside


def test_nothing_is_written_or_removed_through_a_symlink(space: Space) -> None:
    outside = space.root.parent / "outside"
    outside.mkdir()
    (outside / "x").write_text("theirs")
    space.write("d/x", "ours")
    space.write("e/y", "ours")
    before = space.take()
    shutil.rmtree(space.root / "d")
    (space.root / "d").symlink_to(outside)
    after = space.take()

    restored = space.undo(before, after)
    assert sorted(restored.changed) == [b"d", b"d/x"]
    assert (outside / "x").read_text() == "theirs"
    assert (space.root / "d/x").read_text() == "ours"

    # The same where the symlink is one that no snapshot holds.
    space.write(".gitignore", "/e\n")
    shutil.rmtree(space.root / "e")
    (space.root / "e").symlink_to(outside)
    later = space.take()
    restored = space.undo(before, later)
    assert [one.path for one in restored.left] == [b"e/y"]
    assert sorted(path.name for path in outside.iterdir()) == ["x"]


def test_a_second_name_elsewhere_is_not_written_into(space: Space) -> None:
    outside = space.root.parent / "outside"
    outside.write_text("theirs")
    path = space.write("a", "ours")
    before = space.take()
    path.unlink()
    path.hardlink_to(outside)
    space.undo(before, space.take())
    assert outside.read_text() == "theirs"
    assert path.read_text() == "ours"


def test_what_is_in_the_way_and_not_saved_stays(space: Space) -> None:
    space.write(".gitignore", "*.log\n")
    path = space.write("a", "1")
    before = space.take()
    path.unlink()
    space.write("a/x.log", "not saved")
    restored = space.undo(before, space.take())
    assert [one.path for one in restored.left] == [b"a"]
    assert (space.root / "a/x.log").read_text() == "not saved"


# --------------------------------------------------------------------------------------------- where it is off


def test_where_it_is_off(tmp_path: Path) -> None:
    home, path = tmp_path / "home", os.environ["PATH"]
    project, state = home / "project", home / "state"
    project.mkdir(parents=True)
    assert why_not(project, home, state, path) == ""
    assert "home folder" in why_not(home, home, state, path)
    assert "home folder" in why_not(Path("/"), home, state, path)
    (tmp_path / "link").symlink_to(home)
    assert "home folder" in why_not(tmp_path / "link", home, state, path)
    assert "state folder" in why_not(project, home, project / "state", path)
    assert why_not(project, home, state, "").startswith("git was not found")


# -------------------------------------------------------------------------------------- two at once, and kills


def test_two_sessions_at_once_do_not_disturb_each_other(space: Space) -> None:
    for number in range(50):
        space.write(f"f{number}", str(number))

    async def one(snapshots: Snapshots) -> list[Snapshot]:
        return [await snapshots.take(DAY) for _ in range(5)]

    async def both() -> list[list[Snapshot]]:
        return await asyncio.gather(*(one(space.another()) for _ in range(4)))

    trees = {snapshot.tree for taken in asyncio.run(both()) for snapshot in taken}
    assert len(trees) == 1


SNAP = """
import asyncio, os, sys
from pathlib import Path
from harness.workspace.snapshots import Snapshots, Step, find_git
store, root, *trees = sys.argv[1:]
snapshots = Snapshots(find_git(os.environ["PATH"], Path(root)), Path(store), Path(root))
print("ready", flush=True)
asyncio.run(snapshots.restore([Step(*trees)], "20260101") if trees else snapshots.take("20260101"))
"""

Killed = Callable[..., None]


@pytest.fixture
def killed(space: Space) -> Killed:
    """Runs a snapshot, or a restore, as a process that is killed after some milliseconds."""

    def kill(after: float, *trees: str) -> None:
        words = [sys.executable, "-c", SNAP, str(space.store), str(space.root), *trees]
        repository = Path(__file__).resolve().parents[2]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(repository)}
        with subprocess.Popen(words, stdout=subprocess.PIPE, env=env) as running:
            assert running.stdout
            running.stdout.readline()
            time.sleep(after)
            running.kill()

    return kill


def test_a_kill_at_any_moment_leaves_a_store_that_works(space: Space, killed: Killed) -> None:
    for number in range(700):
        space.write(f"d{number % 9}/f{number}", f"{number} " * 200)
    was = space.state()
    for after in (0.0, 0.02, 0.04, 0.07, 0.11, 0.16, 0.25):
        killed(after)
    before = space.take()
    assert before.left_out == ()
    shutil.rmtree(space.root / "d1")
    gone = space.take()
    for after in (0.0, 0.1, 0.2, 0.3):
        killed(after, before.tree, gone.tree)
        for path, value in space.state().items():
            if not path.rpartition(b"/")[2].startswith(b".harness-"):
                assert was[path] == value  # old or new, never half
    space.undo(before, gone)
    for left in space.root.rglob(".harness-*.part"):
        left.unlink()
    assert space.state() == was


def test_what_a_kill_left_stops_nobody(space: Space) -> None:
    space.write("a", "1")
    before = space.take()
    repository = space.store / "git"
    (repository / "index.lock").write_bytes(b"half")
    assert space.take() == before
    (repository / "index").write_bytes((repository / "index").read_bytes()[:40])  # a power loss
    assert space.take() == before
    (repository / "ready").unlink()
    assert space.take() == before
    blob = git(space.root, "hash-object", "--no-filters", "a").strip()
    (repository / "objects" / blob[:2] / blob[2:]).unlink()
    space.write("b", "1")
    assert space.take() != before
    (space.root / "b").unlink()
    assert space.take() == before
    space.write("a", "2")
    assert space.undo(before, space.take()).changed == (b"a",)


@pytest.mark.parametrize("cut", ["objects/??/*", "refs/snapshots/*", "HEAD", "config", "*", "lock"])
def test_what_a_power_loss_left_empty_stops_nobody(space: Space, cut: str) -> None:
    """Every file of a store that was written shortly before may be there and hold nothing."""
    space.write("a", "1")
    before = space.take()
    space.write("b", "1")
    space.take()
    (space.root / "b").unlink()
    repository = space.store / "git"
    for path in [*repository.glob("refs/snapshots/*" if cut == "lock" else cut)]:
        if cut == "lock":
            path.with_name(f"{path.name}.lock").touch()
        elif path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"")

    space.snapshots = space.another()
    assert space.take() == before
    space.write("a", "2")
    assert space.undo(before, space.take()).changed == (b"a",)


def test_a_snapshot_that_is_gone_is_told_and_nothing_is_touched(space: Space) -> None:
    space.write("a", "1")
    after = space.take()
    with pytest.raises(SnapshotFailed, match="no longer in the store"):
        asyncio.run(space.snapshots.restore([Step("0" * 39 + "1", after.tree)], DAY))
    assert (space.root / "a").read_text() == "1"


@contextlib.contextmanager
def tiny(folder: Path) -> Iterator[None]:
    """Mount a file system of 1 MB there."""
    folder.mkdir(exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_told_and_nothing_is_lost(space: Space) -> None:
    with tiny(space.store):
        space.write("a", "1")
        space.write("b", os.urandom(3_000_000))
        with pytest.raises(SnapshotFailed, match="no room in"):
            space.take()
        (space.root / "b").unlink()
        before = space.take()
        space.write("a", "2")
        assert space.undo(before, space.take()).changed == (b"a",)


def test_what_finds_no_room_when_it_is_put_back_is_told_and_put_back_later(space: Space) -> None:
    with tiny(space.root):
        space.write(".gitignore", "fill\n")
        large, content = space.write("large", b"x" * 600_000), b"x" * 600_000
        space.write("small", "1")
        before = space.take()
        large.unlink()
        space.write("small", "2")
        after = space.take()
        space.write("fill", b"y" * 700_000)

        restored = space.undo(before, after)
        assert restored.changed == (b"small",)
        assert [one.shown for one in restored.left] == ["large (cannot be written: No space left on device)"]
        assert sorted(path.name for path in space.root.iterdir()) == [".gitignore", "fill", "small"]
        (space.root / "fill").unlink()
        assert space.undo(before, after).changed == (b"large",)
        assert large.read_bytes() == content


# ----------------------------------------------------------------------------------------------------- pruning


def test_pruning_keeps_what_journals_name(space: Space) -> None:
    trees = []
    for number in range(4):
        space.write("a", f"{number}")
        trees.append(space.take())
    asyncio.run(space.snapshots.prune([trees[1].tree], "20260101"))  # of this very day: all stay
    refs = space.store / "git"
    assert len(git(refs, "for-each-ref").splitlines()) == 4
    asyncio.run(space.snapshots.prune([trees[1].tree], "20260103"))
    assert [trees[1].tree] == [line.split()[0] for line in git(refs, "for-each-ref").splitlines()]
    space.undo(trees[1], space.take())
    assert (space.root / "a").read_text() == "1"
