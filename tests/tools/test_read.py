"""read: lines, ranges, images, and what it must not touch."""

from __future__ import annotations

import base64
import codecs
import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.conversation.blocks import Image, Text
from harness.conversation.canonical import encode
from harness.tools import read
from harness.tools.base import Outcome
from harness.workspace import files
from harness.workspace.paths import Workspace

Call = Callable[..., Outcome]


def text(outcome: Outcome) -> str:
    first = outcome.content[0]
    assert isinstance(first, Text)
    return first.text


def test_lines_are_numbered_and_the_file_is_known(space: Workspace, call: Call) -> None:
    (space.root / "a.py").write_bytes(b"x\ny")
    outcome = call(read.make(space), path="a.py")
    assert text(outcome) == "     1\tx\n     2\ty"
    assert outcome.shown == "2 lines"
    assert outcome.facts == {"seen": {str(space.root / "a.py"): hashlib.sha256(b"x\ny").hexdigest()}}
    assert outcome.blobs == (b"x\ny",)


def test_ranges(space: Workspace, call: Call) -> None:
    (space.root / "a").write_text("".join(f"{n}\n" for n in range(1, 5322)))
    tool = read.make(space)
    whole = text(call(tool, path="a"))
    assert whole.startswith("     1\t1\n")
    assert whole.endswith("  1000\t1000\n[lines 1-1000 of 5321; go on with offset=1001]")
    assert text(call(tool, path="a", offset=5320, limit=9)) == "  5320\t5320\n  5321\t5321\n[lines 5320-5321 of 5321]"
    assert text(call(tool, path="a", offset=2, limit=1)) == "     2\t2\n[lines 2-2 of 5321; go on with offset=3]"
    past = call(tool, path="a", offset=6000)
    assert past.is_error
    assert text(past) == "a: it has 5,321 lines, and offset is 6000"


def test_bounds_in_bytes_and_of_long_lines(space: Workspace, call: Call) -> None:
    (space.root / "wide").write_text(("é" * 3000 + "\n") * 50)
    shown = text(call(read.make(space), path="wide"))
    assert len(shown.encode()) < read.BYTES + 200
    assert "é" * 2000 + " [… 1,000 more characters]\n" in shown
    assert "of 50; go on with offset=10]" in shown


def test_every_line_comes_once_when_followed(space: Workspace, call: Call) -> None:
    content = [f"line {n} " + "x" * (n * 37 % 900) for n in range(2500)]
    (space.root / "a").write_text("\n".join(content))
    tool, offset, got = read.make(space), 1, []
    while offset:
        shown = text(call(tool, path="a", offset=offset))
        got += [row.partition("\t")[2] for row in shown.split("\n") if "\t" in row]
        offset = int(shown.rpartition("offset=")[2][:-1]) if "go on with" in shown else 0
    assert got == content


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"", "[f is empty]"),
        (b"\n", "     1\t"),
        (b"a\r\nb\r\n", "     1\ta\n     2\tb\n[CRLF line ends]"),
        (codecs.BOM_UTF8 + b"a\n", "     1\ta\n[with BOM]"),
        (codecs.BOM_UTF16_LE + "é\n".encode("utf-16-le"), "     1\té\n[UTF-16]"),
        (b"caf\xe9\n", "     1\tcafé\n[not UTF-8; read as Latin-1]"),
        ("éé".encode() + b"\xff\n", "     1\téé\\xff\n[UTF-8 with 1 invalid bytes, shown as \\x..]"),
        (b"a\x1b[2Jb\x07\n", "     1\ta\\x1b[2Jb\\x07"),
        (b"a\rb\n", "     1\ta\\rb"),
    ],
)
def test_encodings(space: Workspace, call: Call, raw: bytes, shown: str) -> None:
    (space.root / "f").write_bytes(raw)
    outcome = call(read.make(space), path="f")
    assert text(outcome) == shown
    assert not outcome.is_error
    assert outcome.blobs == (raw,)


def test_binary_says_so(space: Workspace, call: Call) -> None:
    (space.root / "a.txt").write_bytes(b"\x7fELF\0\0" + b"x" * 20_000)
    assert (
        text(call(read.make(space), path="a.txt")) == "a.txt is binary: ELF program, 20.0 KB; use shell to look into it"
    )


def test_what_is_no_file_is_refused_at_once(space: Workspace, call: Call) -> None:
    tool = read.make(space)
    os.mkfifo(space.root / "notes.txt")
    (space.root / "zero").symlink_to("/dev/zero")
    (space.root / "loop").symlink_to("loop")
    for path, told in (
        ("notes.txt", "is a FIFO"), ("zero", "is a character device"), ("/dev/null", "is a character device"),
        ("loop", "loop"), ("none", "does not exist"), ("a\0b", "NUL"), ("", "empty"), ("zero/x", "Not a directory"),
        ("x" * 300, "too long"),
    ):  # fmt: skip
        outcome = call(tool, path=path)
        assert outcome.is_error
        assert told in text(outcome), path


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no procfs on this system")
def test_the_environment_of_the_program_cannot_be_read(space: Workspace, call: Call) -> None:
    (space.root / "link").symlink_to("/proc/self/environ")
    for path in ("/proc/self/environ", "link", f"/proc/{os.getppid()}/environ", "/proc/kmsg"):
        assert "kernel file" in text(call(read.make(space), path=path))


