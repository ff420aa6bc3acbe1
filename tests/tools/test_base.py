"""What a person is shown of a tool's result."""

from __future__ import annotations

import pytest

from harness.tools.base import error


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no such file", "no such file"),
        (
            "a was not found; nothing was changed. The most similar place:\n 1\tb",
            "a was not found; nothing was changed",
        ),
        ("these are wrong:\n- a", "these are wrong:"),
        ("a. Use: b:", "a. Use: b:"),
    ],
)
def test_a_person_sees_the_first_line_of_an_error_and_no_promise_of_more(text: str, shown: str) -> None:
    assert error(text).shown == shown
