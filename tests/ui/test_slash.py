from __future__ import annotations

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from harness.ui.slash import Command, SlashCompleter, parse, unknown, with_own

TABLE = with_own({name: Command(f"/{name}", name, lambda _: ()) for name in ("model", "cost", "cache")})


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/cost", ("cost", "")),
        ("/model  opus ", ("model", "opus")),
        ("/Quit\n", ("quit", "")),
        ("/", ("", "")),
        ("/frob it", ("frob", "it")),
        ("/etc/hosts is wrong", None),
        (" /cost", None),
        ("cost", None),
        ("// a comment", None),
    ],
)
def test_what_is_a_command(text: str, command: tuple[str, str] | None) -> None:
    assert parse(text) == command


def test_an_unknown_command_names_close_ones() -> None:
    assert unknown("modle", TABLE) == "no command /modle; /model?"
    assert unknown("xyzzy", TABLE) == "no command /xyzzy; see /help"


@pytest.mark.parametrize(
    ("text", "names"),
    [("/", 6), ("/c", 2), ("/mod", 1), ("/model o", 0), ("x", 0), ("", 0)],
)
def test_completion(text: str, names: int) -> None:
    found = list(SlashCompleter(TABLE).get_completions(Document(text), CompleteEvent()))

    assert len(found) == names


@pytest.mark.parametrize("width", [20, 40, 80, 132])
def test_help_fits_the_screen_and_leaves_no_word_out(width: int) -> None:
    about = "what a command does, in more words than fit beside its name on a narrow screen"
    table = with_own({"export": Command("/export FILE", about, lambda _: ())}, width=lambda: width)

    shown = table["help"].run("")

    assert isinstance(shown, list)
    assert all(len(row) <= width for row in shown), shown
    assert " ".join(" ".join(shown).split()).startswith(f"/export FILE {about} /help this list")


def test_a_usage_that_is_long_stands_on_a_row_of_its_own() -> None:
    table = with_own({"x": Command("/rewind [N] [conversation|files]", "go back", lambda _: ())})

    shown = table["help"].run("")

    assert isinstance(shown, list)
    assert shown[:2] == ["/rewind [N] [conversation|files]", f"{'':24}go back"]
