"""A scripted model that plays a caller and its sub-agents, and skills for it to call.

Invariant: stateless but for its delay: whose turn it is stands in the request.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.conversation.events import Event, SubAgentDone
from harness.conversation.lines import Record, read_records
from harness.providers.handoff import NO_ANSWER
from harness.simulator import said
from tests.speaker import Speaker

FRESH = "context: fresh\nallowed-tools: read grep glob todo invoke_skill\n"
FORK = "context: fork\nallowed-tools: read grep glob\n"
WRITER = "context: fresh\n"

_TASK = re.compile(r"ub-agent.*^Task: (\w+)$", re.DOTALL | re.MULTILINE)


class Brain:
    """Answers as the caller, or as the sub-agent whose task was given last.

    Args:
        caller: the answers of the session's own model. tasks: those of sub-agents, by the name of the task.
    """

    def __init__(self, caller: Sequence[Any], tasks: Mapping[str, Sequence[Any]]) -> None:
        self.caller = caller
        self.tasks = tasks
        self.delay = 0.0
        """Seconds before the first byte of a sub-agent's first answer."""
        self.at_once = 0
        """How many answers were being thought about at the same time, at most."""
        self._thinking = 0
        self._lock = threading.Lock()

    def __call__(self, request: dict[str, Any]) -> Any:
        script, turns = self.caller, 0
        for message in said(request):
            if message.speaker == "assistant":
                turns += message.texts != (NO_ANSWER,)
            found = [match[1] for text in message.every if (match := _TASK.search(text))]
            if found and found[-1] in self.tasks:
                script, turns = self.tasks[found[-1]], 0
        if script is not self.caller and turns == 0 and self.delay:
            self._wait()
        return script[turns] if turns < len(script) else "Done."

    def _wait(self) -> None:
        with self._lock:
            self._thinking += 1
            self.at_once = max(self.at_once, self._thinking)
        time.sleep(self.delay)
        with self._lock:
            self._thinking -= 1


def skill(project: Path, name: str, front: str, body: str = "Do it.") -> None:
    """A skill of the project."""
    folder = project / ".harness" / "skills" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "SKILL.md").write_text(f"---\nname: {name}\ndescription: Does {name}.\n{front}---\n{body}\n")


def call(name: str, task: str) -> dict[str, Any]:
    """A call of a skill."""
    return {"call": "invoke_skill", "input": {"name": name, "task": task}}


def tool(name: str, **arguments: Any) -> dict[str, Any]:
    """A call of a tool."""
    return {"call": name, "input": arguments}


def children(person: Speaker) -> list[Path]:
    """The folders of the sub-agents of a session, oldest first."""
    return sorted((person.folder / "agents").glob("*"))


def records(folder: Path, kind: str) -> list[Record]:
    """The records of a kind in a session's journal."""
    return [record for record in read_records(folder / "journal.jsonl") if record.kind == kind]


def cut_journal(folder: Path, kind: str, which: int = 0) -> None:
    """As a kill leaves it behind a record of that kind: the first one, or another."""
    path = folder / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    ends = [n for n, line in enumerate(lines, 1) if f'"{kind}"'.encode() in line]
    path.write_bytes(b"".join(lines[: ends[which]] if ends else lines))


def done(events: list[Event]) -> list[SubAgentDone]:
    """The sub-agents that ended."""
    return [event for event in events if isinstance(event, SubAgentDone)]


def results(person: Speaker) -> list[str]:
    """The texts of the last results in the conversation."""
    last = [entry.message for entry in person.app.session.history.entries if entry.message.tag == "results"][-1]
    return ["".join(part.text for part in block.content) for block in last.blocks]  # type: ignore[union-attr]
