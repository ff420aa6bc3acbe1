"""What can go wrong between the program and the vendor, done to real runs over HTTP: each ends in the safe way.

Every test ends with the check that the vendor refused nothing and the prefix never moved (see conftest).
"""

from __future__ import annotations

import json
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from harness.simulator import Answer, Fault, Simulator
from tests.e2e.conftest import Start
from tests.e2e.lab import Lab, Ran, Script, call, result_text, results, texts
from tests.waiting import wait_for


def network(fault: Fault) -> str:
    """Settings under which the fault is one soon. Silence is short only where it is the fault: a busy machine is
    silent, too."""
    idle = 0.6 if fault.kind in ("stall", "late", "pings") else 20
    return f"[network]\nidle_timeout = {idle}\nmax_retries = 2\n"


LONG = "one two three four five six seven eight nine ten " * 3


def bodies(sim: Simulator) -> list[bytes]:
    """The bodies of all attempts, accepted or not."""
    return [item.body for item in sim.refused] + [item.body for item in sim.requests]


def goes_on(lab: Lab) -> Ran:
    """The next run on the session: the vendor accepts it."""
    ran = lab.run("-c", "-p", "and now?")
    assert ran.code == 0, ran.err
    assert ran.out
    return ran


# ------------------------------------------------------------------------------------------------------- HTTP


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
@pytest.mark.parametrize("body", ["json", "html"])
def test_sent_again_byte_for_byte(status: int, body: str, lab: Lab, vendor: Start) -> None:
    sim = vendor(Script())
    sim.fault(Fault("status", status=status, body=body, headers={"retry-after-ms": "1"}))

    ran = lab.run("-p", "hello")

    assert (ran.code, ran.out) == (0, "done\n")
    assert f"attempt 1 failed ({status}" in ran.err
    assert len(bodies(sim)) == 2
    assert len(set(bodies(sim))) == 1


def test_connection_cut_before_the_answer(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script())
    sim.fault(Fault("reset"))

    ran = lab.run("-p", "hello")

    assert (ran.code, ran.out) == (0, "done\n")
    assert len(set(bodies(sim))) == 1


def waited(lab: Lab) -> float:
    return float(next(record.data["wait"] for record in lab.records() if record.kind == "retry"))


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry-after": "1"}, 1.0, 1.5),
        ({"retry-after-ms": "700"}, 0.7, 1.0),
        ({"retry-after": "0"}, 0.5, 0.7),
        ({}, 0.5, 0.7),
        ({"retry-after": "soon"}, 0.5, 0.7),
    ],
)
def test_never_earlier_than_asked(headers: dict[str, str], least: float, most: float, lab: Lab, vendor: Start) -> None:
    vendor(Script()).fault(Fault("status", status=429, headers=headers))
    begun = time.monotonic()

    assert lab.run("-p", "hello").code == 0
    assert time.monotonic() - begun >= least
    assert least <= waited(lab) <= most


def test_wait_until_a_date(lab: Lab, vendor: Start) -> None:
    # dates have whole seconds: two ahead is at least one
    at = datetime.now(UTC) + timedelta(seconds=2)
    vendor(Script()).fault(Fault("status", status=429, headers={"retry-after": format_datetime(at, usegmt=True)}))

    assert lab.run("-p", "hello").code == 0
    assert datetime.now(UTC) >= at.replace(microsecond=0)


def test_a_wait_of_hours_is_the_persons_decision(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script())
    sim.fault(Fault("status", status=529, headers={"retry-after": "86400"}))

    assert lab.run("-p", "hello").code == 75
    assert len(bodies(sim)) == 1
    goes_on(lab)


def test_too_large_is_not_sent_again(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script(), body_limit=20_000, allowed="exceeds the maximum size")

    ran = lab.run("-p", "word " * 10_000)

    assert ran.code == 1
    assert "413" in ran.err
    assert len(sim.refused) == 1


