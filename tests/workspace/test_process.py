"""Processes: real ones, also those that do not want to end."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.workspace import capture, process
from tests.waiting import assert_gone, nap

ENV = {"PATH": os.defpath + ":/usr/local/bin", "LC_ALL": "C"}


def run(tmp_path: Path, command: str, seconds: float = 20, cwd: Path | None = None) -> process.Finished:
    return asyncio.run(
        process.run(
            ["/bin/sh", "-c", command], cwd=cwd or tmp_path, environment=ENV, folder=tmp_path / "out", seconds=seconds
        )
    )


def test_output_code_and_merged_errors(tmp_path: Path) -> None:
    done = run(tmp_path, "echo a; echo b >&2; exit 3")
    assert (done.output.head, done.code, done.signal, done.ended) == (b"a\nb\n", 3, "", 0)
    assert not (tmp_path / "out").exists()


def test_exit_by_signal(tmp_path: Path) -> None:
    assert run(tmp_path, "kill -SEGV $$").signal == "SIGSEGV"


def test_no_input(tmp_path: Path) -> None:
    assert run(tmp_path, "cat; read x; echo $?").output.head == b"1\n"


def test_background_process_does_not_hold_and_is_ended(tmp_path: Path) -> None:
    left = nap()
    done = run(tmp_path, f"sleep {left} & echo x")
    # one that is waited for runs into the limit, and then has no code
    assert (done.output.head, done.code, done.ended) == (b"x\n", 0, 1)
    assert_gone(left)


def test_what_ends_by_itself_is_not_ended(tmp_path: Path) -> None:
    # a busy machine may let it come too late, but not again and again
    tries = (run(tmp_path, "(sleep 0.03; echo late) & echo x") for _ in range(50))
    assert any((done.output.head, done.ended) == (b"x\nlate\n", 0) for done in tries)


def test_job_control_does_not_escape(tmp_path: Path) -> None:
    one, other = nap(), nap()
    done = run(tmp_path, f"set -m; sleep {one} & sleep {other} & echo x")
    assert done.ended == 2
    assert_gone(one, other)


def test_one_that_left_the_session_does_not_hold(tmp_path: Path) -> None:
    away = "setsid sh -c 'echo $$ > pid; while :; do echo y; sleep 0.01; done'"
    done = run(tmp_path, f"{away} & until [ -s pid ]; do sleep 0.01; done; echo x")
    os.kill(int((tmp_path / "pid").read_text()), 9)
    assert done.code == 0
    assert b"x\n" in done.output.head


def test_a_flood_from_one_that_left_the_session_does_not_hold(tmp_path: Path) -> None:
    # It ends by itself: the pipe has no reader any more.
    done = run(tmp_path, "setsid sh -c ': > up; exec yes' & until [ -e up ]; do sleep 0.01; done; echo x")
    assert done.code == 0


def test_timeout_ends_the_whole_group_even_if_it_ignores_sigterm(tmp_path: Path) -> None:
    naps = nap(), nap(), nap()
    done = run(tmp_path, "trap '' TERM; sleep {} & sleep {}; sleep {}".format(*naps), seconds=0.3)
    assert done.timed_out
    assert done.code is None
    assert_gone(*naps)


def test_output_before_a_timeout_is_kept(tmp_path: Path) -> None:
    # a busy machine may not have come to the echo by then
    tries = (run(tmp_path, f"echo early; sleep {nap()}", seconds=seconds) for seconds in (0.3, 2, 10))
    assert any((done.output.head, done.timed_out) == (b"early\n", True) for done in tries)


def test_cancellation_leaves_nothing(tmp_path: Path) -> None:
    naps = nap(), nap()

    async def cancelled() -> None:
        task = asyncio.ensure_future(
            process.run(["/bin/sh", "-c", "sleep {} & yes | cat & sleep {}".format(*naps)],
                        cwd=tmp_path, environment=ENV, folder=tmp_path / "out", seconds=60)
        )  # fmt: skip
        while not [*(tmp_path / "out").glob("*")]:  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert_gone(*naps)
    assert list((tmp_path / "out").iterdir()) == []


def test_cancellation_at_any_moment_leaves_nothing(tmp_path: Path) -> None:
    async def cancelled(steps: int, left: str) -> None:
        task = asyncio.ensure_future(
            process.run(["/bin/sh", "-c", f"sleep {left} & echo x"],
                        cwd=tmp_path, environment=ENV, folder=tmp_path / "out", seconds=60)
        )  # fmt: skip
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for steps in (0, 1, 2, 3, 5, 8):
        left = nap()
        asyncio.run(cancelled(steps, left))
        assert_gone(left)


def test_what_cannot_start_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(UsageError, match="gone is gone"):
        run(tmp_path, "true", cwd=gone)
    with pytest.raises(UsageError, match="null"):
        run(tmp_path, "echo \0")
    with pytest.raises(UsageError, match="too long"):
        run(tmp_path, "x" * 3_000_000)


def children() -> set[str]:
    """Children of this process, also those that nobody has waited for."""
    return set(" ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children")).split())


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
def test_no_zombie_is_left(tmp_path: Path) -> None:
    before = children()
    run(tmp_path, "true")
    assert children() <= before


def test_long_output_is_in_a_file(tmp_path: Path) -> None:
    done = run(tmp_path, "seq 1 50000")
    whole = "".join(f"{n}\n" for n in range(1, 50001)).encode()
    assert done.output.path is not None
    assert done.output.path.read_bytes() == whole
    assert whole.startswith(done.output.head)
    assert whole.endswith(done.output.tail)
    assert done.output.total == len(whole)


FLOOD = """
import asyncio, resource, sys
from pathlib import Path
from harness.workspace import process
async def main():
    out = Path(sys.argv[1])
    async def go(command):
        return await process.run(["/bin/sh", "-c", command], cwd=out, environment={"PATH": "/bin:/usr/bin"},
                                 folder=out / "out", seconds=3600)
    await go("true")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    first = await go("head -c 100000000 /dev/zero | tr '\\\\0' '\\\\377'")
    second = await go("head -c 1000000000 /dev/zero | tr '\\\\0' x")
    print(first.output.total, first.output.kept, second.output.total, second.output.kept,
          resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
asyncio.run(main())
"""


def test_memory_and_disk_stay_flat(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FLOOD, str(tmp_path)], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    total, kept, long_total, long_kept, grown = map(int, done.stdout.split())
    assert (total, long_total) == (100_000_000, 1_000_000_000)
    assert kept == long_kept == capture.FILE
    scale = 1 if sys.platform == "darwin" else 1024
    assert grown * scale < 24_000_000, f"grew by {grown * scale:,} bytes"


def test_a_full_disk_keeps_head_and_tail() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    caught = capture.Capture(Path("/dev/full/x"))
    for number in range(100):
        caught.feed(b"%04d" % number * 1000)
    result = caught.finish()
    assert result.path is None
    assert "could not be kept" in result.problem
    assert (result.head[:4], result.tail[-4:], result.total) == (b"0000", b"0099", 400_000)
