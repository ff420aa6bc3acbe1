"""The tool `checkpoint`: undoing, for the model, what was done to the files, by whatever did it.

Invariant: the conversation stays; what was put back counts as unseen until it is read again, as its content is not the
one last seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.audit.report import counted
from harness.conversation.blocks import Text
from harness.conversation.canonical import Json
from harness.errors import SnapshotFailed, UsageError
from harness.tools.base import Outcome, Tool, ToolSpec, error, ok
from harness.tools.output import one_line
from harness.workspace.paths import Workspace
from harness.workspace.permissions import Subject
from harness.workspace.snapshots import Restored

NAMED = 30
"""Paths named at once."""

SPEC = ToolSpec(
    "checkpoint",
    "Undo changes to files, also those made by shell. list: the turns that changed files. undo: put files back as "
    "before the turn of that id and all later ones; without id, before the last turn in the list. redo: take your last "
    "undo back. The conversation stays. Ignored files are not covered.",
    {
        "additionalProperties": False,
        "properties": {"action": {"enum": ["list", "undo", "redo"]}, "id": {"type": "integer"}},
        "required": ["action"],
        "type": "object",
    },
)


@dataclass(frozen=True, slots=True)
class Changed:
    """A turn that changed files. turn: its id. words: what the person said. paths: relative to the root."""

    turn: int
    words: str
    paths: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Report:
    """What an undo (of `turn`) or a redo (None) did."""

    turn: int | None
    restored: Restored


class Files(Protocol):
    """What undoes: the session's checkpoints, or a test's. Its methods may raise SnapshotFailed and UsageError."""

    async def listed(self) -> Sequence[Changed]:
        """The turns that changed files, oldest first."""

    async def undo_for_model(self, turn: int | None) -> Report:
        """Files as before a turn; None: the last one that changed some."""

    async def redo_for_model(self) -> Report:
        """The last undo taken back."""


def make(workspace: Workspace, files: Callable[[], Files]) -> Tool:
    """The tool; `files` gives what undoes."""

    async def run(args: Mapping[str, Json]) -> Outcome:
        try:
            match args["action"]:
                case "list":
                    return _list(await files().listed())
                case "undo":
                    return _told(await files().undo_for_model(args.get("id")))
                case _:
                    return _told(await files().redo_for_model())
        except (SnapshotFailed, UsageError) as problem:
            return error(str(problem))

    def subject(args: Mapping[str, Json]) -> Subject:
        if args["action"] == "list":
            return Subject("none")
        words = [str(args[name]) for name in ("action", "id") if name in args]
        preview = f"checkpoint {' '.join(words)}: puts files of the workspace back"
        return Subject("write", (str(workspace.root),), preview=preview)

    return Tool(SPEC, run, subject, "files")


def _list(turns: Sequence[Changed]) -> Outcome:
    if not turns:
        return ok("no turn of this session changed files", "nothing to undo")
    rows = [
        f"{one.turn}: {counted(len(one.paths), 'file')} ({_names(one.paths, 8)}): {one_line(one.words)[:100]}"
        for one in turns
    ]
    return ok("\n".join(rows), f"{len(rows)} to undo")


def _told(report: Report) -> Outcome:
    restored, what = report.restored, "redone" if report.turn is None else f"undone from turn {report.turn} on"
    rows = [f"{what}: {counted(len(restored.changed), 'file')} put back: {_names(restored.changed)}"]
    if not restored.changed:
        already = "the files were already so; name an earlier id from list to go further back"
        rows = [f"{what}: {'nothing was put back' if restored.left else already}"]
    if restored.since:
        rows.append(f"changed since by somebody else, their version is kept for redo: {_names(restored.since)}")
    if restored.left:
        rows += [f"left as it is: {one_line(one.shown)}" for one in restored.left[:NAMED]]
        rows += [f"and {len(restored.left) - NAMED:,} more"] if len(restored.left) > NAMED else []
    if restored.changed:
        rows.append("Read a file again before you edit it.")
    return Outcome((Text("\n".join(rows)),), shown=f"{counted(len(restored.changed), 'file')} put back")


def _names(paths: Sequence[bytes], most: int = NAMED) -> str:
    names: Iterable[str] = (one_line(path.decode("utf-8", "backslashreplace")) for path in paths[:most])
    return ", ".join(names) + (f" and {len(paths) - most:,} more" if len(paths) > most else "")
