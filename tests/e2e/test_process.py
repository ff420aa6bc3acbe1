"""Real processes: sessions joined over runs and days, other folders, signals and pipes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.conversation.journal import Journal
from harness.seam import Seam
from harness.simulator import Answer, Fault, Received, Simulator
from tests.e2e.conftest import Start
from tests.e2e.lab import (
    KEY,
    Forks,
    Lab,
    Ran,
    Script,
    assert_extends,
    call,
    result_text,
    results,
    simulator_process,
    texts,
)
from tests.waiting import PATIENCE, wait_for

CONTEXT = "[Session context: "
DAY = 86_400


def system(request: Received) -> list[bytes]:
    """Tools and system blocks."""
    return [block.canonical for block in request.blocks if block.level != "messages"]


def contexts(request: Received) -> list[str]:
    """The session contexts in a request."""
    return [text for text in texts(request.json).split("\n") if text.startswith(CONTEXT)]


# --------------------------------------------------------------------------------------- sessions over processes


def test_three_runs_are_one_conversation(lab: Lab) -> None:
    (lab.project / "a.py").write_text("print(1)\n")
    turns = [
        [call("read", path="a.py")],
        "It prints 1.",
        [{"text": "Again."}, call("grep", pattern="print"), call("glob", pattern="*")],
        "One match.",
        "You are welcome.",
    ]
    with simulator_process(lab.folder, {"default": [{"answer": as_items(turn)} for turn in turns]}) as remote:
        lab.url = remote.url
        runs = [lab.process("-p", "what is it?")]
        remote.set("clock", advance=60)
        runs.append(lab.process("-p", "look again", "-c", offset=60))
        remote.set("clock", advance=240)
        runs.append(lab.process("-p", "thanks", "-c", offset=300))
        requests, refused = remote.requests, remote.refused

    assert [ran.code for ran in runs] == [0, 0, 0]
    assert [ran.out for ran in runs] == ["It prints 1.\n", "One match.\n", "You are welcome.\n"]
    assert len({ran.session for ran in runs}) == 1
    assert refused == []
    assert [request["prefix_ok"] for request in requests] == [None, True, True, True, True]
    for request in requests:
        assert request["usage"]["cache_read_input_tokens"] == request["perfect_read"]
        assert request["blocks"][:11] == requests[0]["blocks"][:11]
    told = [r for r in lab.records() if r.kind == "message" and r.data.get("context")]
    assert len(told) == 1


def as_items(answer: Any) -> list[dict[str, Any]]:
    return [{"text": answer}] if isinstance(answer, str) else answer


def test_a_turn_after_midnight(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script("one", "two", "three", "four"), minimum=None)
    to_midnight = DAY - time.time() % DAY
    moments = [to_midnight - 200, to_midnight - 100, to_midnight + 20, to_midnight + 40]
    for number, moment in enumerate(moments):
        if number:
            sim.clock.advance(moment - moments[number - 1])
        continued = ["-c"] if number else []
        ran = lab.process if number == 2 else lab.run
        assert ran("-p", f"turn {number}", *continued, offset=moment).code == 0

    assert [len(contexts(request)) for request in sim.requests] == [1, 1, 2, 2]
    first, second = contexts(sim.requests[-1])
    assert first != second
    days = [re.search(r"Today is (\S+),", text) for text in (first, second)]
    assert [day and day[1] for day in days] == [
        time.strftime("%Y-%m-%d", time.gmtime(time.time() + offset)) for offset in (moments[0], moments[2])
    ]
    assert all(request.usage["cache_read_input_tokens"] > 0 for request in sim.requests[1:])
    assert len({tuple(system(request)) for request in sim.requests}) == 1


def test_a_pause_longer_than_the_cache_lives(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script("one", "two"), minimum=None)
    assert lab.run("-p", "hello").code == 0
    sim.clock.advance(3 * 3600)
    ran = lab.run("-p", "still there?", "-c", "--output-format", "json", offset=3 * 3600)

    assert json.loads(ran.out)["requests"][0]["verdict"] == "expired"
    assert sim.requests[1].usage["cache_read_input_tokens"] == 0


def test_24_calls_in_one_answer_twice(lab: Lab, vendor: Start, forked: Forks) -> None:
    for number in range(24):
        (lab.project / f"{number}.txt").write_text(f"number {number}\n" * 20)
    reads = [call("read", path=f"{number}.txt") for number in range(24)]
    greps = [call("grep", pattern=f"number {number}$") for number in range(24)]
    sim = vendor(Script(reads, greps, "done", "again"), minimum=None)

    assert forked.start(lab, "-p", "read all").end().code == 0
    assert forked.start(lab, "-p", "again", "-c").end().code == 0

    assert len(sim.requests) == 4
    for before, after in zip(sim.requests, sim.requests[1:], strict=False):
        # all that the one before was billed is read: nothing is out of the vendor's reach
        used = before.usage
        assert after.usage["cache_read_input_tokens"] >= (
            used["cache_read_input_tokens"] + used["cache_creation_input_tokens"]
        )


def test_three_folders_share_the_static_block(lab: Lab, vendor: Start, forked: Forks) -> None:
    sim = vendor(Script("one"), minimum=None)
    for name in ("a", "b", "c"):
        folder = lab.folder / name
        folder.mkdir()
        (folder / ".git").mkdir()
        (folder / "AGENTS.md").write_text(f"Rules of {name}: be brief.\n")
        assert forked.start(lab, "-p", "hello", cwd=folder).end().code == 0

    first, *others = sim.requests
    ends = [place for place, block in enumerate(first.blocks) if block.level == "system"]
    static = sum(block.tokens for block in first.blocks[: ends[0] + 1])
    assert first.usage["cache_read_input_tokens"] == 0
    for request in others:
        assert request.usage["cache_read_input_tokens"] == static
        assert [b.canonical for b in request.blocks[: ends[0] + 1]] == [
            b.canonical for b in first.blocks[: ends[0] + 1]
        ]
        assert request.blocks[ends[1]].canonical != first.blocks[ends[1]].canonical


def valid(folder: Path) -> list[str]:
    """The kinds of the records of a journal that nobody owns; it must be whole."""
    journal = Journal.open(folder, Seam())
    records = list(journal.load())
    journal.close()
    assert journal.warnings() == []
    assert [record.seq for record in records] == list(range(len(records)))
    return [record.kind for record in records]


@pytest.mark.parametrize("records", [1, 3])
def test_a_session_in_which_nothing_was_said_is_passed_over(records: int, lab: Lab, vendor: Start) -> None:
    vendor(Script("one", "two"))
    assert lab.run("-p", "hello").code == 0
    (whole,) = lab.sessions()
    stub = whole.with_name("29990101-000000-00000000")
    stub.mkdir()
    lines = (whole / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (stub / "journal.jsonl").write_bytes(b"".join(lines[:records]))

    ran = lab.run("-c", "-p", "and now?")

    assert (ran.code, ran.session) == (0, whole.name)


# ------------------------------------------------------------------------------------------------------- signals

Begin = Callable[..., Any]


def gone(pid_file: Path) -> bool:
    pid = int(pid_file.read_text())
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # a zombie that nobody has reaped yet is no orphan that works
    return Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


def interrupted(ran: Ran) -> None:
    assert ran.code == 130
    assert len(ran.lines) == 1
    assert "interrupted" in ran.lines[0]


def finish(running: subprocess.Popen[str]) -> Ran:
    out, err = running.communicate(timeout=PATIENCE)
    assert "Traceback" not in err, err
    return Ran(running.returncode, out, err)


def goes_on(lab: Lab, sim: Simulator) -> Received:
    """The next run is accepted by the vendor; its first request."""
    count = len(sim.requests)
    ran = lab.run("-c", "-p", "and now?")
    assert ran.code == 0, ran.err
    return sim.requests[count]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_during_the_stream(number: signal.Signals, lab: Lab, vendor: Start, forked: Forks) -> None:
    look = [{"text": "I look."}, call("read", path="x")]
    sim = vendor(Script(look, Answer(({"text": "word " * 2_000},), delay=1), "fine"))  # takes minutes
    env: dict[str, str | None] = {}
    arguments = ("-p", "hello", "--output-format", "stream-json")
    if number == signal.SIGINT:
        running = lab.spawn(*arguments, env=env)
        assert running.stdout
        seen = ""
        while '"text": "word' not in seen:
            seen += running.stdout.readline()
        running.send_signal(number)
        ran = finish(running)
    else:
        fork = forked.start(lab, *arguments)
        wait_for(lambda: fork.stdout.exists() and '"text": "word' in fork.stdout.read_text())
        fork.signal(number)
        ran = fork.end()

    interrupted(ran)
    result = json.loads(ran.out.splitlines()[-1])
    assert result["exit_code"] == 130
    assert result["answer"].startswith("word")
    request = goes_on(lab, sim)
    # what was shown is part of the conversation
    shown = request.json["messages"][-2]["content"][0]["text"]
    assert 1 <= shown.count("word") < 2_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_during_a_tool(number: signal.Signals, lab: Lab, vendor: Start, forked: Forks) -> None:
    command = "trap '' INT; echo $$ > pid; sleep 300 & echo $! > pid2; wait"
    look = {"text": "I look."}
    sim = vendor(Script([look, call("shell", command=command), call("read", path="pid")], "fine"))
    arguments = ("-p", "hello", "--permission-mode", "yolo")
    fork = forked.start(lab, *arguments)
    wait_for(lambda: (lab.project / "pid2").exists() and (lab.project / "pid2").read_text().strip())
    fork.signal(number)
    ran = fork.end()

    interrupted(ran)
    assert ran.out == "I look.\n"
    wait_for(lambda: gone(lab.project / "pid") and gone(lab.project / "pid2"))
    healed = results(goes_on(lab, sim).json)
    assert "may have run" in result_text(healed[0])
    assert "was not run" in result_text(healed[1])
    assert all(result["is_error"] for result in healed)


def test_second_signal_during_a_tool(lab: Lab, vendor: Start, forked: Forks) -> None:
    sim = vendor(Script([call("shell", command="trap '' INT TERM; echo $$ > pid; sleep 300")], "fine"))
    fork = forked.start(lab, "-p", "hello", "--permission-mode", "yolo")
    wait_for(lambda: (lab.project / "pid").exists() and (lab.project / "pid").read_text())
    fork.signal(signal.SIGINT)
    time.sleep(0.05)
    fork.signal(signal.SIGINT)

    ran = fork.end()

    assert ran.code == 130
    wait_for(lambda: gone(lab.project / "pid"))
    goes_on(lab, sim)


def test_signal_during_the_wait_for_another_attempt(lab: Lab, vendor: Start, forked: Forks) -> None:
    sim = vendor(Script("fine"))
    sim.fault(Fault("status", status=529, headers={"retry-after": "300"}))  # longer than anybody here waits
    fork = forked.start(lab, "-p", "hello")
    wait_for(lambda: fork.stderr.exists() and "attempt 1 failed" in fork.stderr.read_text())
    fork.signal(signal.SIGINT)

    interrupted(fork.end())
    goes_on(lab, sim)


def test_signal_while_the_vendor_says_nothing(lab: Lab, vendor: Start, forked: Forks) -> None:
    asked = threading.Event()

    def brain(_: dict[str, Any]) -> str:
        asked.set()
        return "fine"

    sim = vendor(brain)
    sim.fault(Fault("late", seconds=600))
    fork = forked.start(lab, "-p", "hello")
    assert asked.wait(PATIENCE)
    fork.signal(signal.SIGINT)

    interrupted(fork.end())
    goes_on(lab, sim)


@pytest.mark.parametrize("module", ["harness.app", "asyncio", "anthropic"])
def test_signal_while_it_starts(module: str, lab: Lab) -> None:
    # before the program's first line Python itself answers; from then on we do
    interrupted(lab.process("-p", "hello", struck=("SIGINT", "import", rf"^{module}$")))


# --------------------------------------------------------------------------------------------------------- pipes


def test_piped_input_is_appended(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script())

    assert lab.process("-p", "explain this", text="line one\nline two\n").code == 0
    assert sim.requests[0].json["messages"][-1]["content"][-1]["text"] == "explain this\n\nline one\nline two\n"


def test_a_file_as_input(lab: Lab, vendor: Start, forked: Forks) -> None:
    sim = vendor(Script())
    (lab.folder / "in").write_text("explain me")

    assert forked.start(lab, "-p", stdin=lab.folder / "in").end().code == 0
    assert sim.requests[0].json["messages"][-1]["content"][-1]["text"] == "explain me"


def test_too_much_input(lab: Lab, forked: Forks) -> None:
    (lab.folder / "in").write_text("x" * 300_000)

    ran = forked.start(lab, "-p", "explain", stdin=lab.folder / "in").end()

    assert ran.code == 2
    assert "256 KiB" in ran.lines[0]


def test_input_that_is_no_text_is_not_paid_for(lab: Lab, forked: Forks) -> None:
    (lab.folder / "in").write_bytes(b"\x7fELF\x02\x01\x01\x00\x00")

    ran = forked.start(lab, "-p", "explain", stdin=lab.folder / "in").end()

    assert (ran.code, ran.lines) == (
        2,
        ["harness: what comes on stdin is not text: save it to a file and name the file"],
    )


def test_an_open_and_silent_pipe_does_not_hang(lab: Lab, vendor: Start) -> None:
    vendor(Script())
    with lab.spawn("-p", "hello", stdin=subprocess.PIPE) as running:
        try:
            code = running.wait(PATIENCE)
        finally:
            running.kill()
        assert running.stderr
        err = running.stderr.read()

    assert code == 0
    assert "nothing came on stdin" in err


@pytest.mark.parametrize("form", ["text", "stream-json"])
def test_a_reader_that_is_gone(form: str, lab: Lab, vendor: Start) -> None:
    command = "echo $$ > pid; sleep 300"
    sim = vendor(Script([{"text": "I begin."}, call("shell", command=command)] if form != "text" else "short", "fine"))
    reading, writing = os.pipe()
    os.close(reading)
    with lab.spawn("-p", "hello", "--permission-mode", "yolo", "--output-format", form, stdout=writing) as running:
        os.close(writing)
        _, err = running.communicate(timeout=PATIENCE)

    assert running.returncode == 1
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    goes_on(lab, sim)


def test_no_stdout_at_all(lab: Lab, vendor: Start) -> None:
    vendor(Script())
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&- 2>&-', "sh", *lab.command("-p", "hello")],
        cwd=lab.project,
        env=lab.environment() | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        stdin=subprocess.DEVNULL,
        check=False,
    )

    assert done.returncode == 0
    assert valid(lab.sessions()[-1])


def test_a_terminal_that_speaks_ascii_only(lab: Lab, vendor: Start) -> None:
    vendor(Script("Grüße, 世界"))

    ran = lab.process("-p", "hello", env={"PYTHONIOENCODING": "ascii", "LANG": "C"})

    assert ran.code == 0, ran.err
    assert ran.out.startswith("Gr")


def test_secrets_stay_where_they_are(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script([call("shell", command="env")]))
    env: dict[str, str | None] = {"OPENAI_API_KEY": KEY + "-2", "OTHER_TOKEN": KEY + "-3", "HARMLESS": "shown"}

    ran = lab.process("-p", "hello", "--permission-mode", "yolo", env=env)

    assert ran.code == 0
    seen = result_text(results(sim.requests[1].json)[0])
    assert "HARMLESS=shown" in seen
    assert KEY not in seen
    assert KEY not in ran.out + ran.err
    for path in lab.home.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_no_session_leaves_nothing_behind(lab: Lab, vendor: Start, forked: Forks) -> None:
    vendor(Script([call("shell", command="seq 100000")], "done"))
    (lab.folder / "tmp").mkdir()
    env: dict[str, str | None] = {"TMPDIR": str(lab.folder / "tmp")}
    arguments = ("-p", "hello", "--no-session", "--permission-mode", "yolo")

    assert forked.start(lab, *arguments, env=env).end().code == 0
    reading, writing = os.pipe()
    os.close(reading)
    with lab.spawn(*arguments, "--output-format", "stream-json", env=env, stdout=writing) as running:
        os.close(writing)
        running.communicate(timeout=PATIENCE)

    assert lab.sessions() == []
    assert list((lab.folder / "tmp").iterdir()) == []


def test_requests_of_all_kinds_extend(lab: Lab, vendor: Start) -> None:
    """What `assert_extends` would miss is not missed: it fails on a moved prefix."""
    sim = vendor(Script("one", "two"), minimum=None)
    assert lab.run("-p", "hello").code == 0
    assert lab.run("-c", "-p", "more").code == 0
    first, second = sim.requests

    assert_extends([first, second])
    with pytest.raises(AssertionError):
        assert_extends([second, first])
