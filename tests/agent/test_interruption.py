"""What was shown is kept, what was billed is known, what was open is healed; however a turn ends."""

from __future__ import annotations

import resource
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.app import App
from harness.conversation.events import (
    Event,
    RequestSent,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
    TurnEnded,
)
from harness.conversation.history import INTERRUPTED, MAY_HAVE_RUN
from harness.errors import BadRequest, Overloaded, StorageFull
from harness.simulator import Fault
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]
OURS = str(Path(harness.__file__).parent)
TODO = {"call": "todo", "input": {"items": []}}


def kind_of(*kinds: type[Event]) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, kinds)


def test_a_listener_that_goes_away_loses_nothing_that_was_shown(speaker: Begin) -> None:
    person = speaker(Script([{"text": "A long story begins."}]))
    person.say("Tell me.", until=kind_of(TextDelta))

    last = person.app.session.history.entries[-1].message
    assert last.tag == "answer"
    assert last.partial
    assert "A long story begins.".startswith(last.text)
    assert [record.data["stop"] for record in person.records("response")] == ["interrupted"]
    assert person.answer("Go on.") == "Done."
    assert person.verdicts() == ["first", "hit"]


def test_an_interrupted_request_that_began_is_in_the_ledger(speaker: Begin) -> None:
    person = speaker(Script([{"thinking": "hm"}, {"text": "x"}]))
    person.say("Tell me.", until=kind_of(ThinkingDelta))
    person.come_back()
    person.say("Again.")

    first, second = person.mainline
    assert second.read == first.prompt_tokens == second.perfect_read


def test_an_answer_with_nothing_but_thinking_is_kept_for_the_record_only(speaker: Begin) -> None:
    person = speaker(Script([{"thinking": "hm"}, *[TODO] * 3]))
    person.say("Tell me.", until=kind_of(ThinkingDelta))

    assert person.app.session.history.entries[-1].message.tag == "person"
    (response,) = person.records("response")
    assert b"thinking_delta" in person.app.session.journal.blobs.get(response.data["stream"])
    assert person.answer("Again.") == "Done."


def test_calls_that_were_open_are_healed_before_the_next_words(speaker: Begin) -> None:
    writes = [{"call": "write", "input": {"path": f"{n}.txt", "content": "x"}} for n in range(3)]
    person = speaker(Script(writes))
    seen: list[Event] = []

    def second_started(event: Event) -> bool:
        seen.append(event)
        return sum(isinstance(one, ToolStarted) for one in seen) == 2

    person.say("Write.", until=second_started)
    person.come_back()
    person.say("What happened?")

    results = person.mainline[-1].json["messages"][3]["content"]
    texts = [block["content"][0]["text"] for block in results]
    assert [block["type"] for block in results] == ["tool_result"] * 3
    assert "is_error" not in results[0]
    assert texts[1:] == [INTERRUPTED, INTERRUPTED]


def test_a_call_whose_intent_was_recorded_may_have_run(speaker: Begin) -> None:
    person = speaker(Script([{"call": "write", "input": {"path": "a.txt", "content": "x"}}]))
    person.say("Write.", until=kind_of(ToolStarted))
    call = person.app.session.history.open_calls()[0]
    # what a crash leaves between the intent and the result
    person.app.session.record("intent", {"call_id": call.id, "tool": "write"})
    person.come_back()
    person.say("What happened?")

    assert person.mainline[-1].json["messages"][3]["content"][0]["content"][0]["text"] == MAY_HAVE_RUN


def test_a_side_request_while_calls_are_open_heals_them_first(speaker: Begin) -> None:
    person = speaker(Script([TODO, TODO]))
    person.simulator.is_side = lambda request: "[Side request]" in str(request["messages"][-1])
    person.say("Plan.", until=kind_of(ToolFinished))

    person.aside()
    assert person.simulator.requests[-1].kind == "side"
    assert person.answer("Go on.") == "Done."


