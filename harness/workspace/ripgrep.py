"""ripgrep: where it is, and running it record by record.

Invariant: the program is never looked for in the working folder; no configuration file or environment changes
what it finds; memory stays flat however much it prints, and it is gone when `search` returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError

MISSING = (
    "ripgrep (rg) was not found: install it (apt install ripgrep, brew install ripgrep, pip install "
    "ripgrep) and start again; until then use the shell's find and grep"
)

COMMON = (
    "--no-config", "--color=never", "--hidden", "--glob=!.git", "--no-require-git", "--no-ignore-global",
    "--sort=path",
)  # fmt: skip
"""Hidden files too, .gitignore also outside a repository, the person's own ignore file not; in one order."""

_LONGEST = 1 << 20
"""Bytes of one record that are kept."""

_ERRORS = 4096


def find_rg(path_env: str) -> str | None:
    """The absolute path of ripgrep: beside this Python, else in the absolute folders of `path_env`."""
    for folder in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent)):
        candidate = Path(folder) / "rg"
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    absolute = os.pathsep.join(part for part in path_env.split(os.pathsep) if part.startswith("/"))
    return shutil.which("rg", path=absolute) if absolute else None


@dataclass(frozen=True, slots=True)
class Ended:
    """code: 0 found, 1 nothing, 2 a problem; None when stopped early. errors: how its complaints begin."""

    code: int | None
    errors: str
    timed_out: bool = False

    @property
    def message(self) -> str:
        """The complaint in one line."""
        lines = [line.strip() for line in self.errors.splitlines() if line.strip()]
        told = next((line for line in lines if line.startswith("error: ")), "")
        first = lines[0].removeprefix("rg: ").rstrip(":") if lines else "unknown error"
        return f"{first}: {told.removeprefix('error: ')}" if told else first


async def search(
    argv: Sequence[str], *, cwd: Path, end: bytes, take: Callable[[bytes], bool], seconds: float = 60.0
) -> Ended:
    """Runs ripgrep and gives each record, without its `end` byte, to `take` until that says False.

    Raises:
        UsageError: it could not be started.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env={"LC_ALL": "C.UTF-8"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise UsageError(f"ripgrep could not be started: {error}") from None
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - asked for above
    errors = asyncio.ensure_future(_first(process.stderr))
    complete = timed_out = False
    try:
        try:
            async with asyncio.timeout(seconds):
                complete = await _records(process.stdout, end, take)
        except TimeoutError:
            timed_out = True
        if complete:
            await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        # Killed, it is gone at once; still, nothing that holds its pipe may hold us.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await _records(process.stdout, end, lambda _: True)  # only its end closes the pipe
                await asyncio.wait({errors})
                await process.wait()
        errors.cancel()
    told = errors.result() if errors.done() and not errors.cancelled() else ""
    return Ended(process.returncode if complete else None, told, timed_out)


async def _records(stream: asyncio.StreamReader, end: bytes, take: Callable[[bytes], bool]) -> bool:
    """Whether the output was read to its end."""
    rest = b""
    while piece := await stream.read(1 << 16):
        *whole, rest = (rest + piece).split(end)
        rest = rest[:_LONGEST]
        for record in whole:
            if not take(record):
                return False
    return take(rest) if rest else True


async def _first(stream: asyncio.StreamReader) -> str:
    kept = b""
    while piece := await stream.read(1 << 16):
        kept = (kept + piece)[:_ERRORS]
    return kept.decode("utf-8", "replace")
