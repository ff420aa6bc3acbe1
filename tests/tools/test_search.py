"""glob and grep, with the real ripgrep."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.conversation.blocks import Text
from harness.tools import glob, grep
from harness.tools.base import Outcome, Tool
from harness.workspace.paths import Workspace
from harness.workspace.ripgrep import find_rg

Call = Callable[..., Outcome]
RG = find_rg(os.defpath)


def text(outcome: Outcome) -> str:
    first = outcome.content[0]
    assert isinstance(first, Text)
    return first.text


@pytest.fixture
def tree(space: Workspace) -> Workspace:
    for name, content in {
        "src/a.py": "import os\nx = 1\n",
        "src/deep/b.py": "y = 1\n",
        "src/c.ts": "let x = 1\n",
        ".hidden/d.py": "x = 4\n",
        ".git/e.py": "x = 5\n",
        "build/f.py": "x = 6\n",
        "g.log": "x = 7\n",
        ".gitignore": "build/\n*.log\n",
        "odd\nname.py": "x = 8\n",
        "-e.py": "x = 9\n",
    }.items():
        path = space.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return space


@pytest.fixture
def globbing(tree: Workspace) -> Tool:
    return glob.make(tree, RG)


@pytest.fixture
def grepping(tree: Workspace) -> Tool:
    return grep.make(tree, RG)


def test_glob(globbing: Tool, call: Call, tree: Workspace) -> None:
    names = text(call(globbing, pattern="*.py")).split("\n")
    assert set(names) == {"-e.py", ".hidden/d.py", "odd\\nname.py", "src/a.py", "src/deep/b.py"}
    assert names == text(call(globbing, pattern="**/*.py")).split("\n")
    assert text(call(globbing, pattern="src/*.{py,ts}")) == "src/a.py\nsrc/c.ts"
    assert text(call(globbing, pattern="*.py", path="src")) == "src/a.py\nsrc/deep/b.py"
    assert text(call(globbing, pattern=f"{tree.root}/src/**/b.py")) == "src/deep/b.py"
    assert text(call(globbing, pattern="*.log")) == "no file matches *.log"
    assert call(globbing, pattern="*.nothing").shown == "0 files"


def test_glob_is_bounded_and_sorted(globbing: Tool, call: Call, tree: Workspace) -> None:
    many = tree.root / "many"
    many.mkdir()
    for number in range(700):
        (many / f"{number:04}.x").touch()
    shown = text(call(globbing, pattern="*.x")).split("\n")
    assert shown[:2] == ["many/0000.x", "many/0001.x"]
    assert len(shown) == 501
    assert shown[-1] == "[and 200 more; use a narrower pattern or path]"
    for number in range(60):
        (many / ("w" * 200 + f"{number:04}.y")).mkdir()
        (many / ("w" * 200 + f"{number:04}.y") / ("v" * 200 + ".z")).touch()
    assert len(text(call(globbing, pattern="*.z")).encode()) < glob.BYTES + 100


def test_glob_refuses_what_it_cannot_do(globbing: Tool, call: Call) -> None:
    for pattern, path, told in (
        ("/etc/*", ".", "relative to path"), ("../*", ".", "relative to path"), (" ", ".", "relative to path"),
        ("*", "none", "not a directory"), ("*", "src/a.py", "not a directory"), ("*", "a\0", "NUL"),
    ):  # fmt: skip
        outcome = call(globbing, pattern=pattern, path=path)
        assert outcome.is_error
        assert told in text(outcome)


def test_grep(grepping: Tool, call: Call) -> None:
    outcome = call(grepping, pattern="x =", glob="*.py")
    assert text(outcome) == (
        "-e.py\n     1: x = 9\n.hidden/d.py\n     1: x = 4\nodd\\nname.py\n     1: x = 8\nsrc/a.py\n     2: x = 1"
    )
    assert outcome.shown == "4 matches"
    assert text(call(grepping, pattern="x =", path="src/a.py")) == "src/a.py\n     2: x = 1"
    assert text(call(grepping, pattern="X =", path="src", ignore_case=True, files_only=True)) == "src/a.py\nsrc/c.ts"
    assert text(call(grepping, pattern="x", path="src/a.py", context=1)) == "src/a.py\n     1- import os\n     2: x = 1"
    assert text(call(grepping, pattern="nowhere")) == "no match for nowhere in ."
    assert text(call(grepping, pattern="x", glob="src/*.ts")) == "src/c.ts\n     1: let x = 1"


def test_context_groups_are_apart(grepping: Tool, call: Call, tree: Workspace) -> None:
    (tree.root / "l.txt").write_text("".join(f"{n}\n" for n in range(1, 31)))
    shown = text(call(grepping, pattern="^(5|20)$", path="l.txt", context=1))
    assert shown == ("l.txt\n     4- 4\n     5: 5\n     6- 6\n--\n    19- 19\n    20: 20\n    21- 21")


def test_grep_is_bounded(grepping: Tool, call: Call, tree: Workspace) -> None:
    (tree.root / "many.txt").write_text("match\n" * 5000)
    outcome = call(grepping, pattern="match", path="many.txt")
    assert outcome.shown == "100+ matches"
    assert text(outcome).endswith("   100: match\n[there may be more; use a narrower pattern, glob or path]")
    (tree.root / "wide.txt").write_text(("match" + "y" * 5000 + "\n") * 90 + "z" * 3_000_000 + "match\n")
    outcome = call(grepping, pattern="match", path="wide.txt")
    assert len(text(outcome).encode()) < grep.BYTES + 200


@pytest.mark.parametrize("pattern", ["--pre=evil", "-e", "--", "-", "--files", "-f/etc/passwd", "--hostname-bin=x"])
def test_a_pattern_is_never_an_option(grepping: Tool, call: Call, tree: Workspace, pattern: str) -> None:
    (tree.root / "opt.txt").write_text(f"see {pattern} here\n")
    assert text(call(grepping, pattern=pattern, glob="opt.txt")) == f"opt.txt\n     1: see {pattern} here"
    assert text(call(grepping, pattern="x", glob=pattern)) == "no match for x in ."


def test_a_path_is_never_an_option(grepping: Tool, call: Call) -> None:
    assert text(call(grepping, pattern="x", path="-e.py")) == "-e.py\n     1: x = 9"


def test_a_bad_regex_is_told_in_one_line(grepping: Tool, call: Call) -> None:
    outcome = call(grepping, pattern="(x")
    assert outcome.is_error
    assert text(outcome) == "ripgrep: regex parse error: unclosed group"


def test_binary_files_and_controls(grepping: Tool, call: Call, tree: Workspace) -> None:
    (tree.root / "bin.dat").write_bytes(b"x = 1\n" * 20_000 + b"\0\n")
    (tree.root / "esc.txt").write_bytes(b"needle \x1b[31m\x07 \xff\n")
    assert "bin.dat" in text(call(grepping, pattern="x = 1", path="bin.dat"))
    assert text(call(grepping, pattern="needle")) == "esc.txt\n     1: needle \\x1b[31m\\x07 \ufffd"


def test_configuration_changes_nothing(call: Call, tree: Workspace, tmp_path: Path) -> None:
    (tmp_path / "rc").write_text("--files-with-matches\n")
    old = os.environ.get("RIPGREP_CONFIG_PATH")
    os.environ["RIPGREP_CONFIG_PATH"] = str(tmp_path / "rc")
    try:
        assert "     2: x = 1" in text(call(grep.make(tree, RG), pattern="x", path="src/a.py"))
    finally:
        del os.environ["RIPGREP_CONFIG_PATH"]
        if old is not None:
            os.environ["RIPGREP_CONFIG_PATH"] = old


def test_names_that_are_no_utf8(globbing: Tool, grepping: Tool, call: Call, tree: Workspace) -> None:
    try:
        (tree.root / os.fsdecode(b"bad\xff.py")).write_bytes(b"needle\n")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert "bad\\xff.py" in text(call(globbing, pattern="bad*"))
    assert text(call(grepping, pattern="needle")) == "bad\\xff.py\n     1: needle"


def test_fifo_and_missing_paths(grepping: Tool, call: Call, tree: Workspace) -> None:
    os.mkfifo(tree.root / "fifo")
    for path, told in (("fifo", "is a FIFO"), ("none", "does not exist"), ("a\0", "NUL"), ("/dev/zero", "device")):
        outcome = call(grepping, pattern="x", path=path)
        assert outcome.is_error
        assert told in text(outcome)
    # A FIFO in a folder that is searched is passed over.
    assert not call(grepping, pattern="x").is_error


def test_without_ripgrep_it_says_how_to_get_it(call: Call, space: Workspace) -> None:
    for tool in (glob.make(space, None), grep.make(space, None)):
        outcome = call(tool, pattern="x")
        assert outcome.is_error
        assert "install" in text(outcome)


def test_a_real_repository_ignores_the_same(call: Call, tree: Workspace) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tree.root, check=True)
    assert "build" not in text(call(glob.make(tree, RG), pattern="**"))
