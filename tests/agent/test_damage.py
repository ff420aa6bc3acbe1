"""Sessions with a hole in the middle: whatever is lost, the vendor takes the next request, and the model is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.agent.rewind import undo
from harness.conversation.blocks import Message, Text, ToolCall, ToolResult
from harness.conversation.history import Entry
from harness.conversation.lines import Reader
from harness.conversation.repair import LOST_MESSAGE, LOST_RESULT, mended
from harness.errors import JournalError
from tests.agent.test_compaction import compact
from tests.agent.test_resumption import summing
from tests.e2e.lab import call
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]

CALLS = (ToolCall("a", "read", {}), ToolCall("b", "read", {}))
ANSWER = Entry(4, Message("answer", CALLS))
WORDS = Entry(9, Message("person", (Text("and on"),)))


def result(name: str) -> ToolResult:
    return ToolResult(name, (Text(f"result {name}"),))


def entry(seq: int, *results: ToolResult) -> Entry:
    return Entry(seq, Message("results", results))


def shape(parts: list[Entry | Message]) -> list[str]:
    """Tag and content of each part, in short; what is new has a sign."""
    told = []
    for part in parts:
        message = part.message if isinstance(part, Entry) else part
        sign = "" if isinstance(part, Entry) else "+"
        ids = [
            f"{b.call_id}{'!' if b.content == (Text(LOST_RESULT),) else ''}"
            for b in message.blocks
            if isinstance(b, ToolResult)
        ]
        told.append(sign + " ".join([message.tag, *ids]))
    return told


def test_what_is_whole_stays_as_it_is() -> None:
    whole = [ANSWER, entry(6, result("a"), result("b")), WORDS]

    assert mended(whole, []) == whole
    assert mended([*whole, ANSWER], []) == [*whole, ANSWER]  # open at the end: healed when the turn begins


@pytest.mark.parametrize(
    ("left", "lost", "shown"),
    [
        ([ANSWER, WORDS], [6], ["answer", "+results a! b!", "+program", "person"]),
        ([entry(6, result("a"), result("b")), WORDS], [4], ["+program", "person"]),
        ([ANSWER, entry(6, result("b")), WORDS], [], ["answer", "+results a! b", "person"]),
        ([ANSWER, entry(6, result("a"), result("b"), result("c")), WORDS], [], ["answer", "+results a b", "person"]),
        ([ANSWER, entry(6, result("a"), result("b"))], [8], ["answer", "results a b", "+program"]),
        ([ANSWER], [6], ["answer", "+results a! b!", "+program"]),
        ([WORDS], [3, 4, 5], ["+program", "person"]),
        ([], [3], ["+program"]),
    ],
)
def test_each_call_has_one_result_and_no_result_stands_alone(
    left: list[Entry], lost: list[int], shown: list[str]
) -> None:
    parts = mended(left, lost)

    assert shape(parts) == shown
    assert all(LOST_MESSAGE in part.text for part in parts if isinstance(part, Message) and part.tag == "program")


def lose(journal: Path, seq: int) -> None:
    """Break the line of one record."""
    lines = journal.read_bytes().splitlines(keepends=True)
    (place,) = [at for at, line in enumerate(lines) if f'"seq":{seq},'.encode() in line[-60:]]
    journal.write_bytes(b"".join([*lines[:place], b"?" + lines[place][1:], *lines[place + 1 :]]))


def whole_session(speaker: Begin) -> tuple[Speaker, Path, list[int]]:
    """A session of three turns with tools; its journal, and the numbers of its records after the beginning."""
    person = speaker(
        Script(
            [call("glob", pattern="*"), call("glob", pattern="x")],
            "One.",
            "Two.",
            [call("glob", pattern="*")],
            "Three.",
        )
    )
    for words in ("One?", "Two?", "Three?"):
        person.say(words)
    journal = person.folder / "journal.jsonl"
    return person, journal, [record.seq for record in Reader(journal)][3:]


@pytest.mark.moves_prefix(reason="messages of the middle are lost")
def test_any_record_may_be_lost(speaker: Begin) -> None:
    person, journal, seqs = whole_session(speaker)
    original = person.id
    whole = journal.read_bytes()
    refused = person.simulator.refused
    for seq in seqs[:-1]:  # the last would be a torn tail
        person.leave()
        journal.write_bytes(whole)
        lose(journal, seq)
        person.come_back(original)
        assert len(person.app.session.journal.warnings()) == 1
        assert person.answer("Go on.") != ""
        assert refused == [], seq
        with pytest.raises(JournalError, match="damaged"):
            undo(person.app.session)
        epochs = len(person.app.session.epochs)
        person.come_back(original)
        # what was mended is not mended again
        assert len(person.app.session.epochs) == epochs
        person.answer("And on.")
        assert refused == [], seq


@pytest.mark.moves_prefix(reason="messages of the middle are lost")
def test_the_model_is_told_and_the_copy_knows_it_too(speaker: Begin) -> None:
    person, journal, _ = whole_session(speaker)
    lost = next(r.seq for r in Reader(journal) if r.kind == "message" and r.data["tag"] == "results")
    person.leave()
    lose(journal, lost)

    person.come_back(fork=True)
    person.say("Go on.")

    sent = str(person.mainline[-1].json["messages"])
    assert LOST_RESULT in sent
    assert LOST_MESSAGE in sent
    assert person.app.session.epochs[-1].startswith("rewind: lost behind record ")
    assert person.verdicts()[-1] != "ours"
    person.come_back()
    assert person.app.session.journal.whole(0, lost - 1)
    assert not person.app.session.journal.whole(0, lost + 1)


@pytest.mark.moves_prefix(reason="messages of the middle are lost")
def test_lost_data_is_a_lost_record(speaker: Begin) -> None:
    person = speaker(Script("x" * 50_000, "Two.", "Three."))
    person.say("One?")
    person.say("Two?")
    person.leave()
    answer = next(r for r in Reader(person.folder / "journal.jsonl") if r.data.get("tag") == "answer")
    name = answer.data["blocks"][0]["text"]["blob"]
    (person.folder / "blobs" / name[:2] / name).unlink()

    person.come_back()

    (warning,) = person.app.session.journal.warnings()
    assert "session data is missing" in warning
    assert person.answer("Three?") == "Two."  # of two answers, as the model sees it
    assert LOST_MESSAGE in str(person.mainline[-1].json["messages"])
    assert person.simulator.refused == []


@pytest.mark.moves_prefix(reason="a compaction is an epoch")
def test_what_a_compaction_kept_does_not_need_what_it_stands_for(speaker: Begin) -> None:
    person = speaker(summing("One. " * 5_000, "Two.", "Three."))
    person.say("One?")
    person.say("Two?")
    compact(person)
    kept = [entry.seq for entry in person.app.session.history.entries]
    origin = person.app.session.history.origin(kept[-1])
    assert origin != kept[-1]
    person.leave()
    lose(person.folder / "journal.jsonl", origin)

    person.come_back()

    assert [entry.seq for entry in person.app.session.history.entries] == kept
    assert len(person.app.session.journal.warnings()) == 1
    assert person.answer("Three?") == "Two."  # of one answer, as the model sees it
    assert person.simulator.refused == []
