"""What a model says wrong: arguments, tools, ids, stops. On each wire nothing is guessed, and the session goes on.

`test_faults` has the table of all faults and their tests.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from harness.conversation.events import Event, ToolFinished, ToolStarted, TurnEnded
from harness.simulator import Answer, Received
from tests.property.reading import read
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"call": name, "input": arguments}


WRITE = call("write", path="a.txt", content="x")


def end(events: list[Event]) -> TurnEnded:
    last = events[-1]
    assert isinstance(last, TurnEnded)
    return last


def files(person: Speaker) -> list[str]:
    return sorted(path.name for path in person.project.iterdir() if not path.name.startswith("notes"))


def results(person: Speaker) -> list[str]:
    """The texts of the last request's results, as its wire says them."""
    return [said.text for said in person_results(person.mainline[-1])]


def person_results(request: Received) -> list[Any]:
    return [said for said in read(request) if said.kind == "result"]


def goes_on(person: Speaker) -> None:
    """The vendor takes the next request, and it reads what it can."""
    assert person.answer("And now?")
    for before, after in pairwise(person.mainline):
        assert after.extends(before)
        assert after.read == after.perfect_read, after.explain
    assert person.simulator.refused == []


# ------------------------------------------------------------------------------------------------------- arguments

RAW = {
    "truncated": '{"path": "a.txt", "content": "half of it',
    "truncated where it could be closed": '{"path": "a.txt", "content": "x"',
    "null": "null",
    "array": '["a.txt", "x"]',
    "string": '"a.txt"',
    "raw newline in a string": '{"path": "a.txt", "content": "line one\nline two"}',
    "trailing data": '{"path": "a.txt", "content": "x"} {"path": "b.txt"}',
    "not a number": '{"path": "a.txt", "content": NaN}',
    "nested too deeply": '{"path": "a.txt", "content": ' + "[" * 700 + "]" * 700 + "}",
    "wrong type": '{"path": "a.txt", "content": {"a": 1}}',
    "missing": '{"path": "a.txt"}',
    "empty": "",
}


@pytest.mark.parametrize("name", RAW)
def test_arguments_that_are_none_run_nothing(name: str, begin: Begin) -> None:
    person = begin(Script([{"call": "write", "raw_input": RAW[name]}], "Then not."))
    events = person.say("Write.")

    assert end(events).text == "Then not."
    assert files(person) == []
    assert [event.is_error for event in events if isinstance(event, ToolFinished)] == [True]
    assert "was not run" in person.mainline[-1].body.decode()
    goes_on(person)


def test_surrogates_in_arguments(begin: Begin) -> None:
    raw = '{"path": "a.txt", "content": "\\ud83d and \\ud83e\\uddea"}'
    person = begin(Script([{"call": "write", "raw_input": raw}], "Done."))

    assert person.answer("Write.") == "Done."
    assert (person.project / "a.txt").read_text() == "\ufffd and \U0001f9ea"
    goes_on(person)


def test_the_loop_guard(begin: Begin) -> None:
    person = begin(lambda _: [call("grep", pattern="nothing at all")])
    last = end(person.say("Look."))

    assert last.reason == "limit"
    assert "same call 8 times" in last.detail
    assert len(person.mainline) == 8
    person.simulator.brain = lambda _: "Done."
    goes_on(person)


# --------------------------------------------------------------------------------------------------------- replies

REPLIES: dict[str, tuple[Answer, str, str]] = {
    "empty": (Answer((), "end_turn"), "failed", "empty answer"),
    "blank": (Answer(({"text": " \n"},), "end_turn"), "failed", "empty answer"),
    "nothing but thinking": (Answer(({"thinking": "hm"},), "end_turn"), "failed", "empty answer"),
    "refusal": (Answer(({"text": "I will not."},), "refusal"), "refused", "refused"),
    "refusal with a call": (Answer(({"text": "I will not."}, WRITE), "refusal"), "refused", "refused"),
    "window": (Answer(({"text": "So far."},), "model_context_window_exceeded"), "failed", "window"),
    "unknown": (Answer(({"text": "Hm."},), "frobnicated"), "failed", "unknown stop reason"),
    "unknown with a call": (Answer(({"text": "Hm."}, WRITE), "frobnicated"), "failed", "unknown stop reason"),
}


