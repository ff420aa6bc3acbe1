"""A change of effort in mid-session: told inside the conversation, put off, or paid for; the prefix is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.conversation.blocks import Setting
from harness.conversation.events import Notice
from harness.errors import ProviderError, UsageError
from harness.simulator import Fault, Simulator
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]
Start = Callable[..., Simulator]

GLOB = [{"text": "I look."}, {"call": "glob", "input": {"pattern": "*"}}]
TELLS: dict[str, dict[str, Any]] = {
    "anthropic/claude-sonnet-5-5": {},
    "anthropic/claude-opus-5-5": {"betas_in_key": False},
    "anthropic/claude-fable-5-1": {},
    "openai/gpt-6.1-sol": {},
    "openai/gpt-5.6-luna": {"breakpoint_lookback": "first2_latest50"},
}
PAYS: dict[str, dict[str, Any]] = {
    "anthropic/claude-opus-4-8": {},
    "anthropic/claude-fable-5-2": {},
    "openai/gpt-5.4": {},
    "openai-chat/openai/gpt-6.1-sol": {},
}


def settings_in(person: Speaker) -> list[Setting]:
    entries = person.app.session.history.entries
    return [block for entry in entries for block in entry.message.blocks if isinstance(block, Setting)]


def whole(person: Speaker) -> None:
    """Every request extends the one before it and reads all that can be read."""
    for before, after in pairwise(person.mainline):
        assert after.line == before.line
        assert after.extends(before)
        assert after.read == after.perfect_read > 0, after.explain
    assert set(person.verdicts()) <= {"first", "hit"}


@pytest.mark.parametrize("model", TELLS)
def test_a_model_that_can_be_told_keeps_its_prefix(model: str, speaker: Begin) -> None:
    person = speaker(Script(GLOB, "One.", GLOB, "Two.", "Three.", "Four."), model=model, **TELLS[model])
    person.say("One?")
    assert "told inside the conversation" in person.change_effort("low")
    person.say("Two?")
    person.come_back()
    person.say("Three?")
    person.come_back(effort="high")
    person.say("Four?")

    assert [request.effort for request in person.mainline] == [None, None, "low", "low", "low", "high"]
    assert [(one.value, one.model) for one in settings_in(person)] == [("low", model), ("high", model)]
    whole(person)
    assert [record.data["reason"] for record in person.records("epoch")] == ["start"]
    # the line is the one it was born with
    assert len({record.data["line"] for record in person.records("request")}) == 1
    assert person.app.effort == "high"


@pytest.mark.parametrize(
    ("from_birth", "betas_in_key", "lost"),
    [(False, False, False), (True, False, False), (True, True, False), (False, True, True)],
)
def test_when_the_beta_header_is_sent_is_a_setting(
    from_birth: bool, betas_in_key: bool, lost: bool, speaker: Begin
) -> None:
    person = speaker(Script("One.", "Two.", "Three."), betas_in_key=betas_in_key)
    catalog = person.project.parent / "home" / ".config" / "harness" / "catalog.toml"
    text = f'[models."anthropic/claude-sonnet-5-5"]\nchange.effort.from_birth = {str(from_birth).lower()}\n'
    catalog.write_text(catalog.read_text() + text)
    person.options = replace(person.options, model="sonnet")
    person.begin_anew()
    person.say("One?")
    person.change_effort("low")
    person.say("Two?")
    person.say("Three?")

    sent = ["anthropic-beta" in request.headers for request in person.mainline]
    assert sent == [from_birth, True, True]
    first, second, third = person.mainline
    assert second.extends(first)
    assert (second.read < first.prompt_tokens) is lost
    assert third.read >= second.prompt_tokens - 10


@pytest.mark.parametrize("model", PAYS)
def test_without_a_person_the_flag_is_their_word_and_the_price_is_said(model: str, speaker: Begin) -> None:
    person = speaker(Script("One.", "Two.", "Three."), model=model)
    person.say("One? " + "word " * 2000)
    person.come_back(effort="high")
    events = person.say("Two?")
    person.say("Three?")

    [notice] = [event.text for event in events if isinstance(event, Notice)]
    assert re.fullmatch(
        rf"effort high for {re.escape(model)}: [\d,]+ cached tokens are written again: about \$\d\.\d+", notice
    )
    assert [request.effort for request in person.mainline] == [None, "high", "high"]
    assert person.verdicts() == ["first", "declared", "hit"]
    assert [record.data["reason"] for record in person.records("epoch")][1:] == ["settings: effort default to high"]
    assert settings_in(person) == []


def test_the_price_is_that_of_what_is_written_again(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."), model="openai/gpt-5.4")
    person.say("One? " + "word " * 4000)
    first = person.mainline[0]
    person.answers = ["now"]
    person.come_back()
    said = person.change_effort("high")
    person.say("Two?")

    # in steps of 128, at $2.50 instead of $0.25 a million
    held = first.prompt_tokens // 128 * 128
    assert f"{held:,} cached tokens are written again: about ${held * 2.25e-6:.4f}" in said
    assert person.mainline[1].read == 0


@pytest.mark.parametrize("answer", ["no", "at the next compaction", None])
def test_a_person_is_asked_and_may_put_it_off(answer: str | None, speaker: Begin) -> None:
    person = speaker(Script("One.", "Two.", "Three."), model="claude-opus-4-8")
    person.say("One? " + "word " * 2000)
    person.answers = [answer] if answer else []
    person.come_back(effort="high")
    person.say("Two?")
    person.come_back()
    person.say("Three?")

    [asked] = person.asked
    assert re.search(r"effort high for .*: [\d,]+ cached tokens are written again: about \$0\.", asked.text)
    assert asked.options == ("now", "at the next compaction", "no")
    assert [request.effort for request in person.mainline] == [None, None, None]
    whole(person)
    waits = "; high from the next compaction on" if answer == "at the next compaction" else ""
    assert person.app.effort == f"the model's default{waits}"
    if waits:
        # what a compaction begins
        person.app.session.record("epoch", {"reason": "compaction: of a test"})
        person.say("Four?")
        assert person.mainline[-1].effort == "high"


def test_where_nothing_is_cached_it_is_just_done(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two.", "Three."), model="claude-opus-4-8")
    person.answers = []
    person.come_back()
    assert "costs nothing" in person.change_effort("low")
    person.say("One? " + "word " * 2000)
    person.simulator.clock.advance(301)
    assert "costs nothing" in person.change_effort("max")
    assert person.change_effort("max") == ""
    person.say("Two?")

    assert person.asked == []
    assert [request.effort for request in person.mainline] == ["low", "max"]


def test_what_a_model_does_not_know_is_refused(speaker: Begin) -> None:
    person = speaker(Script("One."), model="openai/gpt-6.1-sol")
    person.say("One?")
    with pytest.raises(UsageError, match="knows no effort `huge`; it has: "):
        person.change_effort("huge")
    left = person.leave()
    with pytest.raises(UsageError, match="knows no effort"):
        person.come_back(session=left, effort="minimal")


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-opus-4-6", "openai/gpt-6.2-sol"])
def test_an_effort_that_another_model_does_not_have_is_not_sent_to_it(
    model: str, simulator: Start, tmp_path: Path
) -> None:
    main = simulator(Script(*["So."] * 9))
    person = Speaker(main, tmp_path, "sonnet", {"openai": simulator(Script(*["So."] * 9), clock=main.clock)})
    wanted = "none" if model.startswith("openai") else "xhigh"
    try:
        if wanted == "none":
            person.app.switch("openai/gpt-6.1-terra")
        person.change_effort(wanted)
        person.say("One?")
        person.app.switch(model)
        person.say("Two?")
        person.say("Three?")
    finally:
        person.close()

    assert [request.effort for request in person.everything] == [wanted, None, None]


@pytest.mark.refusals(reason="the call after the change fails")
@pytest.mark.parametrize("model", ["anthropic/claude-sonnet-5-5", "openai/gpt-6.1-sol"])
def test_a_call_that_fails_behind_the_change_leaves_a_valid_conversation(model: str, speaker: Begin) -> None:
    person = speaker(Script("One.", "Two.", "Three."), model=model)
    person.say("One?")
    person.change_effort("low")
    person.simulator.fault(Fault("status", status=400, message="no"))
    with pytest.raises(ProviderError, match="no"):
        person.say("Two?")
    person.change_effort("high")
    person.say("Three?")
    person.come_back()
    person.say("Four?")

    assert [request.effort for request in person.mainline] == [None, "high", "high"]
    assert [one.value for one in settings_in(person)] == ["low", "high"]
    whole(person)


@pytest.mark.parametrize("model", ["anthropic/claude-sonnet-5-5", "openai/gpt-6.1-sol"])
def test_an_answer_that_broke_behind_the_change_is_stood_in_for(model: str, speaker: Begin) -> None:
    person = speaker(Script("One.", "Two.", "Three."), model=model)
    person.say("One?")
    person.change_effort("low")
    # each attempt began, so it was written, and broke before a word
    person.simulator.fault(Fault("drop", after=1, times=3))
    with pytest.raises(ProviderError):
        person.say("Two?")
    person.say("Three?")
    person.say("Four?")

    assert [request.effort for request in person.mainline] == [None, *["low"] * 5]
    whole(person)


def test_another_model_gets_nothing_of_it(simulator: Start, tmp_path: Path) -> None:
    main = simulator(Script(*["So."] * 9))
    openai = simulator(Script(*["So."] * 9), clock=main.clock)
    vllm = simulator(Script(*["So."] * 9), clock=main.clock, profile="vllm", strict_alternation=True)
    person = Speaker(main, tmp_path, "sonnet", {"openai": openai, "vllm": vllm})
    try:
        person.say("One?")
        person.change_effort("low")
        for model in ("sonnet", "sol", "openai-chat/vllm/qwen3-coder-30b", "opus", "sonnet", "sol"):
            person.app.switch(model)
            person.say(f"And {model}?")
        person.change_effort("max")
        person.say("Last?")
        person.app.switch("sonnet")
        person.say("Really the last?")
    finally:
        person.close()

    assert [request.effort for request in main.requests] == [None, "low", "low", "low", "max"]
    # a model that joins later is born with what is wanted
    assert [request.effort for request in openai.requests] == ["low", "low", "max"]
    assert [request.effort for request in vllm.requests] == ["low"]
    for request in person.everything:
        assert request.read == request.perfect_read, request.explain
    bodies = {request.model: request.body for request in person.everything}
    assert b"configuration_update" in bodies["gpt-6.1-sol"]
    assert b'"role":"system"' in bodies["claude-sonnet-5-5"]
    assert b'"role":"system"' not in bodies["claude-opus-5-5"]
    assert b"configuration_update" not in bodies["qwen3-coder-30b"]
    assert set(person.verdicts()) <= {"first", "hit"}


def test_an_effort_that_was_asked_for_another_model_costs_no_words(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."), model="openai/gpt-6.1-sol")
    person.say("One?")
    person.come_back(effort="max")
    person.app.switch("openai/gpt-5.4")
    events = person.say("Two?")

    assert [e.text for e in events if isinstance(e, Notice) and "knows no effort `max`" in e.text]
    assert events[-1].text == "Two."  # type: ignore[union-attr]
