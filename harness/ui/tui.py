"""The terminal: an input line that is always usable, and above it what happens.

Invariant: it knows a conversation, its events and its questions, nothing else; however it ends, the terminal is as it
was before.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import IO, cast

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History, InMemoryHistory
from prompt_toolkit.styles import Style
from rich.console import Console
from rich.text import Text

from harness.conversation.events import Permission, Question
from harness.errors import UsageError
from harness.ui import slash, type_ahead
from harness.ui.conversation import Conversation
from harness.ui.history import InputHistory
from harness.ui.keys import bindings
from harness.ui.questions import Questions
from harness.ui.render import EventLines
from harness.ui.screen import Screen
from harness.ui.scrollback import Scrollback
from harness.ui.status import Status
from harness.ui.turns import Turns

INTERRUPTED = 130

_STYLE = Style.from_dict(
    {"bottom-toolbar": "noreverse ansibrightblack", "prompt": "bold ansiblue", "question": "bold ansiyellow"}
)
_TICK = 0.5
"""Seconds between two drawings of a toolbar that counts seconds."""


def require_terminal(term: str) -> None:
    """Refuse what cannot be drawn on. `term`: the variable TERM.

    Raises:
        UsageError: no terminal, or one without cursor movements.
    """
    streams = (sys.stdin, sys.stdout)
    instead = 'for one task: harness -p "task" (or try `harness demo`)'
    if not all(stream is not None and stream.isatty() for stream in streams):
        raise UsageError(f"an interactive session needs a terminal; {instead}")
    if term in ("", "dumb", "unknown"):
        told = f"TERM={term}" if term else "TERM is not set"
        raise UsageError(f"an interactive session needs a terminal that can move its cursor, and {told}; {instead}")


class Terminal:
    """The screen of one session. Make it, give its `ask` and `ask_permission` to the wiring, then `run`.

    Args:
        history: where input is remembered; None: for this run only.
        clock: seconds, for durations.
    """

    def __init__(self, history: Path | None, clock: Callable[[], float]) -> None:
        self._status = Status(clock)
        self._questions = Questions(clock, self._size, lambda: not self._line.text, self._show_panel)
        self._history: History = InMemoryHistory() if history is None else InputHistory(history)
        self._scrollback = Scrollback()
        self._console = Console(file=cast("IO[str]", self._scrollback), force_terminal=True, highlight=False)
        self._events = EventLines(self._console, clock)
        self._leaving = False
        self._code: int | None = None

    async def ask(self, question: Question) -> str | None:
        """The person's answer to a question, or None."""
        return await self._questions.ask(question)

    async def ask_permission(self, permission: Permission) -> str:
        """The person's answer: "once", "session" or "no"."""
        return await self._questions.ask_permission(permission)

    async def run(
        self,
        conversation: Conversation,
        commands: slash.Table,
        opening: Sequence[str] = (),
        more: Callable[[], slash.Table] = dict,
    ) -> int:
        """Talk until the person leaves; gives the exit code.

        Args:
            opening: lines to begin with.
            more: commands that come and go, asked for when they are needed.
        """
        self._conversation = conversation
        table = slash.with_own(commands, more, lambda: self._size()[0])
        self._turns = Turns(
            conversation,
            table,
            self._events,
            self._status,
            leave=self._leave,
            give_back=self._give_back,
            changed=self._redraw,
            failed=self._fail,
        )
        self._screen = Screen.of_stdout()
        self._session: PromptSession[None] = PromptSession(
            self._message,
            multiline=True,
            prompt_continuation="  ",
            history=self._history,
            completer=slash.SlashCompleter(table),
            complete_while_typing=False,
            reserve_space_for_menu=6,
            bottom_toolbar=self._toolbar,
            key_bindings=bindings(self._questions, self._submit, self._interrupt, self._leave, self._turns.stop),
            search_ignore_case=True,
            enable_suspend=True,
            erase_when_done=True,
            style=_STYLE,
            output=self._screen,
        )
        # the library's warning would leave raw mode, where Enter is Ctrl-J
        self._app.renderer.cpr_not_supported_callback = self._mute
        self._app.key_processor.before_key_press += lambda _: self._questions.typed()
        self._line.on_text_changed += lambda _: self._edited()
        self._events.say(opening, "dim")
        async with self._printing(), self._signals():
            try:
                # raw until the line is there: an echo in between would stand where the line is drawn
                with self._app.input.raw_mode():
                    type_ahead.take(self._app.input, self._app.output)
                    self._scrollback.print_now(self._app)
                    await self._session.prompt_async(handle_sigint=False, set_exception_handler=False)
            except (EOFError, OSError):
                self._code = INTERRUPTED  # the terminal is gone
            finally:
                await self._turns.end()
        return self._code or 0

    @property
    def _app(self) -> Application[None]:
        return self._session.app

    @property
    def _line(self) -> Buffer:
        return self._session.default_buffer

    def _size(self) -> tuple[int, int]:
        size = self._app.output.get_size()
        return size.columns, size.rows

    # ---------------------------------------------------------------------------------------- running

    @contextlib.asynccontextmanager
    async def _printing(self) -> AsyncIterator[None]:
        """Print above the line what comes, stray output of libraries too."""
        drawing = [asyncio.create_task(self._scrollback.print_on(self._app)), asyncio.create_task(self._tick())]
        try:
            with contextlib.redirect_stdout(self._scrollback), contextlib.redirect_stderr(self._scrollback):
                yield
        finally:
            for task in drawing:
                task.cancel()
            await asyncio.gather(*drawing, return_exceptions=True)
            with contextlib.suppress(OSError):
                self._scrollback.print_now(self._app)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            if self._turns.running:
                self._app.invalidate()

    @contextlib.asynccontextmanager
    async def _signals(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        handlers = {
            signal.SIGINT: self._interrupt,
            signal.SIGTERM: lambda: self._leave(INTERRUPTED),
            signal.SIGHUP: lambda: self._leave(INTERRUPTED),
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def _leave(self, code: int = 0) -> None:
        """End the screen; a turn that runs is stopped on the way out."""
        if self._code is None:
            self._code = code
            self._turns.close()
            self._app.exit()

    def _fail(self, bug: BaseException) -> None:
        """A bug ends the screen, too: the terminal is restored before it is told."""
        self._code = 1
        self._app.exit(exception=bug)

    def _mute(self) -> None:
        """The terminal does not say where its cursor is, or is late: nothing waits for it any more."""
        self._screen.mute = True
        self._app.invalidate()

    def _redraw(self) -> None:
        self._app.invalidate()

    def _give_back(self, words: Sequence[str]) -> None:
        self._line.text = "\n".join(filter(None, [*words, self._line.text]))
        self._line.cursor_position = len(self._line.text)

    # ---------------------------------------------------------------------------------------- input

    def _submit(self, line: Buffer) -> None:
        """Enter: an answer, a command, a turn, or words for the turn that runs."""
        text = line.text
        if not text.strip():
            return
        answers = self._questions.writing and slash.parse(text) is None
        line.reset(append_to_history=not answers)
        self._edited()  # a reset tells nobody
        if answers:
            self._questions.answer(text)
        else:
            self._turns.take(text)

    def _interrupt(self) -> None:
        """Ctrl-C: what it does depends on what there is to stop."""
        if self._line.text:
            self._line.reset()
            self._edited()
        elif self._questions.dismiss():
            pass
        elif self._turns.running:
            self._turns.stop()
        elif self._leaving:
            self._leave()
            return
        else:
            self._leaving = True
        self._app.invalidate()

    def _edited(self) -> None:
        self._leaving = False
        self._questions.edited()

    # ---------------------------------------------------------------------------------------- drawing

    def _message(self) -> StyleAndTextTuples:
        if self._questions.open:
            return [("class:question", self._questions.prompt)]
        return [("class:prompt", "> ")]

    def _toolbar(self) -> str:
        hint = "Ctrl-C again to leave" if self._leaving else "● waiting for your answer" if self._questions.open else ""
        return "\n".join(self._status.lines(self._conversation, self._size()[0], hint, self._turns.waiting))

    def _show_panel(self, title: str, lines: Sequence[Text]) -> None:
        if title:
            self._console.print(Text(f"? {title}", "bold yellow"), soft_wrap=True)
        for line in lines:
            self._console.print(Text.assemble("  ", line), soft_wrap=True)
        self._app.invalidate()
