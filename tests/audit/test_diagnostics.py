"""What a vendor says of a miss refines a verdict, and never overrules what our own bytes prove."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import hypothesis.strategies as st
import pytest
from hypothesis import given

from harness.audit.diagnostics import NOTHING, said, weigh
from harness.audit.verdict import Kind, Verdict
from harness.providers import connect
from harness.providers.catalog import find
from tests.audit import plants
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]

MODELS = ["anthropic/claude-opus-4-8", "openai/gpt-6.1-sol"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
FIELDS = st.sampled_from(["diagnostics", "prompt_cache_diagnostics", "cache_miss_reason", "type", "reason"])
NEAR = st.recursive(
    JSON | st.sampled_from(["cache_hit", "cache_miss", "model_changed", "unavailable", "no_such_thing"]),
    lambda inner: st.dictionaries(FIELDS, inner, max_size=3),
)


def asking(speaker: Begin, model: str, *answers: Any, **rules: Any) -> Speaker:
    """A person whose catalog says that this host can be asked."""
    person = speaker(Script(*answers), model=model, **rules)
    catalog = person.project.parent / "home" / ".config" / "harness" / "catalog.toml"
    catalog.write_text(f'{catalog.read_text()}[models."{model}"]\ndiagnostics = ["127.0.0.1"]\n')
    person.begin_anew()
    return person


def asked(person: Speaker) -> list[Any]:
    """The ids that comparisons were asked with; None: asked with nothing, "-": not asked."""
    found = []
    for request in person.mainline:
        options = request.json.get("diagnostics") or request.json.get("prompt_cache_options") or {}
        found.append(options.get("previous_message_id", options.get("comparison_response_id", "-")))
    return found


def last(person: Speaker) -> dict[str, Any]:
    verdict: dict[str, Any] = list(person.records("response"))[-1].data["verdict"]
    return verdict


def with_every_answer_id(person: Speaker) -> list[str]:
    return [request.message_id for request in person.mainline]


# ------------------------------------------------------------------------------------------------ when it is asked


def test_it_is_asked_at_the_vendors_own_address_only() -> None:
    opus, sol, old = find("opus"), find("sol"), find("openai/gpt-5.4")
    own = {"https://api.anthropic.com/": opus, "https://api.openai.com/v1/": sol}

    assert all(connect.diagnoses(model, url) for url, model in own.items())
    assert not any(
        connect.diagnoses(model, url)
        for model in (opus, sol)
        for url in ("https://gateway.example/anthropic", "https://api.anthropic.com.example/", "http://127.0.0.1:1")
    )
    assert not connect.diagnoses(old, "https://api.openai.com/v1/"), "an older model answers 400"
    assert not connect.diagnoses(find("openai-chat/openai/gpt-6.1-sol"), "https://api.openai.com/v1/")
    assert not connect.diagnoses(find("anthropic/claude-of-tomorrow"), "https://api.anthropic.com/")


@pytest.mark.parametrize("model", MODELS)
def test_unasked_nothing_is_sent(model: str, speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."), model=model)
    person.say("One?")
    person.say("Two?")

    assert asked(person) == ["-", "-"]


@pytest.mark.parametrize("model", MODELS)
def test_each_request_is_compared_with_the_lines_last_one_and_nothing_moves(model: str, speaker: Begin) -> None:
    person = asking(speaker, model, "One.", "Two.", "Three.")
    person.say("One?")
    person.say("Two?")
    person.come_back()
    person.say("Three?")

    first, second, _ = with_every_answer_id(person)
    assert asked(person) == [None if "claude" in model else "-", first, second]
    assert person.verdicts() == ["first", "hit", "hit"]
    assert len({record.data["line"] for record in person.records("request")}) == 1
    assert last(person)["vendor"] == {"said": NOTHING, "agrees": True}


# ------------------------------------------------------------------------------------------------ what it is worth


@pytest.mark.parametrize("model", MODELS)
def test_an_eviction_is_confirmed(model: str, speaker: Begin) -> None:
    person = asking(speaker, model, "One.", "Two.")
    person.say("One?")
    person.simulator.evict()
    person.say("Two?")

    assert last(person)["kind"] == "evicted"
    assert last(person)["cause"].endswith("it confirms that nothing changed")


@pytest.mark.moves_prefix(reason="planted", times=1)
@pytest.mark.parametrize("model", MODELS)
def test_what_moved_is_confirmed(model: str, speaker: Begin) -> None:
    person = asking(speaker, model, "One.", "Two.")
    person.say("One?")
    plants.plant(person, tool=plants.changed_tool)
    person.say("Two?")

    assert last(person)["kind"] == "ours"
    assert last(person)["cause"].endswith("(the vendor confirms: the tools changed)")


def test_a_changed_setting_is_confirmed_where_the_vendor_has_a_word_for_it() -> None:
    declared = Verdict("declared", 0, 5, 50, "settings: effort default to low")
    miss = {"type": "cache_miss", "reason": "reasoning_effort_changed"}
    found = weigh(declared, said({"prompt_cache_diagnostics": miss}))

    assert found.agrees
    assert found.cause == (
        "settings: effort default to low (the vendor confirms: a setting changed (reasoning_effort))"
    )


def test_a_changed_setting_for_which_the_vendor_has_no_word_stays_as_it_is(speaker: Begin) -> None:
    person = asking(speaker, MODELS[0], "One.", "Two.")
    person.say("One?")
    person.come_back(effort="low")
    person.say("Two?")

    assert last(person)["cause"] == "settings: effort default to low"


def test_a_switch_is_confirmed(speaker: Begin) -> None:
    person = asking(speaker, "anthropic/claude-opus-4-8", "One.", "Two.")
    catalog = person.project.parent / "home" / ".config" / "harness" / "catalog.toml"
    catalog.write_text(f'{catalog.read_text()}[models."anthropic/claude-sonnet-5"]\ndiagnostics = ["*"]\n')
    person.say("One?")
    person.come_back(model="claude-sonnet-5")
    person.say("Two?")

    assert last(person)["cause"].endswith("(the vendor confirms: the model changed)")


@pytest.mark.parametrize("how", ["absent", "malformed", "contradicting"])
@pytest.mark.parametrize("model", MODELS)
def test_a_vendor_that_says_nothing_or_nonsense_changes_no_verdict(model: str, how: str, speaker: Begin) -> None:
    person = asking(speaker, model, "One.", "Two.", "Three.", "Four.", diagnostics=how)
    person.say("One?")
    person.say("Two?")
    person.simulator.evict()
    person.say("Three?")
    person.simulator.clock.advance(1801)
    person.say("Four?")

    assert person.verdicts() == ["first", "hit", "evicted", "expired"]
    agreed = [record.data["verdict"].get("vendor") for record in person.records("response")]
    assert [found and found["agrees"] for found in agreed[1:]] == [False if how == "contradicting" else None] * 3


@pytest.mark.moves_prefix(reason="planted", times=1)
@pytest.mark.parametrize("how", ["absent", "malformed", "contradicting"])
@pytest.mark.parametrize("model", MODELS)
def test_what_our_bytes_prove_stands(model: str, how: str, speaker: Begin) -> None:
    person = asking(speaker, model, "One.", "Two.", diagnostics=how)
    person.say("One?")
    plants.plant(person, static=plants.edited_text)
    person.say("Two?")

    verdict = last(person)
    assert (verdict["kind"], verdict["where"]) == ("ours", "static system")
    assert verdict["lost"] == person.mainline[0].prompt_tokens
    assert ("(the vendor says: nothing changed)" in verdict["cause"]) == (how == "contradicting")


def test_messages_that_a_vendor_says_changed_are_thinking_that_it_left_out() -> None:
    evicted = Verdict("evicted", 100, 50, 50, "gone")

    found = weigh(evicted, "the messages changed", thinking=True)
    assert (found.kind, found.lost, found.agrees) == ("vendor stripped", 50, True)
    assert weigh(evicted, "the messages changed").kind == "evicted"


@given(st.sampled_from(get_args(Kind)), st.dictionaries(FIELDS, NEAR, max_size=2), st.sampled_from(["", "tool x"]))
def test_nothing_that_can_be_said_raises_or_overrules(kind: Any, extra: dict[str, Any], where: str) -> None:
    verdict = Verdict(kind, 10, 5, 5, "cause", where=where)
    found = weigh(verdict, said(json.loads(json.dumps(extra))))

    assert (found.kind, found.lost, found.expected, found.read) == (kind, 5, 10, 5)
    assert found.cause.startswith("cause")
