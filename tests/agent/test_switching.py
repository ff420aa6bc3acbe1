"""Another model in the middle of a session, and back: the line that was left is read whole while its TTL runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.errors import UsageError
from tests.speaker import Script, Speaker

LOOK = [{"text": "I look."}, {"call": "glob", "input": {"pattern": "*"}}]


def test_a_then_b_then_a_reads_all_that_a_had_written(speaker: Callable[..., Speaker]) -> None:
    person = speaker(Script(*[LOOK, "Seen."] * 6), model="claude-opus-5-5")
    person.say("First.")
    person.app.switch("sonnet")
    for number in range(3):
        person.say(f"On another model, {number}.")
    person.app.switch("opus")
    person.say("Back.")

    assert [request.read for request in person.mainline] == [request.perfect_read for request in person.mainline]
    # what A had at its last request, whole
    last_of_a, first_back = person.mainline[1], person.mainline[8]
    assert last_of_a.model == first_back.model == "claude-opus-5-5"
    assert first_back.read == last_of_a.prompt_tokens


def test_each_switch_is_told_once(speaker: Callable[..., Speaker]) -> None:
    person = speaker(Script(), model="claude-opus-5-5")
    for model in ("opus", "sonnet", "sonnet", "opus"):
        person.app.switch(model)
        person.say("Go on.")

    told = [e.message.text for e in person.app.session.history.entries if e.message.tag == "system_injected"]
    assert [text.split("Current model: ")[1].split(". ")[0] for text in told] == [
        "claude-opus-5-5",
        "claude-sonnet-5-5",
        "claude-opus-5-5",
    ]


def test_a_switch_that_fails_changes_nothing(speaker: Callable[..., Speaker]) -> None:
    person = speaker(Script(), model="claude-opus-5-5")
    with pytest.raises(UsageError):
        person.app.switch("nobody/knows")
    person.say("Go on.")

    assert person.mainline[0].model == "claude-opus-5-5"


def test_a_switch_to_the_model_in_use_makes_no_second_connection(speaker: Callable[..., Speaker]) -> None:
    person = speaker(Script(), model="claude-opus-5-5")
    before = person.app.agent.channel.provider
    person.app.switch("opus")
    person.say("Go on.")
    assert person.app.agent.channel.provider is before
