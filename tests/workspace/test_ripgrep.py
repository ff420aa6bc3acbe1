"""Finding and running ripgrep."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.workspace.ripgrep import Ended, find_rg, search


def test_never_from_the_working_folder(tmp_path: Path) -> None:
    fake = tmp_path / "rg"
    fake.write_text("#!/bin/sh\necho evil\n")
    fake.chmod(0o755)
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        for path_env in (".", "", f".:{os.pathsep}", "bin/../"):
            assert find_rg(path_env) != str(fake)
            assert (find_rg(path_env) or "/").startswith("/")
    finally:
        os.chdir(before)


def test_its_message_is_one_line() -> None:
    assert Ended(2, "rg: regex parse error:\n    (x\n    ^\nerror: unclosed group\n").message == (
        "regex parse error: unclosed group"
    )
    assert Ended(2, "rg: ./x: Permission denied (os error 13)\n").message == "./x: Permission denied (os error 13)"
    assert Ended(2, "").message == "unknown error"


def test_stops_when_told_and_leaves_nothing(tmp_path: Path) -> None:
    taken: list[bytes] = []

    def take(record: bytes) -> bool:
        taken.append(record)
        return len(taken) < 3

    ended = asyncio.run(search(["/bin/sh", "-c", "yes; echo x"], cwd=tmp_path, end=b"\n", take=take))
    assert taken == [b"y"] * 3
    assert ended.code is None


def test_ends_in_time(tmp_path: Path) -> None:
    ended = asyncio.run(search(["/bin/sleep", "66.5"], cwd=tmp_path, end=b"\n", take=lambda _: True, seconds=0.2))
    assert ended.timed_out


def test_cannot_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="could not be started"):
        asyncio.run(search([str(tmp_path / "none")], cwd=tmp_path, end=b"\n", take=lambda _: True))
