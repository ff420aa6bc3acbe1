"""A session in which much happens: every kind of record that a request is made of, over three wires.

Invariant: what is recorded is what the program itself wrote, over real HTTP.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.agent import rewind
from harness.conversation.events import Event, TextDelta
from harness.simulator import Clock, Rules, Simulator, said
from tests.delegating import FORK, FRESH, Brain, call, skill, tool
from tests.speaker import Speaker

SUMMARY = "# Task\nKeep the fact: the colour is teal.\n# Next\nGo on."
RED = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
"""A PNG of one pixel."""

CALLER = (
    [
        {"thinking": "I should look first."},
        {"text": "I look."},
        tool("glob", pattern="*"),
        tool("read", path="long.txt"),
        tool("read", path="red.png"),
        tool("shell", command="seq 1 20000"),
        tool("read", path="nowhere.txt"),
        tool("edit"),
    ],
    [call("look", "alpha"), call("part", "beta"), tool("todo", items=[{"text": "one", "status": "pending"}])],
    "The colour is teal.",
)
TASKS = {
    "alpha": ([tool("grep", pattern="line", path="long.txt")], "Alpha found it."),
    "beta": ([tool("read", path="notes.txt")], "Beta found it."),
}


@dataclass
class Model:
    """Plays its part once, then answers what is asked in its last words."""

    part: Brain

    def __call__(self, request: dict[str, Any]) -> Any:
        """The next answer."""
        last = said(request)[-1]
        if "[Side request" in "".join(last.texts):
            return SUMMARY
        for words, answer in ANSWERS.items():
            if words in "".join(last.texts):
                return answer
        if any(text.startswith("wrote made.txt") for text in last.every):
            return "Written."
        return self.part(request)


ANSWERS: dict[str, Any] = {
    "cut it short": {"answer": [{"text": "This is cut"}], "stop": "max_tokens"},
    "output limit": "Going on.",
    "refuse": {"answer": [{"text": "I do not."}], "stop": "refusal"},
    "break off": {
        "answer": [{"text": "Half of an answer that never ends. " * 20}],
        "fault": {"kind": "drop", "after": 6, "times": 9},
    },
    "call again": [{"text": "Again."}, tool("write", path="made.txt", content="made\n")],
}


def record(person: Speaker) -> Path:
    """Let it all happen; gives the session's folder."""
    project, config = person.project, person.project.parent / "home" / ".config" / "harness"
    (project / "long.txt").write_text("a line of a long file\n" * 4_000)
    (project / "notes.txt").write_text("notes\n")
    (project / "red.png").write_bytes(base64.b64decode(RED))
    (project / "AGENTS.md").write_text("Use four spaces.\n")
    skill(project, "look", FORK)
    skill(project, "part", FRESH)
    person.options = replace(person.options, permission_mode="yolo")
    person.begin_anew()
    person.say("Look around.")
    (config / "memory").mkdir()
    (config / "memory" / "editor.md").write_text("# How Ada (a person) edits\n- Tabs.\n")
    skill(project, "deploy", "")
    person.say("Please call again.")
    person.change_effort("low")
    person.aside()
    for model in ("openai/gpt-6.1-sol", "openai-chat/deepseek/deepseek-v4-pro", "claude-opus-4-8"):
        person.app.switch(model)
        person.say(f"Please call again, {model}.")
    first = rewind.turns(person.app.session)[0]
    for words in ("cut it short", "refuse", "break off"):
        person.say(f"Please {words}.")
    person.say("Please break off.", until=lambda event: isinstance(event, TextDelta))
    everything(person, person.app.compaction.compactor.run("asked for"))
    (project / "AGENTS.md").write_text("Use tabs.\n")
    person.say("Please call again, after it.")
    rewind.undo(person.app.session)
    rewind.redo(person.app.session)
    person.say("Please call again, redone.")
    rewind.rewind(person.app.session, first.seq)
    person.say("Please call again, gone back.")
    person.simulator.clock.advance(86_400.0)
    person.come_back(permission_mode="edit")
    person.say("Please call again, on the next day.")
    person.app.clear()
    person.say("Please call again, from nothing.")
    source = person.folder
    person.come_back(fork=True, permission_mode="yolo")
    person.say("Please call again, in a fork.")
    return source


def everything(person: Speaker, events: AsyncGenerator[Event]) -> list[Event]:
    """All that happens."""

    async def collect() -> list[Event]:
        async with aclosing(events):
            return [event async for event in events]

    return person._runner.run(collect())


STRICT = Rules(profile="deepseek", strict_alternation=True, reasoning_echo="all", minimum=1)


@contextmanager
def person_at(folder: Path, brain: Callable[[dict[str, Any]], Any], rules: Mapping[str, Rules]) -> Iterator[Speaker]:
    """A person at vendors of their own, until the end of the block. rules: by server; "" is the first."""
    clock = Clock(ticking=False)
    servers = {name: Simulator(brain, one, clock=clock) for name, one in rules.items()}
    for server in servers.values():
        server.start()
    main = servers.pop("")
    person = Speaker(main, folder, "sonnet", servers)
    try:
        yield person
    finally:
        person.close()
        for server in (main, *servers.values()):
            server.stop()


@contextmanager
def recorded(folder: Path) -> Iterator[tuple[Path, Path]]:
    """The session, and a fork of it, recorded in a folder; the vendors are there until the end of the block."""
    rules = {"": Rules(minimum=1), "openai": Rules(minimum=1), "deepseek": STRICT}
    with person_at(folder, Model(Brain(CALLER, TASKS)), rules) as person:
        yield record(person), person.folder
