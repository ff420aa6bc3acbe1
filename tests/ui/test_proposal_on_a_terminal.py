"""After long work the person is asked once whether to keep something of it, on a real PTY."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.commands.memory_proposal import LONG, WORDS
from harness.simulator import Simulator, said
from tests.ui.conftest import Sit
from tests.ui.glass import Sitting
from tests.ui.test_panels_on_a_terminal import QUIET

Start = Callable[..., Simulator]
QUESTION = "Keep something of it"
KEPT = "# Editor\n\n- Tabs.\n"


class Worker:
    """Makes as many model calls in a turn as the person's last word says; remembers what it is asked to remember."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory

    def __call__(self, request: dict[str, Any]) -> Any:
        texts = [(message.speaker, text) for message in said(request) for text in message.texts]
        last = max(place for place, (speaker, text) in enumerate(texts) if speaker == "user" and _words(text))
        done = sum(message["role"] == "assistant" for message in request["messages"][_place(request, texts[last][1]) :])
        if texts[last][1] == WORDS:
            call = {"call": "write", "input": {"path": str(self._memory), "content": KEPT}}
            return [call] if not done else "I kept it."
        wanted = int(texts[last][1].split()[-1])
        return [{"call": "glob", "input": {"pattern": f"*.{done}"}}] if done + 1 < wanted else f"after {wanted} calls"


def _words(text: str) -> bool:
    return text == WORDS or text.startswith("work ")


def _place(request: dict[str, Any], words: str) -> int:
    places = [n for n, message in enumerate(request["messages"]) if f"'text': {words!r}" in str(message)]
    return places[-1]


def work(it: Sitting, calls: int) -> None:
    it.type(f"work {calls}\r")
    it.until(f"after {calls} calls")


def memory_of(home: Path) -> Path:
    return home / ".config" / "harness" / "memory" / "editor.md"


def test_yes_keeps_what_the_person_sees(simulator: Start, sit: Sit, isolation: Path) -> None:
    vendor = simulator(Worker(memory_of(isolation)))
    it = sit(vendor, "--permission-mode", "edit", columns=120)
    work(it, LONG)
    it.until(QUESTION)
    requests = len(vendor.requests)
    it.listen(QUIET)
    assert len(vendor.requests) == requests, "nothing is sent before the person said yes"
    it.type("1")
    it.until("write asks for permission")
    it.listen(QUIET)
    assert "- Tabs." in it.glass.text
    assert not memory_of(isolation).exists()
    it.type("y")
    it.until("I kept it.")
    it.until(lambda it: it.shown("read "))
    it.type("/quit\r")
    assert it.end() == 0

    assert memory_of(isolation).read_text() == KEPT
    assert "The person calls the skill remember" in str(vendor.requests[-1].json["messages"])


def test_short_work_is_not_asked_about_and_no_is_no(simulator: Start, sit: Sit, isolation: Path) -> None:
    vendor = simulator(Worker(memory_of(isolation)))
    it = sit(vendor, columns=120)
    work(it, LONG - 1)
    it.until(lambda it: it.shown("read "))
    assert QUESTION not in it.glass.text
    work(it, LONG + 1)
    it.until(QUESTION)
    it.listen(QUIET)
    it.type("2")
    it.until("→ no")
    it.until(lambda it: it.shown("read "))
    it.type("/quit\r")
    assert it.end() == 0

    assert len(vendor.requests) == 2 * LONG
    assert not memory_of(isolation).exists()


def test_never_holds_for_later_sessions_of_the_project(
    simulator: Start, sit: Sit, isolation: Path, tmp_path: Path
) -> None:
    vendor = simulator(Worker(memory_of(isolation)))
    it = sit(vendor, columns=120)
    work(it, LONG)
    it.until(QUESTION)
    it.listen(QUIET)
    it.type("3")
    it.until("you will not be asked here again")
    it.until(lambda it: it.shown("read "))
    it.type("/quit\r")
    assert it.end() == 0
    listed = isolation / ".local" / "state" / "harness" / "no-memory-proposals"
    assert listed.read_text() == f"{tmp_path / 'project'}\n"

    again = sit(simulator(Worker(memory_of(isolation))), columns=120)
    work(again, LONG)
    again.until(lambda it: it.shown("read "))
    assert QUESTION not in again.glass.text
    again.type("/quit\r")
    assert again.end() == 0


def test_the_setting_turns_it_off(simulator: Start, sit: Sit, isolation: Path) -> None:
    config = isolation / ".config" / "harness"
    config.mkdir(parents=True)
    (config / "config.toml").write_text("[memory]\npropose = false\n")
    it = sit(simulator(Worker(memory_of(isolation))), columns=120)
    work(it, LONG)
    it.until(lambda it: it.shown("read "))
    assert QUESTION not in it.glass.text
    it.type("/quit\r")
    assert it.end() == 0
