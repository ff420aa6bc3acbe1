r"""Questions to the person: what a panel says, and which keys answer it.

Invariant: nothing is approved that was not shown. The whole text is printed, escaped, its runs of blanks as
"⟨4,987 spaces⟩"; where it does not fit the screen it comes page by page, and only "no" is taken before the last one.
Nothing is answered by accident: a key counts only on an empty line, and only after half a second without typing; what
was typed before stays on the line and is no answer. Enter, a paste and any other key approve nothing. Where words
answer, those that are begun on the empty line do.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

from rich.cells import cell_len, chop_cells
from rich.text import Text

from harness.conversation.events import Permission, Question
from harness.tools.output import exact
from harness.ui.markdown import MarkdownRows
from harness.ui.plain import one_line

SETTLE = 0.5
"""Seconds without typing before a key is taken as an answer."""

KEYS = (*"123456789ysn", " ", "escape")
"""Every key that some panel takes."""

_RUN = 16
"""Blanks in a row from which on they are counted instead of shown."""

_BLANKS = re.compile(rf"[ \t]{{{_RUN},}}")
_EMPTY_LINES = re.compile(r"\n(?:[ \t]*\n){4,}")


def spelled(text: str) -> str:
    """All of `text`, for a person who decides on it: nothing in it acts, hides, or pushes the rest out of sight."""
    shown = "".join(one if one in " \n\t" or not _blank(one) else f"\\u{ord(one):04x}" for one in exact(text))
    shown = _EMPTY_LINES.sub(lambda found: f"\n⟨{found[0].count(chr(10)) - 1:,} empty lines⟩\n", shown)
    return _BLANKS.sub(_counted, shown).replace("\t", "    ")


def _blank(character: str) -> bool:
    return character.isspace() or unicodedata.category(character)[0] == "Z" or character == "\u2800"


def _counted(found: re.Match[str]) -> str:
    kinds = {" ": "spaces", "\t": "tabs"}
    names = " and ".join(name for character, name in kinds.items() if character in found[0])
    return f"⟨{len(found[0]):,} {names}⟩"


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer, and the keys that give it. `safe`: may be given before all was shown."""

    keys: str
    answer: str | None
    label: str
    safe: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A question as it is shown.

    words: it may be answered in the person's own words. markdown: the body is styled as an answer of the model is; what
    is permitted is not. escape: what Esc answers.
    """

    title: str
    body: str
    choices: tuple[Choice, ...]
    words: bool
    markdown: bool
    escape: str | None


def permission_panel(permission: Permission) -> Panel:
    """Whether a call may run."""
    once, no = Choice("y1", "once", "once"), Choice("n3", "no", "no", safe=True)
    session = Choice("s2", "session", "this session")
    choices = (once, session, no) if permission.rule else (once, no)
    grant = f" (this session: {one_line(permission.rule, 60)})" if permission.rule else ""
    tool, skill = one_line(permission.tool, 60), one_line(permission.skill, 60)
    wants = f"The sub-agent {skill} wants to run {tool}" if skill else f"{tool} asks for permission"
    title = f"{wants}{grant}:"
    return Panel(title, spelled(permission.what), choices, words=False, markdown=False, escape="no")


def question_panel(question: Question) -> Panel:
    """Something is to be known."""
    options = [one_line(option, 400) for option in question.options]
    # all of it, in its own rows: the answer is all of it
    rows = [spelled(option.strip()).replace("\n", "\n   ") for option in question.options]
    listed = "".join(f"\n{number}. {option}" for number, option in enumerate(rows, 1))
    # a tenth has no key of its own: it can be written
    words = question.own_words or not options
    labels = [str(number) if words else option for number, option in enumerate(options[:9], 1)]
    choices = tuple(Choice(str(number), question.options[number - 1], label) for number, label in enumerate(labels, 1))
    body = spelled(question.text) + ("\n" + listed if listed and words else "")
    return Panel(question.title, body, choices, words=words, markdown=True, escape=None)


@dataclass(slots=True)
class _Open:
    """The panel on the screen. line: what stands on the input line."""

    panel: Panel
    answer: asyncio.Future[str | None]
    pages: list[list[Text]]
    line: Literal["empty", "answer", "other"]
    shown: int = 0

    @property
    def whole(self) -> bool:
        """Everything was shown."""
        return self.shown == len(self.pages)


@dataclass(slots=True)
class Questions:
    """Asks one question at a time.

    clock: seconds. size: columns and rows of the terminal. line_empty: nothing stands on the input line. show: prints
    lines above it, the first of a panel with its title; an empty title goes on with the panel before.
    """

    clock: Callable[[], float]
    size: Callable[[], tuple[int, int]]
    line_empty: Callable[[], bool]
    show: Callable[[str, Sequence[Text]], None]
    _open: _Open | None = None
    _typed: float = 0.0
    _typed_before: float = 0.0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, question: Question) -> str | None:
        """The person's answer, or None where they give none."""
        return await self._put(question_panel(question))

    async def ask_permission(self, permission: Permission) -> str:
        """The person's answer: "once", "session" or "no"."""
        return await self._put(permission_panel(permission)) or "no"

    async def _put(self, panel: Panel) -> str | None:
        async with self._turn:
            answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
            self._open = _Open(panel, answer, self._pages(panel), "empty" if self.line_empty() else "other")
            self._typed = self._typed_before = self.clock()
            self._next_page(panel.title)
            try:
                return await self._open.answer
            finally:
                self._open = None

    def _pages(self, panel: Panel) -> list[list[Text]]:
        columns, rows = self.size()
        # a wrapped row must not pass for a line of its own, nor a line for the end of a comment
        shown = [
            Text.assemble(("┆ " if at else "│ ", "yellow"), row)
            for line in _lines(panel, max(8, columns - 5))
            for at, row in enumerate(line)
        ]
        # title, page number, prompt, toolbar
        fit = max(3, rows - 7)
        return [shown[at : at + fit] for at in range(0, len(shown), fit)]

    def _next_page(self, title: str = "") -> None:
        assert self._open is not None  # noqa: S101 - only called while a panel is open
        self.show(title, self._open.pages[self._open.shown])
        self._open.shown += 1

    @property
    def open(self) -> bool:
        """A question waits."""
        return self._open is not None

    @property
    def writing(self) -> bool:
        """The input line holds an answer in the person's own words."""
        return self._open is not None and self._open.line == "answer"

    @property
    def prompt(self) -> str:
        """What the input line says while a question waits."""
        if (now := self._open) is None:
            return ""
        if now.line == "answer":
            return "your answer (Enter: send, Esc: back)\n> "
        if now.line == "other":
            return "a question waits: send this line, or clear it with Ctrl-C\n> "
        choices = [f"{choice.keys[0]} {choice.label}" for choice in now.panel.choices if now.whole or choice.safe]
        if not now.whole:
            choices.insert(0, f"Space: more, {len(now.pages) - now.shown} of {len(now.pages)} pages left")
        if now.panel.words:
            numbers = len(now.panel.choices)
            choices = [f"1-{numbers} choose, or type" if numbers else "type", "Esc no answer"]
            choices[0] += " your answer"
        return " · ".join(choices) + "\n> "

    def typed(self) -> None:
        """A key was pressed, whatever it does. Call this before `takes`."""
        self._typed_before, self._typed = self._typed, self.clock()

    @property
    def _settled(self) -> bool:
        """Whether nothing was typed for a while before the last key."""
        return self.clock() - self._typed_before >= SETTLE

    def edited(self) -> None:
        """What stands on the line is another text now. Call this after `typed`."""
        if (now := self._open) is None:
            return
        if self.line_empty():
            now.line = "empty"
        elif now.line == "empty":
            now.line = "answer" if now.panel.words and self._settled else "other"
            while now.line == "answer" and not now.whole:
                self._next_page()

    def takes(self, key: str) -> bool:
        """Whether this key, just pressed, answers the question that waits."""
        now = self._open
        if now is None or self._meaning(now, key) is None:
            return False
        return key == "escape" if now.line == "answer" else now.line == "empty" and self._settled

    def press(self, key: str) -> None:
        """A key that `takes` admitted."""
        now = self._open
        if now is None or (meaning := self._meaning(now, key)) is None:
            return
        self._typed = self._typed_before
        meaning()

    def _meaning(self, now: _Open, key: str) -> Callable[[], None] | None:
        """What a key does, or None."""
        panel = now.panel
        if key == "escape":
            return self._stop_writing if now.line == "answer" else lambda: self._give(panel.escape)
        if key == " " and not now.whole:
            return self._next_page
        for choice in panel.choices:
            if key in choice.keys and (now.whole or choice.safe):
                return lambda: self._give(choice.answer)
        return None

    def _stop_writing(self) -> None:
        if self._open is not None:
            self._open.line = "empty"
            self._typed = self._typed_before = self.clock()

    def answer(self, text: str) -> None:
        """What stood on the line while it was `writing` is the answer."""
        self._give(text)

    def dismiss(self) -> bool:
        """Ctrl-C: a question gets no answer. Says whether that was all: a permission is left to the turn's end."""
        if self._open is None or not self._open.panel.words:
            return False
        self._give(None)
        return True

    def _give(self, answer: str | None) -> None:
        if self._open is not None and not self._open.answer.done():
            self._open.answer.set_result(answer)
            if answer is None or not self._open.panel.words:
                chosen = next((c.label for c in self._open.panel.choices if c.answer == answer), "no answer")
            else:
                chosen = one_line(answer, 200)
            self.show("", [Text.assemble(("→", "yellow"), f" {chosen}")])


def _lines(panel: Panel, width: int) -> Iterator[list[Text]]:
    """The rows of each line of a panel."""
    styled = MarkdownRows(lambda: width)
    for line in panel.body.split("\n"):
        if not panel.markdown:
            yield [Text(row) for row in chop_cells(line, width) or [""]]
            continue
        rows = list(styled.feed(f"{line}\n"))
        # code comes unwrapped, an empty first line not at all
        yield [part for row in rows for part in _fitting(row, width)] or [Text()]


def _fitting(row: Text, width: int) -> list[Text]:
    """A row, parted where it has no room."""
    if cell_len(row.plain) <= width:
        return [row]
    ends = list(accumulate(map(len, chop_cells(row.plain, width))))
    return list(row.divide(ends[:-1]))
