"""The disk fills up while a person talks: one line, in the same turn; and on it goes when there is room again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.conversation.lines import Reader
from harness.simulator import Simulator
from tests.e2e.lab import Script
from tests.ui.conftest import Sit
from tests.ui.full_disk import fill, limit_files, small_disk

Start = Callable[..., Simulator]


@pytest.mark.parametrize(
    "how",
    [
        "tmpfs",
        pytest.param("limit", marks=pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")),
    ],
)
def test_a_full_disk_in_a_conversation(
    how: str, simulator: Start, sit: Sit, isolation: Path, sittings: ExitStack
) -> None:
    state = isolation / ".local" / "state"
    if how == "tmpfs":
        sittings.enter_context(small_disk(state, "1m"))
    vendor = simulator(Script("one", "two", "three"))
    it = sit(vendor, "--permission-mode", "yolo", columns=320)
    it.type("first\r")
    it.until("one\n")
    it.until(lambda it: it.shown("hit "))
    (journal,) = state.glob("harness/sessions/*/journal.jsonl")
    before = len(vendor.requests)

    filler = fill(state) if how == "tmpfs" else None
    if filler is None:
        limit_files(it.process.pid, journal.stat().st_size + 100)
    it.type("second\r")
    it.until("cannot write ")
    it.ready()
    shown = [line for line in it.glass.text.splitlines() if "cannot write " in line]
    assert len(shown) == 1
    assert "free space or set XDG_STATE_HOME" in shown[0]
    reader = Reader(journal)
    assert len([*reader]) > 3
    assert (reader.damage, reader.end) == ([], reader.size)
    assert len(vendor.requests) <= before + 1

    if filler is None:
        limit_files(it.process.pid, -1)
    else:
        filler.unlink()
    answered = journal.read_text().count('"kind":"response"')
    it.type("third\r")
    it.until(lambda _: "third" in str(vendor.requests[-1].json["messages"][-1]))
    it.until(lambda _: journal.read_text().count('"kind":"response"') > answered)
    it.type("/quit\r")
    assert it.end() == 0
    assert vendor.refused == []
