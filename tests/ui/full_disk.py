"""Disks without room: a small tmpfs where mounting is allowed, else a limit on the size of every file."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of that size at `folder`; skips the test where nobody may mount."""
    folder.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", str(folder)]
    if os.geteuid() or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, leave: int = 0) -> Path:
    """Take all room of a disk but `leave` bytes; remove the file that is given to have it back."""
    filler = folder / "filler"
    state = os.statvfs(folder)
    with filler.open("wb", buffering=0) as file:
        try:
            file.write(b"\0" * max(0, state.f_bavail * state.f_frsize - leave))
        except OSError:
            assert leave == 0
    return filler


def limit_files(pid: int, size: int) -> None:
    """No file of that process may grow beyond `size` bytes from now on; -1: any may again."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size if size >= 0 else resource.RLIM_INFINITY, -1))
