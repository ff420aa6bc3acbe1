"""What becomes of a line that was entered: a command, a turn, or words that wait for the turn that runs.

Invariant: one turn, or one command that takes time, runs at a time; what was typed and not sent is lost by no turn that
fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from harness.conversation.events import Event, TurnEnd, TurnEnded
from harness.errors import HarnessError
from harness.ui import slash
from harness.ui.conversation import Conversation
from harness.ui.render import EventLines
from harness.ui.status import Status

_LATE = 0.5
"""Seconds by which what is done when nobody is there may come too early."""


@dataclass(slots=True)
class Turns:
    """The turns of one conversation.

    leave: ends the screen. give_back: puts words in front of what stands on the line. changed: what the screen tells of
    turns is another thing now. failed: takes the bug that ended a turn.
    """

    conversation: Conversation
    commands: slash.Table
    events: EventLines
    status: Status
    leave: Callable[[], None]
    give_back: Callable[[Sequence[str]], None]
    changed: Callable[[], None]
    failed: Callable[[BaseException], None]
    _turn: asyncio.Task[None] | None = field(default=None, init=False)
    _later: list[str] = field(default_factory=list, init=False)
    _idle: asyncio.TimerHandle | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)

    @property
    def running(self) -> bool:
        """A turn runs, or a command that takes time."""
        return self._turn is not None

    @property
    def waiting(self) -> int:
        """How many lines wait for something: for the model, or for the turn's end."""
        return len(self.conversation.queued()) + len(self._later)

    def take(self, text: str) -> None:
        """A line that was entered."""
        if (command := slash.parse(text)) is not None:
            self.events.echo(text)
            self._command(text, *command)
        elif self._later:  # they may be about what a command before them does
            self.events.echo(text, "after this turn")
            self._later.append(text)
        elif self._turn is not None:
            self.events.echo(text, "queued")
            self.conversation.steer(text)
        else:
            self._begin(text)

    def stop(self) -> None:
        """Have what runs end; what waits goes on behind it, or comes back on the line."""
        if self._turn is not None:
            self.status.stopping()
            # behind its first step: a task that is cancelled before it has begun never runs, and never ends the turn
            asyncio.get_running_loop().call_soon(_cancel, self._turn)
            self.changed()

    def close(self) -> None:
        """Nothing begins any more."""
        self._closed = True
        self._cancel_idle()

    async def end(self) -> None:
        """Stop what runs, and wait for its end."""
        self.close()
        if self._turn is not None:
            self._turn.cancel()
            await asyncio.gather(self._turn, return_exceptions=True)

    # ---------------------------------------------------------------------------------------- one

    def _command(self, text: str, name: str, argument: str) -> None:
        command = self.commands.get(name)
        if command is None:
            self.events.say([slash.unknown(name, self.commands)])
        elif argument and not command.takes_words:
            self.events.error(f"/{name} stands alone; a leading space sends it to the model as words")
        elif command.leaves:
            self.leave()
        elif self._turn is not None and command.must_wait(argument):
            self._later.append(text)
            self.events.say(["after this turn"], "dim")
        else:
            try:
                shown = command.run(argument)
            except HarnessError as error:
                self.events.error(str(error))
                return
            if isinstance(shown, AsyncGenerator):
                self._start(shown, "done")
            else:
                self.events.say(shown)

    def _begin(self, text: str) -> None:
        self.events.echo(text)
        self._start(self.conversation.run(text), "failed")

    def _start(self, stream: slash.Stream | AsyncGenerator[Event], end: TurnEnd) -> None:
        self._cancel_idle()
        self.status.begin()
        self._turn = asyncio.create_task(self._run(stream, end))
        self._turn.add_done_callback(self._ended)

    async def _run(self, stream: slash.Stream | AsyncGenerator[Event], end: TurnEnd) -> None:
        """A turn or a command to its end; then what was typed meanwhile. `end`: how it ended, where no event says."""
        try:
            async with aclosing(stream) as events:
                async for event in events:
                    self._show(event)
                    end = event.reason if isinstance(event, TurnEnded) else end
        except asyncio.CancelledError:
            end = "interrupted"
            self.events.show(TurnEnded(end, ""))
        except HarnessError as error:
            end = "failed"
            self.events.error(str(error))
        if end != "done" and not self._closed and self.conversation.resumable:
            self.events.say(["/continue goes on with it"], "dim")
        self.status.end()
        self._turn = None
        if not self._closed:
            self._go_on(done=end == "done")

    def _show(self, event: Event | str) -> None:
        if isinstance(event, str):
            self.events.say([event])
        else:
            self.status.take(event)
            self.events.show(event)

    def _ended(self, turn: asyncio.Task[None]) -> None:
        """A turn that ended with a bug ends the screen."""
        if not turn.cancelled() and (bug := turn.exception()) is not None and not self._closed:
            self.failed(bug)

    # ---------------------------------------------------------------------------------------- between two

    def _go_on(self, *, done: bool) -> None:
        """What waited, as it was typed: commands; words for the next turn, or for the line where this one failed."""
        waiting = [*self.conversation.take_queued(), *self._later]
        if not done and (words := [text for text in waiting if slash.parse(text) is None]):
            self.give_back(words)
            waiting = [text for text in waiting if text not in words]
        self._later = []
        while waiting and self._turn is None:
            text = waiting.pop(0)
            if (command := slash.parse(text)) is not None:
                self._command(text, *command)
                continue
            self._begin(text)
            while waiting and slash.parse(waiting[0]) is None:
                self.conversation.steer(waiting.pop(0))
        self._later = waiting
        if self._turn is None:
            self._wait_idle()
        self.changed()

    def _wait_idle(self) -> None:
        """Have the conversation do what it does when nobody is there, once that time has come."""
        self._cancel_idle()
        if (delay := self.conversation.idle_delay()) is not None:
            self._idle = asyncio.get_running_loop().call_later(delay, self._be_idle)

    def _be_idle(self) -> None:
        # asked again: a clock that stood still, in a sleeping machine, may have let the time pass
        delay = self.conversation.idle_delay()
        if self._turn is None and delay is not None and delay <= _LATE:
            self._start(self.conversation.idle(), "done")
        elif self._turn is None and delay is not None:
            self._wait_idle()

    def _cancel_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None


def _cancel(turn: asyncio.Task[None]) -> None:
    """Cancel it, once: a second time would cut short what the first one ends."""
    if not turn.cancelling():
        turn.cancel()
