"""What decides no byte is proved too: verdicts, costs, reasons, what was not sent, what is told of sub-agents."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.conversation.lines import Record
from harness.providers.catalog import Catalog
from harness.replay.report import Report
from harness.replay.verify import verify
from tests.delegating import FORK, Brain, call, skill
from tests.replay.eventful import recorded
from tests.replay.tampering import replayed_by, tampered
from tests.replay.test_planted_changes import Plant
from tests.speaker import Speaker

Data = dict[str, Any]


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A session in which much happens, and its fork, beside each other."""
    with recorded(tmp_path_factory.mktemp("eventful")) as both:
        yield both


def beside(session: Path, to: Path, change: Callable[[Record, Data], None]) -> Path:
    """A copy of a session and its relatives, in which the session itself was changed."""
    shutil.copytree(session.parent, to)
    shutil.rmtree(to / session.name)
    return tampered(session, to / session.name, change)


def told(folder: Path) -> Report:
    return verify(folder, Catalog.load())


def test_everything_is_judged_again(sessions: tuple[Path, Path]) -> None:
    for session in (*sessions, *(sessions[0] / "agents").iterdir()):
        report = told(session)

        assert report.equal, report
        assert report.reads == report.requests > 0
        assert report.verdicts == report.answers > 0
        assert report.agents_proved == report.agents


def hit(data: Data) -> bool:
    return bool(data["verdict"]["kind"] == "hit")


def missed(data: Data) -> bool:
    return bool(data["verdict"]["kind"] == "vendor stripped")


def fresh_part(data: Data) -> bool:
    return bool(data["requests"] > 0)


