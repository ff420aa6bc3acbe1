"""Path patterns."""

from __future__ import annotations

import pytest

from harness.workspace.globs import matches

YES = [
    ("*.py", "a.py"), ("*.py", "x/y/a.py"), ("src/*.py", "src/a.py"), ("src/**/*.py", "src/a.py"),
    ("src/**/*.py", "src/x/y/a.py"), ("**/a.py", "a.py"), ("docs/**", "docs/a"), ("docs/**", "docs/a/b"),
    ("**", "a/b"), ("*.{ts,tsx}", "a/b.tsx"), ("{a,b}/{c,d}.x", "b/c.x"), ("{a,{b,c}}", "c"), ("[ab].c", "a.c"),
    ("[!a].c", "b.c"), ("[^a].c", "b.c"), ("a?c", "abc"), ("./a/*", "a/b"), ("docs/", "docs/a"), ("/tmp/x/**",
    "/tmp/x/y"),
    ("a{b", "a{b"), ("a}b", "a}b"), ("**/x/**", "a/x/b"), ("a\nb", "a\nb"), ("*", ".hidden"),
]  # fmt: skip
NO = [
    ("src/*.py", "src/x/a.py"), ("docs/**", "docs"), ("docs/**", "docsx/a"), ("*.py", "a.pyc"), ("A.py", "a.py"),
    ("/a/*", "b/a/c"), ("a/b", "x/a/b"), ("[a", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "path"), YES)
def test_matches(pattern: str, path: str) -> None:
    assert matches(pattern, path)


@pytest.mark.parametrize(("pattern", "path"), NO)
def test_does_not_match(pattern: str, path: str) -> None:
    assert not matches(pattern, path)


def test_hostile_patterns_end() -> None:
    assert not matches("*a" * 60 + "b", "a" * 250)
    assert not matches("**/a/" * 60 + "b", "/".join("a" * 200))
    matches("{a,b}" * 40, "x")
