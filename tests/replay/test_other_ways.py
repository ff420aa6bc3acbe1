"""`harness replay ID --from K`: compactions, models of every wire, one result of many, damage, cached responses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.simulator import Rules, Simulator, said
from tests.conftest import Start
from tests.e2e.lab import Lab, call
from tests.replay.eventful import everything
from tests.replay.test_another_way import went
from tests.speaker import Speaker
from tests.vendors import reach

SUMMARY = "# Task\nLook at the notes.\n# Next\nGo on with what is said last, and keep the notes as they are."


class Model:
    """Reads two files at once, says what it saw in words.txt, ends; sums up where it is asked to."""

    def __call__(self, request: dict[str, Any]) -> Any:
        """The next answer, on any wire."""
        last = said(request)[-1]
        if "[Side request" in "".join(last.texts):
            return SUMMARY
        words = "".join(last.texts)
        heard = [text for message in said(request) for text in message.every] if "Go on." in words else last.every
        seen = next((text for text in reversed(heard) if "word is" in text), "")
        if not seen and "Look for it." in words:
            return [call("read", path="notes.txt"), call("read", path="other.txt")]
        if not seen:
            return "Done."
        return [call("write", path="word.txt", content=seen.split("word is ")[-1].split("\n")[0] + "\n")]


@pytest.fixture
def lab(tmp_path: Path, isolation: Path) -> Lab:
    made = Lab(tmp_path, isolation, "http://127.0.0.1:9")
    made.project.mkdir()
    (made.project / "notes.txt").write_text("the word is red\n")
    (made.project / "other.txt").write_text("the word is pink\n")
    return made


@pytest.fixture
def recorded(lab: Lab, simulator: Start) -> Lab:
    lab.url = simulator(Model(), minimum=1).url
    ran = lab.run("-p", "Look for it.")
    assert ran.code == 0, ran.err
    assert (lab.project / "word.txt").read_text() == "pink\n"
    return lab


def figures(lab: Lab, session: str, first: int, last: int | None = None) -> dict[str, Any]:
    """Sums of the rows that `harness cache` shows of a session, from one request to another."""
    ran = lab.run("cache", session, "--json")
    assert ran.code == 0, ran.err
    rows = json.loads(ran.out)["requests"][first:last]
    names = ("prompt_tokens", "read_tokens", "output_tokens")
    sums = {name: sum(row[name] for row in rows) for name in names}
    return sums | {"requests": len(rows), "cost_usd": pytest.approx(sum(row["cost_usd"] for row in rows))}


def shown(made: dict[str, Any]) -> dict[str, Any]:
    return {name: made[name] for name in ("requests", "prompt_tokens", "read_tokens", "output_tokens", "cost_usd")}


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(1, marks=pytest.mark.branches("the other way is a fork", times=1)),
        pytest.param(2, marks=pytest.mark.branches("the other way is a fork", times=1)),
        3,
    ],
)
def test_figures_of_both_ways_are_those_of_the_cache_report(step: int, recorded: Lab) -> None:
    (first,) = recorded.sessions()

    found = went(recorded, "--from", str(step))

    assert shown(found["recorded"]) == figures(recorded, first.name, step - 1)
    assert shown(found["other"]) == figures(recorded, found["session"], step - 1)
    assert found["recorded"]["requests"] == 4 - step
    assert recorded.run("replay", found["session"]).code == 0


@pytest.mark.moves_prefix("another result is an epoch of its own", times=1)
def test_one_result_of_two_calls_at_once_is_another(recorded: Lab) -> None:
    (first,) = recorded.sessions()

    found = went(recorded, "--from", "2", "--edit", "the word is blue\n")

    (fork,) = (path for path in recorded.sessions() if path != first)
    results = next(r for r in reversed(recorded.records(fork)) if r.kind == "kept").data["blocks"]
    assert [texts(one) for one in results] == ["     1\tthe word is red", "the word is blue\n"]
    assert (Path(found["folder"]) / "other" / "word.txt").read_text() == "blue\n"
    assert recorded.run("replay", found["session"]).code == 0


def texts(result: dict[str, Any]) -> str:
    return "".join(part["text"] for part in result["content"])


@contextmanager
def vendors(lab: Lab) -> Iterator[None]:
    """Vendors of the other wires, beside that of the session."""
    servers = {
        "openai": Simulator(Model(), Rules(minimum=1)),
        "deepseek": Simulator(
            Model(), Rules(profile="deepseek", strict_alternation=True, reasoning_echo="all", minimum=1)
        ),
    }
    main = Simulator(Model(), Rules(minimum=1))
    for server in (main, *servers.values()):
        server.start()
    try:
        environment, catalog = reach(main, servers)
        lab.extra |= environment
        folder = lab.home / ".config" / "harness"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "catalog.toml").write_text(catalog)
        yield
    finally:
        for server in (main, *servers.values()):
            server.stop()


@pytest.mark.parametrize(
    "model", ["anthropic/claude-sonnet-5-5", "openai/gpt-6.1-sol", "openai-chat/deepseek/deepseek-v4-pro"]
)
@pytest.mark.parametrize("step", [1, 2])
def test_a_model_of_another_wire(step: int, model: str, recorded: Lab) -> None:
    with vendors(recorded):
        found = went(recorded, "--from", str(step), "--model", model)

        (fork,) = (path for path in recorded.sessions() if path.name == found["session"])
        asked = [r.data["model"] for r in recorded.records(fork) if r.kind == "request"]
        assert asked[step - 1 :] == [model] * (4 - step)
        assert (Path(found["folder"]) / "other" / "word.txt").read_text() == "pink\n"
        assert shown(found["other"]) == figures(recorded, found["session"], step - 1)
        assert recorded.run("replay", found["session"]).code == 0


@pytest.mark.moves_prefix("a compaction, and the other way from before it or in another folder", times=2)
@pytest.mark.parametrize(("step", "before"), [(3, True), (5, False)])
def test_before_and_after_a_compaction(step: int, before: bool, lab: Lab, speaker: Callable[..., Speaker]) -> None:
    """Requests 1 to 3 are a turn, 4 is the compaction's own, 5 to 7 are the turn after it."""
    person = speaker(Model(), minimum=1)
    for name in ("notes.txt", "other.txt"):
        (person.project / name).write_text((lab.project / name).read_text() + "a line that is only long\n" * 700)
    person.say("Look for it.")
    everything(person, person.app.compaction.compactor.run("asked for"))
    person.say("Look for it. Again.")
    session = person.leave()
    lab.url, lab.home = person.simulator.url, Path(person.seam.environment()["HOME"])
    lab.extra |= person.seam.environment()

    side = lab.run("replay", session, "--from", "4")
    found = went_in(lab, session, "--from", str(step))

    assert side.lines == ["harness: request 4 is a side request, which nothing goes on from; name another"]
    assert shown(found["recorded"]) == figures(lab, session, step - 1, 3 if before else None)
    assert shown(found["other"]) == figures(lab, found["session"], step - 1)
    assert lab.run("replay", found["session"]).code == 0


