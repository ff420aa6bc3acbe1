"""Cached responses behind everything that calls a model: sub-agents, compaction, a model that stands in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.conversation.events import ResponseDone
from harness.simulator import Fault, said
from tests.delegating import FORK, FRESH, Brain, call, children, done, records, results, skill, tool
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]

SUMMARY = "# Task\nSay how it is.\n# State\n" + "It was said how it is.\n" * 20


def keep(person: Speaker, **changes: Any) -> None:
    """Begin anew, with answers kept from now on."""
    person.options = replace(person.options, response_cache="user", **changes)
    person.begin_anew()


def verdicts(person: Speaker) -> list[str]:
    """Of the session and of its sub-agents."""
    folders = [person.folder, *children(person)]
    return [record.data["verdict"]["kind"] for folder in folders for record in records(folder, "response")]


@pytest.mark.branches(reason="sub-agents begin anew, or go on where their caller's way parts", times=2)
@pytest.mark.parametrize("front", [FRESH, FORK], ids=["fresh", "fork"])
def test_sub_agents_are_served_and_named_as_the_origin(front: str, speaker: Begin) -> None:
    scripts: dict[str, Any] = {name: [[tool("glob", pattern="*")], f"Report {name}."] for name in ("alpha", "beta")}
    person = speaker(Brain([[call("look", "alpha"), call("look", "beta")], "Thanks."], scripts), minimum=1)
    skill(person.project, "look", front)
    keep(person)
    person.say("Look.")
    asked, reports = len(person.simulator.requests), results(person)
    origins = {person.id, *(folder.name for folder in children(person))}
    person.begin_anew()
    events = person.say("Look.")

    assert asked == 6
    assert len(person.simulator.requests) == asked
    assert results(person) == reports == ["Report alpha.", "Report beta."]
    assert [child.cost for child in done(events)] == [0.0, 0.0]
    totals = person.app.session.totals
    assert (totals.requests, totals.served, totals.cost) == (6, 6, 0.0)
    sources = [
        record.data["cached"]["session"]
        for folder in (person.folder, *children(person))
        for record in records(folder, "response")
    ]
    assert set(sources) == origins, "each is told from which of them it came"
    assert set(verdicts(person)) <= {"response cache", "first", "hit"}


@pytest.mark.moves_prefix(reason="a compaction is an epoch, and says where its session's archive is", times=2)
def test_a_compaction_is_served(speaker: Begin) -> None:
    def brain(request: dict[str, Any]) -> Any:
        return SUMMARY if "[Side request" in "".join(said(request)[-1].texts) else "So it is."

    person = speaker(brain, minimum=1)
    keep(person)

    async def compact() -> list[Any]:
        return [event async for event in person.app.compaction.compactor.run("asked for")]

    def session() -> list[Any]:
        person.say("One? " + "word " * 2000)
        person.say("Two?")
        events = person._runner.run(compact())
        assert person.answer("Three?") == "So it is."
        return [event for event in events if isinstance(event, ResponseDone)]

    session()
    asked = len(person.simulator.requests)
    person.begin_anew()
    (summed,) = session()

    assert asked == 4
    assert summed.verdict == "response cache"
    assert person.verdicts()[:3] == ["response cache"] * 3
    # behind it, the conversation names a file of its own session
    (*_, last) = person.records("response")
    assert len(person.simulator.requests) == asked + 1
    assert "message 2 (person): …" in last.data["uncached"]["cause"]
    assert person.id in last.data["uncached"]["cause"]


@pytest.mark.refusals(reason="the vendor is overloaded")
def test_a_model_that_stands_in_is_served(speaker: Begin) -> None:
    person = speaker(Script("One."), minimum=1)
    keep(person, fallback_model="anthropic/claude-sonnet-5-5")
    person.simulator.fault(Fault("status", status=529, times=3))
    assert person.answer("One?") == "One."
    asked = len(person.simulator.requests)
    person.simulator.fault(Fault("status", status=529, times=3))
    person.begin_anew()
    assert person.answer("One?") == "One."

    assert len(person.simulator.requests) == asked == 1
    assert person.verdicts() == ["response cache"]
