from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from rich.cells import cell_len
from rich.text import Text

from harness.tools.output import visible
from harness.ui.markdown import MarkdownRows


def rows(*pieces: str, width: int = 20) -> list[Text]:
    stream = MarkdownRows(lambda: width)
    found = [row for piece in pieces for row in stream.feed(piece)]
    return [*found, *stream.end()]


def plain(*pieces: str, width: int = 20) -> list[str]:
    return [row.plain for row in rows(*pieces, width=width)]


def styles(row: Text) -> dict[str, str]:
    return {row.plain[span.start : span.end]: str(span.style) for span in row.spans if span.style}


def test_a_row_is_given_when_it_is_full_and_not_again() -> None:
    stream = MarkdownRows(lambda: 20)

    assert [row.plain for row in stream.feed("one two three four")] == []
    assert [row.plain for row in stream.feed(" five six")] == ["one two three four"]
    assert [row.plain for row in stream.feed("\nnext")] == ["five six"]
    assert [row.plain for row in stream.end()] == ["next"]


def test_items_hang() -> None:
    assert plain("- one two three four five six\n10. ten eleven twelve\n") == [
        "- one two three four",
        "  five six",
        "10. ten eleven",
        "    twelve",
    ]


def test_no_character_is_taken_away() -> None:
    text = "# Head\n\nSome `code`, **bold** and 2**3**4 or **/*.py\n> quote\n---\n| a | b |\n"

    assert plain(text, width=80) == text.splitlines()


def test_styles() -> None:
    head, code, bold = rows("# Head\nrun `ls -la` now\na **bold `x` word** end\n", width=80)

    assert str(head.spans[0].style) == "bold"
    assert styles(code)["ls -la"] == "cyan"
    assert styles(bold)["bold "] == "bold"
    assert " end" not in styles(bold)


def test_a_style_that_is_never_closed_ends_with_its_line() -> None:
    _, after = rows("an `open\nplain\n", width=80)

    assert after.spans == []


def test_code_is_shown_as_it_is_and_not_wrapped() -> None:
    text = "```python\nx = '**no** `markdown`'  # and a long line\n\n\tindented\n```\nafter\n"
    found = rows(text)

    assert [row.plain for row in found] == text.replace("\t", "    ").splitlines()
    assert {str(span.style) for span in found[1].spans} | {str(found[1].style)} == {"cyan"}


def test_a_fence_that_comes_in_pieces_is_a_fence() -> None:
    assert plain(*"``` python title that is long\ncode that is longer than a row\n```\nx") == [
        "``` python title that is long",
        "code that is longer than a row",
        "```",
        "x",
    ]


def test_an_open_fence_ends_with_its_text() -> None:
    stream = MarkdownRows(lambda: 20)
    assert [row.plain for row in [*stream.feed("```\ncode"), *stream.end()]] == ["```", "code"]

    assert [str(row.style) for row in [*stream.feed("prose\n"), *stream.end()]] == [""]


def test_leading_empty_lines_are_not_shown() -> None:
    assert plain("\n\n", "\nfirst\n\nsecond") == ["first", "", "second"]


def test_line_ends_of_all_kinds() -> None:
    assert plain("one\r", "\ntwo\r\nthree") == ["one", "two", "three"]


def test_what_acts_is_written_out() -> None:
    assert plain("a\x1b[2Jb\u202ec\x0bd", width=80) == ["a\\x1b[2Jb\\u202ec\\x0bd"]


@pytest.mark.parametrize("text", ["x" * 95, "漢" * 45, " " * 95 + "x", "word " + "y" * 60])
def test_what_has_no_blank_is_cut_between_characters(text: str) -> None:
    found = plain(text)

    assert max(map(cell_len, found)) <= 20
    assert "".join(found).replace(" ", "") == text.replace(" ", "")


@settings(max_examples=200)
@given(
    st.lists(
        st.text(st.sampled_from("ab `*#->1.\n\t~漢é\x1b\u202e👩\u200d\ufe0f\u20e3\u06cc"), max_size=40), max_size=8
    ),
    st.integers(10, 60),
)
def test_pieces_make_no_difference_to_what_is_shown(pieces: list[str], width: int) -> None:
    whole = "".join(pieces)
    found = plain(*pieces, width=width)

    assert found == plain(whole, width=width)
    assert "".join(found).replace(" ", "") == visible(whole).replace("\t", "").replace(" ", "").replace("\n", "")
