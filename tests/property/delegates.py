"""Sub-agents: what they answer, whose a request is, and what must hold of what they send and of what is kept of them.

Invariant: whose a request is stands in the words that the vendor got; nothing that the client says of it is asked.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.simulator import Received, said
from tests.prefix_check import first_moved
from tests.property import reading

Context = Literal["fork", "fresh"]
SKILLS: dict[Context, str] = {"fork": "scout", "fresh": "digger"}
FRONT = "context: {}\nallowed-tools: read grep glob todo\n"
_TASK = re.compile(r"ub-agent.*^Task: (job\d+)$", re.DOTALL | re.MULTILINE)


def task_of(request: Mapping[str, Any]) -> tuple[str, int]:
    """The task of the sub-agent that asks, "" where none does, and how often it answered since it was told."""
    task, turns = "", 0
    for message in said(dict(request)):
        turns += message.speaker == "assistant"
        for text in message.every:
            if (found := _TASK.search(text)) is not None:
                task, turns = found[1], 0
    return task, turns


@dataclass
class Delegate:
    """One sub-agent as the test counts it. base: what its first request goes on with, by line; empty of a fresh one."""

    context: Context
    summary: str = ""
    contexts: int = 1
    continued: int = 0
    """How often a turn that was cut off went on since it was called: it may have been told each time what changed."""
    base: Mapping[tuple[str, str, str], Received] = field(default_factory=dict)
    last: dict[tuple[str, str, str], Received] = field(default_factory=dict)
    requests: list[Received] = field(default_factory=list)
    counted: tuple[int, int] = (0, 0)
    """Requests, and tokens read, by the records of its caller's journal."""

    def take(self, line: tuple[str, str, str], request: Received) -> Received | None:
        """Check one request of its; gives the one that it goes on with."""
        if (summary := reading.summary(request)) != self.summary:
            self.summary, self.contexts, self.continued, self.base = summary, 1, 0, {}
            self.last.clear()
            reading.check_without_thinking(request)
        before = self.last.get(line) or self.base.get(line)
        if before is not None:
            moved = first_moved(before, request)
            assert moved is None, f"a sub-agent moved what it goes on with: {moved}"
        if request.kind == "mainline":
            self.last[line] = request
        self.requests.append(request)
        return before


def leave(folder: Path, copy: Path) -> None:
    """What a kill at this moment leaves of a session whose sub-agents' journals are being made in threads.

    The data comes after the journals, as it is written before them: no journal of the copy names any that is not there.
    """
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("blobs"))
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("journal.jsonl", ".*.part"), dirs_exist_ok=True)


def born(path: Path) -> int:
    """Where in a sub-agent's journal its own records begin; -1 where it did nothing: a fork copied what is before."""
    raw = path.read_bytes()
    found = re.search(rb'^[^\n]*"kind":"born","prev"[^\n]*\n', raw, re.MULTILINE)
    return found.end() if found else -1


def task_in(folder: Path) -> str:
    """The task of a sub-agent, by its journal; "" where there is none: a fork of its caller does not take it along."""
    path = folder / "journal.jsonl"
    found = re.search(rb"Task: (job\d+)", path.read_bytes()[max(0, born(path)) :]) if path.is_file() else None
    return found[1].decode() if found else ""


def records(path: Path, begin: int) -> Iterator[dict[str, Any]]:
    """The whole records of a journal from a place on."""
    for line in path.read_bytes()[begin:].splitlines():
        yield json.loads(line)


def check_counted(record: Mapping[str, Any], delegate: Delegate, billed: Counter[str]) -> None:
    """What its caller's journal says it cost, in all its records: the vendor's figures, where it told all of them."""
    usage = record["usage"]
    delegate.counted = (
        delegate.counted[0] + record["requests"] - record["served"],
        delegate.counted[1] + usage["read"],
    )
    requests = delegate.requests
    # by number: one that a kill took the answer of was asked again with the same words, and got the same id
    if record["end"] != "done" or Counter(one.message_id for one in requests) - billed:
        return
    told = (len(requests), sum(one.read for one in requests))
    assert delegate.counted == told, f"counted {delegate.counted}, by the vendor {told}: {record}"
