"""Sub-agents over real HTTP: what they read, what their caller gets, what they may do, and what ends them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.agent.delegation import REPORT_BYTES
from harness.agent.subagents import DEPTH, TURNS
from harness.conversation.events import Event, Progress, ToolFinished
from harness.conversation.history import ELSEWHERE
from harness.simulator import said
from tests.delegating import FORK, FRESH, WRITER, Brain, call, children, done, records, results, skill, tool
from tests.speaker import Speaker

Begin = Callable[..., Speaker]


@pytest.mark.branches(reason="a sub-agent begins anew", times=1)
def test_a_fresh_one_reads_both_system_blocks(speaker: Begin) -> None:
    brain = Brain([[call("look", "alpha")], "Thanks."], {"alpha": [[tool("glob", pattern="*")], "It is so."]})
    person = speaker(brain, minimum=1)
    skill(person.project, "look", FRESH)
    events = person.say("Look for me.")

    (child,) = done(events)
    first = person.mainline[1]
    assert first.json["tools"] == person.mainline[0].json["tools"]
    system = [block for block in first.blocks if block.level != "messages"]
    assert child.first_read == first.read == first.perfect_read > 0
    assert [block.canonical for block in system] == [
        block.canonical for block in person.mainline[0].blocks if block.level != "messages"
    ]
    assert results(person) == ["It is so."]
    assert [record.data["end"] for record in person.records("subagent")] == ["done"]
    assert any(isinstance(event, Progress) and "glob *" in event.text for event in events)
    assert person.app.session.totals.requests == 4
    assert sum(book.prompt_tokens for book in person.mainline) == person.app.session.totals.usage.prompt


@pytest.mark.branches(reason="the caller goes on where its fork went another way", times=1)
def test_a_fork_reads_all_that_its_caller_had_sent(speaker: Begin) -> None:
    calls = [tool("glob", pattern="*"), call("deep", "alpha"), tool("glob", pattern="b")]
    person = speaker(Brain(["First.", calls, "Thanks."], {"alpha": ["I have looked."]}), minimum=1)
    skill(person.project, "deep", FORK)
    person.say("One.")
    events = person.say("Two.")

    (child,) = done(events)
    before, first, after = person.mainline[1], person.mainline[2], person.mainline[3]
    assert child.first_read == first.read == before.prompt_tokens == child.expected
    assert [text == ELSEWHERE for text in said(first.json)[-1].every] == [True, False, True]
    assert after.read == after.perfect_read == before.prompt_tokens
    assert results(person)[1] == "I have looked."
    verdicts = [record.data["verdict"]["kind"] for record in records(children(person)[0], "response")]
    assert verdicts == ["first", "hit", "hit"], "the caller's two, and its own"


@pytest.mark.branches(reason="eight sub-agents and their caller", times=8)
@pytest.mark.parametrize("front", [FRESH, FORK], ids=["fresh", "fork"])
def test_eight_at_once_read_what_the_first_warmed(speaker: Begin, front: str) -> None:
    names = [f"t{number}" for number in range(8)]
    brain = Brain([[call("look", name) for name in names], "Thanks."], {name: [f"Report {name}."] for name in names})
    person = speaker(brain, minimum=1)
    skill(person.project, "look", front)
    brain.delay = 0.1
    events = person.say("Look eight times.")

    assert brain.at_once > 1
    assert results(person) == [f"Report {name}." for name in names], "in the order of the calls"
    assert all(child.first_read for child in done(events))
    assert all(request.read == request.perfect_read for request in person.mainline[1:])


@pytest.mark.branches(reason="sub-agents of another model", times=3)
def test_of_those_whose_blocks_are_not_cached_one_goes_first(speaker: Begin) -> None:
    names = ["alpha", "beta", "gamma", "delta"]
    brain = Brain([[call("look", name) for name in names], "Thanks."], {name: [name] for name in names})
    person = speaker(brain, minimum=1)
    skill(person.project, "look", FRESH + "model: haiku\n")
    brain.delay = 0.1
    events = person.say("Look.")

    firsts = sorted(child.first_read or 0 for child in done(events))
    assert firsts[0] == 0
    assert len(set(firsts[1:])) == 1
    assert firsts[1] > 0, "the three that waited read what the first one wrote"
    assert {child.model for child in done(events)} == {"anthropic/claude-haiku-5-5"}


def test_a_fork_may_name_no_other_model(speaker: Begin) -> None:
    person = speaker(Brain([[call("deep", "alpha")], "Oh."], {"alpha": ["No."]}), minimum=1)
    skill(person.project, "deep", FORK + "model: haiku\n")
    person.say("Go.")

    assert "cannot name another; use fresh" in results(person)[0]
    assert len(person.mainline) == 2


@pytest.mark.branches(reason="a sub-agent begins anew", times=1)
def test_what_a_skill_does_not_allow_is_refused_and_stays_in_the_list(speaker: Begin) -> None:
    tries = [
        tool("write", path="x.txt", content="x"),
        tool("shell", command="touch y.txt"),
        tool("shell", command="echo hello"),
        tool("checkpoint", action="undo"),
    ]
    brain = Brain([[call("look", "alpha")], "Thanks."], {"alpha": [tries, "Nothing worked."]})
    person = speaker(brain, minimum=1)
    skill(person.project, "look", "context: fresh\nallowed-tools: read shell(echo *)\n")
    person.come_back(permission_mode="yolo", model="claude-opus-4-8")
    person.say("Go.")

    refused = [
        record.data["result"]["content"][0]["text"]
        for record in records(children(person)[0], "tool_done")
        if "refused" in str(record.data)
    ]
    assert len(refused) == 3
    assert not list(person.project.glob("*.txt"))
    assert person.mainline[1].json["tools"] == person.mainline[0].json["tools"]


@pytest.mark.branches(reason="a sub-agent begins anew", times=1)
def test_a_skill_gives_no_right_that_its_caller_has_not(speaker: Begin) -> None:
    brain = Brain([[call("make", "alpha")], "Thanks."], {"alpha": [[tool("write", path="x", content="x")], "No."]})
    person = speaker(brain, minimum=1)
    skill(person.project, "make", "context: fresh\nallowed-tools: write\n")
    person.come_back(permission_mode="plan", model="claude-opus-4-8")
    person.say("Go.")

    assert "the mode" in str(records(children(person)[0], "tool_done")[0].data)
    assert not (person.project / "x").exists()


@pytest.mark.branches(reason="two sub-agents begin anew", times=2)
def test_two_that_may_write_work_one_after_another(speaker: Begin) -> None:
    write = {name: [[tool("write", path=name, content=name)], f"Wrote {name}."] for name in ("one", "two")}
    brain = Brain([[call("make", "one"), call("make", "two")], "Thanks."], write)
    person = speaker(brain, minimum=1)
    skill(person.project, "make", WRITER)
    brain.delay = 0.1
    events = person.say("Make both.")

    assert brain.at_once == 1
    assert results(person) == ["Wrote one.", "Wrote two."]
    assert [(person.project / name).read_text() for name in ("one", "two")] == ["one", "two"]
    assert len(list(person.records("intent"))) == 2
    assert [child.end for child in done(events)] == ["done", "done"]


@pytest.mark.branches(reason="a sub-agent within a sub-agent", times=2)
def test_they_call_each_other_two_deep_at_most(speaker: Begin) -> None:
    tasks: dict[str, list[Any]] = {
        "one": [[call("look", "two")], "One."],
        "two": [[call("look", "three")], "Two."],
        "three": ["Three."],
    }
    person = speaker(Brain([[call("look", "one")], "Thanks."], tasks), minimum=1)
    skill(person.project, "look", FRESH)
    person.say("Go.")

    inner = children(person)[0] / "agents"
    (grandchild,) = inner.glob("*")
    assert f"{DEPTH} deep at most" in str(records(grandchild, "tool_done")[0].data)
    assert person.app.session.totals.requests == len(person.mainline) == 6
    (record,) = person.records("subagent")
    assert record.data["requests"] == 4, "its own sub-agent counted in"


# ------------------------------------------------------------------------------------------------ hostile answers


@pytest.mark.branches(reason="a sub-agent begins anew", times=1)
def test_endless_calls_end_with_a_report(speaker: Begin) -> None:
    endless = [[tool("glob", pattern=f"*.{number}")] for number in range(TURNS)]
    person = speaker(Brain([[call("look", "alpha")], "Thanks."], {"alpha": [*endless, "All that I found."]}), minimum=1)
    skill(person.project, "look", FRESH)
    events = person.say("Go.")

    assert results(person) == [
        f"[The sub-agent was stopped: its {TURNS} turns are over. What it had found by then:]\nAll that I found."
    ]
    assert done(events)[0].requests == TURNS + 1
    assert done(events)[0].end == "limit"


@pytest.mark.branches(reason="a sub-agent begins anew", times=1)
def test_a_huge_report_is_cut_and_kept_whole(speaker: Begin) -> None:
    huge = "".join(f"line {number}\n" for number in range(10_000))
    person = speaker(Brain([[call("look", "alpha")], "Thanks."], {"alpha": [huge]}), minimum=1)
    skill(person.project, "look", FRESH)
    person.say("Go.")

    (text,) = results(person)
    assert len(text.encode()) < REPORT_BYTES + 500
    (kept,) = (person.folder / "outputs").iterdir()
    assert str(kept) in text
    assert kept.read_text() == huge.strip()


@pytest.mark.branches(reason="sub-agents begin anew", times=3)
@pytest.mark.refusals("one of them is overloaded for good")
def test_a_refusal_an_empty_answer_and_a_failure_are_results_of_their_calls(speaker: Begin) -> None:
    names = ["refuses", "empty", "fails", "works"]
    fault = {"kind": "status", "status": 529, "times": 99}
    tasks: dict[str, list[Any]] = {
        "refuses": [{"answer": [{"text": "No."}], "stop": "refusal"}],
        "empty": [{"answer": [{"text": " "}]}],
        "fails": [{"answer": [{"text": "x"}], "fault": fault}],
        "works": ["It works."],
    }
    person = speaker(Brain([[call("look", name) for name in names], "Thanks."], tasks), minimum=1)
    skill(person.project, "look", FRESH)
    events = person.say("Go.")

    refused, empty, failed, works = results(person)
    assert "refused the task" in refused
    assert "empty answer" in empty
    assert "failed" in failed
    assert works == "It works."
    finished = [event.is_error for event in events if isinstance(event, ToolFinished)]
    assert sorted(finished) == [False, True, True, True]


@pytest.mark.branches(reason="a sub-agent begins anew", times=1)
def test_the_money_that_is_left_bounds_them(speaker: Begin) -> None:
    dear = [[tool("glob", pattern=f"*.{number}")] for number in range(20)]
    person = speaker(Brain([[call("look", "alpha")], "Thanks."], {"alpha": dear}), minimum=1)
    skill(person.project, "look", FRESH)
    person.come_back(max_cost=0.05, model="claude-opus-4-8")
    events = person.say("Go.")

    assert done(events)[0].end == "limit"
    assert "--max-cost 0.05 is reached" in results(person)[0]
    spent = person.app.session.totals.cost
    assert spent is not None
    assert 0.05 <= spent < 0.07
    assert person.app.session.totals.delegated == len(person.mainline) - 1, "the caller stops there too"


@pytest.mark.branches(reason="sub-agents begin anew", times=2)
def test_a_question_goes_to_the_person_with_the_skill_s_name(speaker: Begin) -> None:
    ask = [[tool("ask_user", question="Which?", options=["a", "b"])], "Asked."]
    brain = Brain([[call("look", "one"), call("look", "two")], "Thanks."], {"one": ask, "two": ask})
    person = speaker(brain, minimum=1)
    skill(person.project, "look", FRESH)
    person.answers = ["a", "b"]
    person.come_back(model="claude-opus-4-8")
    person.say("Go.")

    assert [question.title for question in person.asked] == ["The sub-agent look asks:"] * 2


# ------------------------------------------------------------------------------------------------ ends


@pytest.mark.branches(reason="the caller goes on beside two forks", times=2)
def test_an_interruption_ends_all_and_leaves_valid_histories(speaker: Begin) -> None:
    slow = [[tool("ask_user", question="Which?")], "Done."]
    brain = Brain([[call("deep", "one"), call("deep", "two")], "Later."], {"one": slow, "two": slow})
    person = speaker(brain, minimum=1)
    skill(person.project, "deep", FORK)
    waiting: set[str] = set()

    def both(event: Event) -> bool:
        if isinstance(event, Progress) and "ask_user" in event.text:
            waiting.add(event.call_id)
        return len(waiting) == 2

    person.answers = []
    person.thinks = 60
    person.come_back(model="claude-opus-4-8")
    person.say("Go.", until=both)
    ends = [record.data["end"] for record in person.records("subagent")]
    person.say("Go on.")

    assert ends == ["interrupted"] * 2
    assert all("may have run" in text for text in results(person))
    assert person.app.session.totals.requests == len(person.mainline) == 4


@pytest.mark.branches(reason="a fork, and its caller beside it", times=1)
def test_what_a_fork_read_is_alive_for_its_caller_and_after_a_resume(speaker: Begin) -> None:
    person = speaker(Brain([[call("deep", "one")], "Thanks.", "More."], {"one": ["Done."]}), minimum=1)
    skill(person.project, "deep", FORK)
    person.say("Go.")
    ledger = person.app.session.requests.ledger
    totals = person.app.session.totals
    person.come_back()

    assert person.app.session.requests.ledger == ledger
    assert person.app.session.totals == totals
    person.say("More?")
    assert person.mainline[-1].read == person.mainline[-1].perfect_read


def test_undo_and_the_list_of_turns_know_the_caller_s_words_only(speaker: Begin) -> None:
    person = speaker(Brain([[call("plain", "one")], "Thanks."], {}), minimum=1)
    skill(person.project, "plain", "")
    person.say("Go.")

    assert not children(person), "a skill without a context is instructions for the caller"
    assert [turn.text for turn in person.app.session.history.turns()] == ["Go."]


@pytest.mark.branches(reason="a sub-agent begins anew", times=1)
def test_a_person_who_calls_a_skill_has_it_carried_out_by_a_sub_agent(speaker: Begin) -> None:
    person = speaker(Brain([[call("look", "alpha")], "Thanks."], {"alpha": ["It is so."]}), minimum=1)
    skill(person.project, "look", FRESH)
    person.say("/look alpha")

    texts = [text for message in said(person.mainline[0].json) for text in message.every]
    assert any("calls the skill look" in text and "invoke_skill" in text for text in texts)
    assert texts[-1] == "/look alpha"
    assert results(person) == ["It is so."]


@pytest.mark.branches(reason="two sub-agents begin anew", times=2)
def test_where_nothing_may_be_written_those_that_would_work_together(speaker: Begin) -> None:
    brain = Brain([[call("make", "one"), call("make", "two")], "Thanks."], {"one": ["One."], "two": ["Two."]})
    person = speaker(brain, minimum=1)
    skill(person.project, "make", WRITER)
    person.come_back(permission_mode="plan", model="claude-opus-4-8")
    brain.delay = 0.2
    person.say("Go.")

    assert brain.at_once == 2
