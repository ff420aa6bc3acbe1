"""What sub-agents said is found, and the hit says whose it is; what a fork took over is its caller's alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.seam import Seam
from harness.sessions import index
from harness.sessions.store import Store
from harness.sessions.texts import Found
from harness.simulator import Simulator
from tests.delegating import Brain, call, skill, tool
from tests.e2e.lab import Lab

pytestmark = pytest.mark.branches(reason="an outer and an inner sub-agent, and the caller beside its fork", times=2)


@pytest.fixture
def delegated(lab: Lab, simulator: Callable[..., Simulator]) -> Lab:
    """A session whose fork calls a fresh sub-agent, which reads a file."""
    (lab.project / "notes.txt").write_text("a pangolin sleeps\n")
    tasks = {
        "alpha": [[call("inner", "beta")], "The heron told it."],
        "beta": [[tool("read", path="notes.txt")], "It is a quokka."],
    }
    lab.url = simulator(Brain([[call("outer", "alpha")], "A heron, then."], tasks), minimum=1).url
    skill(lab.project, "outer", "context: fork\nallowed-tools: invoke_skill read\n")
    skill(lab.project, "inner", "context: fresh\nallowed-tools: read\n")
    assert lab.run("-p", "find the wombat", "--permission-mode", "yolo").code == 0
    return lab


def ids(lab: Lab) -> tuple[str, str, str]:
    """The session, its sub-agent, and that one's."""
    (session,) = lab.sessions()
    (outer,) = (session / "agents").iterdir()
    (inner,) = (outer / "agents").iterdir()
    return session.name, outer.name, inner.name


def search(state: Path, *words: str) -> list[Found]:
    def work(opened: index.Index) -> list[Found]:
        folders = Store(state).all()
        opened.figures(folders)
        return [*opened.search(folders, words)]

    return index.use(state, work)


def where(found: list[Found]) -> list[tuple[str, str]]:
    return [(one.skill, one.speaker) for one in found]


def test_a_hit_names_the_sub_agent_and_who_called_it(delegated: Lab, state: Path) -> None:
    session, outer, inner = ids(delegated)

    assert search(state, "wombat") == [Found(session, search(state, "wombat")[0].seq, "person", "find the wombat")]
    (pangolin,) = search(state, "pangolin")
    assert (pangolin.session, pangolin.agent, pangolin.skill, pangolin.caller) == (session, inner, "inner", outer)
    assert where(search(state, "heron")) == [("", "result"), ("", "answer"), ("outer", "answer")]
    assert where(search(state, "quokka")) == [("outer", "result"), ("inner", "answer")]
    assert ("inner", "caller") in where(search(state, "Task: beta"))


def test_it_is_printed_and_told_as_json(delegated: Lab) -> None:
    session, outer, inner = ids(delegated)

    out = delegated.run("sessions", "search", "quokka").out
    assert out.startswith(f"found in 1 of 1 session in {delegated.project}\n\n{session} · ")
    groups = {
        f"  sub-agent outer · {outer}\n  result ",
        f"  sub-agent inner · {inner} of {outer}\n  answer It is a quokka.\n",
    }
    assert all(group in out for group in groups), out
    (hits,) = json.loads(delegated.run("sessions", "search", "pangolin", "--json").out)
    assert hits["session"]["id"] == session
    assert [hit["sub_agent"] for hit in hits["found"]] == [{"id": inner, "skill": "inner", "caller": outer}]


def test_what_a_sub_agent_adds_is_read_on_and_what_is_gone_is_not_found(delegated: Lab, state: Path) -> None:
    session, outer, inner = ids(delegated)
    path = state / "sessions" / session / "agents" / outer / "agents" / inner / "journal.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    at = next(place for place, line in enumerate(lines) if b"pangolin" in line)
    path.write_bytes(b"".join(lines[:at]))
    assert where(search(state, "pangolin")) == []

    path.write_bytes(whole)
    assert where(search(state, "pangolin")) == [("inner", "result")]
    assert where(search(state, "Task: beta")).count(("inner", "caller")) == 1, "nothing is there twice"

    born = next(place for place, line in enumerate(lines) if b'"kind":"born"' in line)
    path.write_bytes(b"".join(lines[:born]))
    assert where(search(state, "pangolin")) == where(search(state, "Task: beta")) == []

    Store(state).delete(state / "sessions" / session, Seam())
    assert search(state, "quokka") == []


def test_one_that_cannot_be_read_hides_no_other(delegated: Lab, state: Path) -> None:
    session, outer, inner = ids(delegated)
    path = state / "sessions" / session / "agents" / outer / "agents" / inner / "journal.jsonl"
    path.rename(aside := path.with_name("aside"))
    path.mkdir()

    assert where(search(state, "heron")) == [("", "result"), ("", "answer"), ("outer", "answer")]

    path.rmdir()
    aside.rename(path)
    assert where(search(state, "pangolin")) == [("inner", "result")]


def test_an_index_without_them_is_made_anew(delegated: Lab, state: Path) -> None:
    search(state, "pangolin")
    with sqlite3.connect(state / index.FILE) as database:
        database.execute("PRAGMA user_version = 1")
        database.execute("DROP TABLE agents")
        database.execute("ALTER TABLE places DROP COLUMN agent")
    database.close()

    assert delegated.run("sessions", "search", "pangolin").code == 0
    assert where(search(state, "pangolin")) == [("inner", "result")]
