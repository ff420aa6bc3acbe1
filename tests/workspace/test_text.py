"""Bytes to text and back; replacing within it."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.workspace import replacing, text

RAW = [
    b"", b"a\n", b"a\r\nb", codecs.BOM_UTF8 + b"x\n", codecs.BOM_UTF16_LE + "é\r\n".encode("utf-16-le"),
    codecs.BOM_UTF16_BE + "x".encode("utf-16-be"), codecs.BOM_UTF16_LE + b"odd", b"caf\xe9\n",
    "é\u4e2d\n".encode() + b"\xff",
]  # fmt: skip


@pytest.mark.parametrize("raw", RAW)
def test_round_trip(raw: bytes) -> None:
    decoded = text.decode(raw)
    assert decoded.encode(decoded.text) == raw


@given(st.binary(max_size=60))
def test_round_trip_of_anything(raw: bytes) -> None:
    decoded = text.decode(raw)
    assert decoded.encode(decoded.text) == raw


def test_encodings_are_told() -> None:
    assert text.decode(b"caf\xe9").encoding == "latin-1"
    assert text.decode(codecs.BOM_UTF16_LE + b"a\0").text == "a"
    assert text.decode(codecs.BOM_UTF8 + b"a").text == "a"
    assert "1 invalid" in text.decode("éé".encode() + b"\xff").note


def test_lines_and_sizes() -> None:
    assert text.lines_of("a\r\nb\x0cc\u2028d\n") == ["a", "b\x0cc\u2028d"]
    assert text.lines_of("") == []
    assert text.lines_of("\n") == [""]
    assert [text.size_text(n) for n in (1, 12_345, 3_500_000, 10**10)] == ["1 bytes", "12.3 KB", "3.5 MB", "10.0 GB"]


PIECE = st.text(alphabet="ab \t\n\ré", max_size=12)


@given(PIECE, PIECE.filter(bool), PIECE, PIECE)
def test_nothing_outside_the_match_changes(before: str, old: str, new: str, after: str) -> None:
    found = replacing.unify(before + old + after)
    needle = replacing.unify(old).text
    wanted = replacing.unify(new).text
    starts = replacing.places(found, needle, every=False)
    assume(starts)  # a "\r" at the seam may have become part of a line end
    result = replacing.replace(found, starts[:1], needle, wanted)
    # With equal line ends it is plain replacement of that one place.
    at = starts[0]
    if "\r" not in wanted and "\r" not in found.text:
        expected = found.text[:at] + wanted + found.text[at + len(needle) :]
        assert replacing.unify(result).text == expected
    # Before and after it, every character is the old one.
    crlf = sum(place < at for place in found.ends)
    assert result[: at + crlf] == found.original[: at + crlf]
    behind = at + len(needle)
    tail = found.original[behind + sum(place < behind for place in found.ends) :]
    assert result.endswith(tail)


@pytest.mark.parametrize(
    ("original", "old", "new", "expected"),
    [
        ("a\r\nb\r\n", "a\nb", "a\nx\nb", "a\r\nx\r\nb\r\n"),
        ("a\nb\r\nc\n", "b\nc", "b\nx\nc", "a\nb\r\nx\r\nc\n"),
        ("a\nb\r\nc\n", "a\nb\nc", "a\nB\nc", "a\nB\r\nc\n"),
        ("one\r\ntwo", "two", "two\nthree", "one\r\ntwo\r\nthree"),
        ("a\r\n", "\n", "", "a"),
        ("aaa", "aa", "b", "ba"),
        ("x\ry", "\r", "-", "x-y"),
    ],
)
def test_line_ends(original: str, old: str, new: str, expected: str) -> None:
    found = replacing.unify(original)
    assert replacing.replace(found, replacing.places(found, old, every=False), old, new) == expected
