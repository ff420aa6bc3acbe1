"""Bench: what durability costs: a synced record, a large session resumed, a second opener refused.

Invariant: each is the program's own code on this disk; peaks are the operating system's count for a process of its own.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.agent.session import Session
from harness.conversation.blocks import Message, Text, ToolCall, ToolResult
from harness.conversation.journal import Journal
from harness.conversation.request import FrozenPrefix
from harness.errors import JournalBusy
from harness.seam import Seam

RECORD = {"text": "x" * 2000}
SIZE = 100 * 1024 * 1024
"""Bytes of the journal that is resumed."""

_KEPT = 100
"""Messages of the conversation at the end, as after a compaction."""

_RESUME = """
import resource, sys, time
from pathlib import Path
from harness.agent.session import Session
from harness.seam import Seam
def peak():
    if sys.platform == "linux":  # ru_maxrss begins there with the peak of whoever forked the process
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
begun = time.monotonic()
session = Session.resume(Path(sys.argv[1]), Seam())
print(time.monotonic() - begun, peak(), before)
"""


def measure(folder: Path, seam: Seam, runs: int) -> list[dict[str, Any]]:
    """One row each; the unit is in the text."""
    folder = folder.resolve()
    synced, unsynced = _append(folder / "append", seam)
    refused = [_refusal(folder / "append", seam) for _ in range(max(runs, 5))]
    whole = [_refused_process(folder / "append", seam) for _ in range(max(runs, 5))]
    size = _fill(folder / "large", seam)
    resumed = [_resumed(folder / "large") for _ in range(min(runs, 3))]
    seconds, peak, bare = (statistics.median(column) for column in zip(*resumed, strict=True))
    return [
        {"figure": synced, "what": "µs: a record of 2 KB written and on the disk"},
        {"figure": unsynced, "what": "µs: a record of 2 KB written"},
        {"figure": statistics.median(refused), "what": "ms: a second process is refused (the call, without its start)"},
        {"figure": statistics.median(whole), "what": "ms: the same, with the start of the program: exec to exit"},
        {"figure": seconds, "what": f"s: resume of a session of {size // 2**20} MB"},
        {"figure": peak, "what": f"MB: peak memory of that process, of which {bare:.0f} before it resumed"},
    ]


def _append(folder: Path, seam: Seam) -> tuple[float, float]:
    """Microseconds of an append with and without a sync; medians."""
    journal = Journal.create(folder, seam)

    async def timed(*, sync: bool) -> float:
        begun = seam.monotonic()
        journal.append("note", RECORD)
        if sync:
            await journal.sync()
        return (seam.monotonic() - begun) * 1e6

    async def all_of(*, sync: bool) -> float:
        return statistics.median([await timed(sync=sync) for _ in range(300)])

    try:
        return asyncio.run(all_of(sync=True)), asyncio.run(all_of(sync=False))
    finally:
        journal.close()


def _refusal(folder: Path, seam: Seam) -> float:
    """Milliseconds until a session that is in use is refused."""
    owner = Journal.open(folder, seam)
    begun = seam.monotonic()
    try:
        Journal.open(folder, seam)
    except JournalBusy:
        return (seam.monotonic() - begun) * 1000
    finally:
        owner.close()
    raise AssertionError("two own one session")


def _refused_process(session: Path, seam: Seam) -> float:
    """Milliseconds of a whole `harness -r` that is refused."""
    state = session.parent / "state"
    named = state / "harness" / "sessions" / session.name
    if not named.exists():
        named.parent.mkdir(parents=True)
        named.symlink_to(session)
    environment = dict(seam.environment()) | {"XDG_STATE_HOME": str(state), "ANTHROPIC_API_KEY": "bench"}
    owner = Journal.open(session, seam)
    begun = seam.monotonic()
    words = [sys.executable, "-m", "harness", "-r", session.name, "-p", "hello", "--cwd", str(session)]
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    spent = (seam.monotonic() - begun) * 1000
    owner.close()
    if "in use by process" not in done.stderr:
        raise AssertionError(done.stderr)
    return spent


def _fill(folder: Path, seam: Seam) -> int:
    """A session of that size: turns with tools, compacted again and again; gives its bytes."""
    prefix = FrozenPrefix.chained((), b'{"text":"static","type":"text"}', b'{"text":"session","type":"text"}')
    session = Session.create(folder, seam, prefix, {"root": "/", "cwd": "/"})
    journal = folder / "journal.jsonl"
    text, number = "a line of some file that was read\n" * 200, 0
    while journal.stat().st_size < SIZE:
        number += 1
        call = ToolCall(f"call_{number}", "read", {"path": f"src/module_{number}.py"})
        session.add(Message("person", (Text(f"And what about module {number}?"),)))
        session.add(Message("answer", (Text("I read it."), call)))
        session.add(Message("results", (ToolResult(call.id, (Text(text),)),)))
        session.add(Message("answer", (Text(text),)))
        entries = session.history.entries[-4:]
        kept = [[entry.seq, [[entry.message.text or text, None]]] for entry in entries]
        session.record("rendering", {"profile": "bench", "messages": kept})
        if len(session.history.entries) > 10 * _KEPT:
            session.begin_epoch("compaction: bench", session.history.seqs[-_KEPT:])
    session.close()
    return journal.stat().st_size


def _resumed(folder: Path) -> tuple[float, float, float]:
    """Seconds of a resume, and megabytes of its process at its peak and before."""
    words = [sys.executable, "-c", _RESUME, str(folder)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    seconds, peak, before = map(float, done.stdout.split())
    return seconds, peak / 1024, before / 1024
