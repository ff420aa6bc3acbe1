"""The journal read as a conversation; what a crash left open is healed by appending."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import given

from harness.conversation.blobs import Blobs
from harness.conversation.blocks import Block, Image, Message, Text, Thinking, ToolCall, ToolResult
from harness.conversation.history import INTERRUPTED, MAY_HAVE_RUN, History
from harness.conversation.lines import Record
from harness.conversation.stored import read_block, read_message, write_block, write_message

CALLS = tuple(ToolCall(f"c{number}", "shell", {}) for number in range(3))


class Fold:
    """A history fed by records that are numbered as they come."""

    def __init__(self, folder: Path) -> None:
        self.blobs = Blobs(folder)
        self.history = History(self.blobs, lambda seq: self.records[seq].data)
        self.records: list[Record] = []

    def take(self, kind: str, data: Any) -> None:
        self.records.append(Record(len(self.records), kind, 0.0, data))
        self.history.apply(self.records[-1])

    def say(self, message: Message, **more: Any) -> None:
        self.take("message", write_message(message, self.blobs) | more)


def healed(history: History) -> list[tuple[str, str, bool]]:
    message = history.healing()
    assert message is not None
    assert message.tag == "results"
    results = [block for block in message.blocks if isinstance(block, ToolResult)]
    return [(r.call_id, "".join(p.text for p in r.content if isinstance(p, Text)), r.is_error) for r in results]


def test_each_open_call_is_healed_by_what_is_known_of_it(tmp_path: Path) -> None:
    fold = Fold(tmp_path)
    fold.say(Message("answer", CALLS))
    done = ToolResult("c0", (Text("it ran"),))
    fold.take("intent", {"call_id": "c0"})
    fold.take("tool_done", {"result": write_block(done, fold.blobs)})
    fold.take("intent", {"call_id": "c1"})

    assert healed(fold.history) == [("c0", "it ran", False), ("c1", MAY_HAVE_RUN, True), ("c2", INTERRUPTED, True)]
    assert "may have run" in MAY_HAVE_RUN
    assert "Interrupted" in INTERRUPTED


def test_nothing_is_healed_where_nothing_is_open(tmp_path: Path) -> None:
    fold = Fold(tmp_path)
    assert fold.history.healing() is None
    fold.say(Message("answer", (Text("done"),)))
    assert fold.history.healing() is None
    fold.say(Message("answer", CALLS))
    fold.say(Message("results", tuple(ToolResult(call.id, (Text("x"),)) for call in CALLS)))
    assert fold.history.healing() is None
    fold.say(Message("person", (Text("hi"),)))
    assert fold.history.healing() is None


def test_a_result_of_an_earlier_answer_heals_no_later_call(tmp_path: Path) -> None:
    fold = Fold(tmp_path)
    fold.say(Message("answer", CALLS[:1]))
    fold.take("tool_done", {"result": write_block(ToolResult("c0", (Text("old"),)), fold.blobs)})
    fold.say(Message("results", (ToolResult("c0", (Text("old"),)),)))
    fold.say(Message("answer", (ToolCall("c9", "shell", {}),)))

    assert healed(fold.history) == [("c9", INTERRUPTED, True)]


def test_a_resume_knows_what_the_session_knew(tmp_path: Path) -> None:
    fold = Fold(tmp_path)
    fold.say(Message("system_injected", (Text("[Session context: …]"),)), context={"today": "2026-05-13"})
    fold.say(Message("answer", CALLS, partial=False))
    fold.take("intent", {"call_id": "c2"})
    again = History(fold.blobs, lambda seq: fold.records[seq].data)
    for record in fold.records:
        again.apply(record)

    assert again.entries == fold.history.entries
    assert again.context == {"today": "2026-05-13"}
    assert healed(again) == healed(fold.history)
    assert again.knows_call("c1")
    assert not again.knows_call("c7")


texts = st.text(st.characters(exclude_categories=["Cs"]))
parts = st.one_of(st.builds(Text, texts), st.builds(Image, st.just("image/png"), st.just("aGk=")))
arguments = st.dictionaries(texts, st.none() | st.integers() | texts | st.lists(texts))
blocks: st.SearchStrategy[Block] = st.one_of(
    parts,
    st.builds(Thinking, texts, texts, texts, texts),
    st.builds(ToolCall, texts, texts, arguments, texts),
    st.builds(ToolResult, texts, st.lists(parts).map(tuple), st.booleans()),
)


@given(block=blocks)
def test_every_block_comes_back_from_the_journal(tmp_path_factory: Any, block: Block) -> None:
    blobs = Blobs(tmp_path_factory.mktemp("blobs"))

    assert read_block(write_block(block, blobs), blobs) == block


@given(message=st.builds(Message, st.sampled_from(["person", "answer"]), st.lists(blocks).map(tuple), st.booleans()))
def test_every_message_comes_back_from_the_journal(tmp_path_factory: Any, message: Message) -> None:
    blobs = Blobs(tmp_path_factory.mktemp("blobs"))

    assert read_message(write_message(message, blobs), blobs) == message
