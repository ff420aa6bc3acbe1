"""`harness -p`: one task, then exit. The answer goes to stdout, progress to stderr.

Invariant: stdout gets the answer, or JSON, and nothing else; the session is closed however the run ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import select
import signal
import stat
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

from harness.agent.answer_schema import check_schema
from harness.agent.cut_turn import cut_turn
from harness.agent.resumption import resume_turn
from harness.agent.structured import StructuredTask
from harness.app import App
from harness.audit.report import run_line
from harness.audit.target import missed
from harness.commands import oneshot_json
from harness.commands.skill_problems import problems
from harness.conversation.events import (
    Event,
    Notice,
    RequestSent,
    ResponseDone,
    TextDelta,
    TurnEnded,
    nobody,
)
from harness.errors import HarnessError, UsageError
from harness.options import Options
from harness.seam import Seam
from harness.tools.output import visible
from harness.ui.plain import PlainProgress, one_line
from harness.ui.progress_row import ProgressRow

EXIT = {"done": 0, "limit": 3, "refused": 1, "partial": 1, "failed": 1, "interrupted": 130}
MISSED = 4
"""The exit code of a run that did its task and missed its cache target."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Those that end the turn properly."""
MAX_STDIN_BYTES = 256 * 1024
STDIN_PATIENCE = 3.0
"""Seconds to wait for the first byte of a pipe that may stay silent, such as the one of a service."""


def main(flags: argparse.Namespace, seam: Seam) -> int:
    """Run one task; gives the exit code."""
    schema = _schema(flags.json_schema)
    task = _task(flags.task, goes_on=flags.continue_last or flags.resume is not None)
    app = App(Options.of(flags, seam), seam, nobody)
    return OneShot(app, flags.output_format, schema, kept=not flags.no_session).run(task)


class OneShot:
    """One task of one app, to the end. kept: another run can go on with the session."""

    def __init__(self, app: App, output: str, schema: dict[str, Any] | None, *, kept: bool) -> None:
        self._app = app
        self._kept = kept
        self._output = output
        self._schema = schema
        self._row = ProgressRow(_tell, partial(_columns, app.session.seam))
        self._progress = PlainProgress(self._row.line)
        self._responses: list[ResponseDone] = []
        self._missed = ""
        self._shown = ""
        """The text so far of the answer that is being given."""
        self._end = TurnEnded("failed", "", "the run ended before the model answered")
        self._value: Any = None
        self._unwritten: OSError | None = None

    def run(self, task: str) -> int:
        """Run to the end; gives the exit code."""
        return asyncio.run(self._run(task))

    async def _run(self, task: str) -> int:
        # a task of its own: a signal that comes when it is over cannot cut short the closing of the session
        turn = asyncio.create_task(self._turn(task))
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, _stop, turn, loop)
        await asyncio.wait([turn])
        try:
            turn.result()
            code = EXIT[self._end.reason]
        except asyncio.CancelledError:
            code = self._ended(TurnEnded("interrupted", self._shown, "interrupted"))
        except HarnessError as failure:
            code = self._ended(TurnEnded("failed", self._shown, str(failure)), failure.exit_code)
        finally:
            try:
                await self._app.close()
            except HarnessError as failure:
                code = self._ended(TurnEnded("failed", self._end.text, str(failure)), failure.exit_code)
        self._row.end()
        self._missed = missed(self._responses, self._app.config.min_cache_hit)
        code = MISSED if self._missed and code == 0 else code
        self._write(self._answer, code)
        if self._unwritten is not None:
            raise self._lost(self._unwritten)
        self._finish()
        return code

    def _ended(self, end: TurnEnded, code: int | None = None) -> int:
        self._end = end
        return EXIT[end.reason] if code is None else code

    async def _turn(self, task: str) -> None:
        self._show(self._started)
        # closed before the session is, also where an event cannot be written
        async with aclosing(self._events(task)) as events:
            async for event in events:
                self._show(self._take, event)

    def _show(self, write: Callable[..., None], *about: Event) -> None:
        """Write; where that cannot be done any more, end the turn as an interruption would."""
        if self._unwritten is None and not self._write(write, *about) and (turn := asyncio.current_task()) is not None:
            turn.cancel()

    def _write(self, write: Callable[..., None], *about: Event | int) -> bool:
        """Write to who reads our output, unless that failed before. Whether it could be written."""
        try:
            if self._unwritten is None:
                write(*about)
        except OSError as error:
            self._unwritten = error
        return self._unwritten is None

    def _lost(self, error: OSError) -> Exception:
        """What is said where the output cannot be written."""
        if isinstance(error, BrokenPipeError):  # who reads it wants no more of it
            return error
        name = self._app.session.journal.id
        kept = f"what was answered is kept: harness sessions show {name}" if self._kept else "--no-session kept nothing"
        way_on = f"; go on with the turn: harness -r {name} -p" if self._resumable else ""
        return HarnessError(f"cannot write the output: {error.strerror}; {kept}{way_on}")

    def _started(self) -> None:
        if self._output == "stream-json":
            _print_json(oneshot_json.start(self._app))

    async def _events(self, task: str) -> AsyncGenerator[Event]:
        for warning in (*self._app.session.warnings(), *problems(self._app)):
            yield Notice(warning)
        for told in self._app.unknown_models:
            yield Notice(told)
        async for event in self._app.before_turn():
            yield event
        agent = self._app.agent
        structured = None if self._schema is None else StructuredTask(agent, self._schema)
        turn = structured.run(task) if structured else agent.turn(task) if task else resume_turn(agent)
        async with aclosing(turn) as events:
            async for event in events:
                yield event
        self._value = structured.value if structured else None

    def _take(self, event: Event) -> None:
        match event:
            case TurnEnded():
                self._end = event
            case ResponseDone():
                self._responses.append(event)
            case RequestSent(side=False):
                self._shown = ""
            case TextDelta(text):
                self._shown += text
            case _:
                pass
        if self._output == "stream-json":
            _print_json(oneshot_json.line(event))
        else:
            self._progress.show(event)
            self._row.take(event)

    def _answer(self, code: int) -> None:
        """The answer, or the result."""
        end = self._end
        if self._output != "text":
            found = (end, code, self._responses, self._missed)
            structured = {"structured": self._value} if self._schema is not None else {}
            _print_json(oneshot_json.result(self._app, *found, resumable=self._resumable) | structured)
        elif end.text:
            sys.stdout.write(visible(end.text).rstrip("\n") + "\n")
            sys.stdout.flush()

    def _finish(self) -> None:
        """How it ended, and what it cost."""
        session, end = self._app.session, self._end
        if end.reason != "done":
            way_on = f"; go on with it: harness -r {session.journal.id} -p" if self._resumable else ""
            sys.stderr.write(f"harness: {one_line(end.detail)}{way_on}\n")
        if self._missed:
            sys.stderr.write(f"harness: {one_line(self._missed)}\n")
        if session.totals.requests:
            sys.stderr.write(run_line(session.totals, session.journal.id if self._kept else "") + "\n")

    @property
    def _resumable(self) -> bool:
        """Whether another run can go on where this one was cut off."""
        return self._kept and cut_turn(self._app.session) is not None


