"""Folders for the time of a run: the next run removes those whose run was killed."""

from __future__ import annotations

import os
from pathlib import Path

from harness.simulator import Fault
from tests.e2e.conftest import Start
from tests.e2e.lab import Lab, Script
from tests.waiting import wait_for


def test_what_a_killed_run_left_is_removed_by_the_next(lab: Lab, vendor: Start, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    sim = vendor(Script("fine"))
    sim.fault(Fault("stall", seconds=600))
    lab.extra = {**lab.extra, "TMPDIR": str(temporary)}
    words = ("-p", "work", "--no-session", "--response-cache", "run")

    with lab.spawn(*words) as running:
        wait_for(lambda: sim.requests)
        running.kill()
    left = [*temporary.iterdir()]
    assert sorted(path.name[:-8] for path in left) == ["harness-caches-", "harness-session-"]
    for path in left:
        os.utime(path, (0, 0))  # as if it were older than a minute

    assert lab.process(*words).out == "fine\n"
    assert [*temporary.iterdir()] == []
