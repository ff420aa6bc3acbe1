"""The real program on a real PTY, against the pretend vendor."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.simulator import Simulator
from tests.e2e.lab import Script, call
from tests.ui.conftest import Sit
from tests.ui.glass import ROOT, Sitting
from tests.waiting import PATIENCE, assert_gone, nap

Start = Callable[..., Simulator]

LONG = " ".join(f"word{number}" for number in range(200))


def slow(*items: Any, delay: float = 0.1) -> dict[str, Any]:
    return {"answer": [{"text": item} if isinstance(item, str) else item for item in items], "delay": delay}


def said(vendor: Simulator, request: int = -1) -> list[str]:
    """The person's texts in a request, oldest first."""
    texts = []
    for message in vendor.requests[request].json["messages"]:
        if message["role"] == "user":
            texts += [part["text"] for part in message["content"] if part["type"] == "text"]
    return [text for text in texts if not text.startswith("[Session context")]


def test_a_task_from_first_word_to_last_line(simulator: Start, sit: Sit) -> None:
    vendor = simulator(
        Script(slow({"thinking": "hm"}, "I will **look**.", call("shell", command="echo hi")), "All done.")
    )
    it = sit(vendor, columns=120)

    it.type("look at it\r")
    it.until("I will **look**.")
    it.until("✓ shell echo hi — exit 0")
    it.until("All done.")
    it.until(lambda it: it.shown("hit "))
    it.type("/quit\r")

    assert it.end() == 0
    text = it.glass.text
    assert re.search(r"> look at it\nthinking … \d+ s\nI will \*\*look\*\*\.\n  read 0\.0 % · \$0\.\d{4}\n✓ sh", text)
    assert re.search(r"2 requests · .* · \$0\.\d{4}\ngo on with it: harness -r \S+$", text)
    assert it.glass.unknown == []


def test_a_session_in_which_nothing_was_said_leaves_nothing_to_continue(simulator: Start, sit: Sit) -> None:
    vendor = simulator(Script("hello", "again"))
    it = sit(vendor)
    it.type("first\r")
    it.until("hello")
    it.until(lambda it: it.shown("hit "))
    it.type("\x04")
    assert it.end() == 0

    looked = sit(vendor)
    looked.type("\x04")
    assert looked.end() == 0
    later = sit(vendor, "-c")

    later.until("last said: first")
    later.type("\x04")
    assert later.end() == 0
    assert len([*(Path(os.environ["XDG_STATE_HOME"]) / "harness" / "sessions").glob("*/journal.jsonl")]) == 1


def test_text_is_shown_while_it_streams(simulator: Start, sit: Sit) -> None:
    it = sit(simulator(Script(slow(LONG, delay=0.05))))

    it.type("tell\r")
    it.until("word10")

    assert "word199" not in it.glass.text
    it.until("word199")


def test_many_lines_are_one_message(simulator: Start, sit: Sit) -> None:
    vendor = simulator(Script("ok"))
    it = sit(vendor)

    it.type("one\x1b\rtwo\x0athree\\\rfour")
    it.listen(0.3)
    it.type("\x1b[200~ five\r\nsix\n\tseven\x1b[201~\r")
    it.until("ok\n")

    assert said(vendor) == ["one\ntwo\nthree\nfour five\nsix\n\tseven"]


def test_history_survives_and_is_private(simulator: Start, sit: Sit, isolation: Path) -> None:
    vendor = simulator(Script("ok", "ok", "ok"))
    it = sit(vendor)
    it.type("the first thing\r")
    it.until("ok\n")
    it.type("/quit\r")
    it.end()

    again = sit_again(sit, vendor)
    again.type("\x12first")
    again.until(lambda it: it.shown("the first thing"))
    again.type("\r\r")
    again.until("ok\n")

    assert said(vendor) == ["the first thing"]
    file = isolation / ".local" / "state" / "harness" / "input.jsonl"
    assert file.stat().st_mode & 0o777 == 0o600


def sit_again(sit: Sit, vendor: Simulator, *flags: str) -> Sitting:
    return sit(vendor, *(flags or ("--permission-mode", "yolo")))


def test_a_session_goes_on(simulator: Start, sit: Sit) -> None:
    vendor = simulator(Script("one", "two"))
    it = sit(vendor)
    it.type("first\r")
    it.until("one\n")
    it.type("\x04")
    it.end()

    again = sit_again(sit, vendor, "-c", "--permission-mode", "yolo")
    assert "goes on; requests so far: 1" in again.glass.text
    again.type("second\r")
    again.until("two\n")

    assert said(vendor) == ["first", "second"]


