"""Each verdict as it comes over the wire, planted at the pretend vendor."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.agent.rewind import undo
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]
TODO = {"call": "todo", "input": {"items": []}}


def last_verdict(person: Speaker) -> dict[str, object]:
    verdict: dict[str, object] = list(person.records("response"))[-1].data["verdict"]
    return verdict


def test_expired_only_when_the_clock_says_so(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two.", "Three."))
    person.say("One?")
    person.simulator.clock.advance(299)
    person.say("Two?")
    person.simulator.clock.advance(300)
    person.say("Three?")

    assert person.verdicts() == ["first", "hit", "expired"]
    assert last_verdict(person)["lost"] == person.mainline[1].prompt_tokens
    assert "5m" in str(last_verdict(person)["cause"])


def test_a_read_renews_the_entry_for_the_next(speaker: Begin) -> None:
    person = speaker(Script(*["Yes."] * 4))
    for _ in range(4):
        person.say("Still there?")
        person.simulator.clock.advance(250)

    assert person.verdicts() == ["first", "hit", "hit", "hit"]


def test_evicted_by_the_vendor_before_its_time(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."))
    person.say("One?")
    person.simulator.evict()
    person.say("Two?")
    person.say("Three?")

    assert person.verdicts() == ["first", "evicted", "hit"]


@pytest.mark.moves_prefix(reason="an undo is an epoch", times=1)
def test_a_beginning_that_is_too_short_alone_was_never_let_go(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two.", "Another two."), model="claude-opus-4-6")
    person.say("One?")
    person.say("word " * 4000)
    undo(person.app.session)
    person.say("other " * 4000)

    # the end of the first turn was marked in a prompt that was cached, and no bill ever told of it alone
    assert [record.data["usage"]["read"] for record in person.records("response")] == [0, 0, 0]
    assert person.verdicts() == ["too short", "too short", "too short"]
    assert last_verdict(person)["lost"] == 0


def test_too_short_until_the_minimum_is_reached(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two.", "Three."), model="claude-opus-4-6")
    person.say("One?")
    person.say("word " * 3000)
    person.say("Three?")

    assert person.verdicts() == ["too short", "too short", "hit"]
    assert [request.read == request.perfect_read for request in person.mainline] == [True] * 3


def test_declared_names_the_settings_that_changed(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two.", "Three."))
    person.say("One?")
    person.come_back(effort="max")
    person.say("Two?")
    person.say("Three?")

    assert person.verdicts() == ["first", "declared", "hit"]
    assert [record.data["reason"] for record in person.records("epoch")][1:] == ["settings: effort default to max"]


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-haiku-4-5"])
def test_thinking_that_a_vendor_strips_is_the_vendors_doing(speaker: Begin, model: str) -> None:
    thinks = [{"thinking": "hm " * 40}, TODO]
    person = speaker(Script(thinks, "One.", "Two."), model=model, minimum=1)
    person.say("One?")
    person.say("Two?")

    assert person.verdicts() == ["first", "hit", "vendor stripped"]
    assert person.mainline[-1].read == person.mainline[0].prompt_tokens


def test_another_model_and_back(speaker: Begin) -> None:
    person = speaker(Script([{"thinking": "hm"}, {"text": "One."}], "Two.", [{"thinking": "so"}, TODO], "Three."))
    person.say("One?")
    person.come_back(model="claude-sonnet-5-5")
    person.say("Two?")
    person.come_back(model="claude-opus-4-8")
    person.say("Three?")

    assert person.verdicts() == ["first", "first", "hit", "hit"]
    assert [request.read == request.perfect_read for request in person.mainline] == [True] * 4
    sent = [block.kind for block in person.mainline[-1].blocks]
    assert sent.count("thinking") == 2, "each model's own thinking goes back to it, and to no other"


@pytest.mark.parametrize("words", ["", "   ", "\ud800"])
def test_odd_answers_are_no_trouble_for_the_next_request(speaker: Begin, words: str) -> None:
    left: list[object] = [[{"thinking": "hm"}, {"text": words}]]
    person = speaker(lambda _: left.pop() if left else "Two.")
    person.say("One?")

    assert person.answer("Two?") == "Two."
    assert person.verdicts()[-1] == "hit"
