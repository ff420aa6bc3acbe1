"""`harness replay ID --from K`: another way from a request on, live, with one change, beside what was recorded.

Invariant: the session and its workspace stay as they are: the way goes on in a fork, in scratch copies of the files as
they were then, which stay for whoever wants to look.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.agent.checkpoints import open_store
from harness.agent.loop import GO_ON
from harness.agent.reexecution import Called, calls_of
from harness.agent.session import Session
from harness.app import App
from harness.audit.report import counted, counts
from harness.audit.shared_ledger import forget_child
from harness.audit.totals import Totals
from harness.commands.replay_execute import files_now, scratch_for, workspace_of
from harness.config import state_dir
from harness.config_values import Mode
from harness.conversation.blobs import Blobs
from harness.conversation.blocks import Message, Text, ToolResult, Usage
from harness.conversation.canonical import Json
from harness.conversation.events import TurnEnded, nobody
from harness.conversation.history import History
from harness.conversation.lines import Reader, Record
from harness.conversation.stored import read_usage
from harness.errors import HarnessError, ReplayFailed, UsageError
from harness.options import Options
from harness.replay.verify import journal_of
from harness.seam import Seam
from harness.sessions.store import Store
from harness.ui.plain import PlainProgress, one_line
from harness.workspace.environment import child_environment

BILLS = ("response", "retry", "failed", "subagent")
"""Kinds of records that may tell what was billed."""
LAST = 64 * 1024
"""Bytes of a check's output that are looked at."""


@dataclass(frozen=True, slots=True)
class Way:
    """What is asked for. step: the number of a request, from 1. edit: what the model is told there instead."""

    step: int
    edit: str | None
    model: str | None
    effort: str | None
    mode: Mode
    allow: tuple[str, ...]
    verify: str | None


@dataclass(frozen=True, slots=True)
class _Step:
    """A request, and its turn: the calls before it, what was billed from it on, the files before and after."""

    seq: int
    turn: int
    calls: tuple[Called, ...]
    tree: str
    after: str
    billed: Totals


def go(source: Path, seam: Seam, way: Way) -> Mapping[str, Json]:
    """Go the other way; gives what became of both, as JSON.

    Raises:
        ReplayFailed, UsageError: there is no such request, or the files of that time are not to be had.
    """
    reader = Reader(journal_of(source))
    records = list(reader)
    if reader.damage:
        raise ReplayFailed(
            f"{one_line(reader.damage[0].where)} of it is damaged, so nobody can tell what was said before a request; "
            "see `harness replay` for what of it is proved"
        )
    try:
        step = _step(records, source, way)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ReplayFailed(
            f"a record of it makes no sense ({type(error).__name__}); prove it: harness replay"
        ) from error
    about = records[0].data
    root, environment = workspace_of(about), seam.environment()
    store = open_store(root, seam.home(), state_dir(environment), environment.get("PATH", ""))
    if store.snapshots is None:
        raise ReplayFailed(f"there is no snapshot of the files as they were then: {store.off}")
    if not step.tree:
        now = files_now(root, store.snapshots, seam)
        step = replace(step, tree=now, after=now)
    folder = Path(tempfile.mkdtemp(prefix="harness-replay-")).resolve()
    there, recorded = folder / "other", folder / "recorded"
    folder_of_fork = Store(state_dir(environment)).folder(seam.new_id())
    with _told(folder, folder_of_fork):
        for place, tree in ((there, step.tree), (recorded, step.after)):
            place.mkdir(mode=0o700)
            asyncio.run(store.snapshots.export(tree, place))
        scratch = scratch_for(folder, str(root), store.snapshots, seam, way.mode, way.allow)
        ran = asyncio.run(scratch.within(there, step.calls))
        missing = [one for one in ran if one.state in ("refused", "left out")]
        words, tag_is_person = _prepare(source, folder_of_fork, seam, step, way.edit, _moved(about, there))
        result = _gone(step, seam, way, about, (source, folder, folder_of_fork), (words, tag_is_person))
        result["not_run_before"] = [{"tool": one.tool, "detail": one.detail} for one in missing]
        return result


