"""Records `tests/recorded/small`: a session with calls, a cut output, a side request, a compaction, an undone turn.

Invariant: what is recorded is what the program itself wrote against the simulator. It is recorded again when what the
model sees is changed on purpose; the diff of tests/golden then says why.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from harness.agent.rewind import undo
from harness.simulator import Clock, Rules, Simulator
from tests.speaker import Script, Speaker

TARGET = Path(__file__).parent / "small"
PLACE = Path(tempfile.gettempdir()) / "harness-recorded"
"""Where it is recorded: the paths in it are those of no machine."""

ANSWERS = (
    [
        {"thinking": "I should look first."},
        {"text": "I look.\u2028Odd \u00e9 \U0001f600 text."},
        {"call": "glob", "input": {"pattern": "*"}},
        {"call": "read", "input": {"path": "long.txt"}},
    ],
    [{"call": "write", "input": {"path": "notes.txt", "content": "Seen: a long file.\n"}}],
    "It is a long file.",
    "This is said twice: the turn is undone.",
    [{"call": "edit", "input": {"path": "notes.txt", "old": "long", "new": "very long"}}],
    "On we go.",
)


def record(target: Path, place: Path) -> None:
    """Record the session in one folder, working in another."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    simulator = Simulator(Script(*ANSWERS), Rules(minimum=1), clock=Clock(ticking=False))
    simulator.start()
    person = Speaker(simulator, place)
    try:
        (person.project / "long.txt").write_text("a line of a long file\n" * 200)
        (person.project / "AGENTS.md").write_text("Use four spaces.\n")
        person.options = replace(person.options, permission_mode="yolo")
        person.begin_anew()
        person.app.agent.runner._budget = lambda _used: 1_200
        person.say("Look around, and write down what you see.")
        person.aside()
        person.say("And now?")
        undo(person.app.session)
        person.come_back(permission_mode="yolo")
        person.say("Go on otherwise.")
        simulator.clock.advance(700.0)
        person.say("And once more, after a while.")
        folder = person.folder
    finally:
        person.close()
        simulator.stop()
    shutil.rmtree(target, ignore_errors=True)
    # a lock names the machine
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("lock", "forks"))
    shutil.rmtree(place)


if __name__ == "__main__":
    record(TARGET, PLACE)