def test_a_directory_lists_itself(space: Workspace, call: Call) -> None:
    for number in range(60):
        (space.root / f"f{number:02}").touch()
    (space.root / "a\nb").mkdir()
    outcome = call(read.make(space), path=".")
    assert outcome.is_error
    assert text(outcome).startswith(". is a directory; find files in it with glob. It holds:\na\\nb/\nf00\n")
    assert text(outcome).endswith("f48\n[and 11 more]")


def test_a_name_that_is_no_utf8_can_be_journaled(space: Workspace, call: Call) -> None:
    try:
        (space.root / os.fsdecode(b"bad\xff")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (space.root / "good").symlink_to(os.fsdecode(b"bad\xff"))
    facts = call(read.make(space), path="good").facts
    assert encode(dict(facts))
    assert next(iter(facts["seen"])).endswith("bad\\xff")


def test_a_missing_file_names_its_like(space: Workspace, call: Call) -> None:
    (space.root / "Readme.md").touch()
    assert "(there is Readme.md)" in text(call(read.make(space), path="README.txt"))


def test_ten_gigabytes(space: Workspace, call: Call) -> None:
    path = space.root / "big"
    path.write_bytes(b"".join(b"row %d\n" % n for n in range(3000)))
    os.truncate(path, 10**10)
    tool = read.make(space)
    outcome = call(tool, path="big", limit=2)
    assert text(outcome) == "     1\trow 0\n     2\trow 1\n[lines 1-2; go on with offset=3; the file has 10.0 GB]"
    assert outcome.facts["seen"][str(path)].startswith("stat:10000000000:")
    assert outcome.blobs == ()
    assert "row 2999" in text(call(tool, path="big", offset=3000, limit=1))
    giant = text(call(tool, path="big", offset=3001, limit=1))
    assert "more characters]" in giant
    assert len(giant) < 20_000
    assert "not within its first 268.4 MB" in text(call(tool, path="big", offset=4000))


def test_a_file_between_the_bounds_is_known_by_its_hash(space: Workspace, call: Call) -> None:
    raw = b"0123456789abcde\n" * 200_000 + b"end"
    (space.root / "mid").write_bytes(raw)
    assert len(raw) > files.KEPT
    outcome = call(read.make(space), path="mid", offset=200_000)
    assert text(outcome) == "200000\t0123456789abcde\n200001\tend\n[lines 200000-200001 of 200001]"
    assert outcome.facts["seen"] == {str(space.root / "mid"): hashlib.sha256(raw).hexdigest()}


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08" + struct.pack(">HH", 20, 30) + b"\x03" + b"\0" * 9 + b"\xff\xd9"
)
GIF = b"GIF89a" + struct.pack("<HH", 5, 6) + b"\0\0\0" + b"\x3b"
WEBP = b"RIFF" + struct.pack("<I", 26) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0\x09\0\0\x13\0\0" + b"\0\0\0\0"


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (png(3, 4), "image/png, 3x4"),
        (JPEG, "image/jpeg, 30x20"),
        (GIF, "image/gif, 5x6"),
        (WEBP, "image/webp, 10x20"),
    ],
)
def test_images_by_content_not_by_name(space: Workspace, call: Call, raw: bytes, told: str) -> None:
    (space.root / "x.txt").write_bytes(raw)
    outcome = call(read.make(space), path="x.txt")
    assert told in text(outcome)
    image = outcome.content[1]
    assert isinstance(image, Image)
    assert base64.b64decode(image.data) == raw
    assert image.media_type == told.split(",", maxsplit=1)[0]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (png(3, 4)[:-20], "cut short or broken"),
        (b"\x89PNG\r\n\x1a\n", "cut short or broken"),
        (JPEG[:12], "cut short or broken"),
        (b"RIFF\xff\0\0\0WEBPVP8 ", "cut short or broken"),
        (png(9000, 4), "at most 8000 per side"),
        (png(0, 0), "at most 8000 per side"),
        (b"GIF89a" + b"x" * 4_000_000, "at most 3.5 MB"),
    ],
)
def test_images_no_vendor_takes(space: Workspace, call: Call, raw: bytes, told: str) -> None:
    (space.root / "x.png").write_bytes(raw)
    outcome = call(read.make(space), path="x.png")
    assert outcome.is_error
    assert told in text(outcome)
