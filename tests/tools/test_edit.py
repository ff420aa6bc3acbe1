"""edit: exactly that, nothing else."""

from __future__ import annotations

import codecs
import hashlib
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from harness.conversation.blocks import Text
from harness.tools import edit, read
from harness.tools.base import Outcome, Seen
from harness.workspace.paths import Workspace

Call = Callable[..., Outcome]


def text(outcome: Outcome) -> str:
    first = outcome.content[0]
    assert isinstance(first, Text)
    return first.text


@pytest.fixture
def change(space: Workspace, known: Seen, call: Call) -> Callable[..., Outcome]:
    """Writes `raw` to a file, reads it with the tool, edits it."""

    def changed(raw: bytes, old: str, new: str, **more: bool) -> Outcome:
        (space.root / "f").write_bytes(raw)
        call(read.make(space), path="f")
        return call(edit.make(space, known), path="f", old=old, new=new, **more)

    return changed


@pytest.mark.parametrize(
    ("raw", "old", "new", "expected"),
    [
        (b"a\nb\nc\n", "b", "x", b"a\nx\nc\n"),
        (b"a\nb", "b", "x", b"a\nx"),
        (b"a\r\nb\r\nc", "a\nb", "a\nx\nb", b"a\r\nx\r\nb\r\nc"),
        (b"a\r\nb\r\n", "a\r\nb", "c\r\nd", b"c\r\nd\r\n"),
        (b"a\nb\r\nc\n", "b\nc", "B\nC", b"a\nB\r\nC\n"),
        (codecs.BOM_UTF8 + b"a\n", "a", "b", codecs.BOM_UTF8 + b"b\n"),
        (
            codecs.BOM_UTF16_BE + "aé\r\n".encode("utf-16-be"),
            "é",
            "ü",
            codecs.BOM_UTF16_BE + "aü\r\n".encode("utf-16-be"),
        ),
        (b"caf\xe9 a\n", "a\n", "\xfc\n", b"caf\xe9 \xfc\n"),
        ("éé ".encode() + b"\xff a", "a", "ü", "éé ".encode() + b"\xff " + "ü".encode()),
        (b"a\x0cb\n", "b", "c", b"a\x0cc\n"),
        (b"ab", "ab", "", b""),
    ],
)
def test_bytes_outside_the_match_stay(
    change: Callable[..., Outcome], space: Workspace, raw: bytes, old: str, new: str, expected: bytes
) -> None:
    outcome = change(raw, old, new)
    assert not outcome.is_error, text(outcome)
    assert (space.root / "f").read_bytes() == expected
    assert outcome.blobs == (expected,)


def test_what_is_asked_shows_every_line_once(space: Workspace, known: Seen) -> None:
    def shown(old: str, new: str) -> str:
        return edit.make(space, known).subject({"path": "a", "old": old, "new": new}).preview

    assert shown("a\n", "b\nc\n") == shown("a", "b\nc") == "- a\n+ b\n+ c"
    # a newline that goes or comes is a change
    assert shown("a\n", "a") == "- a\n- \n+ a"
    assert shown("a", "a\n") == "- a\n+ a\n+ "


def test_the_result_shows_the_place(change: Callable[..., Outcome]) -> None:
    outcome = change(b"".join(b"%d\n" % n for n in range(1, 20)), "10\n11\n", "ten\n10.5\n11\n")
    rows = ["7", "8", "9", "ten", "10.5", "11", "12", "13", "14", "15"]
    assert text(outcome) == "edited f:\n" + "\n".join(f"{n:6d}\t{row}" for n, row in enumerate(rows, 7))
    assert outcome.shown == "+2 -1"


def test_mode_stays(change: Callable[..., Outcome], space: Workspace) -> None:
    (space.root / "f").touch()
    (space.root / "f").chmod(0o755)
    change(b"a", "a", "b")
    assert stat.S_IMODE((space.root / "f").stat().st_mode) == 0o755


def test_several_places(change: Callable[..., Outcome], space: Workspace) -> None:
    raw = b"x = 1\ny\nx = 1\nx = 1\n"
    outcome = change(raw, "x = 1", "x = 2")
    assert outcome.is_error
    assert "occurs 3 times in f, at lines 1, 3, 4" in text(outcome)
    assert (space.root / "f").read_bytes() == raw
    outcome = change(raw, "x = 1", "x = 2", all=True)
    assert (space.root / "f").read_bytes() == raw.replace(b"1", b"2")
    assert outcome.shown == "+3 -3"
    assert "3 places" in text(outcome)


def test_overlapping_places_are_not_one(change: Callable[..., Outcome]) -> None:
    assert "occurs 2 times" in text(change(b"aaa", "aa", "b"))