def test_a_side_request_leaves_no_message_and_no_write_behind(speaker: Begin) -> None:
    person = speaker(Script("One.", "Aside."))
    person.say("Hello.")
    before = len(person.app.session.history.entries)
    assert person.aside() == "Aside."

    side = person.simulator.requests[-1]
    assert side.kind == "side"
    assert len(person.app.session.history.entries) == before
    assert side.written == 0
    assert side.read == person.mainline[0].prompt_tokens
    person.say("More.")
    assert person.mainline[-1].read == person.mainline[0].prompt_tokens


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_stream_that_broke_before_anything_was_shown_is_sent_again(speaker: Begin, after: int) -> None:
    person = speaker(Script("Whole."))
    person.simulator.fault(Fault("drop", after=after))

    assert person.answer("Hello.") == "Whole."
    first, second = person.mainline
    assert first.body == second.body
    assert second.read == second.perfect_read == first.prompt_tokens
    assert person.verdicts() == (["hit"] if after else ["first"])


@pytest.mark.refusals(reason="the vendor is overloaded on purpose")
def test_retries_that_began_are_billed_and_known_though_the_call_failed(speaker: Begin) -> None:
    person = speaker(Script("Whole."))
    person.simulator.fault(Fault("drop", after=1))
    person.simulator.fault(Fault("status", status=529, times=2))
    with pytest.raises(Overloaded):
        person.say("Hello.")

    assert person.app.session.totals.requests == 1
    before = person.app.session.totals.usage.written
    assert before > 0
    person.come_back()
    person.say("Again.")
    assert person.mainline[-1].read == person.mainline[0].prompt_tokens
    assert person.verdicts() == ["hit"]


@pytest.mark.refusals(reason="the vendor refuses on purpose")
def test_a_refused_request_leaves_a_conversation_that_can_go_on(speaker: Begin) -> None:
    person = speaker(Script("Whole."))
    person.simulator.fault(Fault("status", status=400))
    with pytest.raises(BadRequest):
        person.say("Hello.")

    assert person.answer("Again.") == "Whole."
    assert len(list(person.records("failed"))) == 1


def test_a_stream_that_breaks_after_words_ends_as_a_partial_answer(speaker: Begin) -> None:
    person = speaker(Script([{"thinking": "hm"}, {"text": "It was a dark night."}, TODO]))
    person.simulator.fault(Fault("drop", inside_tool=True))
    end = person.say("Tell me.")[-1]

    assert isinstance(end, TurnEnded)
    assert end.reason == "partial"
    assert end.text == "It was a dark night."
    assert len(person.mainline) == 1
    (response,) = person.records("response")
    assert response.data["usage"]["written_5m"] > 0
    assert person.answer("Go on.") == "Done."
    sent = person.mainline[-1].json["messages"][2]["content"]
    assert [block["type"] for block in sent] == ["thinking", "text"]


def test_nothing_is_sent_when_the_person_leaves_before_it_is(speaker: Begin) -> None:
    person = speaker(Script("Whole."))
    person.say("Hello.", until=kind_of(RequestSent))

    assert person.mainline == []
    assert person.answer("Again.") == "Whole."


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "not kept"])
def test_a_session_that_cannot_begin_leaves_nothing(speaker: Begin, tmp_path: Path, kept: bool) -> None:
    person = speaker(Script())
    temporary, tempfile.tempdir = tempfile.gettempdir(), str(tmp_path)
    person.leave()
    before = [*person.folder.parent.iterdir()]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(StorageFull):
            App(replace(person.options, no_session=not kept), person.seam, person._ask)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        tempfile.tempdir = temporary
    assert [*person.folder.parent.iterdir()] == before
    assert [*tmp_path.glob("harness-*")] == []


@pytest.mark.parametrize("kind", [ThinkingDelta, TextDelta, ToolStarted])
def test_a_turn_that_is_closed_leaves_none_of_our_generators_open(speaker: Begin, kind: type[Event]) -> None:
    """It would be closed later, by a task of its own, beside or behind the closing of the session."""
    person = speaker(Script([{"thinking": "hm"}, {"text": "I look."}, TODO]))
    left: list[str] = []

    async def closed() -> None:
        hooks = sys.get_asyncgen_hooks()

        def finalize(generator: Any) -> None:
            left.extend([generator.__qualname__] if OURS in generator.ag_code.co_filename else [])
            assert hooks.finalizer is not None
            hooks.finalizer(generator)

        sys.set_asyncgen_hooks(hooks.firstiter, finalize)
        try:
            await person._say("Look.", kind_of(kind), ())
        finally:
            sys.set_asyncgen_hooks(*hooks)

    person._runner.run(closed())
    assert left == []
