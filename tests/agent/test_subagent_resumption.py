"""Sub-agents that were cut off with their caller: they go on where they were, and are counted once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from harness.agent.cut_turn import cut_turn
from harness.agent.resumption import resume_turn
from harness.conversation.history import INTERRUPTED, MAY_HAVE_RUN
from harness.conversation.journal import Journal
from harness.providers.catalog import Catalog
from harness.replay.verify import verify
from harness.simulator import Fault, said
from tests.agent.test_compaction import SUMMARY, compact, run
from tests.agent.test_damage import lose
from tests.delegating import FORK, FRESH, WRITER, Brain, call, children, cut_journal, records, results, skill, tool
from tests.speaker import Speaker

Begin = Callable[..., Speaker]


def slow(name: str) -> list[Any]:
    return [[tool("glob", pattern="*")], [tool("ask_user", question=f"Which {name}?")], "Done."]


def cut(person: Speaker, count: int, **options: Any) -> None:
    """A turn that is stopped when so many sub-agents wait for the person, or for another one to be answered first."""
    person.answers = []
    person.thinks = 60
    person.come_back(**{"model": "claude-opus-4-8", **options})

    async def stopped() -> None:
        turn = asyncio.ensure_future(person._say("Go.", None, ()))
        while not person.asked or len(list(person.folder.glob("agents/*"))) < count or not asks(person):
            assert not turn.done()
            await asyncio.sleep(0.01)
        turn.cancel()
        await asyncio.wait([turn])

    person._runner.run(stopped())


def asks(person: Speaker) -> bool:
    """Whether every sub-agent that works, and waits for none of its own, has come to its question."""
    found = [*person.folder.glob("**/agents/*")]
    ended = {r.data["child"] for path in (person.folder, *found) for r in records(path, "subagent")}
    working = [path for path in found if path.name not in ended]
    leaves = [path for path in working if not any(path in other.parents for other in working)]
    answers = [[r.data for r in records(path, "message") if r.data["tag"] == "answer"] for path in leaves]
    return all("ask_user" in str(said) for said in answers)


def go_on(person: Speaker, *, back: bool) -> None:
    if back:
        person.come_back()
    person.thinks = 0
    run(person, resume_turn(person.app.agent))


def counted_once(person: Speaker) -> None:
    totals = person.app.session.totals
    assert totals.requests == len(person.mainline)
    assert totals.usage.prompt == sum(request.prompt_tokens for request in person.mainline)
    person.come_back()
    assert person.app.session.totals == totals
    person.leave()
    for folder in (person.folder, *children(person)):
        assert verify(folder, Catalog.load(None)).equal


@pytest.mark.branches(reason="sub-agents go another way", times=2)
@pytest.mark.parametrize("back", [False, True], ids=["in the same run", "in another"])
@pytest.mark.parametrize("front", ["context: fork\nallowed-tools: glob ask_user\n", FRESH], ids=["fork", "fresh"])
def test_several_go_on_where_they_were(speaker: Begin, front: str, back: bool) -> None:
    brain = Brain([[call("deep", "one"), call("deep", "two")], "Later."], {"one": slow("one"), "two": slow("two")})
    person = speaker(brain, minimum=1)
    skill(person.project, "deep", front)
    cut(person, 2)
    before = len(person.mainline)
    assert before == 1 + 2 * 2
    assert str(cut_turn(person.app.session)) == "the last turn was cut off at step 1: 2 invoke_skill may have run"

    go_on(person, back=back)

    assert results(person) == ["Done.", "Done."]
    assert len(person.mainline) == before + 2 + 1
    assert [record.data["end"] for record in person.records("subagent")] == ["interrupted"] * 2 + ["done"] * 2
    assert [len(records(child, "born")) for child in children(person)] == [1, 1]
    assert all(request.read == request.perfect_read for request in person.mainline[before:])
    counted_once(person)


@pytest.mark.moves_prefix(reason="its caller is compacted")
@pytest.mark.parametrize("front", [FORK.replace("grep", "ask_user"), FRESH], ids=["fork", "fresh"])
def test_it_goes_on_although_its_caller_was_compacted(speaker: Begin, front: str) -> None:
    script = Brain(["One. " * 3_000, [call("deep", "one")]], {"one": slow("one")})

    def brain(request: dict[str, Any]) -> Any:
        last = "".join(said(request)[-1].every)
        return SUMMARY if "[Side request" in last else "Later." if last == "Done." else script(request)

    person = speaker(brain, minimum=1)
    skill(person.project, "deep", front)
    person.come_back()  # with the skill in its list, as a compaction would freeze it
    person.say("One?")
    cut(person, 1)
    compact(person)
    assert str(cut_turn(person.app.session)) == "the last turn was cut off at step 1: invoke_skill may have run"
    before = len(person.mainline)

    go_on(person, back=True)

    assert results(person) == ["Done."]
    assert len(person.mainline) == before + 1 + 1
    assert "ours" not in person.verdicts()
    person.leave()
    for folder in (person.folder, *children(person)):
        assert verify(folder, Catalog.load(None)).equal


@pytest.mark.branches(reason="a sub-agent begins anew", times=2)
def test_one_of_another_goes_on_too(speaker: Begin) -> None:
    outer = [[call("inner", "two")], "Outer done."]
    brain = Brain([[call("outer", "one")], "Later."], {"one": outer, "two": slow("two")})
    person = speaker(brain, minimum=1)
    skill(person.project, "outer", WRITER)
    skill(person.project, "inner", FRESH)
    cut(person, 1, permission_mode="yolo")
    before = len(person.mainline)

    person.come_back(permission_mode="yolo")
    person.thinks = 0
    run(person, resume_turn(person.app.agent))

    assert results(person) == ["Outer done."]
    assert len(person.mainline) == before + 3
    counted_once(person)


@pytest.mark.branches(reason="a sub-agent begins anew", times=1)
def test_stopped_while_it_is_opened_again_it_can_still_go_on(speaker: Begin) -> None:
    person = speaker(Brain([[call("deep", "one")], "Later."], {"one": slow("one")}), minimum=1)
    skill(person.project, "deep", FRESH)
    cut(person, 1)
    (child,) = children(person)
    journal = Journal.open(child, person.seam)
    assert [*journal.load()]
    for number in range(30_000):  # takes a while to read
        journal.append("padding", {"number": number})
    journal.close()

    async def stopped() -> None:
        async with aclosing(resume_turn(person.app.agent)) as events:
            going_on = asyncio.ensure_future(_all(events))
            while '"intent"' not in (person.folder / "journal.jsonl").read_text().splitlines()[-1]:
                assert not going_on.done()
                await asyncio.sleep(0)
            await asyncio.sleep(0.02)
            going_on.cancel()
            await asyncio.wait([going_on])

    person._runner.run(stopped())
    go_on(person, back=False)
    assert results(person) == ["Done."]


def test_stopped_while_it_is_made_it_leaves_nothing(speaker: Begin) -> None:
    person = speaker(Brain([[call("look", "one")], "Later."], {"one": ["Found."]}), minimum=1)
    skill(person.project, "look", FORK)
    person.come_back()
    for number in range(30_000):  # takes a while to copy
        person.app.session.record("padding", {"number": number})

    async def stopped() -> None:
        turn = asyncio.ensure_future(person._say("Go.", None, ()))
        while not children(person):
            assert not turn.done()
            await asyncio.sleep(0)
        turn.cancel()
        await asyncio.wait([turn])

    person._runner.run(stopped())
    assert [child for child in children(person) if not records(child, "born")] == []
    assert str(cut_turn(person.app.session)) == "the last turn was cut off at step 1: invoke_skill may have run"
    go_on(person, back=True)
    assert "may have run" in str(person.mainline[-1].json)


@pytest.mark.branches(reason="a sub-agent begins anew", times=2)
@pytest.mark.refusals("the vendor fails once")
def test_what_one_that_had_failed_did_since_is_counted(speaker: Begin) -> None:
    """Killed before its failure was a result, and again while it went on."""
    brain = Brain(
        [[call("look", "one")], "Later."], {"one": [[tool("glob", pattern="*")], Fault("status", status=401)]}
    )
    person = speaker(brain, minimum=1)
    skill(person.project, "look", FRESH)
    person.say("Go.")
    assert [record.data["end"] for record in person.records("subagent")] == ["failed"]
    person.leave()
    cut_journal(person.folder, "subagent")
    brain.tasks = {"one": [[tool("glob", pattern="*")], "Found."]}
    go_on(person, back=True)
    assert results(person) == ["Found."]
    person.leave()
    cut_journal(person.folder, "intent", -1)

    person.come_back()
    # its two, and the first one of its caller, whose later ones the journal does not know
    assert person.app.session.totals.requests == 3
    go_on(person, back=False)
    assert person.app.session.totals.requests == 4


@pytest.mark.branches(reason="a sub-agent begins anew", times=1)
@pytest.mark.parametrize("front", [FORK.replace("grep", "ask_user glob"), FRESH], ids=["fork", "fresh"])
def test_one_whose_birth_is_lost_does_not_go_on_and_stays(speaker: Begin, front: str) -> None:
    person = speaker(Brain([[call("deep", "one")], "Later."], {"one": slow("one")}), minimum=1)
    skill(person.project, "deep", front)
    cut(person, 1)
    person.leave()
    (child,) = children(person)
    assert [record.data["end"] for record in person.records("subagent")] == ["interrupted"]
    lose(child / "journal.jsonl", records(child, "born")[-1].seq)
    whole = (child / "journal.jsonl").read_bytes()

    go_on(person, back=True)

    assert "the record of its birth is lost" in person.app.session.journal.warnings()[0]
    (said_of_it,) = results(person)
    assert "the record of its birth is lost" in said_of_it
    assert (child / "journal.jsonl").read_bytes() == whole


async def _all(events: AsyncGenerator[Any]) -> None:
    async for _ in events:
        pass


@pytest.mark.branches(reason="a sub-agent begins anew", times=1)
def test_whoever_takes_a_session_from_another_machine_has_its_sub_agents_too(speaker: Begin) -> None:
    person = speaker(Brain([[call("deep", "one")], "Later."], {"one": slow("one")}), minimum=1)
    skill(person.project, "deep", FRESH)
    cut(person, 1)
    person.leave()
    elsewhere = json.dumps({"pid": 1, "host": "another", "boot": "another", "started": "1"})
    for folder in (person.folder, *children(person)):
        (folder / "lock").write_text(elsewhere)

    person.come_back(from_elsewhere=True)
    assert person.app.session.journal.warnings() == []
    go_on(person, back=False)
    assert results(person) == ["Done."]


@pytest.mark.branches(reason="it goes another way than its caller, in each run", times=2)
@pytest.mark.parametrize(("was", "now"), [(FORK, FRESH), (FRESH, FORK)], ids=["of a fork", "of a fresh one"])
def test_a_skill_that_changed_meanwhile_does_not_change_how_it_began(speaker: Begin, was: str, now: str) -> None:
    brain = Brain([[call("look", "one")], "Later."], {"one": [[tool("glob", pattern="*")], "Found."]})
    person = speaker(brain, minimum=1)
    skill(person.project, "look", was)
    person.say("Go.")
    person.leave()
    (child,) = children(person)
    cut_journal(person.folder, "intent")
    cut_journal(child, "born")
    skill(person.project, "look", now)

    go_on(person, back=True)

    assert results(person) == ["Found."]
    assert len(records(child, "born")) == 1
    context = records(child, "born")[0].data["context"]
    assert {record.data["context"] for record in person.records("subagent")} == {context}


@pytest.mark.branches(reason="sub-agents begin anew", times=2)
def test_the_turns_of_its_own_sub_agents_are_not_its_own(speaker: Begin) -> None:
    inner = [[tool("glob", pattern=str(n))] for n in range(3)]
    outer = [[call("inner", "two")], [tool("ask_user", question="Which?")], [tool("glob", pattern="*")], "Outer done."]
    person = speaker(Brain([[call("outer", "one")], "Later."], {"one": outer, "two": [*inner, "Inner."]}), minimum=1)
    skill(person.project, "outer", WRITER)
    skill(person.project, "inner", FRESH)
    cut(person, 1, permission_mode="yolo", max_turns=4)

    person.come_back(permission_mode="yolo", max_turns=4)
    person.thinks = 0
    run(person, resume_turn(person.app.agent))

    assert results(person) == ["Outer done."]
    assert [record.data["end"] for record in person.records("subagent")][-1] == "done"


STEP = ("answer", "intent", "tool_done")
"""What is recorded of a command: what the model said, that it begins, what it gave."""


@pytest.mark.branches(reason="it begins anew, where its task was not sent", times=5)
@pytest.mark.parametrize("front", [WRITER, "context: fork\n"], ids=["fresh", "fork"])
def test_killed_behind_any_of_its_records(speaker: Begin, front: str) -> None:
    """Its journal as any kill leaves it, its caller's as one does before anything was told of it."""
    steps = [
        [tool("shell", command="echo ran >> log")],
        [tool("glob", pattern="*"), tool("read", path="log")],
        "Found.",
    ]
    person = speaker(Brain([[call("look", "one")], "Later."], {"one": steps}), minimum=1)
    skill(person.project, "look", front)
    person.come_back(permission_mode="yolo")
    person.say("Go.")
    person.leave()
    (child,) = children(person)
    cut_journal(person.folder, "intent")
    callers, lines = (
        (folder / "journal.jsonl").read_bytes().splitlines(keepends=True) for folder in (person.folder, child)
    )
    (born,) = (number for number, line in enumerate(lines, 1) if b'"kind":"born","prev"' in line)
    for kept in range(born, len(lines) + 1):
        (person.folder / "journal.jsonl").write_bytes(b"".join(callers))
        (child / "journal.jsonl").write_bytes(b"".join(lines[:kept]))
        has = {kind for kind in STEP if any(f'"{kind}"'.encode() in line for line in lines[born:kept])}
        (person.project / "log").write_text("ran\n" if "intent" in has else "")

        person.come_back(permission_mode="yolo")
        go_on(person, back=False)

        assert results(person) == ["Found."], kept
        told = str(records(child, "message")[-4].data["blocks"])
        assert told.count("[exit 0]") == (has in ({*()}, {*STEP})), (kept, told)
        assert told.count(INTERRUPTED) == (has == {"answer"}), (kept, told)
        assert told.count(MAY_HAVE_RUN) == (has == {"answer", "intent"}), (kept, told)
        assert (person.project / "log").read_text() == ("" if has == {"answer"} else "ran\n"), kept
        assert [record.data["end"] for record in person.records("subagent")][-1] == "done"
        person.leave()
        for folder in (person.folder, child):
            report = verify(folder, Catalog.load(None))
            assert report.equal, (kept, folder, report.found)


@pytest.mark.branches(reason="it begins anew", times=1)
def test_killed_before_its_result_was_kept(speaker: Begin) -> None:
    person = speaker(
        Brain([[call("look", "one")], "Later."], {"one": [[tool("glob", pattern="*")], "Found."]}), minimum=1
    )
    skill(person.project, "look", FRESH)
    person.say("Go.")
    person.leave()
    (child,) = children(person)
    asked = len(person.mainline)
    cut_journal(person.folder, "subagent")

    go_on(person, back=True)

    assert results(person) == ["Found."]
    # the last answer of the caller again, and nothing of the sub-agent
    assert len(person.mainline) == asked + 1
    assert [record.data["end"] for record in person.records("subagent")][-1] == "done"
    assert len(records(child, "born")) == 1
