"""The tool calls of a recorded session, run again in scratch copies of its files, and their outputs compared.

Invariant: the permission rules hold as in any session, with the scratch folder as the workspace: a shell command runs
only where a rule of the person's own admits it. The session and its workspace stay as they are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jsonschema import Draft202012Validator

from harness.agent.files_seen import SeenFiles
from harness.audit.difference import short_diff
from harness.conversation.blobs import Blobs
from harness.conversation.blocks import Text, ToolCall
from harness.conversation.canonical import Json
from harness.conversation.lines import Record
from harness.conversation.stored import read_block, read_message
from harness.tools.base import Tool
from harness.workspace.snapshots import Snapshots

State = Literal["same", "differs", "refused", "left out"]

MakeTools = Callable[[Path, SeenFiles], Mapping[str, Tool]]
"""The tools for a folder, by name."""

Permit = Callable[[Path, Tool, Mapping[str, Json]], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of one call. number: from 1. detail: where the outputs part, or why it was not run."""

    number: int
    tool: str
    state: State
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Called:
    """A call, its whole output, its turn, and the snapshot that its turn began with; "" where the session has none."""

    call: ToolCall
    gave: str
    turn: int
    tree: str


def calls_of(records: Sequence[Record], blobs: Blobs) -> list[Called]:
    """The calls that were run, in order.

    A turn without a snapshot changed nothing: it saw the files with which the next one that has one began.
    """
    turn, last = -1, ""
    calls: dict[str, ToolCall] = {}
    trees: dict[int, str] = {}
    found: list[tuple[ToolCall, str, int]] = []
    for record in records:
        data = record.data
        match record.kind:
            case "message" if data["tag"] == "person" and not data.get("steering"):
                turn = record.seq
            case "message" if data["tag"] == "answer":
                calls |= {call.id: call for call in read_message(data, blobs).calls if not call.invalid}
            case "snapshot":
                last = data["tree"]
                if data["when"] == "before":
                    trees[data["turn"]] = last
            case "tool_done" if (call_id := data["result"]["call_id"]) in calls:
                found.append((calls[call_id], _whole(data, blobs), turn))
            case _:
                pass
    begun = sorted(trees.items())
    return [Called(call, gave, at, next((t for seq, t in begun if seq >= at), last)) for call, gave, at in found]


def _whole(data: Mapping[str, Json], blobs: Blobs) -> str:
    """The output before it was cut, its texts."""
    parts = data.get("given") or data["result"]["content"]
    text = "".join(part.text for one in parts if isinstance(part := read_block(one, blobs), Text))
    used = (data.get("facts") or {}).get("cache") or {}
    # of a served output the first line is the cache's
    return text.partition("\n")[2] if used.get("how") in ("hit", "stale") else text


@dataclass(frozen=True, slots=True)
class Scratch:
    """Where calls are run.

    folder: private and empty. root: the session's workspace: its path stands for that of the copy, in both directions.
    permit: why a call is refused in a copy; "" where it may run.
    """

    folder: Path
    root: str
    snapshots: Snapshots
    tools: MakeTools
    permit: Permit

    async def run(self, calls: Sequence[Called]) -> AsyncIterator[Ran]:
        """Run them in order; each turn that has a snapshot begins with the files of that time.

        Raises:
            SnapshotFailed: the store does not have them any more.
        """
        turn, place = -2, Path()
        tools: Mapping[str, Tool] = {}
        seen = SeenFiles(Blobs(self.folder / "blobs"))
        for number, called in enumerate(calls, 1):
            name = called.call.name
            if called.turn != turn:
                before, turn, place = place, called.turn, self.folder / f"turn-{called.turn}"
                place.mkdir(mode=0o700)
                seen.move(str(before), str(place))
                await self.snapshots.export(called.tree, place)
                tools = self.tools(place, seen)
            yield await self._one(number, called, tools.get(name), place, seen)

    async def within(self, place: Path, calls: Sequence[Called]) -> list[Ran]:
        """Run calls one after the other in a folder that has the files they began with."""
        seen = SeenFiles(Blobs(self.folder / "blobs"))
        tools = self.tools(place, seen)
        return [await self._one(n, one, tools.get(one.call.name), place, seen) for n, one in enumerate(calls, 1)]

    async def _one(self, number: int, called: Called, tool: Tool | None, place: Path, seen: SeenFiles) -> Ran:
        name = called.call.name
        if tool is None:
            return Ran(number, name, "left out", "it needs a person, a network or a session")
        arguments: dict[str, Any] = _moved(called.call.arguments, self.root, str(place))
        if not Draft202012Validator(dict(tool.spec.schema)).is_valid(arguments):
            return Ran(number, name, "left out", "it was not run: its arguments are not valid")
        if refusal := await self.permit(place, tool, arguments):
            return Ran(number, name, "refused", refusal)
        outcome = await tool.run(arguments)
        seen.apply(0, outcome.facts)
        text = "".join(part.text for part in outcome.content if isinstance(part, Text)) or "(no output)"
        text = text.replace(str(place), self.root)
        if text == called.gave:
            return Ran(number, name, "same")
        return Ran(number, name, "differs", short_diff(called.gave.encode(), text.encode()))


def _moved(value: Any, old: str, new: str) -> Any:
    """A JSON value with another path in its texts."""
    match value:
        case str():
            return value.replace(old, new)
        case list():
            return [_moved(one, old, new) for one in value]
        case dict():
            return {key: _moved(one, old, new) for key, one in value.items()}
        case _:
            return value
