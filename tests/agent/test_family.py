"""Forks share what the vendor keeps, and a damaged journal loses what is damaged only."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from harness.agent.renderings import Renderings
from harness.agent.session import Session
from harness.conversation.blocks import Block, Message, Tag, Text
from harness.conversation.request import Fragment
from harness.providers.anthropic import Anthropic
from tests.delegating import FRESH, Brain, skill
from tests.delegating import call as delegated
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]
CALLS = [{"call": "todo", "input": {"items": []}} for _ in range(30)]


@pytest.mark.moves_prefix(reason="the parent goes on where its fork had gone another way", times=1)
def test_what_a_fork_read_is_alive_for_its_parent(speaker: Begin) -> None:
    person = speaker(Script("One.", CALLS, "Three.", "Four."))
    person.say("One?")
    person.say("Two?")
    parent, tail = person.id, person.mainline[-1]
    person.simulator.clock.advance(200)
    person.come_back(fork=True)
    person.say("In the fork.")
    person.simulator.clock.advance(200)
    person.come_back(parent)
    person.say("In the parent.")

    # written 400 s ago, read by the fork 200 s ago
    assert person.mainline[-1].read == person.mainline[-1].perfect_read == tail.prompt_tokens
    assert person.verdicts()[-1] == "hit"


def test_a_fork_begins_an_epoch_with_its_reason_and_hits(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."))
    person.say("One?")
    parent = person.id
    person.come_back(fork=True)
    person.say("Two?")

    assert [record.data.get("parent") for record in person.records("epoch")] == [None, parent]
    assert person.mainline[-1].read == person.mainline[0].prompt_tokens
    assert person.verdicts() == ["first", "hit"]


@pytest.mark.moves_prefix(reason="a rewind is an epoch", times=1)
def test_a_rewind_by_a_fork_reads_what_is_left(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two.", "Three."))
    person.say("One?")
    until = person.app.session.history.entries[-1].seq
    person.say("Two?")
    session = person.app.session
    source = session.journal.folder
    fork = Session.fork_of(source, source.with_name("rewound"), session.seam, until)
    fork.close()
    person.come_back("rewound")
    person.say("Another two?")

    assert person.mainline[-1].read == person.mainline[0].prompt_tokens == person.mainline[-1].perfect_read
    assert person.verdicts() == ["first", "hit"]


def damage(person: Speaker, kind: str) -> None:
    """Flip a byte in the first record of a kind."""
    path = person.folder / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    index = next(i for i, line in enumerate(lines) if json.loads(line)["kind"] == kind)
    lines[index] = lines[index].replace(b'"kind"', b'"kinD"')
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize("kind", ["request", "response", "epoch", "rendering"])
@pytest.mark.parametrize("fork", [False, True])
def test_a_damaged_record_does_not_end_the_session(speaker: Begin, kind: str, fork: bool) -> None:
    person = speaker(Script("One.", "Two.", "Three."))
    person.say("One?")
    person.say("Two?")
    person.leave()
    damage(person, kind)
    person.come_back()
    if fork:
        person.come_back(fork=True)

    # rendered again, the bytes are the same: nothing moves
    assert person.answer("Three?") == "Three."


def exclaimed(block: Block) -> Block:
    return Text(block.text + "!") if isinstance(block, Text) else block


class Reworded(Anthropic):
    """A later version of the program that would render a person's words differently."""

    def render(self, batch: Sequence[Message], after: Tag | None) -> Sequence[tuple[Fragment, ...]]:
        return super().render(
            [replace(message, blocks=tuple(map(exclaimed, message.blocks))) for message in batch], after
        )


def reworded(person: Speaker) -> Anthropic:
    """Takes the place of the session's provider, whose connections it closes."""
    person.let_go()
    return Reworded(person.app.model.id, person.simulator.url, "k", person.seam, 5.0, {})


def test_another_version_sends_what_was_rendered_and_words_only_what_is_new(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."))
    person.say("One?")
    person.come_back()
    person.app.agent.channel = replace(person.app.agent.channel, provider=reworded(person))
    person.say("Two?")

    texts = [message["content"][0]["text"] for message in person.mainline[-1].json["messages"]]
    assert texts[1:] == ["One?", "One.!", "Two?!"]


def forget_what_was_sent(session: Session) -> None:
    """What a bug of ours would do: the conversation in memory is rendered anew, and otherwise."""
    session.projections._projections.clear()
    session.projections.renderings = Renderings(session.journal)


@pytest.mark.moves_prefix(reason="a byte is moved on purpose", times=1)
def test_a_moved_byte_is_ours_and_the_journal_has_block_diff_and_price(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."))
    person.say("One?")
    session = person.app.session
    before = len(person.mainline[0].blocks)
    forget_what_was_sent(session)
    person.app.agent.channel = replace(person.app.agent.channel, provider=reworded(person))
    person.say("Two?")

    first, second = person.records("response")
    verdict = second.data["verdict"]
    assert verdict["kind"] == "ours"
    assert verdict["block"] == before - 2, "the context message is the first that moved"
    assert "became" in verdict["diff"]
    assert "!" in verdict["diff"]
    assert verdict["lost"] == first.data["usage"]["written_5m"] - verdict["read"]
    assert verdict["price"] == pytest.approx(verdict["lost"] * (6.25 - 0.50) / 1e6)


def test_a_moved_byte_is_not_sent_where_that_was_asked(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."))
    person.say("One?")
    forget_what_was_sent(person.app.session)
    person.app.agent.channel = replace(person.app.agent.channel, provider=reworded(person), strict_prefix=True)
    with pytest.raises(Exception, match="does not extend its line: message 1 block 1: "):
        person.say("Two?")

    assert len(person.mainline) == 1


def test_a_session_resumes_as_it_was_left(speaker: Begin) -> None:
    person = speaker(Script("One.", CALLS[:2], "Two."))
    person.say("One?")
    person.say("Two?")
    left: Session = person.app.session
    person.come_back()
    found = person.app.session

    assert found.history.entries == left.history.entries
    assert found.history.context == left.history.context
    assert found.requests.ledger == left.requests.ledger
    assert found.totals == left.totals
    assert found.requests.sent == left.requests.sent
    assert found.prefix == left.prefix


@pytest.mark.branches(reason="a sub-agent begins anew", times=1)
@pytest.mark.parametrize(("seconds", "read"), [(60.0, True), (25 * 3600.0, False)])
def test_a_sub_agent_is_read_again_only_while_something_of_it_can_be_alive(
    speaker: Begin, seconds: float, read: bool
) -> None:
    person = speaker(Brain([[delegated("look", "one")], "Thanks."], {"one": ["Done."]}), minimum=1)
    skill(person.project, "look", FRESH)
    person.say("Go.")
    left = person.app.session.requests.ledger
    person.simulator.clock.advance(seconds)
    person.come_back()

    assert (person.app.session.requests.ledger == left) is read
