"""After long work: asks the person whether something of it is worth keeping in memory.

Invariant: nothing is sent to a model before the person said yes; then the turn that keeps it is one like any other, in
their name, with their permissions. Where they said "never in this project", they are not asked there again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from harness.conversation.events import Ask, Event, Notice, Question, ResponseDone, TurnEnded
from harness.knowledge.files import Content, read
from harness.workspace import files

LONG = 12
"""Model calls of a turn from which on it is long."""

WORDS = "/remember what a later session would need from the work just done, in one to three facts"
"""What the person's yes says."""

YES, NO, NEVER = "yes", "no", "never in this project"

_MAX_LIST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class MemoryProposal:
    """What is needed to ask. never: the file with a line for each project where nobody is asked.

    turn: one turn with these words. memory: what memory says now, to see whether the turn wrote some itself. waiting:
    whether the person already said what comes next.
    """

    ask: Ask
    root: Path
    never: Path
    turn: Callable[[str], AsyncGenerator[Event]]
    memory: Callable[[], object]
    waiting: Callable[[], object]

    async def after(self, words: str) -> AsyncGenerator[Event]:
        """The turn that the person's words begin, and where they want it, the one that keeps something of it."""
        before, calls = self.memory(), 0
        end: TurnEnded | None = None
        async with aclosing(self.turn(words)) as events:
            async for event in events:
                calls += isinstance(event, ResponseDone)
                if isinstance(event, TurnEnded):
                    end = event
                else:
                    yield event
        if end is None:
            return
        long = end.reason == "done" and calls >= LONG and not self.waiting()
        if long and self.memory() == before and not self._declined():
            answer = await self.ask(_question(calls))
            if answer == NEVER:
                yield Notice(self._decline())
            if answer == YES:
                async with aclosing(self.turn(WORDS)) as events:
                    async for event in events:
                        yield event
                return
        yield end

    def _listed(self) -> list[str]:
        found = read(self.never, _MAX_LIST_BYTES)
        return found.data.decode("utf-8", "surrogateescape").splitlines() if isinstance(found, Content) else []

    def _declined(self) -> bool:
        return str(self.root) in self._listed()

    def _decline(self) -> str:
        listed = "\n".join([*self._listed()[-500:], str(self.root), ""])
        try:
            files.replace(self.never.resolve(), listed.encode("utf-8", "surrogateescape"))
        except OSError as error:
            return f"not asked again in this run; that could not be kept: {files.reason(error)}: {self.never}"
        return f"you will not be asked here again; to be asked, remove the line from {self.never}"


def _question(calls: int) -> Question:
    return Question(
        f"This took {calls} model calls. Keep something of it for later sessions? You see each file before it is "
        "written, where your permission mode asks.",
        (YES, NO, NEVER),
        title="harness asks:",
        own_words=False,
    )