def went_in(lab: Lab, session: str, *flags: str) -> dict[str, Any]:
    ran = lab.run("replay", session, "--json", *flags)
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_a_damaged_session_is_refused_in_one_line(recorded: Lab) -> None:
    (first,) = recorded.sessions()
    path = first / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Look for it", b"Look for me", 1))

    ran = recorded.run("replay", first.name, "--from", "2")

    assert ran.code == 1
    assert len(ran.lines) == 1
    assert "is damaged, so nobody can tell what was said before a request" in ran.lines[0]
    assert recorded.sessions() == [first]


@pytest.mark.branches("the other way is a fork", times=1)
def test_a_session_with_cached_responses(lab: Lab, simulator: Start) -> None:
    lab.url = simulator(Model(), minimum=1).url
    flags = ("--response-cache", "user", "-p", "Look for it.")
    assert lab.run(*flags).code == 0
    (lab.project / "word.txt").unlink()
    assert lab.run(*flags).code == 0
    second = next(
        path for path in lab.sessions() if any("cached" in r.data for r in lab.records(path) if r.kind == "response")
    )

    ran = lab.run("replay", second.name, "--from", "1", "--json")
    found = json.loads(ran.out)

    assert ran.code == 0, ran.err
    assert (found["recorded"]["requests"], found["recorded"]["cost_usd"]) == (3, 0.0)
    assert found["other"]["cost_usd"] > 0
    assert found["files"] == []
    assert lab.run("replay", second.name).code == 0
    assert lab.run("replay", found["session"]).code == 0
