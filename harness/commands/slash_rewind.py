"""`/undo`, `/redo` and `/rewind`: the conversation and the files, together or apart.

Invariant: the files first. Where they cannot be put back, the conversation stays as it is, and the same command can be
given again.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.agent import rewind
from harness.app import App
from harness.audit.report import counted
from harness.commands.open_session import OpenSession
from harness.conversation.history import PersonTurn
from harness.errors import UsageError
from harness.ui.plain import one_line
from harness.ui.slash import Stream
from harness.workspace.snapshots import Restored

SCOPES = ("both", "conversation", "files")
SHOWN = 20
"""Turns that are listed."""

NAMED = 8
"""Paths that are named."""

_WORDS = 70


async def undo(session: OpenSession, _: str = "") -> Stream:
    """The last turn, as if it had not been."""
    app = session.app
    rewind.check_whole(app.session)
    here = rewind.turns(app.session)
    if not here:
        raise UsageError("there is no turn to undo; /rewind lists those that were left")
    restored = await app.checkpoints.undo(here[-1].seq)
    turn = rewind.undo(app.session)
    await app.session.sync()
    yield f"undone: {_words(turn)}"
    for line in _files(app, restored):
        yield line
    yield "/redo brings it back"


async def redo(session: OpenSession, _: str = "") -> Stream:
    """The last undo taken back; where there is none, the files that the last `/rewind` put back."""
    app = session.app
    turn = rewind.undone(app.session)
    if turn is None:
        restored = await app.checkpoints.redo(None)
        if restored is None:
            raise UsageError("there is nothing to redo: no turn was undone since you last said something")
        yield "the files are as before the last /rewind"
    else:
        rewind.check_whole(app.session)
        restored = await app.checkpoints.redo(turn.seq)
        rewind.redo(app.session)
        await app.session.sync()
        yield f"there again: {_words(turn)}"
    for line in _files(app, restored):
        yield line


async def back(session: OpenSession, argument: str) -> Stream:
    """Before turn N: `N [both|conversation|files]`; without N the turns to choose from."""
    app, turns = session.app, session.app.session.history.turns()
    if not argument:
        for line in _listed(app, turns):
            yield line
        return
    number, scope = _asked(argument)
    if not 1 <= number <= len(turns):
        raise UsageError(f"there is no turn {number}; /rewind lists them")
    turn = turns[number - 1]
    if scope != "files":
        rewind.check_whole(app.session)
    restored = await app.checkpoints.rewind(turn.seq) if scope != "conversation" else None
    if scope != "files":
        rewind.rewind(app.session, turn.seq)
    await app.session.sync()
    what = {"both": "conversation and files are", "files": "the files are", "conversation": "the conversation is"}
    yield f"{what[scope]} as before turn {number}: {_words(turn)}"
    if scope == "conversation":
        return
    for line in _files(app, restored):
        yield line
    if restored is not None:
        yield "/redo brings these files back"


def _asked(argument: str) -> tuple[int, str]:
    number, _, scope = argument.partition(" ")
    scope = scope.strip().lower() or SCOPES[0]
    if not number.isdecimal() or scope not in SCOPES:
        raise UsageError(
            f"write /rewind N, or /rewind N {'|'.join(SCOPES[1:])}; N is a number from the list of /rewind"
        )
    return int(number[:9]), scope


def _listed(app: App, turns: Sequence[PersonTurn]) -> Sequence[str]:
    if not turns:
        return ["nothing was said yet"]
    here, files = set(app.session.history.seqs), app.session.files
    lines = []
    for number, turn in list(enumerate(turns, 1))[-SHOWN:]:
        marks = ["left behind"] if turn.seq not in here else []
        marks += ["changed files"] if files.of(turn.seq) else []
        lines.append(f"{number:4} {_words(turn)}" + (f" ({', '.join(marks)})" if marks else ""))
    return [*lines, "/rewind N goes back to before turn N; /rewind N conversation or /rewind N files to one of both"]


def _words(turn: PersonTurn) -> str:
    text = one_line(turn.text)
    return text if len(text) <= _WORDS else text[:_WORDS] + "…"


def _files(app: App, restored: Restored | None) -> Sequence[str]:
    if restored is None:
        off = app.checkpoints.store.off
        return [f"the files stay: {off}"] if off else ["no file to put back"]
    count = len(restored.changed)
    lines = [f"{counted(count, 'file')} put back: {_names(restored.changed)}"] if count else []
    if restored.since:
        lines.append(f"! changed since by you or another program; /redo has your version: {_names(restored.since)}")
    lines += [f"! left as it is: {one_line(one.shown)}" for one in restored.left[:NAMED]]
    if len(restored.left) > NAMED:
        lines.append(f"! and {len(restored.left) - NAMED:,} more")
    return lines or ["the files were already so"]


def _names(paths: Sequence[bytes]) -> str:
    names = ", ".join(one_line(path.decode("utf-8", "backslashreplace")) for path in paths[:NAMED])
    return names + (f" and {len(paths) - NAMED:,} more" if len(paths) > NAMED else "")