def test_words_for_a_running_turn_come_after_its_results(simulator: Start, sit: Sit, tmp_path: Path) -> None:
    vendor = simulator(Script([call("shell", command="until [ -e on ]; do sleep 0.02; done")], "noted"))
    it = sit(vendor)
    it.type("go\r")
    it.until(lambda it: re.search(r"● [1-9]\d* s · shell until", it.glass.text))

    it.type("use tabs\r")
    it.until("> use tabs  (queued)")
    (tmp_path / "project" / "on").touch()
    it.until("noted\n")

    kinds = [[part["type"] for part in m["content"]] for m in vendor.requests[-1].json["messages"]]
    assert said(vendor) == ["go", "use tabs"]
    assert kinds[-1][0] == "tool_result" or kinds[-2][0] == "tool_result"


def test_words_that_a_turn_never_took_are_the_next_turn(simulator: Start, sit: Sit) -> None:
    vendor = simulator(Script(slow(LONG, delay=0.02), "second answer"))
    it = sit(vendor)
    it.type("go\r")
    it.until("word1 ")

    it.type("and this\r")

    it.until("second answer")
    assert said(vendor) == ["go", "and this"]


def test_ctrl_c_stops_the_turn_and_the_next_one_works(simulator: Start, sit: Sit) -> None:
    vendor = simulator(Script(slow(LONG, delay=0.05), "the next answer"))
    it = sit(vendor)
    it.type("go\r")
    it.until("word10")

    it.type("\x03")
    it.until("✗ stopped")
    it.type("go on\r")

    it.until("the next answer")
    assert "word199" not in it.glass.text


def test_ctrl_c_ends_a_command_and_its_children(simulator: Start, sit: Sit, tmp_path: Path) -> None:
    left = nap()
    vendor = simulator(Script([call("shell", command=f"sleep {left} & touch up; sleep {left}")], "the next answer"))
    it = sit(vendor)
    it.type("go\r")
    it.until(lambda _: (tmp_path / "project" / "up").exists())

    it.type("\x03")
    it.until("✗ stopped")
    it.type("go on\r")
    it.until("the next answer")

    assert_gone(left)


def test_ctrl_c_clears_the_line_and_twice_leaves(simulator: Start, sit: Sit) -> None:
    it = sit(simulator(Script()))
    it.type("some text")
    it.until("> some text")

    it.type("\x03")
    it.until(lambda it: not it.shown("some text"))
    it.type("\x03")
    it.until("Ctrl-C again to leave")
    it.type("x")
    it.until(lambda it: not it.shown("again to leave"))
    it.type("\x7f\x03")
    it.until("Ctrl-C again to leave")
    it.type("\x03")

    assert it.end() == 0


def test_slash_commands(simulator: Start, sit: Sit) -> None:
    vendor = simulator(Script("ok"))
    it = sit(vendor)
    it.type("hi\r")
    it.until("ok\n")

    it.type("/mo\t")
    it.until(lambda it: it.shown("> /model"))
    it.type("\r")
    it.until("claude-sonnet-5-5; change it with /model NAME")
    it.type("/cost\r")
    it.until("1 request, $")
    it.type("/cache\r")
    it.until("first")
    it.type("/help\r")
    it.until("leave (also /exit)")
    it.type("/modle\r")
    it.until("no command /modle; /model?")
    it.type(" /etc/hosts\r")
    it.until("done")
    it.type("/exit\r")

    assert it.end() == 0
    assert said(vendor) == ["hi", " /etc/hosts"]


HOSTILE = "a\x1b[2Jb\x1b]52;c;aGk=\x07c\x1b[21td\x1bP1$r\x1b\\e\u202ef\u200bg\x9b31mh"


def test_hostile_text_arrives_escaped(simulator: Start, sit: Sit) -> None:
    name = "x\x1b]0;title\x07.txt"
    vendor = simulator(
        Script(
            [{"text": HOSTILE}, call("shell", command=f"echo '{HOSTILE}'"), call("read", path=name)],
            "```\n" + HOSTILE + "\n```",
        )
    )
    it = sit(vendor)
    it.type("go\r")
    it.until("✗ read")
    it.until("read 9")
    it.type("/quit\r")
    it.end()

    shown = "a\\x1b[2Jb\\x1b]52;c;aGk=\\x07c\\x1b[21td\\x1bP1$r\\x1b\\e\\u202ef\\u200bg\\x9b31mh"
    assert it.glass.text.count(shown) >= 2
    assert it.glass.unknown == []
    for bad in (b"\x1b[2J", b"\x1b]", b"\x1b[21t", b"\x1bP", "\u202e".encode(), "\u200b".encode(), b"\x07"):
        assert bad not in it.raw


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal(simulator: Start, sit: Sit, number: signal.Signals) -> None:
    it = sit(simulator(Script(slow(LONG, delay=0.1))))
    it.type("go\r")
    it.until("word1 ")

    it.process.send_signal(number)

    assert it.end() == 130
    assert "go on with it: harness -r" in it.glass.text
    assert it.raw.rfind(b"\x1b[?25h") > it.raw.rfind(b"\x1b[?25l")
    assert it.raw.rfind(b"\x1b[?2004l") > it.raw.rfind(b"\x1b[?2004h")


