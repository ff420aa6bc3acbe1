"""What breaks within a stream, on each wire: nothing half is run, what was shown stays, the prefix stays whole.

The table of all faults between a vendor and us, and the tests that do them on the three wires: Anthropic, Responses,
Chat. http, replies, context: test_faults_http, test_faults_replies, test_faults_context here; "here": this file, which
has servers of several contracts; network: tests/e2e/test_error_table. In tests/e2e/test_faults the same is done to the
command line, with Anthropic's wire.

    HTTP
    429: seconds, date, absent, huge, nonsense     http: never_earlier_than_asked, a_wait_of_hours
    jitter is only ever added                      tests/agent/test_retry: jitter_is_only_ever_added (no wire in it)
    408 409 429 500 502 503 504 529, JSON or page  http: what_is_temporary_is_sent_again, what_does_not_pass
    413                                            http: a_request_that_is_too_large
    400 401 403                                    http: what_is_final_is_not_sent_again
    DNS, refused, proxy, TLS, a page               network: no_such_host … tls_to_a_server_that_has_none
    stale pooled connection, reset                 http: a_pooled_connection_that_went_stale, a_reset_before
    Stream
    stall after headers; headers that never come   here: sent_again[stall]; http: headers_that_never_come
    stall after text, inside a call                here: what_was_shown_stays[stall], a_call_that_broke_off[stall]
    cancelled while it stalls                      here: a_stalled_answer_can_be_stopped
    pings count, but not for ever                  here: changes_nothing[pings], sent_again and was_shown_stays[pings]
    drop inside a call                             here: a_call_that_broke_off_is_not_run_and_that_is_said[drop]
    `error` after 200, response.failed             here: sent_again[error event, failed], was_shown_stays[error_event]
    the last event is missing                      here: what_was_shown_stays[no_stop]
    UTF-8 split, an event of 10 MB, gzip           here: what_changes_nothing
    Tool arguments
    truncated, null, array, raw newline, empty     replies: arguments_that_are_none_run_nothing
    loop guard                                     replies: the_loop_guard
    Replies
    empty, refusal, window, unknown stop           replies: how_an_answer_may_end
    max_tokens without and with a call; a pause    replies: the_output_limit_…, a_paused_turn_goes_on
    unknown tool, wrong case                       replies: tools_that_there_are_not
    ids double, empty, of an earlier answer        replies: ids_that_are_…; of another vendor: test_switching
    50 parallel calls; text after a call           replies: fifty_calls_at_once, text_after_a_call
    Context
    one output larger than the window              context: one_output_larger_than_the_window
    10 parallel large results                      context: ten_large_results_at_once_share_what_is_left
    images up to 32 MB                             context: images_never_make_a_request_too_large_to_be_sent
"""

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
    "anthropic": ("claude-opus-4-8", {}),
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
HARMLESS = {
    "one byte at a time": Fault("one_byte"),
    "an event of 10 MB": Fault("big_event", size=10 * 1024 * 1024),
    "compressed": Fault("gzip"),
    "pings that end in time": Fault("pings", after=3, every=0.05, seconds=1.5),
}


# what breaks an answer of which words were shown
AFTER = (
    Fault("no_stop"),
    Fault("drop", after=5),
    Fault("malformed", after=5),
    Fault("error_event", after=5),
    Fault("stall", after=5, seconds=1.0),
    Fault("pings", after=5, seconds=4.0),
)


def begin(speaker: Begin, server: str, *answers: Any, idle: float = 20) -> Speaker:
    """A session. idle: seconds that the vendor may be silent; short only where it is, for a busy machine is, too."""
    model, rules = SERVERS[server]
    person = speaker(Script(*answers), model=model, **rules)
    settings = person.project.parent / "home" / ".config" / "harness"
    (settings / "config.toml").write_text(f"[network]\nidle_timeout = {idle}\n")
    person.come_back(model=model)  # a session that has not spoken keeps no model
    assert person.app.model.id.endswith(model)
    (person.project / "notes.txt").write_text("note\n" * 300)
    return person


def patience(fault: Fault) -> float:
    """Seconds of silence after which the fault is a fault."""
    return 0.4 if fault.kind in ("stall", "pings") else 20


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
    person = begin(speaker, server, "Grüße 👩‍👩‍👧.", [READ], "Done.", "Ja.", idle=patience(SENT_AGAIN[fault]))
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
    person = begin(speaker, server, "Grüße 👩‍👩‍👧.", [{"text": "I look."}, READ], "Done.", idle=1.2)
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
    fault = Fault(kind, inside_tool=True, seconds=1.0)
    person = begin(speaker, server, "One.", [{"text": "I look at it."}, READ], "It is there.", idle=patience(fault))
    person.say("One?")
    person.simulator.fault(fault)
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
@pytest.mark.parametrize("fault", AFTER, ids=lambda fault: fault.kind)
def test_what_was_shown_stays_and_is_not_sent_for_again(fault: Fault, server: str, speaker: Begin) -> None:
    person = begin(speaker, server, "One.", "It was a dark and stormy night.", "Well.", idle=patience(fault))
    person.say("One?")
    person.simulator.fault(fault)
    events = person.say("Two?")
    shown = "".join(event.text for event in events if isinstance(event, TextDelta))

    assert not any(isinstance(event, Retrying) for event in events)
    assert isinstance(events[-1], TurnEnded)
    # on the chat wire the finish reason says that all is there: some servers end with the stream itself
    complete = fault.kind == "no_stop" and "openai-chat" in person.app.model.id
    assert events[-1].reason == ("done" if complete else "partial")
    assert shown
    person.say("Go on.")
    assert shown in person.mainline[-1].body.decode()
    whole(person)


def _shown(event: Event) -> bool:
    return isinstance(event, TextDelta)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("after", [0, 5])
def test_a_stalled_answer_can_be_stopped(after: int, server: str, speaker: Begin) -> None:
    person = begin(speaker, server, "One.", "It was a dark and stormy night.", "Well.")
    person.say("One?")
    person.simulator.fault(Fault("stall", after=after, seconds=60))
    # what the vendor says before it stalls: all of it has come, or nothing
    person.stop_when(lambda seen: len(person.mainline) == 2 and (not after or any(map(_shown, seen))), "Two?")

    assert len(person.mainline) == 2
    assert person.answer("Go on.") == ("Well." if after else "It was a dark and stormy night.")
    if after:
        whole(person)
    else:
        # whether the vendor wrote what it gave no sign of, nobody knows: what is known is read
        first, second, third = person.mainline
        assert third.extends(second)
        step = 128 if server == "responses before 5.6" else 1
        assert third.read >= first.prompt_tokens // step * step
        assert person.verdicts()[-1] == "hit"


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
