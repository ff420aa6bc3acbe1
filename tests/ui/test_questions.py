from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from rich.text import Text

from harness.conversation.events import Permission, Question
from harness.ui.questions import SETTLE, Questions, spelled


class Person:
    """A screen without a screen: what was shown, and keys with the time between them."""

    def __init__(self, rows: int = 24) -> None:
        self.now = 0.0
        self.line = ""
        self.shown: list[str] = []
        self.rows: list[Text] = []
        self.questions = Questions(lambda: self.now, lambda: (80, rows), lambda: not self.line, self._show)

    def _show(self, title: str, lines: Sequence[Text]) -> None:
        self.rows += lines
        plain = [line.plain for line in lines]
        self.shown += [title, *plain] if title else plain

    def press(self, key: str, after: float = SETTLE) -> bool:
        self.now += after
        self.questions.typed()
        taken = self.questions.takes(key)
        if taken:
            self.questions.press(key)
        return taken

    def type(self, text: str, after: float = SETTLE) -> None:
        """Have that on the line; "": clear it."""
        self.now += after
        self.questions.typed()
        self.line = text
        self.questions.edited()

    async def asked(self, what: Permission | Question) -> asyncio.Task[str | None]:
        async def ask() -> str | None:
            if isinstance(what, Question):
                return await self.questions.ask(what)
            return await self.questions.ask_permission(what)

        task = asyncio.create_task(ask())
        await asyncio.sleep(0)
        return task


RM = Permission("shell", "rm -rf build", "shell(rm *)")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ls" + " " * 4987 + "; rm x", "ls⟨4,987 spaces⟩; rm x"),
        ("a" + "\t" * 20 + "b", "a⟨20 tabs⟩b"),
        ("a" + " \t" * 20 + "b", "a⟨40 spaces and tabs⟩b"),
        ("a" + "\n" * 500 + "b", "a\n⟨499 empty lines⟩\nb"),
        ("a" + "\n  " * 500 + "\nb", "a\n⟨500 empty lines⟩\nb"),
        ("a\u00a0b\u3000c\u2800d\u2003e", "a\\u00a0b\\u3000c\\u2800d\\u2003e"),
        ("a\x1b[2K\x0b\u202eb", "a\\x1b[2K\\x0b\\u202eb"),
        ("if x:\n        y\n", "if x:\n        y\n"),
    ],
)
def test_what_is_decided_on_is_spelled_out(text: str, shown: str) -> None:
    assert spelled(text) == shown


async def _settled() -> None:
    person = Person()
    task = await person.asked(RM)
    assert person.shown == ["shell asks for permission (this session: shell(rm *)):", "│ rm -rf build"]

    assert not person.press("y", after=SETTLE / 2)
    assert not person.press("y", after=SETTLE / 2)  # typing goes on
    assert person.press("y")
    assert await task == "once"
    assert person.shown[-1] == "→ once"
    assert not person.questions.open


def test_a_key_counts_only_after_a_pause() -> None:
    asyncio.run(_settled())


async def _of_a_sub_agent() -> None:
    person = Person()
    task = await person.asked(Permission("shell", "rm -rf build", "shell(rm *)", "tidy\x1b[2K"))
    assert person.shown[0] == "The sub-agent tidy\\x1b[2K wants to run shell (this session: shell(rm *)):"
    task.cancel()


def test_a_question_for_permission_names_the_sub_agent() -> None:
    asyncio.run(_of_a_sub_agent())


async def _line_in_use() -> None:
    person = Person()
    task = await person.asked(RM)
    person.type("no, wait")

    assert not any(person.press(key) for key in ("y", "s", "n", "1", "escape", "enter"))
    assert "send this line" in person.questions.prompt
    assert not person.questions.writing
    person.type("")
    assert not person.press("enter")
    assert person.press("n")
    assert await task == "no"


def test_a_key_counts_only_on_an_empty_line_and_enter_never() -> None:
    asyncio.run(_line_in_use())


async def _paged() -> None:
    person = Person(rows=12)
    task = await person.asked(Permission("shell", "\n".join(map(str, range(12))), "shell(seq *)"))
    assert person.shown[1:] == ["│ 0", "│ 1", "│ 2", "│ 3", "│ 4"]
    assert person.questions.prompt.startswith("Space: more, 2 of 3 pages left · n no")

    assert not person.press("y")
    assert person.press(" ")
    assert not person.press("s", after=0)
    assert person.press(" ")
    assert person.shown[-1] == "│ 11"
    assert person.press("s")
    assert await task == "session"


def test_nothing_is_approved_before_its_last_page() -> None:
    asyncio.run(_paged())


TABLE = "| part | cost |\n|---|---|\n| **tools** | `1.20` |"


def styles(row: Text) -> list[tuple[str, str]]:
    return [(row.plain[span.start : span.end], str(span.style)) for span in row.spans if span.style]


