"""`harness replay ID --execute`: the tools of a session run again in scratch copies of its files.

Invariant: nothing runs but by this flag; what may run is decided by the rules of every session, and without a rule
given here no shell command does.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from harness.agent.checkpoints import open_store
from harness.agent.files_seen import SeenFiles
from harness.agent.reexecution import Ran, Scratch, calls_of
from harness.agent.workspace_tools import workspace_tools
from harness.audit.report import counted
from harness.config import state_dir
from harness.config_values import Mode
from harness.conversation.blobs import Blobs
from harness.conversation.canonical import Json
from harness.conversation.lines import read_records
from harness.errors import ReplayFailed
from harness.seam import Seam
from harness.tools.base import Tool
from harness.tools.output import Spill
from harness.ui.plain import one_line
from harness.workspace.paths import Workspace
from harness.workspace.permissions import Asks, Decision, Refused, decide, parse_rules
from harness.workspace.scratch import scratch
from harness.workspace.snapshots import Snapshots


def execute(session: Path, seam: Seam, mode: Mode, allow: Sequence[str]) -> list[Ran]:
    """Run the calls of a session again.

    Raises:
        ReplayFailed: there is no session, or its files were never saved here.
        SnapshotFailed: they are no longer in the store.
    """
    records = list(read_records(session / "journal.jsonl"))
    if not records or records[0].kind != "session":
        raise ReplayFailed(f"{session} has no whole beginning of a session, so nothing can be run again")
    root = workspace_of(records[0].data)
    environment = seam.environment()
    store = open_store(root, seam.home(), state_dir(environment), environment.get("PATH", ""))
    if store.snapshots is None:
        raise ReplayFailed(f"the files of {root} cannot be had: {store.off}")
    try:
        calls = calls_of(records, Blobs(session / "blobs"))
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ReplayFailed(
            f"a record of it makes no sense ({type(error).__name__}), so nothing is run again"
        ) from error
    if not all(one.tree for one in calls):
        now = files_now(root, store.snapshots, seam)
        calls = [replace(one, tree=one.tree or now) for one in calls]
    with scratch(Path(tempfile.gettempdir()), "harness-execute-") as folder:
        copy = scratch_for(folder.resolve(), str(root), store.snapshots, seam, mode, allow)

        async def run() -> list[Ran]:
            return [ran async for ran in copy.run(calls)]

        return asyncio.run(run())


def workspace_of(about: Mapping[str, Json]) -> Path:
    """The workspace that a session says it worked in.

    Raises:
        ReplayFailed: what it says is no folder's name, or it worked outside of it.
    """
    root, cwd = (str(about.get(name)) for name in ("root", "cwd"))
    try:
        # a NUL, or a surrogate that is no byte: the session is somebody's file
        inside = Path(root).is_absolute() and Path(os.path.realpath(cwd)).is_relative_to(os.path.realpath(root))
    except ValueError:
        inside = False
    if not inside:
        raise ReplayFailed("the session names no folder that it can have worked in; prove it: harness replay")
    return Path(root)


def files_now(root: Path, snapshots: Snapshots, seam: Seam) -> str:
    """A snapshot of the workspace as it is, for a session that saved none because it changed no files; it is said.

    Raises:
        ReplayFailed: the workspace is not there any more.
    """
    if not root.is_dir():
        raise ReplayFailed(f"the session saved no files, and {root} is not there any more")
    sys.stderr.write("harness: the session saved no files: those of its workspace as it is now are used\n")
    return asyncio.run(snapshots.take(f"{seam.today():%Y%m%d}")).tree


def scratch_for(folder: Path, root: str, snapshots: Snapshots, seam: Seam, mode: Mode, allow: Sequence[str]) -> Scratch:
    """Where calls are run again: the tools that need neither person, network nor session, under the rules given."""
    environment, home, rules = seam.environment(), seam.home(), parse_rules(allow)

    def tools(where: Path, seen: SeenFiles) -> Mapping[str, Tool]:
        made = workspace_tools(Workspace(where, home=home), environment, seen, Spill(folder / "outputs"))
        return {tool.spec.name: tool for tool in made}

    async def permit(where: Path, tool: Tool, arguments: Mapping[str, Json]) -> str:
        return refusal(decide(mode, rules, tool.subject(arguments), Workspace(where, home=home)))

    return Scratch(folder, root, snapshots, tools, permit)


def refusal(decision: Decision) -> str:
    """Why a call is not run again, and the flag of this command that would run it, if one would; "": it is run."""
    match decision:
        case Refused(reason, flag) | Asks(nobody=Refused(reason, flag)):
            flag = flag.removesuffix(" or --permission-mode yolo")
            helps = flag.startswith("--allow ") or flag == "--permission-mode edit"
            return f"{reason}; give {flag}" if helps else reason
        case _:
            return ""


def lines(ran: Sequence[Ran]) -> Iterator[str]:
    """The text form: what is not the same, then the counts."""
    for one in ran:
        if one.state != "same":
            yield f"call {one.number} ({one_line(one.tool, 40)}) {one.state}: {one_line(one.detail, 300)}"
    counts = Counter(one.state for one in ran)
    told = ", ".join(f"{counts[state]} {state}" for state in sorted(counts))
    yield f"run again         {counted(len(ran), 'call')}: {told}"


def as_json(ran: Sequence[Ran]) -> list[Json]:
    """The JSON form."""
    return [asdict(one) for one in ran]
