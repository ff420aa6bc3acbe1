"""Before an answer begins: every refusal and every broken connection, on each wire, over real HTTP.

What is temporary is sent again byte for byte, never earlier than asked; what is final is not, and the session goes on.
`test_faults` has the table of all faults and their tests.
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from harness.conversation.events import Event, Retrying, TurnEnded
from harness.errors import AuthFailed, BadRequest, ContextOverflow, Forbidden, ProviderError, RateLimited
from harness.simulator import Fault, Simulator
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]

pytestmark = pytest.mark.refusals(reason="the refusal is the fault")


def text_of(events: list[Event]) -> str:
    end = events[-1]
    assert isinstance(end, TurnEnded)
    assert end.reason == "done", end
    return end.text


def bodies(vendor: Simulator) -> list[bytes]:
    return [item.body for item in vendor.refused] + [item.body for item in vendor.requests]


@pytest.mark.parametrize("body", ["json", "html"])
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_what_is_temporary_is_sent_again(status: int, body: str, begin: Begin) -> None:
    person = begin(Script("One.", "Two."))
    person.simulator.fault(Fault("status", status=status, body=body))
    events = person.say("One?")

    assert text_of(events) == "One."
    assert [event.reason for event in events if isinstance(event, Retrying)]
    sent = bodies(person.simulator)
    assert len(sent) == 2
    assert len(set(sent)) == 1
    assert person.answer("Two?") == "Two."


# the clock of a session under test stands still at its own time
WAITS: dict[str, tuple[Callable[[float], dict[str, str]], float, float]] = {
    "seconds": (lambda _: {"retry-after": "0.3"}, 0.3, 0.5),
    "milliseconds": (lambda _: {"retry-after-ms": "200"}, 0.2, 0.4),
    "a date": (lambda now: {"retry-after": formatdate(now + 1, usegmt=True)}, 0.01, 1.3),
    "a date that is past": (lambda now: {"retry-after": formatdate(now - 99, usegmt=True)}, 0.0, 0.1),
    "absent": (lambda _: {}, 0.0, 0.1),
    "nonsense": (lambda _: {"retry-after": "soon"}, 0.0, 0.1),
}


@pytest.mark.parametrize("case", WAITS)
def test_never_earlier_than_asked(case: str, begin: Begin) -> None:
    headers, least, most = WAITS[case]
    person = begin(Script("One."))
    person.simulator.fault(Fault("status", status=429, headers=headers(person.seam.now())))

    assert person.answer("One?") == "One."
    [waited] = [record.data["wait"] for record in person.records("retry")]
    assert least <= waited <= most


def test_a_wait_of_hours_is_the_persons_decision(begin: Begin) -> None:
    person = begin(Script("One.", "Two."))
    person.simulator.fault(Fault("status", status=429, headers={"retry-after": "86400"}))
    with pytest.raises(RateLimited):
        person.say("One?")

    assert len(bodies(person.simulator)) == 1
    assert list(person.records("retry")) == []
    assert person.answer("Again?") == "One."


@pytest.mark.parametrize("after", [True, False])
def test_an_error_behind_a_200_is_the_error_that_it_says(after: bool, begin: Begin) -> None:
    """Some gateways have no other status; what may pass is sent again, the rest is said as it is."""
    kind = "server_error" if after else "invalid_prompt"
    person = begin(Script("One."))
    person.simulator.fault(Fault("status", status=200, error_type=kind, message="no such luck"))
    if after:
        assert person.answer("One?") == "One."
        assert [record.data["error"] for record in person.records("retry")]
        return
    with pytest.raises(BadRequest, match="no such luck"):
        person.say("One?")
    assert len(bodies(person.simulator)) == 1


def test_a_vendor_that_asks_not_to_be_asked_again_is_not(begin: Begin) -> None:
    person = begin(Script("One."))
    person.simulator.fault(Fault("status", status=429, headers={"x-should-retry": "false"}))
    with pytest.raises(RateLimited):
        person.say("One?")

    assert len(bodies(person.simulator)) == 1
    assert person.answer("Again?") == "One."


def test_a_limit_is_waited_for_as_long_as_its_vendor_says(begin: Begin) -> None:
    """Anthropic asks for a time, OpenAI says when its limit is whole again; both say which limit it is."""
    person = begin(Script("One.", "Two."), requests_per_minute=1)
    person.say("One?")
    person.simulator.clock.advance(15)
    events = person.say("Two?", until=lambda event: isinstance(event, Retrying))
    last = events[-1]

    assert isinstance(last, Retrying)
    assert 45 <= last.wait < 60
    assert "used up: requests" in last.reason


FINAL: dict[int, type[ProviderError]] = {400: BadRequest, 401: AuthFailed, 403: Forbidden}


@pytest.mark.parametrize("status", FINAL)
def test_what_is_final_is_not_sent_again(status: int, begin: Begin) -> None:
    person = begin(Script("One."))
    person.simulator.fault(Fault("status", status=status, message="no"))
    with pytest.raises(FINAL[status]):
        person.say("One?")

    assert len(bodies(person.simulator)) == 1
    assert person.answer("Again?") == "One."


def test_a_request_that_is_too_large_is_not_sent_again(begin: Begin) -> None:
    """It would have to shrink (tests/agent/test_compaction has that); what cannot is said, and sent once."""
    person = begin(Script("One."), body_limit=30_000)
    with pytest.raises(ContextOverflow, match=r"413.*nothing to compact"):
        person.say("word " * 10_000)

    assert len(bodies(person.simulator)) == 1


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_pooled_connection_that_went_stale(how: str, begin: Begin) -> None:
    """The vendor, or something between, ended the connection while the person was thinking."""
    person = begin(Script("One.", "Two."))
    person.say("One?")
    assert person.simulator.connections == (1, 1)
    assert person.simulator.hang_up(reset=how == "reset") == 1

    assert person.answer("Two?") == "Two."
    assert len(person.mainline) == 2
    assert person.mainline[1].read == person.mainline[1].perfect_read > 0
    assert person.simulator.connections[0] == 2


def test_a_reset_before_any_header_is_sent_again(begin: Begin) -> None:
    person = begin(Script("One."))
    person.simulator.fault(Fault("reset"))

    assert person.answer("One?") == "One."
    assert len(set(bodies(person.simulator))) == 1


def test_headers_that_never_come(begin: Begin) -> None:
    person = begin(Script("One."), idle=0.4)
    person.simulator.fault(Fault("late", seconds=30))
    events = person.say("One?")

    assert text_of(events) == "One."
    assert [event.reason for event in events if isinstance(event, Retrying)] == ["no answer within 0.4 s"]


def fault_that_lasts(status: int) -> Any:
    return Fault("status", status=status, times=3)


@pytest.mark.parametrize("status", [429, 503, 529])
def test_what_does_not_pass_is_said_and_the_session_goes_on(status: int, begin: Begin) -> None:
    person = begin(Script("One."))
    person.simulator.fault(fault_that_lasts(status))
    with pytest.raises(ProviderError, match=str(status)):
        person.say("One?")

    assert len(bodies(person.simulator)) == 3
    assert person.answer("And now?") == "One."
