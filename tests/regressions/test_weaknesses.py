"""Faults measured in an agent of the same design, each with the number it has in our notes on that agent.

Invariant: every test looks at what the vendor received or billed, not at what the client says of itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from harness.audit.report import hit_rate
from harness.conversation.blocks import Usage
from harness.simulator import Received
from tests.delegating import FORK, FRESH, Brain, call
from tests.delegating import skill as sub_agent_skill
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]
DAY = 86_400.0


def todo(number: int = 0) -> dict[str, Any]:
    return {"call": "todo", "input": {"items": [{"status": "pending", "text": f"step {number}"}]}}


def skill(person: Speaker, name: str, description: str, body: str = "Do it.") -> None:
    folder = person.project / ".harness" / "skills" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "SKILL.md").write_text(f"---\nname: {name}\ndescription: {description}\n---\n{body}\n")


def marked(request: Received) -> list[bytes]:
    return [request.blocks[place].canonical for place in request.markers]


def contexts(request: Received) -> list[str]:
    texts = [message["content"][0].get("text", "") for message in request.json["messages"]]
    return [text for text in texts if text.startswith("[Session context:")]


# ------------------------------------------------------------------------------------ weaknesses, by number


def test_weakness_one_injected_messages_never_carry_a_marker(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."))
    person.say("One?", injected=["A fact that the program adds."])
    person.simulator.clock.advance(DAY)
    person.say("Two?", injected=["Another fact."])
    person.aside("[Side request] Sum up the conversation.")

    sent = b"".join(block.canonical for request in person.simulator.requests for block in request.blocks)
    assert b"Another fact." in sent
    for request in person.simulator.requests:
        for block in marked(request):
            assert b"Session context" not in block[:60]
            assert b"Another fact" not in block
            assert b"A fact that" not in block
            assert b"[Side request]" not in block


def test_weakness_two_both_system_blocks_have_a_breakpoint_and_are_read_by_a_new_session(speaker: Begin) -> None:
    person = speaker(Script("One."))
    person.say("One?")
    first = person.mainline[0]
    system = [place for place, block in enumerate(first.blocks) if block.level == "system"]

    assert len(system) == 2
    assert set(system) <= set(first.markers)


@pytest.mark.moves_prefix(reason="a second session on the same vendor", times=1)
def test_weakness_two_a_new_session_does_not_write_the_system_prompt_again(speaker: Begin) -> None:
    person = speaker(Script("One."))
    person.say("One?")
    person.begin_anew()
    person.say("Another task.")

    first, second = person.mainline
    system = sum(block.tokens for block in first.blocks if block.level != "messages")
    assert second.read == second.perfect_read == system


@pytest.mark.parametrize("collapse", [False, True])
@pytest.mark.parametrize("calls", [9, 10, 12, 20, 24, 200])
def test_weakness_three_a_wide_fan_out_still_hits(speaker: Begin, calls: int, collapse: bool) -> None:
    answer = [{"text": "I look."}, *[todo(number) for number in range(calls)]]
    person = speaker(Script(answer, answer, "Done."), collapse_tool_runs=collapse)
    person.say("Look.")

    first, second, third = person.mainline
    assert second.read == first.prompt_tokens == second.perfect_read
    assert third.read == second.prompt_tokens == third.perfect_read
    assert person.verdicts() == ["first", "hit", "hit"]


def test_weakness_four_an_answer_with_calls_and_no_text_loses_no_marker(speaker: Begin) -> None:
    person = speaker(Script([todo()], [todo()], "Done."))
    person.say("Look.")

    for request in person.mainline[1:]:
        places = [request.blocks[place] for place in request.markers if request.blocks[place].level == "messages"]
        assert len(places) == 2
        assert len(request.markers) == 4


@pytest.mark.parametrize("change", ["skill", "rules", "clock", "nothing"])
def test_weakness_twelve_a_resume_rebuilds_nothing_and_tells_only_what_changed(speaker: Begin, change: str) -> None:
    person = speaker(Script("One.", "Two."))
    person.say("One?")
    match change:
        case "skill":
            skill(person, "zoo", "Feeds them.")
        case "rules":
            (person.project / "AGENTS.md").write_text("Use tabs.\n")
        case "clock":
            person.simulator.clock.advance(DAY)
        case _:
            pass
    person.come_back()
    person.say("Two?")

    first, second = person.mainline
    assert [b.canonical for b in second.blocks[: len(first.blocks)]] == [b.canonical for b in first.blocks]
    assert len(contexts(second)) == (1 if change == "nothing" else 2)
    if change != "clock":
        assert second.read == first.prompt_tokens


def test_weakness_nine_a_skill_called_by_a_person_reaches_the_conversation(speaker: Begin) -> None:
    person = speaker(Script("Fed.", "Yes."))
    skill(person, "zoo", "Feeds them.", "Feed the lion first.")
    person.say("/zoo today")
    person.come_back()
    person.say("Were they fed?")

    for request in person.mainline:
        sent = b"".join(block.canonical for block in request.blocks)
        assert sent.count(b"Feed the lion first.") == 1
        assert sent.index(b"Feed the lion first.") < sent.index(b"/zoo today")
    assert person.verdicts() == ["first", "hit"]


@pytest.mark.branches(reason="a sub-agent, which began anew or where its caller was", times=1)
@pytest.mark.parametrize("front", [FORK, FRESH], ids=["fork", "fresh"])
def test_weakness_nine_what_a_sub_agent_found_does_too(speaker: Begin, front: str) -> None:
    answers = [[call("zoo", "today")], "They are fed.", "Yes."]
    person = speaker(Brain(answers, {"today": ["The lion was hungry."]}), minimum=1)
    sub_agent_skill(person.project, "zoo", front)
    person.say("/zoo today")
    person.come_back()
    person.say("Were they fed?")

    sent = b"".join(block.canonical for block in person.mainline[-1].blocks)
    assert sent.index(b"/zoo today") < sent.index(b"The lion was hungry.") < sent.index(b"They are fed.")


def test_weakness_twelve_using_a_skill_does_not_reorder_the_list(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."))
    for name in ("beta", "alpha"):
        skill(person, name, "Does things.")
    before = person.mainline
    person.say("One?")
    skill(person, "beta", "Does things.")  # written again: a newer file with the same content
    person.come_back()
    person.say("Two?")

    assert before == []
    assert len(contexts(person.mainline[-1])) == 1


def test_weakness_thirteen_a_skill_is_read_when_it_is_called_for(speaker: Begin) -> None:
    call = {"call": "invoke_skill", "input": {"name": "zoo", "task": "Feed them."}}
    person = speaker(Script("One.", [call], "Two.", [call], "Three."))
    person.say("One?")
    skill(person, "zoo", "Feeds them.", "First the lions.")
    person.say("Two?")
    skill(person, "zoo", "Feeds them.", "First the seals.")
    person.say("Three?")

    sent = json.dumps(person.mainline[-1].json["messages"])
    assert "First the lions." in sent
    assert "First the seals." in sent


def test_weakness_sixteen_no_read_is_no_hit_and_rates_weigh_tokens(speaker: Begin) -> None:
    assert hit_rate(Usage(uncached=100)) == 0.0
    assert hit_rate(Usage(read=900, written_short=100)) == 0.9
    person = speaker(Script("One."))
    person.say("One?")

    assert person.verdicts() == ["first"]
    assert hit_rate(person.app.session.totals.usage) == 0.0


def test_weakness_sixteen_a_side_request_and_a_fork_are_billed(speaker: Begin) -> None:
    person = speaker(Script("One.", "Aside."))
    person.say("One?")
    person.aside()
    person.come_back(fork=True)
    person.say("Two?")

    totals = person.app.session.totals
    billed = [request.usage for request in person.simulator.requests]
    assert totals.requests == 3
    assert totals.usage.read == sum(usage["cache_read_input_tokens"] for usage in billed)
    assert totals.usage.written == sum(usage["cache_creation_input_tokens"] for usage in billed)


def test_weakness_eleven_the_first_thinking_edits_no_earlier_answer(speaker: Begin) -> None:
    thinks = [{"thinking": "hm"}, {"text": "Two."}]
    person = speaker(Script("One.", thinks, [{"thinking": "so"}, todo()], "Three."), model="claude-sonnet-5-5")
    for words in ("One?", "Two?", "Three?"):
        person.say(words)

    # the vendor binds thinking to the exact prefix, and would have refused
    assert [r.read == r.perfect_read for r in person.mainline] == [True] * 4
    assert person.verdicts() == ["first", "hit", "hit", "hit"]


# ----------------------------------------------------------------------------------------- acceptance cases


def test_acceptance_one_caching_is_on_by_default_and_off_where_it_was_switched_off_for_good(speaker: Begin) -> None:
    person = speaker(Script("One."))
    person.say("One?")
    assert person.mainline[0].markers
    config = person.project.parent / "home" / ".config" / "harness" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("[cache]\nenabled = false\n")
    person.come_back()
    person.say("A session keeps what it began with.")
    assert person.mainline[1].markers


@pytest.mark.parametrize("later", [True, False])
def test_acceptance_one_the_switch_stays_with_the_session(speaker: Begin, later: bool) -> None:
    person = speaker(Script("One."))
    person.leave()
    config = person.project.parent / "home" / ".config" / "harness" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("[cache]\nenabled = false\n")
    person.begin_anew()
    person.say("One?")
    config.write_text(f"[cache]\nenabled = {str(later).lower()}\n")
    person.come_back()
    person.say("Two?")

    assert [request.markers for request in person.mainline] == [(), ()]


def test_acceptance_three_every_model_of_the_catalog_is_cached_whatever_its_name(speaker: Begin) -> None:
    person = speaker(Script("One."), model="claude-haiku-4-5", minimum=1)
    person.say("One?")

    assert len(person.mainline[0].markers) == 3


def test_acceptance_four_one_context_message_a_day(speaker: Begin) -> None:
    person = speaker(Script(*["Yes."] * 4))
    person.say("One?")
    person.say("Two?")
    assert len(contexts(person.mainline[-1])) == 1
    person.simulator.clock.advance(DAY)
    person.say("Three?")
    person.say("Four?")

    told = contexts(person.mainline[-1])
    assert [("2026-05-13" in told[0]), ("2026-05-14" in told[1]), len(told)] == [True, True, 2]
    messages = person.mainline[-1].json["messages"]
    for place, message in enumerate(messages):
        if message["content"][0].get("text", "").startswith("[Session context:"):
            assert messages[place + 1]["content"][0]["text"] in ("One?", "Three?")