CHANGES: dict[str, tuple[Plant, str]] = {
    "the kind of a verdict": (
        Plant("response", lambda d: d["verdict"].update(kind="evicted"), hit),
        "verdict: kind",
    ),
    "the cause of a miss": (
        Plant("response", lambda d: d["verdict"].update(cause="the moon"), missed),
        "verdict: cause",
    ),
    "the tokens that were lost": (Plant("response", lambda d: d["verdict"].update(lost=0), missed), "verdict: lost"),
    "the price of a miss": (Plant("response", lambda d: d["verdict"].update(price=9.0), missed), "verdict: price"),
    "the block of a verdict": (Plant("response", lambda d: d["verdict"].update(block=3), hit), "verdict: block"),
    "what was read, in a verdict": (Plant("response", lambda d: d["verdict"].update(read=1), hit), "verdict: read"),
    "a cost": (Plant("response", lambda d: d.update(cost=0.5), hit), "cost"),
    "a price": (Plant("model", lambda d: d["price"].update(output=1.0), lambda d: "sonnet" in d["model"]), "cost"),
    "what the vendor said besides": (
        Plant("response", lambda d: d["extra"].update(said="well done"), hit),
        "what the vendor said besides",
    ),
    "the cause of an expected read": (
        Plant("request", lambda d: d["expected"].update(cause="the moon"), lambda d: d["expected"]["cause"]),
        "expected read",
    ),
    "an entry of another line": (
        Plant(
            "request",
            lambda d: d["expected"]["left_behind"].update(tokens=7),
            lambda d: d["expected"]["left_behind"] and d["expected"]["left_behind"]["tokens"],
        ),
        "expected read",
    ),
    "an entry of another session": (
        Plant(
            "request",
            lambda d: d.update(
                foreign=[{"digest": d["markers"][-1]["digest"], "tokens": 7, "used": d["started"], "ttl": "5m"}]
            ),
            lambda d: d["wire"] == "anthropic" and d["kind"] == "side",
        ),
        "expected read",
    ),
    "a body's digest that is gone": (Plant("request", lambda d: d.pop("body"), at=1), "request: body"),
    "what an expected read rests on, gone": (
        Plant("request", lambda d: d["expected"].pop("left_behind"), at=1),
        "expected read",
    ),
    "words of a refused answer": (
        Plant("unsent", lambda d: d["blocks"][0].update(text="I do.")),
        "answer that is not sent back: unsent block 1",
    ),
    "a refused answer, gone": (Plant("unsent", lambda d: d["blocks"].clear()), "answer that is not sent back: unsent"),
    "why a refused answer is not sent back": (Plant("unsent", lambda d: d.update(stop="end_turn")), "answer that is"),
    "an undo that says it is a clear": (
        Plant("epoch", lambda d: d.update(reason="clear"), lambda d: d["reason"].startswith("undo")),
        "epoch clear",
    ),
    "a clear that says it is a compaction": (
        Plant("epoch", lambda d: d.update(reason="compaction: asked for"), lambda d: d["reason"] == "clear"),
        "epoch compaction",
    ),
    "a compaction that says it is a rewind": (
        Plant(
            "epoch",
            lambda d: d.update(reason="rewind: to before record 9"),
            lambda d: d["reason"].startswith("compaction"),
        ),
        "epoch rewind",
    ),
    "a rewind to another turn": (
        Plant("epoch", lambda d: d.update(reason="undo: turn 99999"), lambda d: d["reason"].startswith("rewind")),
        "epoch undo",
    ),
    "the requests of a sub-agent": (Plant("subagent", lambda d: d.update(requests=9), fresh_part), "sub-agent s"),
    "the cost of a sub-agent": (Plant("subagent", lambda d: d.update(cost=9.0), fresh_part), "sub-agent s"),
    "the skill of a sub-agent": (Plant("subagent", lambda d: d.update(skill="other")), "sub-agent s"),
    "the model of a sub-agent": (Plant("subagent", lambda d: d.update(model="other/one")), "sub-agent s"),
    "what a sub-agent read first": (Plant("subagent", lambda d: d["first"].update(read=7)), "sub-agent s"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_what_decides_no_byte(name: str, sessions: tuple[Path, Path], tmp_path: Path) -> None:
    change, where = CHANGES[name]
    plant = Plant(change.kind, change.change, change.fits, change.at)

    report = told(beside(sessions[0], tmp_path / "sessions", plant))

    assert report.damage == []
    assert report.found is not None, report
    assert report.found.divergence.where.startswith(where), report.found


@pytest.fixture
def kin(speaker: Callable[..., Speaker]) -> Path:
    """A session whose sub-agent read again what it reads next, while time went by."""
    caller = ([call("look", "alpha")], "Done.")
    brain = Brain(caller, {"alpha": ("Alpha found it.",)})

    def slow(request: dict[str, Any]) -> Any:
        person.simulator.clock.advance(5.0)
        return brain(request)

    person = speaker(slow, minimum=1)
    skill(person.project, "look", FORK)
    person.say("Look.")
    return person.folder


@pytest.mark.branches("a sub-agent speaks on its caller's line", times=1)
def test_an_entry_that_no_relative_tells_of_is_found(kin: Path, tmp_path: Path) -> None:
    """Entry and expected read fit each other, and no bill of anyone gives such an entry."""
    leaning = Plant("request", lambda d: d["foreign"][0].update(used=d["foreign"][0]["used"] + 1), leans)

    found = told(tampered(kin, tmp_path / "session", leaning)).found

    assert told(kin).reads == told(kin).requests == 2
    assert found is not None
    assert found.divergence.where == "entry of another session"


def leans(data: Data) -> bool:
    return bool(data.get("foreign"))


@pytest.mark.branches("a sub-agent speaks on its caller's line", times=1)
def test_what_rests_on_a_relative_that_is_gone_is_not_proved(kin: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(kin, tmp_path / "copy"))

    assert told(copy).reads == 2  # another name of the folder does not part it from its sub-agents

    shutil.rmtree(copy / "agents")
    report = told(copy)

    assert report.equal, report
    assert (report.requests, report.reads, report.verdicts, report.agents_proved) == (2, 1, 1, 0)


def test_figures_of_a_sub_agent_that_is_gone_are_not_proved(sessions: tuple[Path, Path], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(sessions[0], tmp_path / "copy"))
    shutil.rmtree(copy / "agents")

    report = told(copy)

    assert report.equal
    assert (report.agents_proved, report.agents > 0) == (0, True)


RULES = [
    ("the verdict", "audit/verdict.py", "if usage.read >= max(expected, 1):", "if usage.read > expected:", "verdict"),
    ("the cost", "audit/cost.py", "usage.output * price.output", "usage.output * price.input", "cost"),
]


@pytest.mark.parametrize(("file", "old", "new", "where"), [pytest.param(*one[1:], id=one[0]) for one in RULES])
def test_a_change_of_a_rule(
    file: str, old: str, new: str, where: str, sessions: tuple[Path, Path], tmp_path: Path
) -> None:
    found = replayed_by(tmp_path, sessions[0], file, old, new)

    assert found["divergence"]["where"].startswith(where), found
