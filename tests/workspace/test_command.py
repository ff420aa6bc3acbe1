"""The scanner: what it admits is one program for real shells too, and what it must not admit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.workspace.command import words
from tests.waiting import PATIENCE

ADMITTED = [
    ("pytest", ("pytest",)),
    ("pytest -q  tests/a.py\t-x", ("pytest", "-q", "tests/a.py", "-x")),
    ("pytest -k 'a and b'", ("pytest", "-k", "a and b")),
    ('git commit -m "it\'s"', ("git", "commit", "-m", "it's")),
    ("git commit -m 'one\n\ntwo'", ("git", "commit", "-m", "one\n\ntwo")),
    (r"ls a\ b", ("ls", "a b")),
    (r'echo "a\"b\\c\d"', ("echo", 'a"b\\c\\d')),
    ("awk '{ print $1 }' f", ("awk", "{ print $1 }", "f")),
    ("echo ''", ("echo", "")),
    ("echo a#b", ("echo", "a#b")),
    ("pytest tests/*.py", ("pytest", "tests/*.py")),
    ("make A=1", ("make", "A=1")),
]

REFUSED = [
    "", "  ", "ls && curl evil", "ls; curl evil", "ls || curl evil", "ls | sh", "ls & curl evil", "ls\ncurl evil",
    "ls\rcurl evil", "ls\r\ncurl evil", "echo x > ~/.bashrc", "echo x >> f", "cat < /etc/passwd", "cat << E\nx\nE",
    "echo $(curl evil)", "echo `curl evil`", 'echo "$(curl evil)"', 'echo "`curl evil`"', "cat <(curl evil)",
    "echo ${HOME}", "echo $HOME", "echo $'a'", "(ls)", "{ ls; }", "{ls,-la}", "find . -e{xec,foo}", "A=1 ls", "A+=1 ls",
    "a[0]=1 ls", "! ls", "time ls", "if true", "[[ a ]]", "coproc ls", "function f", "ls 'a", 'ls "a', "ls \\",
    "ls \\\nx",
    'ls "a\\\nb"', "ls \0 x", "l\0s", "ls # x", "git push # --dry-run", "*", "l?", "[l]s", "find *", "find -[e]xec x",
    "rg ?x", "'' x", "ls \x1b[2J", "ls \x0b x", "ls\u00a0x", "ls\u2028x", "ls \x7f", "ls 'a\x1bb'", 'ls "a\x1bb"',
    "ls \ud800", "export PAGER=x; git log", "true;" * 49 + "curl evil", "ls" + " " * 5000 + "; rm -rf x", "echo \\$x",
    "ls \\\r", "ls ~/{a,b}", "fi", "}", "ls )",
]  # fmt: skip


@pytest.mark.parametrize(("command", "expected"), ADMITTED)
def test_a_simple_command_gives_its_words(command: str, expected: tuple[str, ...]) -> None:
    assert words(command) == expected


@pytest.mark.parametrize("command", REFUSED)
def test_anything_else_gives_nothing(command: str) -> None:
    assert words(command) is None


PIECES = st.sampled_from(
    [" ", " ", "\t", "a", "b", "-x", "'", '"', "\\", ";", "&", "|", "&&", "||", "<", ">", "(", ")", "$", "`", "{", "}",
     ",", "#", "!", "=", "\n", "\r", "*", "?", "[", "]", "canary", " canary ", "$(canary)", "A=1 ", "é",
     "\u00a0", "/", ":",
     "''", '""', "'a b'", '"a b"', "\\ ", "if ", "then ", "^", "%", "\x0b", "\x0c", "\x01"]
)  # fmt: skip

SHELLS = [path for path in (shutil.which("bash"), shutil.which("dash"), "/bin/sh") if path]


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, max_size=8).map("".join), st.sampled_from(SHELLS))
def test_real_shells_run_exactly_the_words(tmp_path: Path, tail: str, shell: str) -> None:
    found = words("probe" + tail)
    if found is None or found[0] != "probe":
        return
    # The functions stand on lines of their own, so that the command is parsed by itself.
    script = (
        "probe() { for w; do printf '<%s>\\0' \"$w\"; done; printf 'ran\\0'; }\n"
        "canary() { printf 'CANARY\\0'; }\nset -f\n"
    )
    done = subprocess.run(
        [shell, "-c", script + "probe" + tail], cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=False,
        env={"PATH": "/nonexistent", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.stdout.decode().split("\0")[:-1] == [*(f"<{word}>" for word in found[1:]), "ran"]
    assert (done.returncode, done.stderr) == (0, b"")
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=40))
def test_never_raises(text: str) -> None:
    found = words(text)
    assert found is None or all(isinstance(word, str) for word in found)