def _tell(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _columns(seam: Seam) -> int:
    """Of the terminal behind stderr; 0 where there is none, or one without cursor movements."""
    if not sys.stderr.isatty() or seam.environment().get("TERM", "") in ("", "dumb", "unknown"):
        return 0
    return os.get_terminal_size(sys.stderr.fileno()).columns


def _print_json(value: dict[str, Any]) -> None:
    # ASCII: a line stays one line for every reader, whatever the model wrote
    sys.stdout.write(json.dumps(value, ensure_ascii=True) + "\n")
    sys.stdout.flush()


def _stop(turn: asyncio.Task[None], loop: asyncio.AbstractEventLoop) -> None:
    """The first signal ends the turn properly, which takes a second at most and leaves no child behind.

    An impatient second one changes nothing; from then on a third ends the process as usual.
    """
    if turn.cancelling():
        for number in SIGNALS:
            loop.remove_signal_handler(number)
    else:
        turn.cancel()


def _schema(path: str | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        return check_schema(Path(path).read_bytes(), path)
    except OSError as error:
        raise UsageError(f"--json-schema {path}: {error.strerror}") from error


def _task(words: str, *, goes_on: bool) -> str:
    """The task, with piped input behind it; "" for the rest of a turn that was cut off.

    Args:
        goes_on: with a session that there is.

    Raises:
        UsageError: there is nothing to do.
    """
    piped = _piped()
    text = f"{words}\n\n{piped}" if piped.strip() and words.strip() else words if words.strip() else piped
    if not text.strip():
        if goes_on:
            return ""
        raise UsageError('the task is empty: harness -p "task"')
    return text


def _piped() -> str:
    """What a pipe or a file on stdin holds; a terminal, a closed stdin and a pipe that stays silent hold nothing."""
    try:
        handle = sys.stdin.fileno()
        mode = stat.S_IFMT(os.fstat(handle).st_mode)
    except (AttributeError, OSError, ValueError):
        return ""
    if mode not in (stat.S_IFIFO, stat.S_IFREG, stat.S_IFSOCK):
        return ""
    if mode != stat.S_IFREG and not select.select([handle], [], [], STDIN_PATIENCE)[0]:
        sys.stderr.write(f"harness: nothing came on stdin for {STDIN_PATIENCE:g} s; going on without it\n")
        return ""
    raw = sys.stdin.buffer.read(MAX_STDIN_BYTES + 1)
    if len(raw) > MAX_STDIN_BYTES:
        raise UsageError(f"more than {MAX_STDIN_BYTES // 1024} KiB on stdin: save it to a file and name the file")
    if b"\0" in raw:
        raise UsageError("what comes on stdin is not text: save it to a file and name the file")
    return raw.decode("utf-8", "replace")