async def _in_markdown() -> None:
    person = Person()
    asked = f"# Which?\n{TABLE}\n```sh\n{'x' * 100}\n```\n{'words ' * 20}\n- end"
    task = await person.asked(Question(asked, ("`red`",)))

    which, head, _, tools, _, code, more, _, words, rest, item, _, option = person.rows
    assert styles(which)[1:] == [("# Which?", "bold")]
    assert head.plain == "│ | part | cost |"
    assert tools.plain == "│ | **tools** | `1.20` |"
    assert [one for one in styles(tools) if one[0] in ("tools", "1.20")] == [("tools", "bold"), ("1.20", "cyan")]
    assert [styles(code)[1], styles(more)[1]] == [("x" * 75, "cyan"), ("x" * 25, "cyan")]
    assert [row.plain[0] for row in (code, more, words, rest, item)] == ["│", "┆", "│", "┆", "│"]
    assert (item.plain, option.plain) == ("│ - end", "│ 1. `red`")
    assert all(row.cell_len <= 77 for row in person.rows)
    task.cancel()


def test_a_question_is_styled_as_an_answer_is() -> None:
    asyncio.run(_in_markdown())


async def _as_it_is() -> None:
    person = Person()
    task = await person.asked(Permission("shell", TABLE, ""))
    assert person.shown[1:] == [f"│ {line}" for line in TABLE.split("\n")]
    assert [styles(row) for row in person.rows] == [[("│ ", "yellow")]] * 3
    task.cancel()


def test_what_is_permitted_is_shown_as_it_is() -> None:
    asyncio.run(_as_it_is())


async def _wrapped() -> None:
    person = Person()
    task = await person.asked(Permission("shell", "true # " + "x" * 70 + "y\nrm z"))

    assert [line[:3] for line in person.shown[1:]] == ["│ t", "┆ x", "│ r"]
    task.cancel()


def test_a_line_is_told_from_the_rest_of_a_wrapped_one() -> None:
    asyncio.run(_wrapped())


async def _one_after_another() -> None:
    person = Person()
    first, second = await person.asked(RM), await person.asked(Question("Which?", ("red", "green")))
    assert "│ Which?" not in person.shown

    person.press("y")
    assert await first == "once"
    await asyncio.sleep(0)
    assert person.shown[-5:] == ["The model asks:", "│ Which?", "│ ", "│ 1. red", "│ 2. green"]
    assert not person.press("1", after=0)
    assert person.press("1")
    assert await second == "red"


def test_questions_wait_for_each_other() -> None:
    asyncio.run(_one_after_another())


async def _cancelled() -> None:
    person = Person()
    task = await person.asked(RM)

    assert not person.questions.dismiss()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert not person.questions.open
    assert not person.press("y")


def test_a_turn_that_stops_takes_its_question_along() -> None:
    asyncio.run(_cancelled())


async def _words() -> None:
    person = Person()
    task = await person.asked(Question("Why?"))
    assert person.questions.prompt.startswith("type your answer · Esc no answer")
    assert not person.press("enter")
    person.type("b")
    assert person.questions.prompt.startswith("your answer")
    person.type("because \x1b", after=0)
    assert person.questions.writing

    person.questions.answer(person.line)

    assert await task == "because \x1b"
    assert person.shown[-1] == "→ because \\x1b"


def test_typing_answers_a_question() -> None:
    asyncio.run(_words())


async def _begun_before() -> None:
    person = Person()
    person.type("by the")
    task = await person.asked(Question("Which?", ("red", "green")))
    person.type("by the way")
    assert "send this line" in person.questions.prompt

    person.type("")
    person.type("b", after=SETTLE / 2)
    person.type("blue")  # begun in the middle of typing
    assert "send this line" in person.questions.prompt

    person.type("")
    person.type("1 of them")
    assert person.questions.writing
    assert not person.press("1")
    person.type("")
    assert person.press("1")
    assert await task == "red"


def test_a_line_begun_before_the_question_or_right_behind_it_is_no_answer() -> None:
    asyncio.run(_begun_before())


async def _long() -> None:
    person = Person(rows=12)
    task = await person.asked(Question("\n".join(map(str, range(20)))))
    assert person.shown[-1] != "│ 19"
    person.type("x")
    assert person.shown[-1] == "│ 19"
    task.cancel()


def test_all_of_a_question_is_shown_when_its_answer_is_begun() -> None:
    asyncio.run(_long())


async def _rows() -> None:
    person = Person()
    table = "| a | b |\n|---|---|\n| 1 | \x1b |\n"
    task = await person.asked(Question("Which?", (table, "x" * 500)))
    assert person.shown[3:6] == ["│ 1. | a | b |", "│    |---|---|", "│    | 1 | \\x1b |"]
    assert "".join(person.shown).count("x") == 501

    person.press("1")
    assert await task == table


def test_a_choice_of_several_rows_is_shown_whole() -> None:
    asyncio.run(_rows())
