"""The commands that begin with a slash: what one is, how one is found on a line, and the few of the screen itself.

Invariant: the screen knows no command but its own; the others come with the conversation, each as one entry of a
table. What is no command is never sent to a model by mistake.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import AsyncGenerator, Callable, ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from harness.conversation.events import Event

_COMMAND = re.compile(r"/([A-Za-z0-9?][\w-]*)?(?:\s+(.*))?\Z", re.DOTALL)

KEYS = (
    ("Enter", "send; while a turn runs: the model reads it after the next tool results"),
    ("Alt+Enter", "a new line (also Ctrl-J, or \\ at the end of a line)"),
    ("Up, Down, Ctrl-R", "earlier input"),
    ("Ctrl-C", "clear the line; stop the turn; twice: leave"),
    ("Esc", "stop the turn, and keep what stands on the line"),
    ("Ctrl-D", "leave"),
    ("Ctrl-Z", "put it into the background; fg brings it back"),
    ("a leading space", "sends a text that begins with a slash"),
)
"""Keys, and what they do."""

_USAGE = 24
"""Columns for what is typed."""

Stream = AsyncGenerator[Event | str]
"""What a command that takes time does, as it happens: events, and lines of its own."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the table; its name is its key there.

    run: takes what stands behind the name; gives the lines to show at once, or a stream that takes the place of a turn
    (Ctrl-C cancels it, words typed meanwhile wait). Either may raise HarnessError.
    waits: while a turn runs it waits for its end: what changes the next request does, and so does every stream.
    """

    usage: str
    about: str
    run: Callable[[str], Sequence[str] | Stream]
    waits: Literal["never", "with argument", "always"] = "never"
    leaves: bool = False

    @property
    def takes_words(self) -> bool:
        """Whether something may stand behind its name."""
        return " " in self.usage

    def must_wait(self, argument: str) -> bool:
        """Whether it may not run during a turn."""
        return self.waits == "always" or (self.waits == "with argument" and bool(argument))


Table = Mapping[str, Command]
"""Commands by name, in the order of `/help`."""


def with_own(commands: Table, more: Callable[[], Table] = dict, width: Callable[[], int] = lambda: 80) -> Table:
    """The commands of a conversation, the screen's own, and behind them `more`, asked for each time: it may change.

    None of those takes the place of one that is already there. width: columns of the screen, for `/help`.
    """
    table: dict[str, Command] = dict(commands)
    whole = _Growing(table, more)
    table["help"] = Command("/help", "this list", lambda _: _help(whole, width()))
    table["quit"] = Command("/quit", "leave (also /exit)", lambda _: (), leaves=True)
    table["exit"] = Command("/exit", "", lambda _: (), leaves=True)
    return whole


class _Growing(Mapping[str, Command]):
    """A table, and behind it what another one holds at that moment under other names."""

    def __init__(self, table: Table, more: Callable[[], Table]) -> None:
        self._table = table
        self._more = more

    def __getitem__(self, name: str) -> Command:
        return self._table[name] if name in self._table else self._more()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    # asked once, not once for each name
    def items(self) -> ItemsView[str, Command]:
        return self._now().items()

    def values(self) -> ValuesView[Command]:
        return self._now().values()

    def _now(self) -> dict[str, Command]:
        return {**self._table, **{name: one for name, one in self._more().items() if name not in self._table}}


def _help(table: Table, width: int) -> Sequence[str]:
    commands = [(one.usage, one.about) for one in table.values() if one.about]
    return [row for usage, about in [*commands, ("", ""), *KEYS] for row in _entry(usage, about, width)]


def _entry(usage: str, about: str, width: int) -> Iterator[str]:
    """What is typed, and beside it, or below where it is long, what it does; in rows of that width."""
    column = min(_USAGE, width // 3)
    beside = len(usage) < column
    if not beside:
        yield usage
    rows = textwrap.wrap(about, max(width - column, 8)) or [""]
    for number, row in enumerate(rows):
        yield f"{usage if beside and number == 0 else '':{column}}{row}".rstrip()


def parse(text: str) -> tuple[str, str] | None:
    """Name and argument of a line that is meant as a command; None for what is said to the model.

    A path (`/etc/hosts is wrong`) and what begins with a space are no commands.
    """
    found = _COMMAND.match(text.rstrip())
    return ((found[1] or "").lower(), (found[2] or "").strip()) if found else None


def unknown(name: str, table: Table) -> str:
    """One line for a command that does not exist."""
    close = get_close_matches(name, table, cutoff=0.5)
    meant = " or ".join(f"/{one}" for one in close) if close else "see /help"
    return f"no command /{name}; {f'{meant}?' if close else meant}"


class SlashCompleter(Completer):
    """Completes the name of a command at the beginning of the line."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:  # noqa: ARG002 - the library's form
        """Commands that begin with what stands before the cursor."""
        before = document.text_before_cursor
        yield from (
            Completion(f"/{name} " if command.takes_words else f"/{name}", -len(before), f"/{name}")
            for name, command in self._begin_with(before)
        )

    def _begin_with(self, text: str) -> Iterable[tuple[str, Command]]:
        if not text.startswith("/") or len(text.split()) > 1:
            return []
        return [(name, command) for name, command in self._table.items() if name.startswith(text[1:].lower())]
