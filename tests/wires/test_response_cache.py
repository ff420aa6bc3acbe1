"""Cached responses, on each wire, over real HTTP: what is served is what came, and no vendor is asked for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.conversation.events import Event, ResponseDone, TextDelta, ThinkingDelta, ToolFinished, ToolStarted
from harness.simulator import Fault
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]

READ = {"call": "read", "input": {"path": "notes.txt"}}
WRITE = {"call": "write", "input": {"path": "made.txt", "content": "made\n"}}
ANSWERS = (
    [{"thinking": "I look; näher."}, {"text": "I read it. ✓"}, READ, READ],
    [{"thinking": "Once more."}, WRITE],
    "Done.",
    "Again.",
)


@pytest.fixture
def keep(begin: Begin) -> Begin:
    """Begins a session of this wire whose answers are kept: `keep(brain, scope="user")`."""

    def start(brain: Any, scope: str = "user", **rules: Any) -> Speaker:
        person = begin(brain, **rules)
        (person.project / "notes.txt").write_text("a note\n")
        person.options = replace(person.options, response_cache=scope)
        person.begin_anew()
        return person

    return start


def told(events: list[Event]) -> list[Any]:
    """What a screen is told, but for times, bills and numbers."""
    texts: list[Any] = []
    # calls of one answer run at once: which ends first is nobody's word
    ended = [replace(event, seconds=0.0) for event in events if isinstance(event, ToolFinished)]
    for event in events:
        match event:
            case TextDelta(text) | ThinkingDelta(text):
                texts.append((type(event).__name__, text))
            case ToolStarted():
                texts.append(event)
            case _:
                pass
    return [*texts, sorted(ended, key=lambda event: event.call_id)]


def folder(person: Speaker) -> Path:
    return person.app.state / "caches" / "responses"


def entries(person: Speaker) -> list[Path]:
    return sorted(folder(person).glob("??/*.json"))


def done(events: list[Event]) -> list[ResponseDone]:
    return [event for event in events if isinstance(event, ResponseDone)]


def test_the_second_run_asks_no_vendor_and_is_the_same(keep: Begin) -> None:
    person = keep(Script(*ANSWERS))
    first = [*person.say("One?"), *person.say("Two?")]
    bodies = [record.data for record in person.records("message")]
    prompt = person.app.session.requests.last_prompt
    assert len(person.simulator.requests) == 4
    (person.project / "made.txt").unlink()
    was = person.id
    person.begin_anew()
    second = [*person.say("One?"), *person.say("Two?")]

    assert len(person.simulator.requests) == 4
    assert told(second) == told(first)
    assert [record.data for record in person.records("message")] == bodies
    assert (person.project / "made.txt").read_text() == "made\n"
    assert person.app.session.requests.last_prompt == prompt
    totals = person.app.session.totals
    assert (totals.cost, totals.usage.prompt, totals.requests, totals.served) == (0.0, 0, 4, 4)
    assert person.verdicts() == ["response cache"] * 4
    for event, record in zip(done(second), person.records("response"), strict=True):
        kept = record.data["cached"]
        assert kept["session"] == was
        assert event.response_cache == {"hit": True, **kept}
        assert kept["key"][:12] in event.cause
        assert kept["usage"]["output"] > 0


def test_what_follows_cached_responses_is_billed_as_what_it_is(keep: Begin) -> None:
    """A vendor that saw nothing of the turns before has cached nothing of them, and nothing else is expected."""
    person = keep(Script(*ANSWERS))
    person.say("One?")
    (person.project / "made.txt").unlink()
    person.begin_anew()
    person.say("One?")
    before = len(person.simulator.requests)
    person.say("Something else?")

    live = person.simulator.requests[before:]
    assert len(live) == 1
    assert live[0].read == live[0].perfect_read
    assert person.verdicts()[:-1] == ["response cache"] * 3
    assert person.verdicts()[-1] in ("first", "hit")


@pytest.mark.moves_prefix(reason="another session, in which a file says something else", times=1)
def test_a_miss_names_what_differs(keep: Begin) -> None:
    person = keep(Script(*ANSWERS))
    person.say("One?")
    person.begin_anew()
    (person.project / "notes.txt").write_text("another note\n")
    missed = [event.response_cache for event in done(person.say("One?"))]

    assert [found["hit"] for found in missed] == [True, False, False]
    # a Chat server gets each result as a message of its own, within one of ours
    assert "message 4 (results): …" in missed[1]["cause"]
    assert "another note" in missed[1]["cause"]
    assert "nearest: " in missed[1]["cause"]


def test_a_side_request_is_kept_too(keep: Begin) -> None:
    person = keep(Script("One.", "Aside."))
    person.say("One?")
    assert person.aside() == "Aside."
    person.begin_anew()
    person.say("One?")
    assert person.aside() == "Aside."

    assert len(person.simulator.requests) == 2
    assert person.verdicts() == ["response cache"] * 2


def test_fresh_asks_again_and_replaces(keep: Begin) -> None:
    person = keep(Script("One."))
    person.say("One?")
    (was,) = entries(person)
    at = json.loads(was.read_bytes())["session"]
    person.options = replace(person.options, fresh=True)
    person.begin_anew()
    person.simulator.brain = Script("Other.")
    assert person.answer("One?") == "Other."
    (now,) = entries(person)
    assert now == was
    assert json.loads(now.read_bytes())["session"] == person.id != at

    person.options = replace(person.options, fresh=False)
    person.begin_anew()
    assert person.answer("One?") == "Other."
    assert len(person.simulator.requests) == 2


@pytest.mark.moves_prefix(reason="another session, on another day", times=1)
def test_another_day_is_another_request(keep: Begin) -> None:
    person = keep(Script("One."))
    person.say("One?")
    person.simulator.clock.advance(31 * 86_400)
    person.begin_anew()
    found = done(person.say("One?"))[0].response_cache

    assert not found["hit"]
    assert "message 1 (session context)" in found["cause"]


@pytest.mark.refusals(reason="the faults are refusals")
@pytest.mark.parametrize(
    "fault",
    [Fault("status", status=529), Fault("drop", after=3), Fault("no_stop"), Fault("error_event", after=4)],
    ids=lambda fault: fault.kind,
)
def test_what_broke_is_not_kept(fault: Fault, keep: Begin) -> None:
    person = keep(Script([{"text": "a long answer " * 40}]))
    person.simulator.fault(replace(fault, times=1))
    events = person.say("One?")

    # what is sent again before anything was shown may come whole
    whole = [event for event in done(events) if event.stop == "end_turn"]
    assert len(entries(person)) == len(whole)


@pytest.mark.parametrize("stop", ["max_tokens", "refusal"])
def test_what_did_not_end_well_is_not_kept(stop: str, keep: Begin) -> None:
    person = keep(Script({"content": [{"text": "I can"}], "stop": stop}))
    first, *others = done(person.say("One?"))

    assert first.stop == stop
    assert stop in first.response_cache["unkept"]
    # at the limit, it is asked to go on
    assert len(entries(person)) == len(others)


def test_an_empty_answer_is_not_kept_for_the_next_try(keep: Begin) -> None:
    person = keep(Script(""))
    for _ in range(2):
        (response,) = done(person.say("One?"))
        assert not response.response_cache["hit"]
        assert response.response_cache["unkept"] == "it is empty"
        person.begin_anew()
    assert entries(person) == []


@pytest.mark.parametrize("scope", ["run", "session"])
def test_narrow_scopes_are_not_shared(scope: str, keep: Begin) -> None:
    person = keep(Script("One."), scope=scope)
    person.say("One?")
    assert entries(person) == []
    person.begin_anew()
    person.say("One?")

    assert len(person.simulator.requests) == 2
