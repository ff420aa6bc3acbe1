"""What goes wrong between an OpenAI wire and us: nothing half is run, what was shown stays, the prefix stays whole."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from harness.conversation.events import Event, Retrying, TextDelta, ToolStarted, TurnEnded
from harness.errors import ProviderError
from harness.simulator import Fault
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]

SERVERS: dict[str, tuple[str, dict[str, Any]]] = {
    "responses": ("openai/gpt-6.1-sol", {}),
    "responses before 5.6": ("openai/gpt-5.4", {}),
    "chat": ("openai-chat/openai/gpt-6.1-sol", {}),
    "deepseek": ("openai-chat/deepseek/deepseek-v4-pro", {"profile": "deepseek", "strict_alternation": True}),
    "llamacpp": ("openai-chat/llamacpp/gemma-4-27b", {"profile": "llamacpp", "strict_alternation": True}),
}
READ = {"call": "read", "input": {"path": "notes.txt", "offset": 2}}

# what keeps an answer from beginning, or breaks it before anything was shown: it is sent again
SENT_AGAIN = {
    "reset": Fault("reset"),
    "stall": Fault("stall", seconds=1.0),
    "drop": Fault("drop"),
    "error event": Fault("error_event"),
    "failed": Fault("failed"),
    "malformed": Fault("malformed"),
    "rate limited": Fault("status", status=429, headers={"retry-after": "0"}),
    "page of a gateway": Fault("status", status=502, body="html"),
    "nothing but pings": Fault("pings", seconds=4.0),
}
# what must change nothing at all
HARMLESS = {"one byte at a time": Fault("one_byte"), "a huge comment": Fault("big_event", size=1_000_000)}


def begin(speaker: Begin, server: str, *answers: Any) -> Speaker:
    model, rules = SERVERS[server]
    person = speaker(Script(*answers), model=model, **rules)
    settings = person.project.parent / "home" / ".config" / "harness"
    (settings / "config.toml").write_text("[network]\nidle_timeout = 0.4\n")
    person.come_back()
    (person.project / "notes.txt").write_text("note\n" * 300)
    return person


def whole(person: Speaker) -> None:
    """Everything that was sent extends what was sent before, and reads what can be read."""
    requests = person.mainline
    for before, after in pairwise(requests):
        assert after.extends(before)
        assert after.read == after.perfect_read, after.explain
    # the bytes are the same where the same is sent again
    assert "ours" not in person.verdicts()
    assert "evicted" not in person.verdicts()


@pytest.mark.refusals(reason="some of the faults are refusals")
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("fault", SENT_AGAIN)
def test_what_broke_before_anything_was_shown_is_sent_again(fault: str, server: str, speaker: Begin) -> None:
    person = begin(speaker, server, "Grüße 👩‍👩‍👧.", [READ], "Done.", "Ja.")
    person.say("One?")
    person.simulator.fault(SENT_AGAIN[fault])
    events = person.say("Two?")

    assert sum(isinstance(event, Retrying) for event in events) == 1
    assert text_of(events) == "Done."
    person.say("Three?")
    whole(person)
    sent = [request.body for request in person.mainline]
    if fault not in ("reset", "rate limited", "page of a gateway"):
        assert sent[1] == sent[2]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("fault", HARMLESS)
def test_what_changes_nothing(fault: str, server: str, speaker: Begin) -> None:
    person = begin(speaker, server, "Grüße 👩‍👩‍👧.", [{"text": "I look."}, READ], "Done.")
    person.simulator.fault(HARMLESS[fault])
    person.simulator.fault(HARMLESS[fault])

    assert person.answer("One?") == "Grüße 👩‍👩‍👧."
    events = person.say("Two?")
    assert any(isinstance(event, ToolStarted) for event in events)
    assert text_of(events) == "Done."
    whole(person)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("kind", ["drop", "stall"])
def test_a_call_that_broke_off_is_not_run_and_that_is_said(kind: Any, server: str, speaker: Begin) -> None:
    person = begin(speaker, server, "One.", [{"text": "I look at it."}, READ], "It is there.")
    person.say("One?")
    person.simulator.fault(Fault(kind, inside_tool=True, seconds=1.0))
    events = person.say("Two?")

    assert not any(isinstance(event, ToolStarted) for event in events)
    end = events[-1]
    assert isinstance(end, TurnEnded)
    assert end.reason == "partial"
    assert "I look at it." in end.text
    person.say("Go on.")
    assert "read was not run" in person.mainline[-1].body.decode()
    whole(person)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("fault", [Fault("no_stop"), Fault("drop", after=4), Fault("malformed", after=5)])
def test_what_was_shown_stays_and_is_not_sent_for_again(fault: Fault, server: str, speaker: Begin) -> None:
    person = begin(speaker, server, "One.", "It was a dark and stormy night.", "Well.")
    person.say("One?")
    person.simulator.fault(fault)
    events = person.say("Two?")
    shown = "".join(event.text for event in events if isinstance(event, TextDelta))
    if any(isinstance(event, Retrying) for event in events):
        return  # it broke before the first words

    assert isinstance(events[-1], TurnEnded)
    assert events[-1].reason == "partial"
    assert shown
    person.say("Go on.")
    assert shown in person.mainline[-1].body.decode()
    whole(person)


@pytest.mark.refusals(reason="the refusal is the fault")
@pytest.mark.parametrize("server", SERVERS)
def test_a_refusal_is_final_and_leaves_a_whole_conversation(server: str, speaker: Begin) -> None:
    person = begin(speaker, server, "One.", "Two.", "Three.")
    person.say("One?")
    person.simulator.fault(Fault("status", status=400, message="no"))
    with pytest.raises(ProviderError, match="no"):
        person.say("Two?")
    person.say("Three?")
    whole(person)


def text_of(events: list[Event]) -> str:
    end = events[-1]
    assert isinstance(end, TurnEnded)
    return end.text