def test_retries_can_be_off(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script())
    sim.fault(Fault("status", status=529))
    lab.config("[network]\nmax_retries = 0\n")

    assert lab.run("-p", "hello").code == 75
    assert len(bodies(sim)) == 1


def test_pooled_connection_that_the_vendor_closed(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script([call("shell", command="touch up; until [ -e cut ]; do sleep 0.02; done")]))
    cuts: list[int] = []

    def cut() -> None:
        wait_for((lab.project / "up").exists)
        cuts.append(sim.hang_up())
        (lab.project / "cut").touch()

    cutting = threading.Thread(target=cut)
    cutting.start()
    ran = lab.run("-p", "hello", "--permission-mode", "yolo")
    cutting.join()

    assert (ran.code, ran.out) == (0, "done\n")
    assert len(sim.requests) == 2
    assert cuts == [1]


# ----------------------------------------------------------------------------------------------------- stream


BEFORE = {
    "stall after the headers": Fault("stall", after=0, seconds=30),
    "stall before the text": Fault("stall", after=2, seconds=30),
    "late headers": Fault("late", seconds=30),
    "nothing but pings": Fault("pings", after=1, every=0.05, seconds=30),
    "dropped at once": Fault("drop", after=0),
    "dropped before the text": Fault("drop", after=2),
    "dropped in the middle of an event": Fault("drop", after_bytes=40),
    "error event at once": Fault("error_event", after=1),
    "rate limit as an event": Fault("error_event", after=1, error_type="rate_limit_error"),
    "malformed event at once": Fault("malformed", after=1),
}


@pytest.mark.parametrize("name", BEFORE)
def test_breaks_before_anything_was_shown(name: str, lab: Lab, vendor: Start) -> None:
    sim = vendor(Script(LONG))
    lab.config(network(BEFORE[name]))
    sim.fault(BEFORE[name])

    ran = lab.run("-p", "hello")

    assert (ran.code, ran.out.strip()) == (0, LONG.strip()), ran.err
    assert "attempt 1 failed" in ran.err
    assert len(set(bodies(sim))) == 1
    goes_on(lab)


AFTER = {
    "stall": Fault("stall", after=5, seconds=30),
    "drop": Fault("drop", after=5),
    "error event": Fault("error_event", after=5),
    "malformed event": Fault("malformed", after=5),
    "pings for ever": Fault("pings", after=5, every=0.05, seconds=30),
    "end without message_stop": Fault("no_stop"),
}


@pytest.mark.parametrize("name", AFTER)
def test_breaks_after_something_was_shown(name: str, lab: Lab, vendor: Start) -> None:
    sim = vendor(Script(LONG))
    lab.config(network(AFTER[name]))
    sim.fault(AFTER[name])

    ran = lab.run("-p", "hello")

    assert ran.code == 1
    assert ran.out.strip()
    assert LONG.startswith(ran.out.strip())
    assert len(ran.lines) == 1
    assert "broke off" in ran.lines[0]
    assert re.search(r"[^.]; go on with it: harness -r \S+ -p$", ran.lines[0])
    assert len(bodies(sim)) == 1
    goes_on(lab)
    # what was shown is what the model is told that it said
    assert sim.requests[-1].json["messages"][-2]["content"][0]["text"].strip() == ran.out.strip()


def test_persisting_break_is_for_later(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script(LONG))
    lab.config("[network]\nmax_retries = 1\n")
    sim.fault(Fault("drop", after=1, times=2))

    ran = lab.run("-p", "hello")

    assert ran.code == 75
    assert len(ran.lines) == 1
    goes_on(lab)


def test_pings_keep_a_slow_answer_alive(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script(LONG))
    lab.config("[network]\nidle_timeout = 5\n")
    sim.fault(Fault("pings", after=3, every=0.05, seconds=6))

    assert lab.run("-p", "hello").out.strip() == LONG.strip()
    assert len(sim.requests) == 1


