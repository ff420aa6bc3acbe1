"""Compaction over real HTTP: insert, then compress, and what the next requests read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from harness.agent import rewind
from harness.agent.compaction_rules import CompactionConfig
from harness.agent.compaction_tail import AFTER_SYSTEM
from harness.agent.cut_turn import HEAD
from harness.conversation.blocks import Thinking, ToolResult
from harness.conversation.events import Event, Notice, ToolStarted, TurnEnded
from harness.errors import CompactionFailed
from harness.providers.catalog import Catalog
from harness.replay.verify import verify
from harness.simulator import Fault, said
from tests.speaker import Speaker

Begin = Callable[..., Speaker]
SUMMARY = "# Task\nKeep the fact: the colour is teal.\n# Next\nGo on."
MODELS: dict[str, dict[str, Any]] = {
    "claude-opus-4-8": {},
    "claude-fable-5-2": {},
    "openai/gpt-6.1-sol": {},
    "openai/gpt-5.4": {},
    "openai-chat/deepseek/deepseek-v4-pro": {"profile": "deepseek", "strict_alternation": True},
    "openai-chat/vllm/qwen3-coder-30b": {"profile": "vllm", "strict_alternation": True},
}
moves = pytest.mark.moves_prefix(reason="a compaction is an epoch")


class Worker:
    """A model that reads a file three times for each thing it is told, and sums up when it is asked to."""

    def __init__(self, *summaries: Any) -> None:
        self.summaries = list(summaries)
        self.asked = 0

    def __call__(self, request: dict[str, Any]) -> Any:
        spoken = said(request)
        last = "".join(spoken[-1].texts)
        if "[Side request" in last:
            self.asked += 1
            return self.summaries.pop(0) if self.summaries else SUMMARY
        if spoken[-1].speaker == "user" and "work" in last:
            thinking = [{"thinking": "Let me see."}] if "thinking" in request or "reasoning" in request else []
            return [*thinking, *({"call": "read", "input": {"path": "notes.txt", "offset": n}} for n in (1, 2, 3))]
        return "Done, and the colour is teal."


def working(speaker: Begin, model: str, turns: int = 6, brain: Any = None, **rules: Any) -> Speaker:
    person = speaker(brain or Worker(), model=model, **{**MODELS.get(model, {}), **rules})
    (person.project / "notes.txt").write_text("".join(f"note {n}: {'x' * 60}\n" for n in range(36)))
    for number in range(turns):
        person.say(f"Please work, part {number}.")
    return person


def run(person: Speaker, events: AsyncGenerator[Event]) -> list[Event]:
    async def collect() -> list[Event]:
        async with aclosing(events):
            return [event async for event in events]

    return person._runner.run(collect())


def without_markers(system: list[dict[str, Any]]) -> list[str]:
    return [block["text"] for block in system]


def compact(person: Speaker, wish: str = "") -> list[Event]:
    return run(person, person.app.compaction.compactor.run("asked for", wish))


def reasons(person: Speaker) -> list[str]:
    return [str(record.data["reason"]).partition(":")[0] for record in person.records("epoch")]


def side(person: Speaker) -> Any:
    return [request for one in person._all for request in one.requests if request.kind == "side"]


@moves
@pytest.mark.parametrize("model", MODELS)
def test_the_request_reads_its_cache_and_one_cold_turn_follows(speaker: Begin, model: str) -> None:
    person = working(speaker, model, 4 if "vllm" in model else 12)
    compact(person)
    asked, count = side(person)[0], len(person.everything)
    if model != "openai/gpt-5.4":  # granularity of its own
        assert asked.read >= 0.95 * (asked.prompt_tokens - 700), asked.explain  # 700: the last answer and instruction
    assert asked.read == asked.perfect_read
    for number in range(3):
        person.say(f"Please work, again {number}.")
    first, *later = person.everything[count:]
    assert first.read == first.perfect_read, first.explain
    assert all(request.read == request.perfect_read for request in later)
    assert "[Summary of the conversation so far" in str(first.json)
    assert "Session context: Today" in str(first.json)
    after = first.json.get("messages") or first.json.get("input")
    assert len(str(after)) < 2 * AFTER_SYSTEM
    kinds = person.verdicts()
    assert "ours" not in kinds
    assert set(kinds[-5:]) <= {"hit", "not told"}, "warm after one turn"
    assert reasons(person) == ["start", "compaction"]


@moves
def test_the_system_blocks_stay_cached(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8")
    compact(person)
    person.say("Go on.")
    last = person.mainline[-1]
    system = sum(block.tokens for block in last.blocks if block.level != "messages")
    assert last.read == system


def test_no_marker_on_the_instruction(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8")
    compact(person)
    assert "cache_control" not in str(side(person)[0].json["messages"][-1])


@pytest.mark.parametrize("model", ["claude-fable-5-2", "openai/gpt-6.1-sol"])
def test_calls_stay_with_their_results_and_no_thinking_is_kept(speaker: Begin, model: str) -> None:
    person = working(speaker, model)
    compact(person)
    messages = [entry.message for entry in person.app.session.history.entries]
    calls = [call.id for message in messages for call in message.calls]
    results = [block.call_id for message in messages for block in message.blocks if isinstance(block, ToolResult)]
    assert calls == results
    assert calls
    assert not any(isinstance(block, Thinking) for message in messages for block in message.blocks)


@moves
def test_a_resumed_session_goes_on_from_the_summary(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8")
    compact(person)
    before = person.app.session.history.entries
    person.come_back()
    assert person.app.session.history.entries == before
    person.say("Go on.")
    assert person.mainline[-1].read == person.mainline[-1].perfect_read


@moves
def test_ten_in_a_row_and_an_early_fact_is_still_there(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8")
    for number in range(10):
        compact(person)
        person.say(f"Please work, round {number}.")
        person.say(f"Please work, round {number} again.")
        person.say(f"Please work, round {number} once more.")
    archive = sorted((person.folder / "archive").iterdir())
    assert [path.name for path in archive] == [f"{number:04}.md" for number in range(1, 11)]
    assert "Please work, part 0." in archive[0].read_text()
    summary = next(e.message.text for e in person.app.session.history.entries if e.message.text.startswith(HEAD))
    assert "teal" in summary
    assert str(archive[-1]) in summary
    assert "0009.md" in summary
    assert summary.count(HEAD) == 1
    assert sum(entry.message.text.startswith(HEAD) for entry in person.app.session.history.entries) == 1


def test_the_archive_is_read_by_the_lines_that_the_summary_names(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8")
    compact(person)
    path = next(iter((person.folder / "archive").iterdir()))
    lines = path.read_text().splitlines()
    summary = next(e.message.text for e in person.app.session.history.entries if e.message.text.startswith(HEAD))
    named = [line for line in summary.splitlines() if line.startswith("- lines ")]
    assert named
    for line in named:
        span, _, title = line.removeprefix("- lines ").partition(": ")
        first, last = map(int, span.split("-"))
        assert lines[first - 1] == f"## {title}"
        assert first <= last <= len(lines)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.refusals("the vendor fails on purpose")
def test_one_that_fails_changes_nothing(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8")
    before = person.app.session.history.seqs
    for fault in (Fault("status", status=400), Fault("drop", after=4, times=3)):
        person.simulator.fault(fault)
        with pytest.raises(Exception, match=r".+"):
            compact(person)
    assert person.app.session.history.seqs == before
    assert reasons(person) == ["start"]
    person.say("Go on.")
    assert person.verdicts()[-1] == "hit"
    assert not (person.folder / "archive").exists()


def test_one_that_is_cancelled_changes_nothing(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8")
    before = person.app.session.history.seqs

    async def cancel() -> None:
        async with aclosing(person.app.compaction.compactor.run("asked for")) as events:
            async for _ in events:
                return

    person._runner.run(cancel())
    assert person.app.session.history.seqs == before
    person.say("Go on.")
    assert person.verdicts()[-1] == "hit"


def test_a_call_in_its_answer_is_not_run(speaker: Begin) -> None:
    calls = [{"call": "write", "input": {"path": "made.txt", "content": "x"}}]
    brain = Worker(calls, [{"text": SUMMARY}, *calls])
    person = working(speaker, "claude-opus-4-8", brain=brain)
    compact(person)
    assert brain.asked == 2, "asked again where there was no text"
    assert not (person.project / "made.txt").exists()
    assert reasons(person) == ["start", "compaction"]


def test_no_summary_twice_changes_nothing(speaker: Begin) -> None:
    calls = [{"call": "todo", "input": {"items": []}}]
    person = working(speaker, "claude-opus-4-8", brain=Worker(calls, "No."))
    with pytest.raises(CompactionFailed, match="nothing was changed"):
        compact(person)
    assert reasons(person) == ["start"]


def test_a_short_conversation_is_left_alone(speaker: Begin) -> None:
    person = speaker(Worker(), model="claude-opus-4-8")
    person.say("Hello.")
    with pytest.raises(CompactionFailed, match="short enough"):
        compact(person)
    assert not side(person)


def test_the_wish_reaches_the_model(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8")
    compact(person, "the names of\nall files")
    assert "[The person asks to keep above all: the names of all files]" in str(side(person)[0].json["messages"][-1])


@moves
def test_it_is_due_at_a_share_of_the_window_and_not_again_at_once(speaker: Begin) -> None:
    brain = Worker()
    person = speaker(brain, model="claude-opus-4-8")
    (person.project / "notes.txt").write_text("".join(f"note {n}: {'x' * 60}\n" for n in range(36)))
    small = replace(person.app.agent.channel.model, window=36_000)
    person.app.agent.channel = replace(person.app.agent.channel, model=small)
    ends = [person.say(f"Please work, part {number}.")[-1] for number in range(14)]
    assert all(isinstance(end, TurnEnded) and end.reason == "done" for end in ends)
    assert 1 <= brain.asked <= 3
    assert set(reasons(person)) == {"start", "compaction"}
    assert max(request.prompt_tokens for request in person.mainline) < 36_000


@moves
@pytest.mark.refusals("the window is small on purpose")
@pytest.mark.parametrize("model", ["claude-opus-4-8", "openai/gpt-6.1-sol", "openai-chat/vllm/qwen3-coder-30b"])
def test_an_overflow_compacts_from_an_earlier_message_and_goes_on(speaker: Begin, model: str) -> None:
    """The client believes in a larger window than there is, and one answer brings results that do not fit."""
    person = working(speaker, model, 5, context_window=14_000)
    for number in range(8):
        end = person.say(f"Please work, more {number}.")[-1]
        assert isinstance(end, TurnEnded)
        assert end.reason == "done", end
    assert "compaction" in reasons(person)
    assert [record.data["reason"] for record in person.records("epoch")][1] == "compaction: overflow"


@moves
@pytest.mark.refusals("the window is small on purpose")
def test_a_result_larger_than_the_window_is_left_in_the_archive(speaker: Begin) -> None:
    def brain(request: dict[str, Any]) -> Any:
        spoken = said(request)
        last = "".join(spoken[-1].texts)
        if "[Side request" in last:
            return SUMMARY
        if spoken[-1].speaker == "user" and "huge" in last and HEAD not in last:
            return [{"call": "read", "input": {"path": "huge.txt"}}]
        return "Done."

    person = speaker(brain, model="claude-opus-4-8", context_window=9_000)
    # what the client believes: it must not cut the result by the window that it knows
    (person.project / "huge.txt").write_text("".join(f"{n}: {'y' * 90}\n" for n in range(390)))
    small = replace(person.app.agent.channel.model, window=40_000)
    person.app.agent.channel = replace(person.app.agent.channel, model=small)
    person.say("Hello.")
    end = person.say("Read the huge file.")[-1]
    assert isinstance(end, TurnEnded)
    assert end.reason == "done", end
    summary = next(e.message.text for e in person.app.session.history.entries if e.message.text.startswith(HEAD))
    assert "the summary does not know of them" in summary
    assert "[The person's last words:]\nRead the huge file." in summary
    archive = next(iter((person.folder / "archive").iterdir())).read_text()
    assert f"{'y' * 90}" in archive


@moves
def test_changed_rules_enter_the_frozen_blocks_and_are_told_no_more(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8")
    (person.project / "AGENTS.md").write_text("Always write in teal.\n")
    person.say("Please work.")
    assert "Project rules added" in str(person.mainline[-1].json["messages"])
    compact(person)
    person.say("Go on.")
    last = person.mainline[-1].json
    assert "Always write in teal." in str(last["system"])
    assert "Project rules" not in str(last["messages"])
    person.come_back()
    person.say("Go on.")
    assert person.mainline[-1].read == person.mainline[-1].perfect_read
    assert person.verdicts()[-1] == "hit"


@moves
@pytest.mark.parametrize("way", ["compact", "clear"])
@pytest.mark.parametrize("back", [False, True], ids=["live", "resumed"])
def test_what_is_gone_back_to_stands_behind_its_own_system_blocks(speaker: Begin, way: str, back: bool) -> None:
    person = working(speaker, "claude-fable-5-2")  # its thinking is bound to all that stood before it
    before, turn = person.mainline[-1], rewind.turns(person.app.session)[-3]
    (person.project / "AGENTS.md").write_text("Always write in teal.\n")
    if way == "compact":
        compact(person)
    else:
        person.app.clear()
    person.say("Hello.")
    assert "Always write in teal." in str(person.mainline[-1].json["system"])
    if back:
        person.come_back()
    rewind.rewind(person.app.session, turn.seq)
    person.say("Please work, once more.")

    last = person.mainline[-1]
    assert without_markers(last.json["system"]) == without_markers(before.json["system"])
    assert last.read == last.perfect_read
    assert person.verdicts()[-1] == "hit"
    assert "Project rules added" in str(last.json["messages"])


@moves
def test_clear_empties_the_conversation_and_keeps_the_session(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8", 2)
    first = rewind.turns(person.app.session)[0]
    person.app.clear()
    person.say("Something else.")
    messages = str(person.mainline[-1].json["messages"])
    assert "part 0" not in messages
    assert messages.count("Session context") == 1
    person.come_back()
    person.say("And more.")
    assert person.verdicts()[-1] == "hit"
    rewind.rewind(person.app.session, first.seq)
    assert rewind.turns(person.app.session) == ()


@moves
def test_undo_and_rewind_reach_across_a_compaction(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8")
    session = person.app.session
    turns = rewind.turns(session)
    compact(person)
    assert rewind.turns(session) == turns, "the same turns, under the same numbers"
    assert rewind.undo(session) == turns[-1]
    assert rewind.redo(session) == turns[-1]
    person.say("Please work, another way.")
    assert HEAD in str(person.mainline[-1].json)
    rewind.rewind(session, turns[2].seq)
    person.say("Please work, from there.")
    last = person.mainline[-2]
    assert HEAD not in str(last.json)
    assert last.read == last.perfect_read > person.mainline[0].prompt_tokens


@moves
@pytest.mark.parametrize("back", [False, True], ids=["live", "resumed"])
def test_a_compaction_that_left_no_turn_is_undone_and_redone(speaker: Begin, back: bool) -> None:
    person = speaker(Worker())
    person.say("x " * 30_000)
    compact(person)
    turn = rewind.turns(person.app.session)[-1]
    for _ in range(2):  # undone again after it was redone
        assert rewind.undo(person.app.session) == turn
        if back:
            person.come_back()
        assert rewind.undone(person.app.session) == turn
        assert rewind.redo(person.app.session) == turn
    assert rewind.turns(person.app.session) == (turn,)
    person.say("Go on.")
    assert HEAD in str(person.mainline[-1].json)


@pytest.mark.parametrize("works", [True, False], ids=["works", "fails"])
def test_a_compaction_right_after_another_effort_asks_on_the_line_of_that_effort(speaker: Begin, works: bool) -> None:
    person = working(speaker, "claude-opus-4-6", 4, Worker(*[] if works else ["no", "no"]))
    person._runner.run(person.app.change_effort("max"))
    if works:
        compact(person)
    else:
        with pytest.raises(CompactionFailed, match="gave no summary"):
            compact(person)
    person.say("Please work, harder.")

    assert side(person)[-1].json["output_config"] == {"effort": "max"}
    assert person.mainline[-1].json["output_config"] == {"effort": "max"}
    assert verify(person.folder, Catalog.load()).equal


def test_idle_compaction_begins_before_the_ttl_ends_and_only_once(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8", 4)
    compaction = person.app.compaction
    assert compaction.idle_delay() is None, "too small to pay"
    compaction._config = CompactionConfig(returns=1.0)
    grown = person.app.session.requests
    grown.last_prompt = 60_000
    delay = compaction.idle_delay()
    assert delay is not None
    assert 200 < delay < 300
    person.simulator.clock.advance(delay)
    assert compaction.idle_delay() == 0.0
    events = run(person, compaction.idle())
    assert isinstance(events[-1], Notice)
    assert compaction.idle_delay() is None
    assert side(person)[0].read == side(person)[0].perfect_read > 0
    assert reasons(person) == ["start", "compaction"]


def test_idle_compaction_leaves_the_calls_of_a_cut_turn_open(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8")
    compaction = person.app.compaction
    compaction._config = CompactionConfig(returns=1.0)
    person.app.session.requests.last_prompt = 60_000
    assert compaction.idle_delay() is not None
    person.say("Please work on.", until=lambda event: isinstance(event, ToolStarted))
    person.app.session.requests.last_prompt = 60_000
    calls = person.app.session.history.open_calls()
    assert calls
    assert compaction.idle_delay() is not None
    run(person, compaction.idle())
    assert reasons(person) == ["start", "compaction"]
    assert person.app.session.history.open_calls() == calls


def test_idle_compaction_is_too_late_once_the_ttl_has_ended(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8", 1)
    person.app.compaction._config = CompactionConfig(returns=1.0)
    person.app.session.requests.last_prompt = 60_000
    person.simulator.clock.advance(400)
    assert person.app.compaction.idle_delay() is None


def test_a_kill_before_the_epoch_leaves_the_conversation(speaker: Begin) -> None:
    person = working(speaker, "claude-opus-4-8")
    before = person.app.session.history.seqs
    session = person.app.session
    session.keep(session.history.entries[1].message, of=session.history.entries[1].seq)
    person.come_back()
    assert person.app.session.history.seqs == before
    person.say("Go on.")
    assert person.verdicts()[-1] == "hit"
