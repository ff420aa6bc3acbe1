"""Who owns a session: races of real processes, dead owners, other machines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.conversation.lock import Lock, in_use
from harness.errors import JournalBusy, OwnedElsewhere
from harness.seam import Seam

ROOT = Path(__file__).parents[2]

RACER = """
import sys, time
from pathlib import Path
from harness.conversation.lock import Lock
from harness.errors import JournalBusy
from harness.seam import Seam
sys.stdin.readline()
try:
    lock = Lock.take(Path(sys.argv[1]), Seam())
except JournalBusy as error:
    print(error)
else:
    print("won")
sys.stdout.flush()
sys.stdin.readline()
"""


class Machine(Seam):
    """Another machine, or this one after a restart."""

    def __init__(self, host: str, boot: str) -> None:
        self._host = host
        self._boot = boot

    def host(self) -> str:
        return self._host

    def boot(self) -> str:
        return self._boot


def racer(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RACER, str(folder)], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


@pytest.fixture
def racers(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    started = [racer(tmp_path) for _ in range(4)]
    yield started
    for one in started:
        one.kill()
        one.communicate()


def said(one: subprocess.Popen[str]) -> str:
    assert one.stdout
    return one.stdout.readline().strip()


def go(one: subprocess.Popen[str]) -> None:
    assert one.stdin
    one.stdin.write("\n")
    one.stdin.flush()


def test_of_processes_that_start_together_exactly_one_wins(tmp_path: Path, racers: list[subprocess.Popen[str]]) -> None:
    for one in racers:
        go(one)
    answers = {one.pid: said(one) for one in racers}

    (winner,) = [pid for pid, answer in answers.items() if answer == "won"]
    for pid, answer in answers.items():
        assert pid == winner or f"in use by process {winner} on " in answer
    # and the next one, while the winner lives
    with pytest.raises(JournalBusy, match=f"process {winner} on "):
        Lock.take(tmp_path, Seam())


def test_a_dead_owner_never_blocks(tmp_path: Path, racers: list[subprocess.Popen[str]]) -> None:
    go(racers[0])
    assert said(racers[0]) == "won"
    racers[0].send_signal(signal.SIGKILL)
    racers[0].wait()

    Lock.take(tmp_path, Seam()).release()


def test_the_last_child_of_a_dead_owner_is_waited_for(tmp_path: Path) -> None:
    lock = Lock.take(tmp_path, Seam())
    owner = json.loads((tmp_path / "lock").read_text())
    # what a fork of it inherited holds the lock a moment longer than the process whose number is recorded
    (tmp_path / "lock").write_text(json.dumps(owner | {"started": "0"}))
    child = subprocess.Popen(["sleep", "0.2"], pass_fds=[lock._handle])
    os.close(lock._handle)

    Lock.take(tmp_path, Seam()).release()

    assert child.wait() == 0


@pytest.mark.parametrize("left", ["5 on elsewhere\n", '{"pid": 5, "host": "elsewhere", "boot": "b", "started": "1"}'])
def test_another_machine_is_asked_about(tmp_path: Path, left: str) -> None:
    (tmp_path / "lock").write_text(left)

    with pytest.raises(OwnedElsewhere, match=r"not let go of by process 5 on elsewhere.*remove .*/lock.*--fork$"):
        Lock.take(tmp_path, Machine("here", "a"))
    # still recorded: the next one is asked as well
    with pytest.raises(OwnedElsewhere):
        Lock.take(tmp_path, Machine("here", "a"))
    Lock.take(tmp_path, Machine("here", "a"), from_elsewhere=True).release()
    # what was let go of is free for every machine
    Lock.take(tmp_path, Machine("elsewhere", "b")).release()


@pytest.mark.parametrize(("host", "boot"), [("here", "later"), ("container", "b")])
def test_this_machine_after_a_restart_or_in_a_container_is_no_other(tmp_path: Path, host: str, boot: str) -> None:
    (tmp_path / "lock").write_text('{"pid": 5, "host": "here", "boot": "b", "started": "1"}')

    Lock.take(tmp_path, Machine(host, boot)).release()


def test_in_use_is_what_another_has_or_may_have(tmp_path: Path, racers: list[subprocess.Popen[str]]) -> None:
    assert not in_use(tmp_path, Seam())  # nobody ever had it
    lock = Lock.take(tmp_path, Seam())
    assert not in_use(tmp_path, Seam())  # one's own
    lock.release()
    assert not in_use(tmp_path, Seam())
    go(racers[0])
    assert said(racers[0]) == "won"
    assert in_use(tmp_path, Seam())
    racers[0].kill()
    racers[0].wait()
    assert not in_use(tmp_path, Seam())
    assert in_use(tmp_path, Machine("another", "boot"))


def test_a_lock_file_of_nonsense_blocks_nobody(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"\xff\x00[]{}" * 1000)

    Lock.take(tmp_path, Seam()).release()


def test_taking_and_letting_go_need_no_room(tmp_path: Path) -> None:
    Lock.take(tmp_path, Seam()).release()
    size = (tmp_path / "lock").stat().st_size
    lock = Lock.take(tmp_path, Seam())

    assert (tmp_path / "lock").stat().st_size == size
    lock.release()
    lock.release()
    assert not lock.held
