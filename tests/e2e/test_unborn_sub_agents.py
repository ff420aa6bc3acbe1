"""Sub-agents that were killed while their journals were being made: every command takes what is left of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path

import pytest

from harness.simulator import Simulator
from tests.delegating import FORK, WRITER, Brain, cut_journal, records, skill, tool
from tests.delegating import call as delegated
from tests.e2e.lab import Lab

Start = Callable[..., Simulator]
YOLO = ("--permission-mode", "yolo")


def left(copied: Sequence[bytes], birth: bytes) -> dict[str, bytes | None]:
    """Journals as a kill leaves them. copied: the lines before the birth; None: there is none yet."""
    half = copied[: len(copied) // 2 + 1]
    return {
        "nothing": None,
        "an empty journal": b"",
        "a torn first line": copied[0][:60],
        "half of its beginning": copied[0] + copied[1][:60],
        "half of it, torn": b"".join(half) + copied[len(half)][:-9],
        "all of it": b"".join(copied),
        "a torn birth": b"".join(copied) + birth[:-9],
    }


def plant(agents: Path, name: str, journals: dict[str, bytes | None], blobs: Path) -> list[Path]:
    """Folders of sub-agents that were never born."""
    made = []
    for number, raw in enumerate(journals.values()):
        folder = agents / f"{name}{number}"
        folder.mkdir(parents=True, mode=0o700)
        if number:
            (folder / "lock").write_bytes(b" " * 512)
        if raw is not None:
            (folder / "journal.jsonl").write_bytes(raw)
        if raw and b"\n" in raw:
            shutil.copytree(blobs, folder / "blobs")
        made.append(folder)
    return made


def before_birth(folder: Path, number: int = 0) -> tuple[list[bytes], bytes]:
    """The lines of a journal before one of its births, and the line of that birth."""
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    births = [place for place, line in enumerate(lines) if b'"kind":"born","prev"' in line]
    return lines[: births[number]], lines[births[number]]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def looked_at(lab: Lab, session: Path) -> None:
    """Every command that looks at a session: each takes it as it is, and changes nothing of it."""
    before = tree(session)
    (lab.folder / "looked").mkdir()
    for words in (
        ("replay", session.name),
        ("replay", session.name, "--json"),
        ("sessions", "list", "--json"),
        ("sessions", "show", session.name),
        ("sessions", "search", "Outer"),
        ("cache", session.name),
        ("cache", session.name, "--json"),
        ("cache", "audit", "--json"),
        ("cache", "list"),
        ("cache", "prune"),
        ("doctor", "--offline", "--json"),
        *(
            ("sessions", "export", session.name, "--output", str(lab.folder / "looked" / f"as{end}"))
            for end in (".md", ".html", ".json", ".tar.gz")
        ),
    ):
        ran = lab.run(*words)
        assert ran.code == 0, (words, ran.out, ran.err)
    assert tree(session) == before


@pytest.mark.parametrize("front", [WRITER, FORK.replace("grep", "invoke_skill")], ids=["fresh", "fork"])
def test_whatever_a_kill_left_of_one(lab: Lab, vendor: Start, front: str) -> None:
    skill(lab.project, "outer", front)
    skill(lab.project, "inner", FORK)
    tasks = {
        "one": [[delegated("inner", "two")], [tool("glob", pattern="*")], "Outer done."],
        "two": [[tool("glob", pattern="*")], "Inner done."],
    }
    sim = vendor(Brain([[delegated("outer", "one")], "I go on."], tasks), branches=True)
    assert lab.run("-p", "go", *YOLO).code == 0
    (session,) = lab.sessions()
    (outer,) = (session / "agents").iterdir()
    (inner,) = (outer / "agents").iterdir()
    # killed while the outer one worked
    cut_journal(session, "intent")
    lines = (outer / "journal.jsonl").read_bytes().splitlines(keepends=True)
    last = max(place for place, line in enumerate(lines) if b'"kind":"subagent"' in line)
    (outer / "journal.jsonl").write_bytes(b"".join([*takewhile(lambda line: line != lines[last], lines), lines[last]]))
    unborn = [
        *plant(session / "agents", "20990101-000000-a", left(*before_birth(outer)), outer / "blobs"),
        *plant(outer / "agents", "20990101-000000-b", left(*before_birth(inner, -1)), inner / "blobs"),
    ]

    looked_at(lab, session)
    elsewhere = {"XDG_STATE_HOME": str(lab.folder / "elsewhere")}
    assert lab.run("sessions", "import", str(lab.folder / "looked" / "as.tar.gz"), env=elsewhere).code == 0
    before = len(sim.requests)
    ran = lab.run("-c", "-p", *YOLO, "--output-format", "json")

    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["answer"] == "I go on."
    assert not [folder for folder in unborn if folder.exists()]
    assert [path.name for path in (session / "agents").iterdir()] == [outer.name]
    assert [path.name for path in (outer / "agents").iterdir()] == [inner.name]
    told = [(record.data["child"], record.data["end"]) for record in records(session, "subagent")]
    assert told == [(outer.name, "lost"), (outer.name, "done")]
    assert {record.data["child"] for record in records(outer, "subagent")} == {inner.name}
    # two of the outer one, one of the session: what was answered before the kill was not asked for again
    assert len(sim.requests) == before + 3
    shutil.rmtree(lab.folder / "looked")
    looked_at(lab, session)

    again = lab.run("-r", session.name, "-p", *YOLO, env=elsewhere)
    assert (again.code, again.out) == (0, "I go on.\n"), again.err
