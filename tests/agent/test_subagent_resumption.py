"""Sub-agents that were cut off with their caller: they go on where they were, and are counted once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from harness.agent.resumption import cut_turn, resume_turn
from harness.providers.catalog import Catalog
from harness.replay.verify import verify
from tests.agent.test_compaction import run
from tests.delegating import FRESH, WRITER, Brain, call, children, records, results, skill, tool
from tests.speaker import Speaker

Begin = Callable[..., Speaker]


def slow(name: str) -> list[Any]:
    return [[tool("glob", pattern="*")], [tool("ask_user", question=f"Which {name}?")], "Done."]


def cut(person: Speaker, count: int, **options: str) -> None:
    """A turn that is stopped when so many sub-agents wait for the person, or for another one to be answered first."""
    person.answers = []
    person.thinks = 60
    person.come_back(model="claude-opus-4-8", **options)

    async def stopped() -> None:
        turn = asyncio.ensure_future(person._say("Go.", None, ()))
        while not person.asked or len(list(person.folder.glob("agents/*"))) < count or not asks(person):
            assert not turn.done()
            await asyncio.sleep(0.01)
        turn.cancel()
        await asyncio.wait([turn])

    person._runner.run(stopped())


def asks(person: Speaker) -> bool:
    """Whether every sub-agent without one of its own has come to its question."""
    folders = [path for path in person.folder.glob("**/agents/*") if not (path / "agents").exists()]
    answers = [[r.data for r in records(path, "message") if r.data["tag"] == "answer"] for path in folders]
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


@pytest.mark.parametrize(
    "last",
    [
        pytest.param("subagent", marks=pytest.mark.branches(reason="it begins anew", times=1)),
        pytest.param("born", marks=pytest.mark.branches(reason="it begins anew, twice in this test", times=2)),
    ],
)
def test_killed_around_its_work(speaker: Begin, last: str) -> None:
    """The journals as a kill leaves them: before its result was kept, or when it had only begun."""
    person = speaker(
        Brain([[call("look", "one")], "Later."], {"one": [[tool("glob", pattern="*")], "Found."]}), minimum=1
    )
    skill(person.project, "look", FRESH)
    person.say("Go.")
    person.leave()
    (child,) = children(person)
    asked = len(person.mainline)
    for folder, kind in ((person.folder, "subagent" if last == "subagent" else "intent"), (child, last)):
        path = folder / "journal.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        ends = [n for n, line in enumerate(lines, 1) if f'"{kind}"'.encode() in line]
        path.write_bytes(b"".join(lines[: ends[0]] if ends else lines))

    go_on(person, back=True)

    assert results(person) == ["Found."]
    # the last answer of the caller again, and where it had only begun, the sub-agent's two
    assert len(person.mainline) == asked + (1 if last == "subagent" else 3)
    assert [record.data["end"] for record in person.records("subagent")][-1] == "done"
    assert len(records(child, "born")) == 1
