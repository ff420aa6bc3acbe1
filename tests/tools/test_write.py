"""write: new files, and seen ones only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from harness.conversation.blocks import Text
from harness.tools import read, write
from harness.tools.base import Outcome, Seen
from harness.workspace.paths import Workspace

Call = Callable[..., Outcome]


def text(outcome: Outcome) -> str:
    first = outcome.content[0]
    assert isinstance(first, Text)
    return first.text


def test_a_new_file_with_its_folders(space: Workspace, known: Seen, call: Call) -> None:
    tool = write.make(space, known)
    outcome = call(tool, path="a/b/c.txt", content="x\r\né\n")
    assert text(outcome) == "created a/b/c.txt: 2 lines"
    assert outcome.shown == "2 lines"
    assert (space.root / "a/b/c.txt").read_bytes() == "x\r\né\n".encode()
    # What was written is known: it may be written again.
    assert text(call(tool, path="a/b/c.txt", content="")) == "replaced a/b/c.txt: 0 lines"


def test_what_is_asked_shows_every_line_once(space: Workspace, known: Seen) -> None:
    tool = write.make(space, known)

    shown = {
        content: tool.subject({"path": "a", "content": content}).preview
        for content in ("", "\n", "x", "x\n", "x\n\n", "x\n\\ no newline at the end\n")
    }

    assert shown["x\n"] == "+ x"
    assert shown["x"] == "+ x\n\\ no newline at the end"
    assert shown["x\n\n"] == "+ x\n+ "
    assert len(set(shown.values())) == len(shown)


def test_only_what_was_seen_is_overwritten(space: Workspace, known: Seen, call: Call) -> None:
    tool = write.make(space, known)
    (space.root / "a").write_text("old")
    outcome = call(tool, path="a", content="new")
    assert outcome.is_error
    assert "was not read in this session" in text(outcome)
    call(read.make(space), path="a")
    (space.root / "a").write_text("other")
    assert "changed since it was read" in text(call(tool, path="a", content="new"))
    assert (space.root / "a").read_text() == "other"
    call(read.make(space), path="a")
    assert not call(tool, path="a", content="new").is_error
    assert (space.root / "a").read_text() == "new"


def test_a_symlink_stays_one(space: Workspace, known: Seen, call: Call) -> None:
    (space.root / "real").write_text("old")
    (space.root / "link").symlink_to("real")
    (space.root / "dangling").symlink_to("later")
    call(read.make(space), path="link")
    tool = write.make(space, known)
    assert not call(tool, path="link", content="new").is_error
    assert not call(tool, path="dangling", content="new").is_error
    assert (space.root / "link").is_symlink()
    assert (space.root / "dangling").is_symlink()
    assert [(space.root / name).read_text() for name in ("real", "later")] == ["new", "new"]
    # Read through the link, written by the real name: the same file.
    assert not call(tool, path="real", content="newer").is_error


def test_what_cannot_be_written_says_why(space: Workspace, known: Seen, call: Call) -> None:
    tool = write.make(space, known)
    os.mkfifo(space.root / "fifo")
    (space.root / "file").write_text("x")
    (space.root / "loop").symlink_to("loop")
    for path, told in (
        (".", "is a directory"), ("fifo", "is a FIFO"), ("file/x", "ot a directory"), ("loop", "loop"),
        ("a\0", "NUL"), ("n" * 300, "too long"), ("/proc/self/comm", "kernel file"), ("/dev/null", "device"),
    ):  # fmt: skip
        outcome = call(tool, path=path, content="x")
        assert outcome.is_error
        assert told in text(outcome), path
    assert (space.root / "file").read_text() == "x"


def test_a_name_with_a_newline_is_one_line_of_text(space: Workspace, known: Seen, call: Call) -> None:
    assert text(call(write.make(space, known), path="a\nb\x1b[2J", content="x")) == "created a\\nb\\x1b[2J: 1 line"
    assert Path(space.root / "a\nb\x1b[2J").exists()


def test_half_a_character_becomes_a_whole_one(space: Workspace, known: Seen, call: Call) -> None:
    assert not call(write.make(space, known), path="a", content="x\ud800y").is_error
    assert (space.root / "a").read_text() == "x\ufffdy"
