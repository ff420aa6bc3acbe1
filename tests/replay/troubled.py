"""A session in which much goes wrong: what a journal has of retries, failures, models that stand in, caches, going on.

Invariant: what is recorded is what the program itself wrote, over real HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.agent.effort_change import NOW
from harness.agent.resumption import resume_turn
from harness.conversation.events import ResponseDone
from harness.simulator import Fault, Rules, said
from tests.delegating import FRESH, call, skill, tool
from tests.replay.eventful import everything, person_at
from tests.speaker import Speaker

CALLED = "wrote made.txt"
FIRST_EVENTS = {"kind": "drop", "after": 1, "times": 1}
ANSWERS: dict[str, Any] = {
    "Kept": "Kept.",
    "Search": [tool("grep", pattern="needle", path="hay.txt")],
    "Count": [tool("shell", command="seq 1 100000")],
    "Cut": [tool("shell", command=f"cat {name}.txt") for name in ("lines", "line", "two", "three", "four")],
    "Write": [tool("write", path="made.txt", content="made\n")],
    "Send again": {"answer": [tool("glob", pattern="*")], "fault": FIRST_EVENTS},
    "Delegate": [call("outer", "Go deep")],
    "Go deep": [call("inner", "Go on")],
    "Think": [{"thinking": "Hm."}, {"text": "I thought."}],
}
"""By the words that were said last, the answer; whatever else was said, it is over."""


def brain(request: dict[str, Any]) -> Any:
    """The next answer."""
    last = said(request)[-1]
    for words, answer in ANSWERS.items():
        if words in last.texts[-1] if last.texts else False:
            return answer
    return "Done."


CUT = {
    "lines": "a line of many\n" * 300,
    "line": "x" * 3_000 + "\n" + "y" * 3_000,
    "two": "é" * 2_500,
    "three": "a" + "€" * 2_000,
    "four": "ab" + "😀" * 1_500,
}
"""What is cut at line ends, in lines, and at each byte of characters of several."""


def cut(person: Speaker, *, kept: bool) -> None:
    """Outputs that are longer than their share. kept: whether there is room for the whole of them."""
    runner = person.app.agent.runner
    budget, spill = runner._budget, runner._spill
    runner._budget = lambda _used: 0
    if not kept:
        file = person.project.parent / "no folder"
        file.write_text("")
        runner._spill = replace(spill, folder=file)
    person.say("Cut.")
    runner._budget, runner._spill = budget, spill


def record(person: Speaker) -> Path:
    """Let it all happen; gives the session's folder."""
    project, config = person.project, person.project.parent / "home" / ".config" / "harness"
    (config / "config.toml").write_text(
        'fallback_model = "openai/gpt-6.1-sol"\n[caches]\ntool_outputs = "session"\n[caches.tools]\ngrep = "1h"\n'
    )
    (project / "hay.txt").write_text("a needle\n" * 3_000)
    for name, text in CUT.items():
        (project / f"{name}.txt").write_text(text)
    skill(project, "outer", FRESH)
    skill(project, "inner", FRESH)
    person.options = replace(person.options, permission_mode="yolo", response_cache="user")
    person.begin_anew()
    person.say("Kept, later.")
    person.begin_anew()
    person.say("Kept, later.")
    person.app.session.record("title", {"title": "A hard day"})
    person.come_back(response_cache="off")
    person.say("Search.")
    person.say("Search.")
    person.say("Write.")
    turn = [one.seq for one in person.records("message") if one.data["tag"] == "person"][-1]
    person._runner.run(person.app.checkpoints.undo(turn))
    person._runner.run(person.app.checkpoints.redo(None))
    person.say("Send again.")
    person.simulator.fault(Fault("status"))
    person.say("Think once.")
    person.simulator.fault(Fault("status", times=3))
    person.say("Think twice.")
    person.say("Think again.")
    person.simulator.clock.advance(3600.0)
    person.say("Think, back again.")
    person.say("Delegate.")
    person.say("Write.", until=lambda event: isinstance(event, ResponseDone))
    person.come_back()
    everything(person, resume_turn(person.app.agent))
    person.app.switch("openai/gpt-6.1-sol")
    person.say("Think elsewhere.")
    typed = ["And be quick."]
    person.app.agent.steering = lambda: [typed.pop()] if typed else []
    person.say("Search.")
    person.app.switch("claude-opus-4-8")
    person.say("Think at home.")
    person.answers = [NOW]
    person.change_effort("low")
    person.say("Think less.")
    person.say("Count.")
    cut(person, kept=True)
    cut(person, kept=False)
    source = person.leave()
    person.come_back(fork=True)
    person.say("Think in a fork.")
    person.come_back(source)
    person.say("Think behind it.")
    return person.folder


@contextmanager
def recorded(folder: Path) -> Iterator[Path]:
    """The session, recorded in a folder."""
    with person_at(folder, brain, {"": Rules(minimum=1), "openai": Rules(minimum=1)}) as person:
        yield record(person)