@pytest.mark.parametrize("name", REPLIES)
def test_how_an_answer_may_end(name: str, wire: str, begin: Begin) -> None:
    answer, reason, says = REPLIES[name]
    person = begin(lambda _: answer)
    events = person.say("Well?")
    last = end(events)

    assert (last.reason, says in last.detail) == (reason, True), last
    assert not any(isinstance(event, ToolStarted) for event in events)
    assert files(person) == []
    person.simulator.brain = lambda _: "Done."
    goes_on(person)
    if reason == "refused":
        # Anthropic's alone says why
        assert ("general_harms: The script refuses" in last.detail) == (wire == "anthropic")
        assert "I will not." not in person.mainline[-1].body.decode()


def test_a_paused_turn_goes_on(begin: Begin) -> None:
    person = begin(Script(Answer(({"text": "wait"},), "pause_turn"), "On."))

    assert person.answer("Well?") == "On."
    goes_on(person)


def test_the_output_limit_without_a_call_goes_on(begin: Begin) -> None:
    person = begin(Script(Answer(({"text": "First half"},), "max_tokens"), "second half."))

    assert person.answer("Write.") == "second half."
    assert "First half" in person.mainline[-1].body.decode()
    goes_on(person)


def test_the_output_limit_inside_a_call_never_runs_it(begin: Begin) -> None:
    half = {"call": "write", "raw_input": '{"path": "b.txt", "content": "ha'}
    person = begin(Script(Answer(({"text": "Two."}, WRITE, half), "max_tokens"), "In smaller steps."))

    assert person.answer("Write.") == "In smaller steps."
    assert files(person) == []
    assert "was not run" in person.mainline[-1].body.decode()
    goes_on(person)


@pytest.mark.parametrize("name", ["frobnicate", "Write", "WRITE", "write ", "wr\u0456te", "w" * 300])
def test_tools_that_there_are_not(name: str, begin: Begin) -> None:
    person = begin(Script([call(name, path="a.txt", content="x")], "Then not."))

    assert person.answer("Write.") == "Then not."
    assert files(person) == []
    assert "there is no tool" in person.mainline[-1].body.decode()
    goes_on(person)


def test_ids_that_are_double_empty_or_used_before(wire: str, begin: Begin) -> None:
    def with_id(id_: str, name: str) -> dict[str, Any]:
        return call("write", path=name, content="x") | {"id": id_}

    first = [with_id("call_1", "a"), with_id("call_1", "b"), with_id("", "c")]
    person = begin(Script(first, [with_id("call_1", "d"), with_id("call_2", "e")], "Done."))

    assert person.answer("Write.") == "Done."
    # a server of the Chat wire that gives no id is given one: what it means is clear
    assert files(person) == (["a", "c", "e"] if wire == "chat" else ["a", "e"])
    calls = [said.text for said in read(person.mainline[-1]) if said.kind == "call"]
    assert len(set(calls)) == 5
    assert results(person) == calls
    goes_on(person)


def test_fifty_calls_at_once(begin: Begin) -> None:
    person = begin(Script([call("read", path=f"notes{number}.txt") for number in range(50)], "Done."))
    for number in range(50):
        (person.project / f"notes{number}.txt").write_text(f"content {number}.\n")

    assert person.answer("Read.") == "Done."
    body = person.mainline[-1].body.decode()
    places = [body.index(f"content {number}.") for number in range(50)]
    assert places == sorted(places)
    assert len(results(person)) == 50
    goes_on(person)


def test_text_after_a_call(begin: Begin) -> None:
    person = begin(Script([{"text": "before"}, WRITE, {"text": "after"}], "Done."))

    assert person.answer("Write.") == "Done."
    assert files(person) == ["a.txt"]
    said = "".join(part.text for part in read(person.mainline[-1]) if part.kind == "answer")
    assert said == "beforeafter"
    goes_on(person)
