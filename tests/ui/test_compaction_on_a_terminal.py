"""`/compact`, `/clear`, `/fork` and idle compaction on a real PTY."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.conversation.lines import read_records
from harness.simulator import Clock, Simulator, said
from tests.delegating import skill
from tests.ui.conftest import Sit
from tests.ui.glass import Sitting
from tests.waiting import PATIENCE

Start = Callable[..., Simulator]


class Talker:
    """Answers at length; sums up, slowly if wished, where it is asked to."""

    def __call__(self, request: dict[str, Any]) -> Any:
        last = "".join(said(request)[-1].texts)
        if "[Side request" in last:
            return "# Task\nThe words were heard. Nothing else matters for what comes next."
        if "read" in last and said(request)[-1].speaker == "user":
            return [{"call": "read", "input": {"path": "long.txt", "offset": n}} for n in range(1, 9)]
        return f"heard you: {'blah ' * 3_000} and that was {last}"


def say(it: Sitting, words: str) -> None:
    it.type(f"{words}\r")
    it.until(f"and that was {words}")
    it.until(lambda it: it.shown("read "))


def reasons(home: Path) -> list[str]:
    folder = home / ".local" / "state" / "harness" / "sessions"
    # ids of one second are in no order
    sessions = sorted(([*read_records(path)] for path in folder.glob("*/journal.jsonl")), key=lambda read: read[-1].at)
    return [str(record.data["reason"]) for records in sessions for record in records if record.kind == "epoch"]


@pytest.mark.moves_prefix("a compaction is an epoch")
def test_compact_then_clear(simulator: Start, sit: Sit, isolation: Path) -> None:
    vendor = simulator(Talker())
    it = sit(vendor, columns=120)
    it.type("/compact\r")
    it.until("✗ there is nothing to compact")
    for number in range(3):
        say(it, f"words {number}")
    it.type("/compact the numbers\r")
    it.until("compacted (asked for)")
    assert "The words were heard" not in it.glass.text, "the summary is no answer"
    say(it, "words after")
    it.type("/clear\r")
    it.until("the conversation is empty")
    say(it, "fresh words")
    it.type("/quit\r")
    assert it.end() == 0
    assert reasons(isolation) == ["start", "compaction: asked for", "clear"]
    assert "words after" not in str(vendor.requests[-1].json["messages"])


def delegating(request: dict[str, Any]) -> Any:
    """Has a skill carried out on "go": its sub-agent runs a command that takes long, and goes on when that is lost."""
    last = "".join(said(request)[-1].every)
    if "[Side request" in last:
        return "# Task\nThe words were heard. Nothing else matters for what comes next."
    if "Task: long" in last:
        return [{"call": "shell", "input": {"command": "touch ready; sleep 60"}}]
    if "may have run" in last:
        return "The sub-agent looked at it."
    if "The sub-agent looked at it." in last:
        return "All of it is done."
    if last == "go":
        return [{"call": "invoke_skill", "input": {"name": "make", "task": "long"}}]
    return f"heard you: {'blah ' * 3_000} and that was {last}"


@pytest.mark.moves_prefix("a compaction is an epoch")
def test_a_turn_whose_terminal_was_closed_is_compacted_and_goes_on(simulator: Start, sit: Sit, tmp_path: Path) -> None:
    skill(tmp_path / "project", "make", "context: fresh\n")
    vendor = simulator(delegating)
    it = sit(vendor, columns=120)
    for number in range(3):
        say(it, f"words {number}")
    it.type("go\r")
    it.until(lambda _: (tmp_path / "project" / "ready").exists())
    it.hang_up()
    it.process.wait(PATIENCE)
    cut = "the last turn was cut off at step 1: invoke_skill may have run; go on with it: /continue"
    again = sit(vendor, "-c", "--permission-mode", "yolo", columns=120)
    again.until(cut)
    again.type("/compact\r")
    again.until("compacted (asked for)")
    again.until(
        lambda it: it.glass.text.count(cut) == 2 or it.glass.text.rfind(cut) > it.glass.text.rfind("compacted (")
    )
    again.type("/continue\r")
    again.until("All of it is done.")
    again.type("/quit\r")
    assert again.end() == 0
    assert sum("Task: long" in str(one.json["messages"][-1]) for one in vendor.requests) == 1


def test_fork_goes_on_in_a_copy(simulator: Start, sit: Sit, isolation: Path) -> None:
    it = sit(simulator(Talker()), columns=120)
    say(it, "words here")
    it.type("/fork\r")
    it.until("stays as it was; back to it: /resume")
    say(it, "words there")
    it.type("/quit\r")
    assert it.end() == 0
    assert reasons(isolation) == ["start", "start", "fork"]


@pytest.mark.moves_prefix("a compaction is an epoch")
def test_a_silent_person_finds_the_conversation_compacted(
    simulator: Start, sit: Sit, isolation: Path, tmp_path: Path
) -> None:
    """Where the cache lives for seconds only: the clock of the session is the real one."""
    config = isolation / ".config" / "harness"
    config.mkdir(parents=True, exist_ok=True)
    (config / "config.toml").write_text("[compaction]\nreturns = 1.0\nidle_from = 1000\nmargin = 296\n")
    it = sit(simulator(Talker(), clock=Clock()), columns=120)
    (tmp_path / "project" / "long.txt").write_text(f"{'line ' * 16}\n" * 600)
    it.type("read it\r")
    it.until("compacted (idle: before the cache expires)")
    it.until(lambda it: it.shown("read "))
    say(it, "back again")
    it.type("/quit\r")
    assert it.end() == 0
    assert reasons(isolation) == ["start", "compaction: idle: before the cache expires"]