@pytest.mark.parametrize(
    ("raw", "old", "told"),
    [
        (
            b"def  f(x):\n    return x\n",
            "def f(x):",
            "The most similar place:\n     1\tdef  f(x):\n     2\t    return x",
        ),
        (b"def f(x):\n    return x\n", "     1\tdef f(x):\n", "leave those out"),
        (b"abc\n", "zzzzzzzz", "old was not found in f; nothing was changed"),
        (b"abc\n", "", "old is empty"),
        (b"abc\n", "same", "the same"),
    ],
)
def test_no_match_helps(change: Callable[..., Outcome], raw: bytes, old: str, told: str) -> None:
    outcome = change(raw, old, "same")
    assert outcome.is_error
    assert told in text(outcome)


def test_a_huge_file_with_no_match_is_answered_soon(change: Callable[..., Outcome]) -> None:
    outcome = change(b"the quick brown fox jumps over the lazy dog\n" * 40_000, "the quick brown fax jumps", "x")
    assert outcome.is_error
    assert len(text(outcome)) < 2000


def test_a_changed_file_is_refused_with_the_difference(space: Workspace, known: Seen, call: Call) -> None:
    path = space.root / "f"
    path.write_text("a\nb\nc\n")
    call(read.make(space), path="f")
    path.write_text("a\nB\nc\n")
    outcome = call(edit.make(space, known), path="f", old="a", new="x")
    assert outcome.is_error
    assert text(outcome).endswith("--- as read\n+++ now\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c")
    assert path.read_text() == "a\nB\nc\n"
    path.write_text("a\r\nb\r\nc\r\n")
    assert "only line ends" in text(call(edit.make(space, known), path="f", old="a", new="x"))
    path.write_text("".join(f"{n}\n" for n in range(5000)))
    assert len(text(call(edit.make(space, known), path="f", old="a", new="x"))) < 20_000
    path.unlink()
    assert "was deleted since" in text(call(edit.make(space, known), path="f", old="a", new="x"))
    path.mkdir()
    assert "is a directory" in text(call(edit.make(space, known), path="f", old="a", new="x"))


def test_an_unread_file_is_refused(space: Workspace, known: Seen, call: Call) -> None:
    (space.root / "f").write_text("a")
    assert "read it first" in text(call(edit.make(space, known), path="f", old="a", new="b"))
    assert "does not exist" in text(call(edit.make(space, known), path="g", old="a", new="b"))


def test_a_binary_file_is_refused(space: Workspace, known: Any, call: Call) -> None:
    (space.root / "f").write_bytes(b"a\0b")
    known.identities[str(space.root / "f")] = hashlib.sha256(b"a\0b").hexdigest()
    assert "f is binary" in text(call(edit.make(space, known), path="f", old="a", new="b"))


def test_edits_follow_each_other(change: Callable[..., Outcome], space: Workspace, known: Seen, call: Call) -> None:
    change(b"a b c", "a", "1")
    assert not call(edit.make(space, known), path="f", old="b", new="2").is_error
    assert not call(edit.make(space, known), path="./f", old="c", new="3").is_error
    assert (space.root / "f").read_bytes() == b"1 2 3"


def test_a_character_the_encoding_lacks(change: Callable[..., Outcome], space: Workspace) -> None:
    outcome = change(b"caf\xe9 a", "a", "\u4e2d")
    # "caf\xe9 a" holds "a" twice.
    assert outcome.is_error
    outcome = change(b"caf\xe9 x", "x", "\u4e2d")
    assert "has no character" in text(outcome)
    assert (space.root / "f").read_bytes() == b"caf\xe9 x"


RAW = st.text(alphabet="ab\n\té", max_size=30).map(str.encode) | st.lists(
    st.sampled_from([b"a", b"b", b"\r\n", b"\n", b"\r", b"\xff", b"\xc3\xa9", b" "]), max_size=30
).map(b"".join)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RAW, RAW, st.sampled_from([b"", codecs.BOM_UTF8]))
def test_everything_else_is_byte_identical(call: Call, known: Seen, before: bytes, after: bytes, bom: bytes) -> None:
    raw = bom + before + b"<old\r\nplace>" + after
    with tempfile.TemporaryDirectory() as folder:
        space = Workspace(Path(folder))
        (space.root / "f").write_bytes(raw)
        assume(not call(read.make(space), path="f").is_error)
        outcome = call(edit.make(space, known), path="f", old="<old\nplace>", new="<new>")
        assert not outcome.is_error, text(outcome)
        assert (space.root / "f").read_bytes() == bom + before + b"<new>" + after
