"""Sessions that earlier versions left behind are resumed by this one, and what it sends extends what they sent.

`tests/fixtures/journals` holds two real sessions for each released format, with blobs, a spilled output, odd
characters, an interrupted call and a fork; `scripts/record` makes them when the format changes.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.conversation.journal import FORMAT
from harness.conversation.lines import Reader, format_line, line_digest
from tests.e2e.conftest import Start
from tests.e2e.lab import Lab, Script, texts
from tests.fixtures.record import JOURNALS

FIXTURES = sorted(path for path in JOURNALS.iterdir() if path.is_dir())
SESSIONS = [
    pytest.param(fixture, name, id=f"{fixture.name}-{name}") for fixture in FIXTURES for name in ("s0001", "s0002")
]


def test_this_format_and_every_one_before_it_has_its_sessions() -> None:
    assert {f"format-{number}" for number in range(1, FORMAT + 1)} <= {path.name for path in FIXTURES}


@pytest.fixture
def left(lab: Lab) -> Lab:
    """A state folder without sessions."""
    (lab.state / "harness").mkdir(parents=True)
    return lab


@pytest.mark.parametrize(("fixture", "name"), SESSIONS)
def test_it_goes_on_where_it_was_left(fixture: Path, name: str, left: Lab, vendor: Start) -> None:
    sim = vendor(Script(*["fine"] * 20))
    shutil.copytree(fixture / "sessions", left.state / "harness" / "sessions")
    journal = left.state / "harness" / "sessions" / name / "journal.jsonl"
    before = journal.read_bytes()

    ran = left.run("-r", name, "-p", "go on", "--permission-mode", "yolo")
    again = left.run("-r", name, "-p", "and on", "--permission-mode", "yolo")

    assert [ran.code, again.code] == [0, 0], ran.err
    assert "damaged" not in ran.err
    assert "no whole record" not in ran.err
    assert sim.refused == []
    sent = json.loads((fixture / "last-requests.json").read_text())[name]
    first, second = [[block.sha256 for block in request.blocks] for request in sim.requests]
    assert first[: len(sent)] == sent
    assert second[: len(first)] == first
    if name == "s0001":
        assert "Interrupted: this call was not run." in texts(sim.requests[0].json)
    assert journal.read_bytes().startswith(before)
    reader = Reader(journal)
    assert len([*reader]) > before.count(b"\n")
    assert reader.damage == []


@pytest.mark.parametrize("fixture", [pytest.param(path, id=path.name) for path in FIXTURES])
def test_it_can_be_forked(fixture: Path, left: Lab, vendor: Start) -> None:
    sim = vendor(Script(*["fine"] * 20))
    shutil.copytree(fixture / "sessions", left.state / "harness" / "sessions")

    ran = left.run("-r", "s0002", "--fork", "-p", "another way")

    assert ran.code == 0, ran.err
    sent = json.loads((fixture / "last-requests.json").read_text())["s0002"]
    assert [block.sha256 for block in sim.requests[0].blocks][: len(sent)] == sent


def test_a_format_of_a_later_version_is_refused(left: Lab, vendor: Start) -> None:
    vendor(Script("one", "two"))
    assert left.run("-p", "hello").code == 0
    (session,) = left.sessions()
    from_later(session)

    ran = left.run("-r", session.name, "-p", "go on")

    assert ran.code == 1
    assert "was written by a newer version; update to resume it" in ran.err


def from_later(session: Path) -> None:
    """As a version would have written it that is not there yet."""
    path = session / "journal.jsonl"
    previous, lines = "", []
    for record in [*Reader(path)]:
        data = {**record.data, "format": FORMAT + 1} if record.kind == "session" else record.data
        lines.append(format_line(replace(record, data=data), previous))
        previous = line_digest(lines[-1][:-1])
    path.write_bytes(b"".join(lines))
