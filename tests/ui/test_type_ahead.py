"""What is typed while the program starts, on a real PTY: Enter is Enter, and several lines stay a text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.simulator import Simulator
from tests.e2e.lab import Script
from tests.ui.conftest import Sit
from tests.ui.test_session_on_a_terminal import said

Start = Callable[..., Simulator]


@pytest.mark.parametrize("ahead", ["hello\r", "hello\r\r"])
def test_enter_sends_what_was_typed_before_the_line_was_there(simulator: Start, sit: Sit, ahead: str) -> None:
    vendor = simulator(Script("Welcome.", "Yes."))
    it = sit(vendor, ahead=ahead)
    it.until("Welcome.")
    it.type("and now\r")
    it.until("Yes.")

    assert said(vendor) == ["hello", "and now"]


def test_words_without_enter_wait_on_the_line(simulator: Start, sit: Sit) -> None:
    vendor = simulator(Script("Welcome."))
    it = sit(vendor, ahead="hel")
    it.until(lambda it: it.shown("> hel"))
    assert "hel" not in it.glass.text.replace("> hel", "").replace("/help", "")  # its echo has gone
    assert vendor.requests == []
    it.type("lo\r")
    it.until("Welcome.")

    assert said(vendor) == ["hello"]


def test_several_lines_stay_one_text_that_is_not_sent(simulator: Start, sit: Sit) -> None:
    vendor = simulator(Script("Welcome."))
    it = sit(vendor, ahead="one\rtwo\r" + "three " * 300 + "\r")
    it.type("end")
    it.until(lambda it: "  end" in it.glass.lines)  # nothing of an echo stands beside it
    assert vendor.requests == []
    it.type("\r")
    it.until("Welcome.")

    assert said(vendor) == ["one\ntwo\n" + "three " * 300 + "\nend"]


def test_a_command_typed_ahead_runs(simulator: Start, sit: Sit) -> None:
    it = sit(simulator(Script()), ahead="/quit\r")
    assert it.end() == 0
