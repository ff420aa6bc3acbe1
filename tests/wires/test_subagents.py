"""Sub-agents on every wire: the same histories, the same reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.conversation.history import ELSEWHERE
from harness.simulator import said
from tests.delegating import FORK, FRESH, Brain, call, done, results, skill, tool
from tests.speaker import Speaker

Begin = Callable[..., Speaker]


@pytest.mark.branches(reason="the caller goes on beside its fork", times=1)
def test_a_fork_takes_over_the_open_calls_and_the_cache(begin: Begin) -> None:
    calls = [tool("glob", pattern="*"), call("deep", "alpha"), tool("glob", pattern="b")]
    tasks = {"alpha": [[tool("glob", pattern="*")], "I have looked."]}
    person = begin(Brain(["First.", calls, "Thanks."], tasks))
    skill(person.project, "deep", FORK)
    person.say("One.")
    events = person.say("Two.")

    (child,) = done(events)
    before, first, after = person.mainline[1], person.mainline[2], person.mainline[-1]
    given = [text for message in said(first.json)[-3:] for text in message.every]
    assert [text == ELSEWHERE for text in given[-3:]] == [True, False, True]
    assert results(person)[1] == "I have looked."
    assert child.first_read == first.read == first.perfect_read > 0
    assert first.read >= before.prompt_tokens - 128
    assert after.read == after.perfect_read > 0


@pytest.mark.branches(reason="eight sub-agents begin anew", times=8)
def test_eight_fresh_ones_read_what_their_caller_wrote(begin: Begin) -> None:
    names = [f"t{number}" for number in range(8)]
    brain = Brain([[call("look", name) for name in names], "Thanks."], {name: [f"Report {name}."] for name in names})
    person = begin(brain)
    skill(person.project, "look", FRESH)
    brain.delay = 0.05
    events = person.say("Look.")

    assert results(person) == [f"Report {name}." for name in names]
    assert len(done(events)) == 8
    assert all(child.first_read for child in done(events))
    assert all(request.read == request.perfect_read for request in person.mainline)
