"""Private folders for what is not finished: those of killed processes go, those of living ones stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.workspace.scratch import scratch

HOLDS = """
import sys
from pathlib import Path
from harness.workspace.scratch import scratch
with scratch(Path(sys.argv[1]), ".made-", ".part") as made:
    (made / "half").write_text("half")
    print(made, flush=True)
    sys.stdin.read()
"""


def left(path: Path) -> Path:
    """As if it were older than a minute."""
    os.utime(path, (0, 0))
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_it_is_private_and_gone_at_the_end(tmp_path: Path) -> None:
    with scratch(tmp_path, ".made-", ".part") as made:
        (made / "half").write_text("half")
        assert made.parent == tmp_path
        assert made.stat().st_mode & 0o777 == 0o700
    with pytest.raises(KeyError), scratch(tmp_path, ".made-", ".part"):
        raise KeyError
    assert names(tmp_path) == set()


def test_what_a_killed_process_left_goes_and_what_a_living_one_has_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        held = left(Path(other.stdout.readline().strip()))
        with scratch(tmp_path, ".made-", ".part") as made:
            assert names(tmp_path) == {held.name, made.name}, "it lives"
        other.send_signal(signal.SIGKILL)
    assert (held / "half").read_text() == "half"

    with scratch(tmp_path, ".made-", ".part") as made:
        assert names(tmp_path) == {made.name}


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    others = [".made-12345678.txt", ".made-1234567.part", ".made-123456789.part", "made-12345678.part", "work"]
    for name in others:
        (tmp_path / name).mkdir(mode=0o700)
        left(tmp_path / name)
    left(tmp_path / "work")
    (tmp_path / ".made-isafile_.part").write_text("a file")
    left(tmp_path / ".made-isafile_.part")
    (tmp_path / ".made-isalink_.part").symlink_to(tmp_path / "work")
    (tmp_path / ".made-shared__.part").mkdir()
    (tmp_path / ".made-shared__.part").chmod(0o755)
    left(tmp_path / ".made-shared__.part")
    (tmp_path / ".made-justmade.part").mkdir(mode=0o700)
    before = names(tmp_path)

    with scratch(tmp_path, ".made-", ".part"):
        pass

    assert names(tmp_path) == before