@pytest.mark.parametrize("kind", ["one_byte", "big_event"])
def test_odd_but_sound_streams(kind: Any, lab: Lab, vendor: Start) -> None:
    said = "Grüße, 世界 \U0001f9ea — fine\n\n" * 4
    sim = vendor(Script([{"text": said}, call("todo", todos=[])], said))
    sim.fault(Fault(kind, times=2))

    ran = lab.run("-p", "hello")

    assert (ran.code, ran.out.strip()) == (0, said.strip())
    assert sim.requests[1].json["messages"][-2]["content"][0]["text"] == said


CALL_THEN_STOP = [{"text": "I write it."}, call("write", path="a.txt", content="x" * 200)]


@pytest.mark.parametrize("kind", ["drop", "stall", "error_event", "malformed"])
def test_a_call_that_never_came_to_its_end_is_not_run(kind: Any, lab: Lab, vendor: Start) -> None:
    sim = vendor(Script(CALL_THEN_STOP))
    fault = Fault(kind, inside_tool=True, seconds=30)
    lab.config(network(fault))
    sim.fault(fault)

    ran = lab.run("-p", "hello")

    assert ran.code == 1
    assert "write was not run" in ran.lines[0]
    assert not (lab.project / "a.txt").exists()
    goes_on(lab)
    assert "was not run" in texts(sim.requests[-1].json)


def test_a_call_without_words_that_breaks_is_asked_for_again(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script([call("write", path="a.txt", content="x")]))
    sim.fault(Fault("drop", inside_tool=True))

    ran = lab.run("-p", "hello")

    assert ran.code == 0
    assert (lab.project / "a.txt").read_text() == "x"
    assert len(sim.requests) == 3


def test_a_whole_call_of_a_broken_answer_is_not_run(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script([{"text": "Now."}, call("write", path="a.txt", content="x"), {"text": "Done."}]))
    sim.fault(Fault("no_stop"))

    ran = lab.run("-p", "hello")

    assert ran.code == 1
    assert not (lab.project / "a.txt").exists()
    goes_on(lab)


def test_what_an_attempt_was_billed_is_counted(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script(LONG))
    sim.fault(Fault("drop", after=1))

    ran = lab.run("-p", "hello", "--output-format", "json")

    assert json.loads(ran.out)["totals"]["requests"] == len(sim.requests) == 2


# ------------------------------------------------------------------------------------------- tool arguments

RAW = {
    "truncated": '{"path": "a.txt", "content": "half of it',
    "truncated where it could be closed": '{"path": "a.txt", "content": "x"',
    "null": "null",
    "array": '["a.txt", "x"]',
    "string": '"a.txt"',
    "number": "7",
    "raw newline": '{"path": "a.txt", "content": "line one\nline two"}',
    "trailing data": '{"path": "a.txt", "content": "x"} {"path": "b.txt"}',
    "not a number": '{"path": "a.txt", "content": NaN}',
    "too large a number": '{"path": "a.txt", "content": "x", "mode": 1e999}',
    "nested too deeply": '{"path": "a.txt", "content": ' + "[" * 700 + "]" * 700 + "}",
    "endless number": '{"path": "a.txt", "content": ' + "9" * 5000 + "}",
    "wrong type": '{"path": "a.txt", "content": {"a": 1}}',
    "missing": '{"path": "a.txt"}',
    "unknown": '{"path": "a.txt", "content": "x", "colour": "red"}',
    "empty": "",
}


@pytest.mark.parametrize("name", RAW)
def test_arguments_that_are_none(name: str, lab: Lab, vendor: Start) -> None:
    sim = vendor(Script([{"call": "write", "raw_input": RAW[name]}]))

    ran = lab.run("-p", "hello")

    assert (ran.code, ran.out) == (0, "done\n"), ran.err
    assert list(lab.project.iterdir()) == []
    (result,) = results(sim.requests[1].json)
    assert result["is_error"]
    assert "was not run" in result_text(result)
    goes_on(lab)


