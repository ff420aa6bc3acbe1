"""Going back in the conversation: each way is an epoch that reads the deepest entry still alive."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from harness.agent import rewind
from harness.conversation.events import ToolStarted
from harness.conversation.lines import read_records
from harness.errors import JournalError, UsageError
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]
LOOK = [{"text": "I look."}, *({"call": "glob", "input": {"pattern": f"*{number}"}} for number in range(3))]
MODELS: dict[str, dict[str, Any]] = {
    "claude-opus-4-8": {},
    "openai/gpt-6.1-sol": {},
    "openai/gpt-5.4": {},
    "openai-chat/deepseek/deepseek-v4-pro": {"profile": "deepseek", "strict_alternation": True},
    "openai-chat/vllm/qwen3-coder-30b": {"profile": "vllm", "strict_alternation": True},
}


def texts(person: Speaker) -> list[str]:
    return [e.message.text for e in person.app.session.history.entries if e.message.tag == "person"]


def epochs(person: Speaker) -> list[str]:
    return [str(record.data["reason"]) for record in person.records("epoch")]


@pytest.mark.moves_prefix(reason="a rewind is an epoch", times=1)
@pytest.mark.parametrize("model", MODELS)
def test_a_rewind_reads_what_is_left_of_the_line(speaker: Begin, model: str) -> None:
    person = speaker(Script(LOOK, "One.", LOOK, "Two.", "Three."), model=model, **MODELS[model])
    for words in ("One?", "Two?", "Three?"):
        person.say(words)
    session = person.app.session
    turn = rewind.turns(session)[1]
    rewind.rewind(session, turn.seq)
    assert texts(person) == ["One?"]
    person.say("Another two?")

    last = person.everything[-1]
    assert last.read == last.perfect_read
    assert last.read > person.everything[0].prompt_tokens - 128, "all of the first turn is still there"
    assert person.verdicts()[-1] in ("hit", "not told")
    assert "One?" in str(last.json)
    assert "Three?" not in str(last.json)


@pytest.mark.parametrize("back", [False, True], ids=["live", "resumed"])
def test_undo_twice_and_redo_twice_send_the_same_bytes_again(speaker: Begin, back: bool) -> None:
    person = speaker(Script(LOOK, "One.", LOOK, "Two.", LOOK, "Three.", "Four."))
    for words in ("One?", "Two?", "Three?"):
        person.say(words)
    for _ in range(2):
        rewind.undo(person.app.session)
    assert texts(person) == ["One?"]
    if back:
        person.come_back()
    for _ in range(2):
        rewind.redo(person.app.session)
    assert texts(person) == ["One?", "Two?", "Three?"]
    person.say("Four?")

    last, before = person.mainline[-1], person.mainline[-2]
    assert [block.canonical for block in last.blocks][: len(before.blocks)] == [b.canonical for b in before.blocks]
    assert last.read == last.perfect_read == before.prompt_tokens
    assert person.verdicts()[-1] == "hit"


@pytest.mark.moves_prefix(reason="an undo is an epoch", times=1)
def test_a_redo_is_forgotten_when_the_person_goes_on(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two.", "Three."))
    person.say("One?")
    person.say("Two?")
    rewind.undo(person.app.session)
    person.say("Another two?")
    with pytest.raises(UsageError, match="nothing to redo"):
        rewind.redo(person.app.session)


def test_nothing_to_undo_is_said(speaker: Begin) -> None:
    person = speaker(Script())
    with pytest.raises(UsageError, match="no turn to undo"):
        rewind.undo(person.app.session)
    with pytest.raises(UsageError, match="no turn 7"):
        rewind.rewind(person.app.session, 7)
    assert epochs(person) == ["start"]


@pytest.mark.moves_prefix(reason="rewinds are epochs")
def test_a_turn_that_a_rewind_left_can_be_gone_back_to(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two.", "Three.", "Four."))
    for words in ("One?", "Two?", "Three?"):
        person.say(words)
    session = person.app.session
    third = rewind.turns(session)[2]
    rewind.rewind(session, rewind.turns(session)[0].seq)
    assert texts(person) == []
    person.come_back()
    rewind.rewind(person.app.session, third.seq)
    assert texts(person) == ["One?", "Two?"]
    person.say("Another three?")

    last = person.mainline[-1]
    assert last.read == last.perfect_read == person.mainline[1].prompt_tokens


@pytest.mark.moves_prefix(reason="a rewind is an epoch", times=1)
def test_the_facts_of_the_session_are_told_again_where_the_rewind_took_them(speaker: Begin) -> None:
    person = speaker(Script("One.", "Another."))
    person.say("One?")
    rewind.undo(person.app.session)
    person.say("Another one?")

    told = [e.message.text for e in person.app.session.history.entries if e.message.tag == "system_injected"]
    assert len(told) == 1
    assert told[0].startswith("[Session context: Today is")


@pytest.mark.moves_prefix(reason="a rewind is an epoch", times=1)
def test_words_while_a_turn_runs_begin_no_turn(speaker: Begin) -> None:
    person = speaker(Script(LOOK, "One.", "Two."))
    waiting = ["And this."]
    person.app.agent.steering = lambda: (waiting.pop(),) if waiting else ()
    person.say("One?")
    assert [turn.text for turn in rewind.turns(person.app.session)] == ["One?"]
    rewind.undo(person.app.session)
    assert texts(person) == []
    person.say("Two?")


@pytest.mark.moves_prefix(reason="an undo is an epoch", times=1)
@pytest.mark.parametrize("model", MODELS)
def test_a_turn_that_was_cut_off_can_be_undone_and_redone(speaker: Begin, model: str) -> None:
    """Results that were made up for the calls left open are one batch with the next words; undo cuts through it."""
    person = speaker(Script(LOOK, "Two.", "Three."), model=model, **MODELS[model])
    person.say("One?", until=lambda event: isinstance(event, ToolStarted))
    person.say("Two?")
    sent = person.everything[-1]
    rewind.undo(person.app.session)
    rewind.redo(person.app.session)
    person.say("Three?")
    last = person.everything[-1]
    assert [block.canonical for block in last.blocks][: len(sent.blocks)] == [b.canonical for b in sent.blocks]
    assert last.read == last.perfect_read

    rewind.undo(person.app.session)
    rewind.undo(person.app.session)
    person.say("Again?")
    last = person.everything[-1]
    assert last.read == last.perfect_read
    assert "Again?" in str(last.json)
    assert "Two?" not in str(last.json)


def test_a_damaged_journal_is_not_rewound(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."))
    person.say("One?")
    person.say("Two?")
    seq = rewind.turns(person.app.session)[0].seq
    person.leave()
    path = person.folder / "journal.jsonl"
    lines = path.read_bytes().split(b"\n")
    damaged = next(index for index, line in enumerate(lines) if b'"kind":"response"' in line)
    lines[damaged] = lines[damaged].replace(b'"usage"', b'"usagf"')
    path.write_bytes(b"\n".join(lines))
    person.come_back()
    with pytest.raises(JournalError, match=f"line {damaged + 1} of this session is damaged"):
        rewind.rewind(person.app.session, seq)
    assert texts(person) == ["One?", "Two?"]


@pytest.mark.moves_prefix(reason="a rewind is an epoch", times=1)
def test_the_journal_only_grows(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."))
    person.say("One?")
    path = person.folder / "journal.jsonl"
    before = path.read_bytes()
    rewind.undo(person.app.session)
    person.say("Two?")

    assert path.read_bytes().startswith(before)
    kinds: list[Any] = [json.loads(json.dumps(record.data)) for record in read_records(path) if record.kind == "epoch"]
    assert [kind["reason"].split(":")[0] for kind in kinds] == ["start", "undo"]
