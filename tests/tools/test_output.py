"""Cutting to size, and characters that act."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.tools.output import Spill, bound, exact, join, one_line, plain, visible


def test_short_text_stays(tmp_path: Path) -> None:
    assert bound("é" * 50, 100, Spill(tmp_path / "out")) == ("é" * 50, "")
    assert not (tmp_path / "out").exists()


def test_long_text_is_cut_at_lines(tmp_path: Path) -> None:
    whole = "".join(f"line {n}\n" for n in range(1000))
    cut, path = bound(whole, 200, Spill(tmp_path / "out"))
    assert Path(path).read_text() == whole
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    lines = cut.splitlines()
    assert lines[0] == "line 0"
    assert lines[-1] == "line 999"
    assert all(row.startswith(("line ", "[… ")) for row in lines)
    assert f"whole output: {path}; read it with offset and limit]" in cut
    assert bound(whole, 200, Spill(tmp_path / "out")) == (cut, path)


def test_no_room_for_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cut, path = bound("x" * 1000, 100, Spill(tmp_path / "file" / "out"))
    assert path == ""
    assert "could not be kept: Not a directory" in cut


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="aé中😀\n", max_size=300), st.integers(20, 120))
def test_bound_is_a_bound_and_loses_no_more_than_it_says(tmp_path: Path, text: str, limit: int) -> None:
    cut, path = bound(text, limit, Spill(tmp_path))
    if not path:
        assert cut == text
        return
    head, rest = cut.split("[… ", 1)
    told, tail = rest.split("]\n", 1)
    left = int(told.split(" ")[0].replace(",", ""))
    assert len((head + tail).encode()) <= limit + 1
    assert text.endswith(tail)
    assert text.startswith(head.removesuffix("\n"))
    kept = len(head.encode()) + len(tail.encode())
    assert kept + left - len(text.encode()) in (0, 1), "1: the newline before the line in between"
    assert "\ufffd" not in cut


def test_join_of_bytes_that_are_no_text() -> None:
    assert join(b"\xff\xfe" * 100, b"\x80" * 100, 5000, 50, "gone").count("[… ") == 1
    assert join(b"", b"", 0, 10, "") == ""


def test_visible_and_plain() -> None:
    acting = "a\x00\x1b[31m\x9b\x7f\u202e\u200b\ufeff\U000e0041\tb\n"
    assert visible(acting) == "a\\x00\\x1b[31m\\x9b\\x7f\\u202e\\u200b\\ufeff\\U000e0041\tb\n"
    assert plain("a\r\nb\rc\x1b]52;c;x\x07\u202e\U000e0041") == "a\nb\\rc\\x1b]52;c;x\\x07\u202e\\U000e0041"
    assert one_line("a\nb\tc\x1b" + "x" * 300, 20) == "a\\nb\\tc\\x1bxxxxxxxx…"
    assert visible("bad \udcff \ud800") == "bad \\xff \\ud800"


@pytest.mark.parametrize(
    "text",
    [
        "⚠\ufe0f ✔\ufe0e 1\ufe0f\u20e3",
        "👩\u200d💻 👩🏽\u200d💻 ❤\ufe0f\u200d🔥",
        "\u0645\u06cc\u200c\u062e \u0915\u094d\u200d\u0937",
    ],
)
def test_emoji_and_joined_letters_stay_whole_to_be_read_but_not_to_be_decided_on(text: str) -> None:
    assert visible(text) == text
    assert exact(text).count("\\u") == sum(character in "\u200c\u200d\ufe0e\ufe0f" for character in text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rm\ufe0f a\u200db", "rm\\ufe0f a\\u200db"),
        ("⚠\ufe0f\ufe0f\ufe0e", "⚠\ufe0f\\ufe0f\\ufe0e"),
        ("👩\u200d\u200d💻\u200d", "👩\\u200d\\u200d💻\\u200d"),
        ("1\ufe0f", "1\\ufe0f"),
        ("\u06cc\u200c", "\u06cc\\u200c"),
    ],
)
def test_what_joins_nothing_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_that_acts_is_left(text: str) -> None:
    assert plain(text).replace("\n", "").replace("\t", "").isascii() or "\x1b" not in plain(text)
    assert not set(visible(text)) & set(map(chr, [*range(9), *range(11, 32), 127, 0x202E, 0x200B]))
    plain(text).encode()
    assert plain(plain(text)) == plain(text)