def test_a_terminal_that_goes_away_ends_the_program(simulator: Start, sit: Sit) -> None:
    it = sit(simulator(Script(slow(LONG, delay=0.1))))
    it.type("go\r")
    it.until("word1 ")

    it.hang_up()

    assert it.process.wait(PATIENCE) in {130, -signal.SIGHUP}


def test_a_storm_of_sizes(simulator: Start, sit: Sit) -> None:
    it = sit(simulator(Script(slow(LONG, delay=0.05), "the next answer")))
    it.type("go\r")
    for columns in range(20, 100, 2):
        it.resize(columns, 5 + columns // 4)
        it.listen(0.02)
    it.resize(80, 24)
    it.until("word199")

    it.type("go on\r")
    it.until("the next answer")
    it.type("\x04")

    assert it.end() == 0


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_without_a_terminal_one_line_says_what_to_do(term: str, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "TERM": term, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    if term == "xterm":
        ran = subprocess.run(
            [sys.executable, "-m", "harness"], stdin=subprocess.DEVNULL, capture_output=True, env=env, check=False
        )
        out, code = (ran.stdout + ran.stderr).decode(), ran.returncode
    else:
        with Sitting(["-m", "harness"], env, tmp_path) as it:
            code, out = it.end(), "".join(it.glass.text.splitlines())

    assert code == 2
    needs = {"xterm": "a terminal", "dumb": "a terminal that can move its cursor, and TERM=dumb"}[term]
    instead = 'for one task: harness -p "task" (or try `harness demo`)'
    assert out.strip() == f"harness: an interactive session needs {needs}; {instead}"


def test_a_missing_key_is_one_line(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    with Sitting(["-m", "harness"], env, tmp_path) as it:
        assert it.end() == 2

    assert it.glass.text.startswith("harness: ")
    assert len(it.glass.text.splitlines()) <= 3


def test_effort_is_told_where_the_model_takes_it(simulator: Start, sit: Sit) -> None:
    vendor = simulator(Script("one", "two"))
    it = sit(vendor, columns=120)
    it.type("hi\r")
    it.until("one\n")
    it.type("/effort\r")
    it.until("the model's default; change it with /effort low|medium|high")
    it.type("/effort huge\r")
    it.until("knows no effort `huge`; it has: low, medium, high, xhigh, max")
    it.type("/effort low\r")
    it.until("effort low for anthropic/claude-sonnet-5-5: told inside the conversation, the cache stays")
    it.type("go on\r")
    it.until("two\n")
    it.type("/quit\r")

    assert it.end() == 0
    assert [request.effort for request in vendor.requests] == [None, "low"]
    assert vendor.requests[1].extends(vendor.requests[0])
    assert vendor.requests[1].read == vendor.requests[1].perfect_read > 0


def test_effort_asks_where_it_costs(simulator: Start, sit: Sit) -> None:
    vendor = simulator(Script("one", "two", "three", "four"))
    it = sit(vendor, "--permission-mode", "yolo", "--model", "claude-opus-4-8", columns=120)
    it.type("hi\r")
    it.until("one\n")
    it.type("/effort max\r")
    it.until("? A change that the cache does not survive:")
    it.until(
        lambda it: re.search(r"│ effort max for .*: [\d,]+ cached tokens are written again: about \$0\.", it.glass.text)
    )
    it.until("1 now · 2 at the next compaction · 3 no")
    it.listen(0.6)
    it.type("3")
    it.until("the effort of anthropic/claude-opus-4-8 stays as it is")
    it.type("go on\r")
    it.until("two\n")
    it.type("/effort max\r")
    it.until(lambda it: it.shown("1 now"))
    it.listen(0.6)
    it.type("\x03")
    it.until("✗ stopped")
    it.type("go on\r")
    it.until("three\n")
    it.type("/effort max\r")
    it.until(lambda it: it.shown("1 now"))
    it.listen(0.6)
    it.type("1")
    it.until("→ now")
    it.type("go on\r")
    it.until("four\n")
    it.type("/quit\r")

    assert it.end() == 0
    assert [request.effort for request in vendor.requests] == [None, None, None, "max"]