@contextmanager
def _told(folder: Path, fork: Path) -> Iterator[None]:
    """Where it ends early: nothing is left behind that is not told."""
    try:
        yield
    except BaseException:
        if fork.is_dir():
            sys.stderr.write(f"harness: what was begun stays: session {fork.name}, files in {one_line(str(folder))}\n")
        else:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _gone(
    step: _Step,
    seam: Seam,
    way: Way,
    about: Mapping[str, Json],
    places: tuple[Path, Path, Path],
    said: tuple[str, bool],
) -> dict[str, Json]:
    """Go live in the fork, and compare.

    places: the session, the scratch folders, the fork. said: the words, whether a person's.
    """
    (source, folder, folder_of_fork), root = places, about["root"]
    there, recorded = folder / "other", folder / "recorded"
    options = Options(
        cwd=Path(_moved(about, there)["cwd"]),
        resume=folder_of_fork.name,
        model=way.model,
        effort=way.effort,
        permission_mode=way.mode,
        allow=way.allow,
    )
    moved = (str(root), str(there))
    app = _opened(options, seam, source, folder_of_fork)
    end, totals = asyncio.run(_live(app, said[0], moved, person=said[1]))
    result: dict[str, Json] = {
        "session": folder_of_fork.name,
        "folder": str(folder),
        "end": {"reason": end.reason, "detail": end.detail, "answer": end.text},
        "not_run_before": [],
        "recorded": _figures(step.billed),
        "other": _figures(totals),
        "files": list(_differing(recorded, there)),
    }
    if way.verify is not None:
        checked = {name: _check(way.verify, place, seam) for name, place in (("recorded", recorded), ("other", there))}
        result["verify"] = {"command": way.verify, **checked}
    return result


def _step(records: Sequence[Record], source: Path, way: Way) -> _Step:
    number = way.step
    requests = [record for record in records if record.kind == "request"]
    if not records or records[0].kind != "session" or not 1 <= number <= len(requests):
        name = f"; name one from 1 to {len(requests)}" if requests else ""
        raise UsageError(f"there is no request {number}: this session has {len(requests)}{name}")
    if requests[number - 1].data["kind"] != "mainline":
        raise UsageError(f"request {number} is a side request, which nothing goes on from; name another")
    seq = requests[number - 1].seq
    turns = [r.seq for r in records if r.kind == "message" and r.data["tag"] == "person" and not r.data.get("steering")]
    turn = max((one for one in turns if one < seq), default=-1)
    end = min((one for one in turns if one > seq), default=records[-1].seq + 1)
    snapshots = [record for record in records if record.kind == "snapshot"]
    known = [(r.data["turn"], r.data["tree"]) for r in snapshots if r.data["when"] == "before"]
    last = snapshots[-1].data["tree"] if snapshots else ""
    before = [record for record in records if record.seq < seq]
    tree = next((tree for at, tree in known if at >= turn), last)
    if way.edit is not None and not way.edit.strip():
        raise UsageError("--edit is empty: give it what the model gets there instead")
    if way.edit is not None and _last_said(before, source) not in ("person", "results"):
        raise UsageError(f"--edit: before request {number} stands neither a tool's result nor anything that you said")
    after = [r.data["tree"] for r in snapshots if r.data["turn"] == turn and r.data["when"] == "after"]
    calls = tuple(one for one in calls_of(before, Blobs(source / "blobs")) if one.turn == turn)
    own = max(r.seq for r in requests if r.seq < end and r.data["kind"] == "mainline")
    # what was asked beside the line after the turn's last request, as for a compaction, is not part of it
    late = {r.seq for r in requests if own < r.seq < end}
    bills = (r.data for r in records if seq < r.seq < end and r.kind in BILLS)
    billed = _billed(bill for bill in bills if bill.get("request") not in late)
    return _Step(seq, turn, calls, tree, after[-1] if after else tree, billed)


def _last_said(records: Iterable[Record], source: Path) -> str:
    """Who said the last thing of the conversation, as its tag; "" where nobody did."""
    messages: dict[int, Mapping[str, Json]] = {}
    history = History(Blobs(source / "blobs"), messages.__getitem__)
    for record in records:
        messages[record.seq] = record.data
        history.apply(record)
    tags = (entry.message.tag for entry in reversed(history.entries))
    return next((tag for tag in tags if tag not in ("system_injected", "setting")), "")


def _billed(bills: Iterable[Mapping[str, Json]]) -> Totals:
    """What attempts, answered or not, and sub-agents were billed."""
    totals = Totals()
    for bill in bills:
        if "usage" in bill or "began" in bill:
            usage = read_usage(bill["usage"]) if "usage" in bill else Usage()
            totals.add(usage, bill.get("cost"), bill.get("requests", 1))
    return totals


def _moved(about: Mapping[str, Json], there: Path) -> dict[str, str]:
    """Where the fork works: whoever continues the last session of the workspace does not mean this one."""
    return {"root": str(there), "cwd": str(there / os.path.relpath(about["cwd"], about["root"]))}