def test_surrogates_in_arguments(lab: Lab, vendor: Start) -> None:
    raw = '{"path": "a.txt", "content": "\\ud83d and \\ud83e\\uddea"}'
    vendor(Script([{"call": "write", "raw_input": raw}]))

    assert lab.run("-p", "hello").code == 0
    assert (lab.project / "a.txt").read_text() == "\ufffd and \U0001f9ea"
    goes_on(lab)


def test_the_loop_guard(lab: Lab, vendor: Start) -> None:
    sim = vendor(lambda _: [call("grep", pattern="nothing at all")])

    ran = lab.run("-p", "hello")

    assert ran.code == 3
    assert "same call 8 times" in ran.lines[0]
    assert len(sim.requests) == 8
    sim.brain = lambda _: "done"
    goes_on(lab)


# ----------------------------------------------------------------------------------------------------- replies

REPLIES: dict[str, tuple[Any, int, str]] = {
    "empty": (Answer((), "end_turn"), 1, "empty answer"),
    "blank": (Answer(({"text": " \n"},), "end_turn"), 1, "empty answer"),
    "thinking only": (Answer(({"thinking": "hm"},), "end_turn"), 1, "empty answer"),
    "tool_use without a call": (Answer(({"text": "I call."},), "tool_use"), 1, "call"),
    "refusal": (Answer(({"text": "I will not."},), "refusal"), 1, "refused"),
    "window": (Answer(({"text": "So far."},), "model_context_window_exceeded"), 1, "window"),
    "unknown": (Answer(({"text": "Hm."},), "frobnicated"), 1, "unknown stop reason 'frobnicated'"),
    "unknown with a call": (
        Answer(({"text": "Hm."}, call("write", path="a.txt", content="x")), "frobnicated"),
        1,
        "unknown stop reason",
    ),
    "end_turn with a call": (Answer((call("write", path="a.txt", content="x"),), "end_turn"), 1, "not run"),
    "refusal with a call": (Answer((call("write", path="a.txt", content="x"),), "refusal"), 1, "refused"),
}


@pytest.mark.parametrize("name", REPLIES)
def test_replies(name: str, lab: Lab, vendor: Start) -> None:
    answer, code, says = REPLIES[name]
    sim = vendor(lambda _: answer)

    ran = lab.run("-p", "hello")

    assert ran.code == code
    assert len(ran.lines) == 1
    assert says in ran.lines[0], ran.err
    assert list(lab.project.iterdir()) == []
    shown = "".join(item.get("text", "") for item in answer.content).strip()
    assert ran.out.strip() == shown
    sim.brain = lambda _: "done"
    goes_on(lab)
    if answer.stop == "refusal":
        assert "I will not." not in json.dumps(sim.requests[-1].json)


def test_output_limit_without_a_call_goes_on(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script(Answer(({"text": "First half"},), "max_tokens"), "second half."))

    ran = lab.run("-p", "hello")

    assert ran.code == 0
    assert ran.out == "second half.\n" or "First half" in ran.out
    assert len(sim.requests) == 2


def test_output_limit_inside_a_call_never_runs_it(lab: Lab, vendor: Start) -> None:
    whole = call("write", path="a.txt", content="x")
    half = {"call": "write", "raw_input": '{"path": "b.txt", "content": "ha'}
    sim = vendor(Script(Answer(({"text": "Two."}, whole, half), "max_tokens"), "smaller steps"))

    ran = lab.run("-p", "hello")

    assert ran.code == 0
    assert list(lab.project.iterdir()) == []
    assert "was not run" in texts(sim.requests[1].json)
    goes_on(lab)


def test_output_limit_again_and_again_ends(lab: Lab, vendor: Start) -> None:
    sim = vendor(lambda _: Answer(({"text": "and"},), "max_tokens"))

    ran = lab.run("-p", "hello")

    assert ran.code == 1
    assert "output limit" in ran.lines[0]
    assert len(sim.requests) == 3


