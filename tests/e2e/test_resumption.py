"""A long run that is killed at one of its steps and goes on there: nothing with effects runs twice, nothing is lost."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.simulator import Answer, Simulator
from tests.e2e.conftest import Start
from tests.e2e.lab import Forks, Lab, Script, call, result_text, results
from tests.e2e.test_undo_after_kill import undone
from tests.waiting import PATIENCE, wait_for

STEPS = 10
KILLED = 7
YOLO = ("--permission-mode", "yolo")


def step(number: int, more: str = "") -> list[Any]:
    return [call("shell", command=f"echo {number} >> log{more}")]


def log(lab: Lab) -> list[int]:
    return [int(line) for line in (lab.project / "log").read_text().split()]


def asked(sim: Simulator) -> list[int]:
    """The number of answers that each request already had."""
    return [sum(m["role"] == "assistant" for m in request.json["messages"]) for request in sim.requests]


def killed(lab: Lab, forked: Forks, ready: Path, number: int = signal.SIGKILL) -> None:
    running = forked.start(lab, "-p", "ten steps", *YOLO)
    wait_for(ready.exists)
    running.signal(number)
    assert forked.wait(running.pid, PATIENCE) is not None


def test_killed_in_the_command_of_step_seven(lab: Lab, vendor: Start, forked: Forks) -> None:
    steps = [step(n, "; touch ready; sleep 60" if n == KILLED else "") for n in range(1, STEPS + 1)]
    sim = vendor(Script(*steps, "all ten are done"))
    killed(lab, forked, lab.project / "ready")
    assert log(lab) == [*range(1, KILLED + 1)]

    ran = lab.run("-c", "-p", *YOLO)

    assert (ran.code, ran.out) == (0, "all ten are done\n"), ran.err
    # each command ran once, that of step seven too, whose fate the model was told
    assert log(lab) == [*range(1, STEPS + 1)]
    assert asked(sim) == [*range(STEPS + 1)]
    (unsure,) = [r for r in results(sim.requests[KILLED].json) if r["is_error"]]
    assert "may have run" in result_text(unsure)
    # nothing was said in the person's stead
    words = [r for r in lab.records() if r.kind == "message" and r.data["tag"] in ("person", "program")]
    assert len(words) == 1


def test_killed_while_the_model_answers(lab: Lab, vendor: Start, forked: Forks) -> None:
    ready = lab.project / "ready"

    def slow(request: dict[str, Any]) -> Any:
        answer = Script(*(step(n) for n in range(1, STEPS + 1)), "done")(request)
        if sum(m["role"] == "assistant" for m in request["messages"]) == KILLED and not ready.exists():
            ready.touch()
            return Answer(({"text": "word " * 200},), delay=0.05)
        return answer

    sim = vendor(slow)
    killed(lab, forked, ready)
    before = log(lab)

    ran = lab.run("-c", "-p", *YOLO)

    assert ran.code == 0, ran.err
    assert before == [*range(1, KILLED + 1)]
    assert log(lab) == [*range(1, STEPS + 1)]
    # the results of step seven were on the disk: the same request was made once more, and read what had been cached
    first, again = sim.requests[KILLED : KILLED + 2]
    assert first.json["messages"] == again.json["messages"]
    assert again.usage["cache_read_input_tokens"] >= first.usage["cache_read_input_tokens"] > 0


def test_stopped_with_calls_in_every_state(lab: Lab, vendor: Start, forked: Forks) -> None:
    (lab.project / "a").write_text("alpha")
    several = [
        call("read", path="a"),
        call("shell", command="touch ready; sleep 60"),
        call("write", path="b", content="b"),
    ]
    sim = vendor(Script(several, "done"))
    killed(lab, forked, lab.project / "ready")

    ran = lab.run("-c", "-p", *YOLO)

    assert ran.code == 0, ran.err
    read, shell, write = results(sim.requests[1].json)
    assert "alpha" in result_text(read)
    assert "may have run" in result_text(shell)
    assert "not run" in result_text(write)
    assert not (lab.project / "b").exists()


def flipped(line: bytes) -> bytes:
    return line[:40] + bytes([line[40] ^ 1]) + line[41:]


@pytest.mark.parametrize(
    "damage",
    [
        lambda intent, *_: intent[:-40],
        lambda intent, *_: b"\0" * len(intent),
        lambda intent, *_: flipped(intent),
        lambda intent, shell, read: flipped(intent) + flipped(shell) + read,
    ],
    ids=["cut", "zeros", "one bit", "in the middle"],
)
def test_what_may_have_begun_is_told_although_its_record_is_lost(
    damage: Callable[..., bytes], lab: Lab, vendor: Start
) -> None:
    """Of a disk that lost what it had said was safe."""
    sim = vendor(Script(step(1), [*step(2), call("glob", pattern="*"), call("read", path="log")], step(3), "done"))
    assert lab.run("-p", "go", "--max-turns", "2", *YOLO).code == 3
    (session,) = lab.sessions()
    lines = (session / "journal.jsonl").read_bytes().splitlines(keepends=True)
    _, intent = (number for number, line in enumerate(lines) if b'"kind":"intent","prev"' in line)
    (session / "journal.jsonl").write_bytes(b"".join(lines[:intent]) + damage(*lines[intent : intent + 3]))
    (lab.project / "log").write_text("1\n2\n")

    ran = lab.run("-c", "-p", *YOLO)

    assert (ran.code, ran.out) == (0, "done\n"), ran.err
    assert log(lab) == [1, 2, 3]
    told = [result_text(result) for result in results(sim.requests[-2].json)]
    assert "may have run" in told[0]
    assert len(told) == 3
    replayed = lab.run("replay", session.name)
    assert "DIVERGES" not in replayed.out, replayed.out


def test_nothing_was_said(lab: Lab, vendor: Start) -> None:
    vendor(Script("hello", "and on"))
    assert lab.run("-p", "hi").code == 0
    (session,) = lab.sessions()
    lines = (session / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (session / "journal.jsonl").write_bytes(b"".join(lines[:4]))  # killed before the words were on the disk

    ran = lab.run("-c", "-p")

    assert (ran.code, ran.lines) == (2, [f"harness: nothing to go on with: nothing is said in {session.name}"])
    assert lab.run("-c", "-p", "hi again").code == 0


def test_an_answer_that_was_cut_goes_on(lab: Lab, vendor: Start, forked: Forks) -> None:
    sim = vendor(Script(Answer(({"text": "word " * 200},), delay=0.05), "the rest"))
    running = forked.start(lab, "-p", "tell", "--output-format", "stream-json")
    wait_for(lambda: running.stdout.exists() and '"text"' in running.stdout.read_text())
    running.signal(signal.SIGTERM)
    ran = running.end()
    assert ran.code == 130
    assert ran.lines[-1].endswith(f"go on with it: harness -r {lab.sessions()[0].name} -p")

    again = lab.run("-r", lab.sessions()[0].name, "-p")

    assert (again.code, again.out) == (0, "the rest\n")
    *_, cut, last = sim.requests[1].json["messages"]
    assert cut["content"][0]["text"].startswith("word")
    assert last["content"][0]["text"] == "Your last answer was cut off. Go on."


def test_a_limit_is_gone_on_from(lab: Lab, vendor: Start) -> None:
    vendor(Script(step(1), step(2), step(3), "done"))
    ran = lab.run("-p", "go", "--max-turns", "2", *YOLO)
    assert ran.code == 3
    assert "harness -r" in ran.lines[-1]
    again = lab.run("-c", "-p", *YOLO)
    assert (again.code, again.out) == (0, "done\n")
    assert log(lab) == [1, 2, 3]


def test_json_that_was_asked_for_is_asked_for_again(lab: Lab, vendor: Start) -> None:
    schema = lab.folder / "schema.json"
    schema.write_text(json.dumps({"type": "object", "required": ["n"]}))
    sim = vendor(Script(step(1), '{"n": 1}'))
    assert lab.run("-p", "go", "--json-schema", str(schema), "--max-turns", "1", *YOLO).code == 3
    again = lab.run("-c", "-p", "--json-schema", str(schema), "--output-format", "json", *YOLO)
    assert again.code == 0, again.err
    assert json.loads(again.out)["structured"] == {"n": 1}
    assert "JSON Schema" in str(sim.requests[-1].json["messages"][-1])


@pytest.mark.parametrize("arguments", [("-c", "-p"), ("-c", "-p", "  ")])
def test_a_turn_that_ended_is_not_gone_on_with(arguments: tuple[str, ...], lab: Lab, vendor: Start) -> None:
    sim = vendor(Script("hello"))
    assert lab.run("-p", "hi").code == 0
    count = len(lab.records())
    ran = lab.run(*arguments)
    assert ran.code == 2
    assert ran.lines == [
        f"harness: nothing to go on with: the last turn of session {lab.sessions()[0].name} came to its end"
    ]
    assert len(sim.requests) == 1
    assert len(lab.records()) == count


def test_a_refusal_is_not_asked_for_again(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script(Answer(({"text": "no"},), stop="refusal")))
    ran = lab.run("-p", "hi")
    assert ran.code == 1
    assert "go on with it" not in ran.err
    assert lab.run("-c", "-p").code == 2
    assert len(sim.requests) == 1


def test_undo_takes_back_both_parts_of_the_turn(lab: Lab, vendor: Start, forked: Forks) -> None:
    (lab.project / "log").write_text("0\n")
    vendor(Script(step(1, "; touch ready; sleep 60"), step(2), "done"))
    killed(lab, forked, lab.project / "ready")
    assert lab.run("-c", "-p", *YOLO).code == 0
    assert log(lab) == [0, 1, 2]
    restored = undone(lab)
    assert restored
    assert log(lab) == [0]
    assert not (lab.project / "ready").exists()
