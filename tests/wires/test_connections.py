"""Connections between model calls, on each wire: one is enough, and one that ended costs nothing but a new one."""

from __future__ import annotations

from collections.abc import Callable

from harness.conversation.events import Retrying
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]

READ = {"call": "read", "input": {"path": "notes.txt"}}


def test_calls_share_a_connection(begin: Begin) -> None:
    person = begin(Script([{"text": "I look."}, READ], [READ], "One.", "Two."))
    (person.project / "notes.txt").write_text("a note\n")

    assert person.answer("One?") == "One."
    person.aside()
    assert person.answer("Two?") == "Two."
    assert len(person.simulator.requests) == 5
    # one is enough, but where the machine is too busy to read an answer's end in time, its connection goes with it
    assert person.simulator.connections[0] < 5
    assert person.simulator.connections[1] == 1


def test_a_connection_that_the_vendor_ended_while_nobody_spoke_is_not_used(begin: Begin) -> None:
    person = begin(Script("One.", "Two."))
    person.say("One?")
    assert person.simulator.hang_up() == 1

    events = person.say("Two?")
    assert len(person.mainline) == 2
    assert person.simulator.connections[0] == 2
    assert [event for event in events if isinstance(event, Retrying)] == []
