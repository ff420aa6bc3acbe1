"""Paths: what was meant, and where it leads."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.workspace.paths import Workspace


def test_resolve(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to("deep/er")
    space = Workspace(tmp_path, (), tmp_path / "sub", Path("/home/me"))
    assert space.resolve("a") == tmp_path / "sub" / "a"
    assert space.resolve("./a/") == tmp_path / "sub" / "a"
    assert space.resolve("../a") == tmp_path / "a"
    assert space.resolve("~/a") == Path("/home/me/a")
    assert space.resolve("~") == Path("/home/me")
    assert space.resolve("~a") == tmp_path / "sub" / "~a"
    # Behind a symlink, `..` is where the kernel says.
    assert space.resolve(f"{tmp_path}/link/../a") == tmp_path / "deep" / "a"


@pytest.mark.parametrize("text", ["", "a\0b", "~/a", "a\ud800"])
def test_resolve_refuses(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Workspace(tmp_path).resolve(text)


def test_a_symlink_loop_is_no_crash(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    space = Workspace(tmp_path)
    assert space.inside(space.resolve("a/x"))


def test_shown(tmp_path: Path) -> None:
    space = Workspace(tmp_path, (), tmp_path / "sub")
    assert space.shown(tmp_path / "sub" / "a") == "a"
    assert space.shown(tmp_path / "sub") == "."
    assert space.shown(tmp_path / "a") == str(tmp_path / "a")
