"""`harness memory`, by the command line."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import run
from harness.knowledge.memory import MAX_FILE_BYTES
from tests.waiting import PATIENCE

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(isolation: Path) -> Path:
    return isolation / ".config" / "harness" / "memory"


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(["memory", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_add_list_show_forget(told: Told, folder: Path) -> None:
    assert told("add", "editor", "Use tabs,", "not spaces") == (0, "kept in editor: Use tabs, not spaces\n", "")
    assert told("add", "editor", "- Line length   is 120") == (0, "kept in editor: Line length is 120\n", "")
    assert (folder / "editor.md").read_text() == "# Editor\n\n- Use tabs, not spaces\n- Line length is 120\n"
    code, out, _ = told("list")
    assert code == 0
    assert f"yours: {folder}\n  editor: Editor\n" in out
    assert told("show", "editor")[1] == "# Editor\n\n- Use tabs, not spaces\n- Line length is 120\n"
    assert told("forget", "editor", "tabs")[1] == "forgotten: Use tabs, not spaces\n"
    assert told("forget", "editor")[1] == "forgotten: editor, which said:\n# Editor\n\n- Line length is 120\n"
    assert not list(folder.iterdir())


def test_the_same_is_written_once_and_the_near_is_replaced(told: Told, folder: Path) -> None:
    told("add", "tests", "The tests run with pytest -q")
    assert (
        told("add", "other", "the tests run with pytest -Q.")[1] == "already in tests: The tests run with pytest -q\n"
    )
    assert told("add", "other", "Test runs with pytest -q")[1] == (
        "in tests, replaced: The tests run with pytest -q\nby: Test runs with pytest -q\n"
    )
    assert (folder / "tests.md").read_text() == "# Tests\n\n- Test runs with pytest -q\n"
    assert not (folder / "other.md").exists()


def test_the_project_has_its_own(told: Told, tmp_path: Path, folder: Path) -> None:
    (tmp_path / ".git").mkdir()
    told("add", "deploy", "By hand, on Fridays", "--project")

    assert (tmp_path / ".harness" / "memory" / "deploy.md").read_text() == "# Deploy\n\n- By hand, on Fridays\n"
    assert not folder.exists()
    assert "deploy: Deploy" in told("list", "--project")[1]


def test_check_names_file_and_line(told: Told, folder: Path) -> None:
    assert told("check") == (0, "memory is in order\n", "")
    folder.mkdir(parents=True)
    (folder / "a.md").write_text("# A\n\n- fish\n- Fish.\n- b\u202ec\n")

    assert told("check") == (
        1,
        (
            f"{folder}/a.md:5: has characters that cannot be seen: - b\\u202ec\n"
            f'{folder}/a.md:4: "Fish." says the same as "fish"; keep one of them\n'
        ),
        "",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "A/b", "x"), "a topic's name has lower-case"),
        (("add", "a", "..."), "a fact has words"),
        (("add", "a", "x" * 501), "at most 500 bytes; this has 501"),
        (("add", "full", "one more word"), "it has more than 4,096 bytes"),
        (("add", "a", "hidden \u202e text"), "cannot be seen"),
        (("show", "nothing"), "no topic `nothing`"),
        (("forget", "nothing"), "no topic `nothing`"),
        (("forget", "two", "fish"), "2 facts say that"),
        (("forget", "two", "bird"), "no fact says that"),
        (("show", "pipe"), "not a regular file"),
        (("nonsense",), "no command `nonsense`"),
    ],
)
def test_what_is_wrong_is_one_line(told: Told, folder: Path, arguments: tuple[str, ...], said: str) -> None:
    folder.mkdir(parents=True)
    (folder / "two.md").write_text("# Two\n- red fish\n- blue fish\n")
    if "full" in arguments:
        (folder / "full.md").write_text("# Full\n" + "x" * MAX_FILE_BYTES)
    if "pipe" in arguments:
        os.mkfifo(folder / "pipe.md")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    code, _, err = told(*arguments)

    assert code == 2
    assert err.count("\n") == 1
    assert said in err
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_topic_goes_with_its_last_fact_but_not_with_other_words(told: Told, folder: Path) -> None:
    told("add", "editor", "Use tabs")
    told("add", "style", "Short lines")
    with (folder / "style.md").open("a") as file:
        file.write("\nMore of it is in the wiki.\n")

    assert told("forget", "editor", "tabs")[1] == "forgotten: Use tabs; it was the last of editor, which is gone\n"
    assert told("forget", "style", "short")[1] == "forgotten: Short lines\n"
    assert [path.name for path in folder.iterdir()] == ["style.md"]


def test_forgetting_where_nothing_is_leaves_nothing(told: Told, folder: Path) -> None:
    assert told("forget", "editor", "tabs")[2] == f"harness: no topic `editor`: nothing is kept in {folder}\n"
    assert not folder.exists()


def test_two_at_once_lose_nothing(folder: Path) -> None:
    words = ["one", "two", "three", "four", "five", "six"]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "harness", "memory", "add", "numbers", f"the number {word}"],
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        for word in words
    ]

    assert [process.wait(PATIENCE) for process in running] == [0] * 6
    assert sorted((folder / "numbers.md").read_text().split("\n")[2:-1]) == sorted(f"- the number {w}" for w in words)


def test_a_disk_without_room(told: Told, folder: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, hard))
    try:
        failed = told("add", "editor", "Use tabs, not spaces")
        _, _, shared = told("add", "editor", "Use tabs, not spaces", "--project")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    path = os.path.realpath(folder / "editor.md")
    why = f"cannot write {path}: File too large; set XDG_CONFIG_HOME to a folder that can be written"
    assert failed == (1, "", f"harness: {why}\n")
    assert shared.endswith("editor.md: File too large; change that, or keep it for yourself: without --project\n")
    assert told("show", "editor")[0] == 2