def test_paused_turn_goes_on(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script(Answer(({"text": "wait"},), "pause_turn"), "done now"))

    assert lab.run("-p", "hello").out.strip().endswith("done now")
    assert len(sim.requests) == 2


@pytest.mark.parametrize("name", ["frobnicate", "Write", "WRITE", "write ", "wr\u0456te", "w" * 300])
def test_tools_that_there_are_not(name: str, lab: Lab, vendor: Start) -> None:
    sim = vendor(Script([call(name, path="a.txt", content="x")]))

    assert lab.run("-p", "hello").code == 0
    assert list(lab.project.iterdir()) == []
    (result,) = results(sim.requests[1].json)
    assert result["is_error"]
    assert "there is no tool" in result_text(result)


def test_ids_that_are_double_empty_or_used_before(lab: Lab, vendor: Start) -> None:
    def with_id(id_: str, name: str) -> dict[str, Any]:
        return call("write", path=name, content="x") | {"id": id_}

    first = [with_id("toolu_1", "a"), with_id("toolu_1", "b"), with_id("", "c")]
    sim = vendor(Script(first, [with_id("toolu_1", "d"), with_id("toolu_2", "e")]))

    assert lab.run("-p", "hello").code == 0
    assert sorted(path.name for path in lab.project.iterdir()) == ["a", "e"]
    for request, wrong in ((sim.requests[1].json, [False, True, True]), (sim.requests[2].json, [True, False])):
        assert [result.get("is_error", False) for result in results(request)] == wrong
    ids = [b["id"] for m in sim.requests[2].json["messages"] for b in m["content"] if b["type"] == "tool_use"]
    assert len(set(ids)) == 5
    goes_on(lab)


def test_fifty_calls_at_once(lab: Lab, vendor: Start) -> None:
    for number in range(50):
        (lab.project / f"{number}.txt").write_text(f"content {number}\n")
    sim = vendor(Script([call("read", path=f"{number}.txt") for number in range(50)]))

    assert lab.run("-p", "hello").code == 0
    for number, result in enumerate(results(sim.requests[1].json)):
        assert f"content {number}\n" in result_text(result) + "\n"
    goes_on(lab)


def test_text_after_a_call(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script([{"text": "a"}, call("write", path="a.txt", content="x"), {"text": "b"}]))

    assert lab.run("-p", "hello").code == 0
    assert (lab.project / "a.txt").exists()
    kinds = [block["type"] for block in sim.requests[1].json["messages"][-2]["content"]]
    assert kinds == ["text", "tool_use", "text"]


# ----------------------------------------------------------------------------------------------------- context


def test_one_output_larger_than_the_window(lab: Lab, vendor: Start) -> None:
    window = 20_000
    (lab.project / "big.txt").write_text("a line of some length\n" * 200_000)
    commands = [call("shell", command="cat big.txt"), call("grep", pattern="line"), call("read", path="big.txt")]
    sim = vendor(Script(*([one] for one in commands)), context_window=2 * window)

    ran = lab.run("-p", "hello", "--permission-mode", "yolo")

    assert ran.code == 0, ran.err
    assert sim.requests[-1].prompt_tokens < 2 * window
    goes_on(lab)


def test_parallel_results_share_what_is_left(lab: Lab, vendor: Start) -> None:
    (lab.project / "big.txt").write_text("a line of some length\n" * 20_000)
    command = "head -c 15000 big.txt"
    # haiku 4.5 has a window of 200,000 tokens: ten answers with ten results of 15 KB each would be 375,000
    answer = [call("shell", command=f"{command} # {number}") for number in range(10)]
    sim = vendor(Script(*[answer] * 10))

    ran = lab.run("-p", "hello", "--permission-mode", "yolo", "--model", "claude-haiku-4-5")

    assert ran.code in {0, 3}, ran.err
    assert sim.requests[-1].prompt_tokens < 200_000
