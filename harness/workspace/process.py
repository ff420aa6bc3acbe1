"""Running one command in the foreground, in a process group of its own.

Invariant: when `run` ends, by exit, timeout, failure or cancellation, no process of the group is left, and
nothing the command left behind (a background process that holds the pipe) can delay the return by more than a
second.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import UsageError
from harness.workspace import files
from harness.workspace.capture import Capture, Captured

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL after a timeout."""

_LEFTOVER_GRACE = 0.3
"""The same, for children that a command left behind, and after a cancellation."""
_LINGER = 0.15
"""Seconds for such children to end by themselves."""
_KILLED = 1.0
"""Seconds to wait for a group that was killed."""
_STEP = 0.02
"""Seconds between two looks at whether a group has ended."""
_PIPE = 1 << 20
"""The most a pipe of ours holds, and the most that is read at once."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended.

    code: exit code; None when a signal ended it or it was killed. signal: the signal's name ("SIGSEGV") or
    "".
    timed_out: it was killed by us after its time. ended: background processes that had to be ended.
    """

    output: Captured
    code: int | None
    signal: str = ""
    timed_out: bool = False
    ended: int = 0


async def run(
    argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str], folder: Path, seconds: float
) -> Finished:
    """Runs `argv` (no shell added) with no input, output and errors merged; waits at most `seconds`.

    folder: where the file for long output goes.

    Raises:
        UsageError: it could not be started; says why.
    """
    try:
        reader, writer = os.pipe()
    except OSError as error:
        raise UsageError(f"{argv[0]} could not be started: {files.reason(error)}") from None
    os.set_blocking(reader, False)
    with contextlib.suppress(AttributeError, OSError):  # Linux only; fewer, larger pieces
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE)
    try:
        try:
            process = await _start(argv, cwd, environment, writer)
        finally:
            os.close(writer)
        capture = Capture(folder)
        try:
            return await _watch(process, reader, capture, seconds)
        except BaseException:
            # Cancelled, or a fault of ours: the person waits, so little grace. Shielded from a second
            # cancellation.
            await _unbroken(_end_group(process, _LEFTOVER_GRACE))
            capture.drop()
            raise
    finally:
        os.close(reader)


async def _start(
    argv: Sequence[str], cwd: Path, environment: Mapping[str, str], writer: int
) -> asyncio.subprocess.Process:
    start = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(start)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError, ValueError):
            await _unbroken(_abandon(start))
        raise
    except OSError as error:
        if files.kind(cwd) != "a directory":
            raise UsageError(f"the working folder {cwd} is gone; nothing was run") from None
        raise UsageError(f"{argv[0]} could not be started: {files.reason(error)}") from None
    except ValueError as error:
        raise UsageError(f"the command cannot be run: {error}") from None


async def _abandon(start: asyncio.Future[asyncio.subprocess.Process]) -> None:
    await _end_group(await start, _LEFTOVER_GRACE)


async def _watch(process: asyncio.subprocess.Process, reader: int, capture: Capture, seconds: float) -> Finished:
    pump = asyncio.ensure_future(_pump(reader, capture))
    timed_out = False
    try:
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            timed_out = True
        if not timed_out:
            await _outlast(process.pid, _LINGER)  # what is about to end (`> >(tee log)`) ends by itself
        ended = await _end_group(process, GRACE if timed_out else _LEFTOVER_GRACE)
    finally:
        pump.cancel()
        await asyncio.wait({pump})
    if not pump.cancelled() and (fault := pump.exception()) is not None:
        raise fault
    await _unbroken(asyncio.to_thread(_drain, reader, capture))
    output = await _unbroken(asyncio.to_thread(capture.finish))
    code = process.returncode
    if timed_out:
        return Finished(output, None, timed_out=True)
    if code is not None and code < 0:
        return Finished(output, None, _signal_name(-code), ended=ended)
    return Finished(output, code, ended=ended)


async def _pump(reader: int, capture: Capture) -> None:
    """Feeds what comes until the pipe is closed or this is cancelled; loses nothing it has read."""
    while (piece := _read(reader)) != b"":
        if piece is None:
            await _readable(reader)
        else:
            await _unbroken(asyncio.to_thread(capture.feed, piece))


def _drain(reader: int, capture: Capture) -> None:
    """Feeds what the group wrote before its end; bounded, as one that left the group may write for ever."""
    left = _PIPE
    while left > 0 and (piece := _read(reader)):
        capture.feed(piece)
        left -= len(piece)


def _read(reader: int) -> bytes | None:
    """The next bytes; empty at the end; None when there are none yet."""
    try:
        return os.read(reader, _PIPE)
    except BlockingIOError:
        return None


async def _readable(reader: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(reader, _settle, ready)
    try:
        await ready
    finally:
        # Not left registered while a piece is written: the loop would spin on the next one.
        loop.remove_reader(reader)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Awaits `work` to its end even when cancelled meanwhile; the cancellation is passed on afterwards."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        raise


async def _end_group(process: asyncio.subprocess.Process, grace: float) -> int:
    """SIGTERM, `grace` seconds, SIGKILL for the command's session; how many lived besides the command."""
    members = await asyncio.to_thread(_members, process.pid)
    if not members and _signal(process.pid, members, 0):
        # One that was forked while /proc was being listed is in the group, but not in the list.
        members = await asyncio.to_thread(_members, process.pid)
    count = len(members - {process.pid})
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, _KILLED)):
        if not _signal(process.pid, members, number) and not members:
            break
        members = await _outlast(process.pid, seconds)
    with contextlib.suppress(TimeoutError):  # a process stuck in the kernel is left to it
        async with asyncio.timeout(_KILLED):
            await process.wait()
    return count


async def _outlast(session: int, seconds: float) -> set[int]:
    """Waits at most `seconds` for the end of a session; who is left."""
    left: set[int] = set()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while left := await asyncio.to_thread(_members, session):  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(_STEP)
    return left


def _signal(group: int, members: set[int], number: int) -> bool:
    """Signals the group and further members of its session; whether the group exists (zombies count here)."""
    found = False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        found = True
    for pid in members - {group}:
        # Job control (`set -m`) gives background jobs groups of their own in the same session.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    return found


def _members(session: int) -> set[int]:
    """The living processes of a session, without zombies. Without /proc its number stands for the group."""
    found = set()
    try:
        numbers = [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]  # noqa: PTH208 - names only
        for pid in numbers:
            with contextlib.suppress(OSError, IndexError, ValueError):
                # "PID (name) STATE PPID PGRP SESSION ...", and the name may hold anything.
                fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
                if session in (int(fields[2]), int(fields[3])) and fields[0] not in (b"Z", b"X"):
                    found.add(pid)
    except FileNotFoundError:
        if _signal(session, found, 0):
            found.add(session)
    return found


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
