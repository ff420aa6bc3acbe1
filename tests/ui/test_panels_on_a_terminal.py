"""Questions on a real PTY: what approves, and what must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.conftest import Sit
from tests.ui.glass import Sitting

QUIET = 0.7
"""Longer than `questions.SETTLE`."""


def opened(orders: Sit, order: str, wait_for: str, permissions: list[str] | None = None, **size: int) -> Sitting:
    """A screen with a question on it that may be answered."""
    it = orders(permissions or ["rm -rf build"], **size)
    it.type(f"{order}\r")
    it.until(wait_for)
    it.listen(QUIET)
    return it


def enough(folder: Path) -> None:
    """End what takes time."""
    (folder / "enough").touch()


@pytest.mark.parametrize(
    ("key", "answer"), [("y", "once"), ("1", "once"), ("s", "session"), ("2", "session"), ("n", "no"), ("\x1b", "no")]
)
def test_a_permission_takes_its_keys(orders: Sit, key: str, answer: str) -> None:
    it = opened(orders, "allow 0", "y once")

    it.type(key)

    it.until(f"answer: {answer}")
    assert "│ rm -rf build" in it.glass.text


def test_nothing_else_approves(orders: Sit) -> None:
    it = opened(orders, "allow 0", "y once")

    it.type("\r")
    it.listen(QUIET)
    it.type("\x1b[200~y\x1b[201~")  # a paste
    it.until("a question waits")
    it.listen(QUIET)
    it.type("es please\r")  # ordinary words, after the pasted y
    it.until("queued")
    it.listen(0.2)
    assert "answer:" not in it.glass.text

    it.listen(QUIET)
    it.type("n")
    it.until("answer: no")
    it.until("heard 'yes please'")


def test_what_was_typed_before_the_question_is_no_answer(orders: Sit, tmp_path: Path) -> None:
    it = orders()
    it.type("later\r")
    it.until("piece 0")
    it.type("y")
    it.until(lambda it: it.shown("> y"))
    enough(tmp_path)
    it.until("asks for permission")
    it.type("yyy1\r")
    it.until("queued")

    it.listen(QUIET)
    assert "answer:" not in it.glass.text
    it.type("n")
    it.until("answer: no")
    it.until("heard 'yyyy1'")


def test_keys_pressed_the_moment_it_appears_are_no_answer(orders: Sit) -> None:
    it = orders()
    it.type("allow 0\ry")
    it.until("asks for permission")
    it.until(lambda it: it.shown("> y"))
    it.listen(QUIET)

    assert "answer:" not in it.glass.text
    it.type("\x03")
    it.until(lambda it: not it.shown("> y"))
    it.listen(QUIET)
    it.type("s")
    it.until("answer: session")


def test_ctrl_c_on_a_permission_stops_the_turn(orders: Sit) -> None:
    it = opened(orders, "allow 0", "y once")

    it.type("\x03")

    it.until("✗ stopped")
    assert "answer:" not in it.glass.text
    it.type("hello\r")
    it.until("heard 'hello'")


def test_padding_hides_no_tail(orders: Sit) -> None:
    it = opened(orders, "allow 0", "y once", ["ls" + " " * 4987 + "; rm -rf / #\u202e\x1b[2K"])

    assert "│ ls⟨4,987 spaces⟩; rm -rf / #\\u202e\\x1b[2K" in it.glass.text
    assert b"\x1b[2K" not in it.raw
    it.type("n")
    it.until("answer: no")


def test_a_long_command_is_approved_only_after_its_last_page(orders: Sit) -> None:
    command = "\n".join(f"echo line {number}" for number in range(12)) + "\nrm -rf /"
    it = opened(orders, "allow 0", "Space: more", [command], columns=40, rows=12)
    assert "rm -rf /" not in it.glass.text

    it.type("y")  # ordinary input as long as there is more
    it.until(lambda it: it.shown("> y"))
    it.listen(QUIET)
    assert "answer:" not in it.glass.text
    it.type("\x03")
    it.until(lambda it: not it.shown("> y"))
    it.listen(QUIET)
    it.type("  ")
    it.until("rm -rf /")
    it.until("y once")
    assert [f"line {number}" in it.glass.text for number in range(12)] == [True] * 12
    it.type("y")
    it.until("answer: once")


def test_a_long_command_can_be_refused_at_once(orders: Sit) -> None:
    it = opened(orders, "allow 0", "Space: more", ["true\n" * 200], columns=40, rows=12)

    it.type("n")

    it.until("answer: no")


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["2"], "'green'"),
        (["\x1b"], "None"),
        (["\x03"], "None"),
        (["a blue one\r"], "'a blue one'"),
        (["\x1b[200~blue\x1b[201~", "\r"], "'blue'"),
    ],
)
def test_a_question_is_answered_by_number_or_words_or_not(orders: Sit, keys: list[str], answer: str) -> None:
    it = opened(orders, "pick", "1-2 choose")

    for key in keys:
        it.type(key)
        it.listen(0.2)

    it.until(f"answer: {answer}")
    assert "│ Which \\x1b[31mcolour?" in it.glass.text


def test_an_answer_in_words_can_be_given_up(orders: Sit) -> None:
    it = opened(orders, "words", "type your answer")

    for key in ("\x1b", "\x03"):
        it.type("because")
        it.until(lambda it: it.shown("Esc: back") and it.shown("> because"))
        it.type(key)
        it.until(lambda it: it.shown("type your answer"))
        it.listen(QUIET)
    it.type("no\r")

    it.until("answer: 'no'")


def test_a_command_stays_one_while_a_question_waits(orders: Sit) -> None:
    it = opened(orders, "words", "type your answer")

    it.type("/cost\r")
    it.until("\ncost")
    it.listen(QUIET)
    it.type(" /tmp\r")

    it.until("answer: ' /tmp'")


def test_words_queue_while_a_turn_runs_and_are_the_next_turns_in_order(orders: Sit, tmp_path: Path) -> None:
    it = orders()
    it.type("wait\r")
    it.until("piece 0")

    it.type("first\r")
    it.type("second\r")
    it.until("2 queued")
    enough(tmp_path)

    it.until("heard 'second'")
    text = it.glass.text
    assert text.index("the last piece") < text.index("heard 'first'") < text.index("heard 'second'")


def test_what_waited_for_a_turn_that_failed_is_back_on_the_line(orders: Sit, tmp_path: Path) -> None:
    it = orders()
    it.type("fail\r")
    it.until("waiting for the model")
    it.type("and then this\r")
    it.until("queued")
    enough(tmp_path)

    it.until("✗ the vendor said no")
    it.until(lambda it: it.shown("> and then this"))
    it.listen(0.3)
    assert "heard" not in it.glass.text


def test_a_model_is_switched_after_the_turn(orders: Sit, tmp_path: Path) -> None:
    it = orders()
    it.type("wait\r")
    it.until("piece 0")

    it.type("/model other\r")
    it.until("after this turn")
    it.type("/cost\r")
    it.until("\ncost")
    enough(tmp_path)

    it.until("now other")
    text = it.glass.text
    assert text.index("the last piece") < text.index("now other")
    it.type("/model none\r")
    it.until("✗ no such model: none")


def test_a_command_that_takes_time_waits_for_the_turn_and_words_wait_for_it(orders: Sit, tmp_path: Path) -> None:
    it = orders()
    it.type("wait\r")
    it.until("piece 0")

    it.type("/slowly one\r")
    it.until("after this turn")
    it.type("/slowly two\r")
    it.type("hello\r")
    it.until("hello  (after this turn)")
    enough(tmp_path)
    it.until("heard 'hello'")

    order = ["the last piece", "begun one", "! finished one", "begun two", "! finished two", "heard 'hello'"]
    places = [it.glass.text.index(text) for text in order]
    assert places == sorted(places)


def held(orders: Sit, order: str) -> Sitting:
    """A turn that runs, with words, a command that waits for its end, and more words."""
    it = orders()
    it.type(f"{order}\r")
    it.until("holding")
    it.type("before\r")
    it.until("before  (queued)")
    it.type("/model other\r")
    it.until("\nafter this turn")
    it.type("behind\r")
    it.until("behind  (after this turn)")
    it.until(lambda it: it.shown("3 queued"))
    return it


@pytest.mark.parametrize(("order", "first"), [("read", "read 'before'"), ("hold", "heard 'before'")])
def test_words_and_commands_keep_the_order_in_which_they_were_typed(orders: Sit, order: str, first: str) -> None:
    it = held(orders, order)
    it.type("/done\r")
    it.until("heard 'behind'")

    places = [it.glass.text.index(text) for text in (first, "now other", "heard 'behind'")]
    assert places == sorted(places)


def test_words_behind_a_command_come_back_on_the_line_where_the_turn_is_stopped(orders: Sit) -> None:
    it = held(orders, "read")
    it.type("\x03")
    it.until("now other")

    it.until(lambda it: it.shown("> before\n  behind"))


def test_a_command_that_takes_no_words_does_nothing_with_words(orders: Sit) -> None:
    it = orders()
    it.type("/cost of it\r")
    it.until("✗ /cost stands alone")
    assert "\ncost\n" not in it.glass.text


@pytest.mark.parametrize(("words", "key", "shown"), [("badly", "", "✗ it did not work"), ("on", "\x03", "✗ stopped")])
def test_a_command_that_does_not_end_well_sends_nothing(
    orders: Sit, tmp_path: Path, words: str, key: str, shown: str
) -> None:
    it = orders()
    it.type(f"/slowly {words}\r")
    it.until(f"begun {words}")
    it.type("hello\r")
    it.until("(queued)")

    if key:
        it.type(key)
    else:
        enough(tmp_path)

    it.until(shown)
    it.until(lambda it: it.shown("\n> hello"))
    assert "finished" not in it.glass.text
    assert "heard" not in it.glass.text


@pytest.mark.parametrize("order", ["wait", "/slowly on"])
def test_what_is_stopped_in_the_moment_it_begins_ends(orders: Sit, order: str) -> None:
    it = orders()
    it.type(f"{order}\r\x03")  # one reading: Ctrl-C comes before the first step of what Enter began
    it.until("✗ stopped")
    it.type("hello\r")
    it.until("heard 'hello'")


def test_a_terminal_that_does_not_say_where_its_cursor_is_has_a_toolbar_too(orders: Sit, tmp_path: Path) -> None:
    it = orders(answers=False)
    it.type("wait\r")
    it.until("piece 0")
    it.until(lambda it: it.shown("answering\nanthropic/test · ask"))

    it.type("hello\r")
    it.until("hello  (queued)")
    enough(tmp_path)
    it.until("heard 'hello'")
    for number in range(12):
        it.type(f"word {number}\r")
        it.until(f"heard 'word {number}'")
    it.until(lambda it: it.shown("heard 'word 11'\n\n>\nanthropic/test · ask"))
    rows = [line for line in it.glass.text.splitlines() if line.startswith(("> word", "anthropic/test"))]
    assert [line.partition(" · ")[0] for line in rows] == [
        *(f"> word {number}" for number in range(12)),
        "anthropic/test",
    ]
    assert "WARNING" not in it.glass.text


def test_a_bug_leaves_the_terminal_as_it_was(orders: Sit) -> None:
    it = orders()

    it.type("bug\r")

    assert it.end() == 1
    assert "ZeroDivisionError: a bug" in it.glass.text
