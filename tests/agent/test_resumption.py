"""When a turn counts as cut off, and that going on extends the line on every wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.agent import rewind
from harness.agent.cut_turn import cut_turn
from harness.agent.resumption import resume_turn
from harness.conversation.events import RequestSent, ResponseDone, TextDelta, ToolFinished, ToolStarted, TurnEnded
from harness.conversation.history import INTERRUPTED, MAY_HAVE_RUN
from harness.conversation.lines import read_records
from harness.errors import CompactionFailed, UsageError
from harness.providers.catalog import Catalog
from harness.replay.verify import verify
from harness.simulator import Answer, said
from tests.agent.test_compaction import SUMMARY, compact, moves, run, working
from tests.agent.test_rewind import LOOK, MODELS
from tests.e2e.lab import call
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]


def cut(person: Speaker) -> str:
    found = cut_turn(person.app.session)
    return str(found) if found else ""


def go_on(person: Speaker) -> TurnEnded:
    end = run(person, resume_turn(person.app.agent))[-1]
    assert isinstance(end, TurnEnded)
    return end


def nothing_was_lost(person: Speaker, *besides: str) -> None:
    last = person.everything[-1]
    assert last.read == last.perfect_read, last.explain
    assert set(person.verdicts()[1:]) <= {"hit", "not told", *besides}
    person.leave()
    assert verify(person.folder, Catalog.load(None)).equal


@pytest.mark.parametrize("model", MODELS)
def test_on_every_wire_it_goes_on_behind_open_calls(speaker: Begin, model: str) -> None:
    person = speaker(Script(LOOK, LOOK, LOOK, "All looked at."), model=model, **MODELS[model])
    person.say("Look thrice.", until=lambda event: isinstance(event, ResponseDone) and event.number == 2)
    person.come_back()
    assert cut(person) == "the last turn was cut off at step 2: 3 glob not run"

    end = go_on(person)

    assert (end.reason, end.text) == ("done", "All looked at.")
    assert cut(person) == ""
    assert [entry.message.tag for entry in person.app.session.history.entries if entry.message.tag == "person"] == [
        "person"
    ]
    nothing_was_lost(person)


@pytest.mark.parametrize("model", MODELS)
def test_on_every_wire_it_goes_on_behind_a_cut_answer(speaker: Begin, model: str) -> None:
    long = Answer(tuple({"text": f"Part {n}. "} for n in range(20)), delay=0.01)
    person = speaker(Script(LOOK, long, "The rest."), model=model, **MODELS[model])
    first: list[bool] = []

    def begun(event: Any) -> bool:
        first.extend([True] if isinstance(event, ResponseDone) else [])
        return bool(first) and isinstance(event, TextDelta) and bool(event.text.strip())

    person.say("Tell.", until=begun)
    person.come_back()
    assert cut(person) == "the last turn was cut off at step 2"

    assert go_on(person).text == "The rest."
    assert "Your last answer was cut off. Go on." in str(person.everything[-1].json)
    nothing_was_lost(person)


def test_results_that_are_there_are_used(speaker: Begin) -> None:
    person = speaker(Script(LOOK, "Seen."))
    seen: list[str] = []

    def second(event: Any) -> bool:
        seen.extend([event.call_id] if isinstance(event, ToolFinished) else [])
        return len(seen) == 2

    person.say("Look.", until=second)
    person.come_back()
    assert cut(person) == "the last turn was cut off at step 1: 2 glob done; glob not run"
    assert go_on(person).text == "Seen."
    done = [record.data["result"] for record in person.records("tool_done")]
    results = next(e.message for e in person.app.session.history.entries if e.message.tag == "results").blocks
    assert len(done) == 2
    assert [block.is_error for block in results].count(False) == 2  # type: ignore[union-attr]
    nothing_was_lost(person)


STEPS = (
    [call("read", path="a"), call("grep", pattern="alpha")],
    [call("read", path="a"), call("shell", command="echo 1 >> log"), call("glob", pattern="*")],
    [call("write", path="b", content="b"), call("shell", command="echo 2 >> log")],
    "Done.",
)


@pytest.mark.parametrize(
    "torn",
    [
        pytest.param(False, id="behind", marks=pytest.mark.branches(reason="each kill has its own rest", times=13)),
        pytest.param(True, id="within", marks=pytest.mark.branches(reason="each kill has its own rest", times=10)),
    ],
)
def test_killed_behind_or_within_any_record(speaker: Begin, torn: bool) -> None:
    """The journal as any kill leaves it: each call is told what is known of it, and each command runs at most once."""
    person = speaker(Script(*STEPS), minimum=1)
    (person.project / "a").write_text("alpha\n")
    person.come_back(permission_mode="yolo")
    person.say("Go.")
    person.leave()
    journal, log = person.folder / "journal.jsonl", person.project / "log"
    lines = journal.read_bytes().splitlines(keepends=True)
    (words,) = (record.seq for record in person.records("message") if record.data["tag"] == "person")
    for kept in range(words + 1, len(lines)):
        journal.write_bytes(b"".join(lines[:kept]) + (lines[kept][:-9] if torn else b""))
        records = [*read_records(journal)]
        begun = [r.data["call_id"] for r in records if r.kind == "intent"]
        done = [r.data["result"]["call_id"] for r in records if r.kind == "tool_done"]
        said = [r for r in records if r.kind == "message" and r.data["tag"] == "answer"]
        calls = [block for record in said for block in record.data["blocks"] if block["is"] == "call"]
        effects = {block["id"]: "echo" in block["arguments"] for block in calls}
        log.write_text("".join(f"{n}\n" for n, _ in enumerate((one for one in begun if effects[one]), 1)))
        (person.project / "b").unlink(missing_ok=True)
        before = log.read_text()

        person.come_back(permission_mode="yolo")
        if cut(person):
            assert go_on(person).text == "Done.", kept

        told: dict[str, str] = {}
        for record in person.records("message"):
            for block in record.data["blocks"]:
                told |= {block["call_id"]: str(block["content"])} if block["is"] == "result" else {}
        for one in effects:
            if one in done:
                assert "Interrupted" not in told[one], (kept, told[one])
            elif one in begun or torn:
                assert MAY_HAVE_RUN in told[one], (kept, told[one])
            else:
                assert INTERRUPTED in told[one], (kept, told[one])
        assert log.read_text().startswith(before)
        assert sorted({*log.read_text().split()}) == sorted(log.read_text().split()), (kept, log.read_text())
        person.leave()
        report = verify(person.folder, Catalog.load(None))
        assert report.equal, (kept, report.found)


def test_words_behind_a_cut_turn_need_no_going_on(speaker: Begin) -> None:
    person = speaker(Script(LOOK, "Other things."))
    person.say("Look.", until=lambda event: isinstance(event, ResponseDone))
    person.come_back()
    assert person.answer("Do other things.") == "Other things."
    assert cut(person) == ""
    with pytest.raises(UsageError, match="came to its end"):
        go_on(person)


def test_after_a_compaction_and_a_clear_nothing_is_cut(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8")
    compact(person)
    assert cut(person) == ""
    person.come_back()
    assert cut(person) == ""
    person.app.clear()
    assert cut(person) == ""


@moves
@pytest.mark.parametrize("model", MODELS)
def test_a_cut_turn_that_is_compacted_is_still_cut(speaker: Begin, model: str) -> None:
    person = working(speaker, model)
    person.say("Please work on.", until=lambda event: isinstance(event, ToolFinished))
    was = cut(person)
    assert was.startswith("the last turn was cut off at step 1: ")
    compact(person)
    assert cut(person) == was
    person.come_back()
    assert cut(person) == was
    assert go_on(person).reason == "done"
    given = next(e.message for e in reversed(person.app.session.history.entries) if e.message.tag == "results").blocks
    assert [block.is_error for block in given].count(False) == was.count("read done")  # type: ignore[union-attr]
    nothing_was_lost(person, "declared")


@moves
def test_words_behind_a_cut_turn_that_was_compacted_are_told_what_became_of_its_calls(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8")
    person.say("Please work on.", until=lambda event: isinstance(event, ToolStarted))
    compact(person)
    assert person.answer("Now something else.") == "Done, and the colour is teal."
    assert cut(person) == ""
    nothing_was_lost(person, "declared")


def small(person: Speaker) -> None:
    """The model has a window of 12,000 tokens, so the program believes."""
    channel = person.app.agent.channel
    person.app.agent.channel = replace(channel, model=replace(channel.model, window=12_000))


def test_calls_that_would_not_stay_are_not_compacted(speaker: Begin) -> None:
    write = {"call": "write", "input": {"path": "a.txt", "content": "x" * 40_000}}
    person = speaker(Script("One.", [write], "Written."))
    person.say("One?")
    person.say("Two?", until=lambda event: isinstance(event, ResponseDone))
    was, asked = cut(person), len(person.simulator.requests)
    small(person)
    with pytest.raises(CompactionFailed, match="/continue"):
        compact(person)
    assert (cut(person), len(person.simulator.requests)) == (was, asked)


def summing(*answers: Any) -> Callable[[dict[str, Any]], Any]:
    """A scripted model that sums up when it is asked to."""
    script = Script(*answers)
    return lambda request: SUMMARY if "[Side request" in "".join(said(request)[-1].texts) else script(request)


@pytest.mark.parametrize("back", [False, True], ids=["live", "resumed"])
def test_killed_between_what_changed_and_the_words_a_compaction_cuts_nothing(speaker: Begin, back: bool) -> None:
    person = speaker(summing("One.", "Two. " * 10_000))
    person.say("One?")
    person.say("Two?")
    person.come_back(permission_mode="plan")
    assert person.app.agent.tell_changes()
    if back:
        person.come_back(permission_mode="plan")
    assert cut(person) == ""
    small(person)
    compact(person)
    assert person.app.session.history.entries[-1].message.tag == "program"
    assert cut(person) == ""


@moves
def test_a_cut_answer_that_a_compaction_does_not_keep_is_still_cut(speaker: Begin) -> None:
    half = Answer(({"text": "It goes li" * 4_000},), stop="max_tokens")
    person = speaker(summing("One.", half, half, half))
    person.say("One?")
    person.say("Two?")
    assert cut(person)
    small(person)
    compact(person)
    assert person.app.session.history.entries[-1].message.tag == "program"
    assert cut(person)
    person.come_back()
    assert cut(person)
    assert go_on(person).reason == "done"
    nothing_was_lost(person, "declared")


@pytest.mark.parametrize("how", [pytest.param("compacted", marks=moves), "not compacted", "undone and redone"])
def test_calls_that_were_not_kept_are_told_all_the_same(speaker: Begin, how: str) -> None:
    broken = Answer(({"text": "I write."}, {"call": "write", "input": {"path": "a", "content": "x"}}), stop="end_turn")
    person = speaker(summing("One. " * 2_000, broken))
    person.say("One?")
    person.say("Two?")
    assert person.app.session.history.dropped == ("write",)
    was = cut(person)
    match how:
        case "compacted":
            compact(person)
        case "not compacted":
            person.aside()
        case _:
            rewind.undo(person.app.session)
            rewind.redo(person.app.session)
    assert cut(person) == was
    person.come_back()
    assert cut(person) == was
    person.say("Three?")
    assert "Its call of write was not run." in str(person.everything[-1].json)


def test_what_was_refused_is_no_cut_turn_behind_a_compaction(speaker: Begin) -> None:
    person = speaker(summing("One. " * 2_000, Answer(({"text": "no"},), stop="refusal")))
    person.say("One?")
    person.say("Two?")
    assert cut(person) == ""
    compact(person)
    assert cut(person) == ""
    person.come_back()
    assert cut(person) == ""


def test_what_is_undone_is_not_cut_and_what_is_redone_is(speaker: Begin) -> None:
    person = speaker(Script("One.", LOOK, "Two."))
    person.say("One?")
    person.say("Two?", until=lambda event: isinstance(event, ResponseDone))
    was = cut(person)
    assert was
    rewind.undo(person.app.session)
    assert cut(person) == ""
    rewind.redo(person.app.session)
    person.come_back()
    assert cut(person) == was
    assert go_on(person).text == "Two."


def test_the_step_is_that_of_the_turn_that_an_undo_leads_back_to(speaker: Begin) -> None:
    person = speaker(Script(LOOK, LOOK, LOOK, LOOK, "Two."))
    person.say("One?", until=lambda event: isinstance(event, ResponseDone))
    assert person.answer("Two?") == "Two."
    rewind.undo(person.app.session)
    assert cut(person) == "the last turn was cut off at step 2"
    person.come_back()
    assert cut(person) == "the last turn was cut off at step 2"


@pytest.mark.parametrize("back", [False, True], ids=["live", "resumed"])
def test_undone_and_redone_it_still_knows_what_its_calls_did(speaker: Begin, back: bool) -> None:
    write = {"call": "write", "input": {"path": "a.txt", "content": "x"}}
    shell = {"call": "shell", "input": {"command": "touch begun; sleep 60"}}
    person = speaker(Script("One.", [write, shell, write], "Written."))
    person.come_back(permission_mode="yolo")
    person.say("One?")
    begun = person.project / "begun"

    async def stopped() -> None:
        turn = asyncio.ensure_future(person._say("Write.", None, ()))
        while not begun.exists():
            assert not turn.done()
            await asyncio.sleep(0.01)
        turn.cancel()
        await asyncio.wait([turn])

    person._runner.run(stopped())
    was = cut(person)
    assert was == "the last turn was cut off at step 1: write done; shell may have run; write not run"
    rewind.undo(person.app.session)
    if back:
        person.come_back()
    rewind.redo(person.app.session)
    assert cut(person) == was
    assert go_on(person).text == "Written."


@pytest.mark.moves_prefix(reason="an undo is an epoch", times=1)
def test_nothing_is_redone_over_a_turn_that_went_on(speaker: Begin) -> None:
    person = speaker(Script(LOOK, "Two.", "One, in the end."))
    person.say("One?", until=lambda event: isinstance(event, ResponseDone))
    assert person.answer("Two?") == "Two."
    rewind.undo(person.app.session)
    assert go_on(person).text == "Two."
    with pytest.raises(UsageError, match="nothing to redo"):
        rewind.redo(person.app.session)
    assert [e.message.tag for e in person.app.session.history.entries][-2:] == ["results", "answer"]


def test_words_of_the_program_that_nobody_answered_are_cut_after_an_undo_and_a_redo(speaker: Begin) -> None:
    person = speaker(Script("One.", Answer(({"text": "Two, to begin wi"},), stop="max_tokens"), "Two."))
    person.say("One?")
    person.say("Two?", until=lambda event: isinstance(event, RequestSent) and event.number == 3)
    assert person.app.session.history.entries[-1].message.tag == "program"
    was = cut(person)
    assert was
    rewind.undo(person.app.session)
    rewind.redo(person.app.session)
    assert cut(person) == was
    assert go_on(person).text == "Two."


@pytest.mark.parametrize("model", MODELS)
def test_what_changed_meanwhile_is_told(speaker: Begin, model: str) -> None:
    person = speaker(Script(LOOK, LOOK, "All looked at."), model=model, **MODELS[model])
    person.say("Look.", until=lambda event: isinstance(event, ResponseDone) and event.number == 2)
    person.come_back(permission_mode="plan")
    assert go_on(person).text == "All looked at."
    told = [entry.message.text for entry in person.app.session.history.entries[-3:-1]]
    assert "Permission mode: plan." in told[0]
    assert told[1] == "Go on."
    nothing_was_lost(person)


def test_killed_between_what_changed_and_the_words_it_is_still_asked_to_go_on(speaker: Begin) -> None:
    half = Answer(({"text": "It goes li"},), stop="max_tokens")
    person = speaker(Script(half, half, half, "The rest."))
    person.say("Tell.")
    person.come_back(permission_mode="plan")
    assert person.app.agent.tell_changes()
    person.come_back(permission_mode="plan")
    assert go_on(person).text == "The rest."
    assert person.app.session.history.entries[-2].message.text == "Your last answer was cut off. Go on."


def test_calls_of_a_cut_answer_that_were_not_run_are_told(speaker: Begin) -> None:
    half = Answer(
        ({"text": "I write it."}, {"call": "write", "input": {"path": "a", "content": "x"}}), stop="max_tokens"
    )
    person = speaker(Script(half, half, half, "Written in steps."))
    person.say("Write.")
    assert person.app.session.history.entries[-1].message.tag == "answer"
    person.come_back()
    assert go_on(person).text == "Written in steps."
    assert "Your last answer was cut off. Its call of write was not run. Go on." in str(person.everything[-1].json)


def test_an_empty_session_has_nothing_to_go_on_with(speaker: Begin) -> None:
    person = speaker(Script())
    with pytest.raises(UsageError, match="nothing to go on with"):
        go_on(person)
    assert not person.everything
