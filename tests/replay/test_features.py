"""Whatever a session does, its requests can be made again from its journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.agent import rewind
from harness.audit.book import read_book
from harness.conversation.events import ThinkingDelta
from harness.conversation.lines import read_records
from harness.providers.catalog import Catalog
from harness.replay.report import Report
from harness.replay.verify import verify
from tests.delegating import FORK, FRESH, Brain, call, children, cut_journal, skill, tool
from tests.replay.eventful import SUMMARY, everything, recorded
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]


def proved(folder: Path) -> Report:
    """A report of a session that is equal, with requests."""
    report = verify(folder, Catalog.load())
    assert report.equal, (report.found, report.damage)
    assert report.requests == report.bodies > 0
    return report


def test_everything_at_once(tmp_path: Path) -> None:
    with recorded(tmp_path) as (session, fork):
        kinds = {record.kind for record in read_records(session / "journal.jsonl")}
        reasons = [
            r.data["reason"].partition(":")[0] for r in read_records(session / "journal.jsonl") if r.kind == "epoch"
        ]
        wires = {r.data["wire"] for r in read_records(session / "journal.jsonl") if r.kind == "request"}
        sub_agents = sorted((session / "agents").iterdir())

        assert kinds >= {"kept", "refrozen", "wire_prefix", "subagent", "setting", "unsent", "rendering", "model"}
        assert reasons == ["start", "compaction", "undo", "redo", "rewind", "clear"]
        assert wires == {"anthropic", "openai-responses", "openai-chat"}
        assert proved(session).requests >= 30
        assert proved(fork).requests > proved(session).requests
        assert len(sub_agents) >= 4
        for folder in sub_agents:
            proved(folder)


@pytest.mark.moves_prefix("a cleared conversation, and going back to the one before it", times=2)
def test_what_is_gone_back_to_stands_behind_its_own_system_blocks(speaker: Begin) -> None:
    person = speaker(Script("One."), minimum=1)
    person.say("one")
    turn = rewind.turns(person.app.session)[0]
    (person.project / "AGENTS.md").write_text("Always write in teal.\n")
    person.app.clear()
    person.say("two")
    rewind.rewind(person.app.session, turn.seq)
    person.say("three")

    assert proved(person.folder).requests == 3


@pytest.mark.branches("each sub-agent speaks on its caller's line", times=3)
def test_sub_agents_that_go_on_with_their_callers_conversation(speaker: Begin) -> None:
    caller = [tool("glob", pattern="*"), call("look", "alpha"), call("part", "beta"), call("look", "gamma")]
    tasks = {name: (f"{name} found it.",) for name in ("alpha", "beta", "gamma")}
    person = speaker(Brain([caller], tasks), minimum=1)
    skill(person.project, "look", FORK)
    skill(person.project, "part", FRESH)
    person.say("Look.")

    proved(person.folder)
    assert len(children(person)) == 3
    for folder in children(person):
        proved(folder)


def test_a_memory_that_is_announced_with_its_title(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."), minimum=1)
    person.say("one")
    memory = person.project.parent / "home" / ".config" / "harness" / "memory"
    memory.mkdir()
    (memory / "editor.md").write_text("# How Ada (a person) edits\n- Tabs.\n")
    (memory / "zebra.md").write_text("# Stripes; the skill recall reads them\n")
    (person.project / ".harness" / "memory").mkdir(parents=True)
    (person.project / ".harness" / "memory" / "releases.md").write_text("# Releases\n")
    skill(person.project, "deploy", "")
    person.say("two")

    assert "Memory added: person/editor (How Ada" in person.app.session.history.entries[-3].message.text
    assert proved(person.folder).requests == 2


@pytest.mark.refusals("a vendor may refuse what cannot be sent back")
def test_an_answer_with_a_lone_surrogate(speaker: Begin) -> None:
    person = speaker(Script("odd \ud800 text", "Two."), minimum=1)
    person.say("one")
    person.say("two")

    assert proved(person.folder).requests == 2


def test_an_answer_that_broke_off_before_anything_was_shown_and_was_asked_for_again(speaker: Begin) -> None:
    broken = {"answer": [tool("glob", pattern="*")], "fault": {"kind": "drop", "after": 1, "times": 1}}
    person = speaker(Script(broken, "Done."), minimum=1)
    person.say("one")

    kinds = [record.kind for record in read_records(person.folder / "journal.jsonl")]
    report = proved(person.folder)

    assert kinds.count("retry") == 1
    assert report.verdicts == report.answers == 2


def test_a_price_that_changes_with_a_day_is_that_of_each_request(speaker: Begin) -> None:
    """The journal says what was billed by, so that a later table, and one of another person, changes nothing of it."""
    person = speaker(Script("One.", "Two."), minimum=1)
    catalog = person.project.parent / "home" / ".config" / "harness" / "catalog.toml"
    row = '[models."anthropic/claude-opus-4-8"]\nlater."2026-06-01" = { input = 500, output = 2500 }\n'
    catalog.write_text(catalog.read_text() + row)
    person.come_back(model="claude-opus-4-8")  # a session that has not spoken is begun anew
    person.say("one")
    person.simulator.clock.advance(30 * 86_400)
    person.say("two")
    first, second = (record.data["cost"] for record in person.records("response"))
    prices = [record.data["price"]["input"] for record in person.records("model")]

    assert prices == [5, 500]
    assert second > 50 * first > 0
    assert proved(person.folder).requests == 2
    book = read_book(read_records(person.folder / "journal.jsonl"), Catalog.load(catalog.parent).find)
    assert [row.bill == pytest.approx(row.cost, rel=0.2) for row in book.rows] == [True, True], "output aside"


def test_a_cached_answer_that_was_interrupted_tells_the_whole_bill_of_the_first(speaker: Begin) -> None:
    thought = [{"thinking": "I think of this and of that."}, {"text": "So."}]
    person = speaker(Script(thought), minimum=1)
    person.options = replace(person.options, response_cache="user")
    person.begin_anew()
    person.say("Think.")
    person.begin_anew()
    person.say("Think.", until=lambda event: isinstance(event, ThinkingDelta))

    (answer,) = person.records("response")
    assert (answer.data["stop"], "cached" in answer.data) == ("interrupted", True)
    assert answer.data["cached"]["usage"]["output"] > 1, "the beginning of its stream says one"
    proved(person.folder)


def clear(person: Speaker) -> None:
    person.app.clear()


def compact(person: Speaker) -> None:
    everything(person, person.app.compaction.compactor.run("asked for"))


@pytest.mark.moves_prefix("a conversation that begins anew")
@pytest.mark.parametrize(
    ("kind", "began", "again"),
    [
        ("kept", compact, compact),
        ("refrozen", compact, compact),
        ("refrozen", clear, clear),
        ("kept", compact, clear),
        ("refrozen", compact, clear),
    ],
)
def test_what_was_written_for_an_epoch_that_a_kill_held_back(
    kind: str, began: Callable[[Speaker], None], again: Callable[[Speaker], None], speaker: Begin
) -> None:
    person = speaker(Script("One.", SUMMARY, SUMMARY, SUMMARY), minimum=1)
    person.say("one " * 20_000)
    person.say("two")
    (person.project / "AGENTS.md").write_text("Always write in teal.\n")
    began(person)
    person.leave()
    cut_journal(person.folder, kind)
    person.come_back()
    again(person)
    person.say("three")

    assert len(list(person.records(kind))) > 1 or again is clear
    assert [one.data["reason"].partition(":")[0] for one in person.records("epoch")][1:] == [
        "compaction" if again is compact else "clear"
    ]
    proved(person.folder)


def test_an_effort_that_is_wanted_already_is_not_told_again(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."), "sonnet", minimum=1)
    person.say("one")
    for _ in range(3):
        person.change_effort("low")
    person.say("two")
    person.change_effort("low")

    assert len(list(person.records("setting"))) == 1
    assert proved(person.folder).requests == 2
