"""`/sessions`, `/resume`, `/rename` and `/export` on a real PTY."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.conversation.journal import Journal
from harness.conversation.lines import read_records
from harness.seam import Seam
from harness.simulator import Simulator
from tests.e2e.lab import Script
from tests.ui.conftest import Sit
from tests.ui.glass import Sitting
from tests.ui.test_session_on_a_terminal import said

Start = Callable[..., Simulator]


def kept(home: Path) -> list[Path]:
    return sorted((home / ".local" / "state" / "harness" / "sessions").iterdir())


def one_turn(it: Sitting, words: str, answer: str) -> None:
    it.type(f"{words}\r")
    it.until(answer)
    it.until(lambda it: it.shown("read "))


def leave(it: Sitting) -> None:
    it.type("/quit\r")
    assert it.end() == 0


@pytest.mark.moves_prefix("another session, which began elsewhere, speaks to the same vendor")
def test_going_on_with_another_session_and_back(simulator: Start, sit: Sit, isolation: Path) -> None:
    elsewhere = simulator(Script("the old answer"))
    first = sit(elsewhere)
    one_turn(first, "the old words", "the old answer")
    leave(first)
    (old,) = kept(isolation)
    vendor = simulator(Script("an answer", "another answer"))
    it = sit(vendor, columns=120)
    one_turn(it, "new words", "an answer")
    (new,) = set(kept(isolation)) - {old}

    it.type("/sessions\r")
    row = re.compile(r"  1  \d{4}-\d\d-\d\d \d\d:\d\d +1 turn +\$0\.\d+ +0\.0 %  the old words")
    it.until(lambda it: row.search(it.glass.text))
    it.until("go on with one: /resume N")
    it.type("/resume 2\r")
    it.until("✗ no session 2 in the list")
    it.type("/resume 1\r")
    it.until(f"session {old.name} goes on; requests so far: 1")
    it.until("last said: the old words")
    it.until(f"left session {new.name}")
    it.type(f"/resume {old.name}\r")
    it.until("✗ that is this session")
    Journal.open(new, Seam()).close()  # nobody owns what was left

    one_turn(it, "and on", "another answer")
    it.type(f"/resume {new.name}\r")
    it.until(f"session {new.name} goes on")
    leave(it)

    assert said(vendor) == ["the old words", "and on"]
    assert f"go on with it: harness -r {new.name}" in it.glass.text
    assert it.glass.unknown == []


def test_a_copy_goes_on_with_the_model_that_was_chosen(simulator: Start, sit: Sit) -> None:
    vendor = simulator(Script("an answer", "another answer"))
    it = sit(vendor)
    one_turn(it, "words", "an answer")
    it.type("/model opus\r")
    it.until("going on with anthropic/claude-opus-5-5")

    it.type("/fork\r")
    it.until("stays as it was")
    it.until("last said: words")
    one_turn(it, "more words", "another answer")
    leave(it)

    assert [asked.json["model"] for asked in vendor.requests] == ["claude-sonnet-5-5", "claude-opus-5-5"]


def test_a_session_in_use_leaves_this_one_as_it_was(simulator: Start, sit: Sit, isolation: Path) -> None:
    vendor = simulator(Script("an answer", "another answer"))
    other = sit(vendor)
    (busy,) = kept(isolation)
    it = sit(vendor)

    it.type(f"/resume {busy.name}\r")
    it.until("is in use by process")
    it.type("/resume 1999\r")
    it.until("no session begins with `1999`")
    one_turn(it, "still here", "an answer")
    leave(it)
    leave(other)


def test_a_title_and_an_export(simulator: Start, sit: Sit, isolation: Path, tmp_path: Path) -> None:
    it = sit(simulator(Script("an answer")), columns=200)
    one_turn(it, "some <b>words</b>", "an answer")

    it.type("/rename A fine\u202e title\r")
    it.until("this session is now called: A fine\\u202e title")
    it.type("/export out.html\r")
    it.until("written to")
    it.type("/export out.html\r")
    it.until("exists; choose another name")
    it.type("/export out.pdf\r")
    it.until("end the name in .md, .json, .html or .tar.gz")
    it.type("/export out.tar.gz\r")
    it.until("before you pass it on, look at it: nothing in it has a known form")
    it.type("/export\r")
    it.until("say where to: /export FILE")
    leave(it)

    page = (tmp_path / "project" / "out.html").read_text()
    assert "<h1>A fine\\u202e title</h1>" in page
    assert "some &lt;b&gt;words&lt;/b&gt;" in page
    (folder,) = kept(isolation)
    titles = [record.data["title"] for record in read_records(folder / "journal.jsonl") if record.kind == "title"]
    assert titles == ["A fine\\u202e title"]


def test_a_session_that_is_not_kept_can_be_left_for_one_that_is(simulator: Start, sit: Sit, isolation: Path) -> None:
    first = sit(simulator(Script("the old answer")))
    one_turn(first, "the old words", "the old answer")
    leave(first)
    it = sit(simulator(Script("an answer", "x")), "--no-session", "--permission-mode", "yolo")
    one_turn(it, "new words", "an answer")

    it.type("/resume\r")
    it.until("go on with one")
    it.type("/resume 1\r")
    it.until("which is not kept")
    it.until("goes on")
    leave(it)

    (old,) = kept(isolation)
    assert f"go on with it: harness -r {old.name}" in it.glass.text