def _prepare(
    source: Path, folder: Path, seam: Seam, step: _Step, edit: str | None, moved: Mapping[str, Json]
) -> tuple[str, bool]:
    """The fork, ready to go on; gives the words to go on with, and whether they are the person's."""
    session = Session.fork_of(source, folder, seam, step.seq - 1, moved=moved)
    try:
        entries = session.history.entries
        last = next(entry for entry in reversed(entries) if entry.message.tag not in ("system_injected", "setting"))
        if last.message.tag == "person" and (before := session.history.before(last.seq)) is not None:
            session.begin_epoch("fork: said anew from a recorded request", before.seqs, before.prefix)
            return (last.message.text if edit is None else edit), True
        if edit is not None:
            session.begin_epoch("fork: with another result", [*_replaced(session, last.seq, last.message, edit)])
        return GO_ON, False
    finally:
        session.close()


def _replaced(session: Session, seq: int, message: Message, text: str) -> Iterator[int]:
    """The conversation with another text in the last result, or in the words, of one message."""
    *blocks, last = message.blocks
    new = replace(last, content=(Text(text),)) if isinstance(last, ToolResult) else Text(text)
    kept = session.keep(replace(message, blocks=(*blocks, new)))
    yield from (kept if one == seq else one for one in session.history.seqs)


def _opened(options: Options, seam: Seam, source: Path, fork: Path) -> App:
    """The fork, opened; where it cannot be, as for want of a key, nothing was asked in it, and it goes."""
    try:
        return App(options, seam, nobody)
    except HarnessError:
        shutil.rmtree(fork)
        forget_child(source, fork.name)
        raise


async def _live(app: App, words: str, moved: tuple[str, str], *, person: bool) -> tuple[TurnEnded, Totals]:
    """One turn in the fork. moved: the workspace, and its copy."""
    app.session.seen.move(*moved)
    progress = PlainProgress(sys.stderr.write)
    before, end = app.session.totals, TurnEnded("failed", "", "it ended before the model answered")
    app.session.totals = Totals()
    try:
        async for event in app.before_turn():
            progress.show(event)
        async with aclosing(app.agent.turn(words, "person" if person else "program")) as events:
            async for event in events:
                progress.show(event)
                end = event if isinstance(event, TurnEnded) else end
        return end, app.session.totals
    finally:
        app.session.totals = before
        await app.close()


def _figures(totals: Totals) -> Mapping[str, Json]:
    return {"requests": totals.requests, **counts(totals.usage), "cost_usd": totals.cost}


def _differing(recorded: Path, other: Path) -> Iterator[Json]:
    """The files that are not the same in both."""
    one, two = _contents(recorded), _contents(other)
    for name in sorted({*one, *two}):
        if one.get(name) != two.get(name):
            how = "only recorded" if name not in two else "only in the other way" if name not in one else "differs"
            yield {"path": name, "how": how}


def _contents(folder: Path) -> Mapping[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def _check(command: str, place: Path, seam: Seam) -> Mapping[str, Json]:
    """The person's own command, in one of the two folders."""
    environment = seam.environment()
    cleaned = child_environment(environment, ())
    words = ["/bin/sh", "-c", command]
    with tempfile.TemporaryFile() as out:
        ran = subprocess.run(
            words, cwd=place, env=cleaned, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False
        )
        out.seek(max(0, out.seek(0, os.SEEK_END) - LAST))
        told = out.read(LAST).decode("utf-8", "replace").strip().split("\n")
    return {"exit_code": ran.returncode, "last_line": told[-1]}


def lines(result: Mapping[str, Json]) -> Iterable[str]:
    """The text form."""
    yield one_line(f"went on in session {result['session']}: {result['end']['reason']} {result['end']['detail']}")
    for one in result["not_run_before"]:
        yield f"! files may not be those of that time: {one['tool']} was not run again: {one_line(one['detail'], 200)}"
    names = {"recorded": "as recorded", "other": "the other way"}
    for name, title in names.items():
        made = result[name]
        usd = "unknown" if made["cost_usd"] is None else f"${made['cost_usd']:.4f}"
        calls = counted(made["requests"], "request")
        yield (
            f"{title:17} {calls}, {made['prompt_tokens']:,} tokens in, {made['read_tokens']:,} read from cache, "
            f"{made['output_tokens']:,} out, {usd}"
        )
    for one in result["files"]:
        yield f"file              {one_line(one['path'])}: {one['how']}"
    for name, title in names.items() if "verify" in result else ():
        checked = result["verify"][name]
        said = f": {one_line(checked['last_line'], 200)}" if checked["last_line"] else ""
        yield f"check {title:13} exit {checked['exit_code']}{said}"
    yield f"files             {one_line(result['folder'])}"
