"""Runs killed at random moments; `scripts/torture` does the same a thousand times, see there."""

from __future__ import annotations

import os
import random
from pathlib import Path

from tests.e2e.lab import Forks
from tests.e2e.torture import SCENARIOS, torture

KILLS = int(os.environ.get("HARNESS_KILLS", "25"))


def test_nothing_that_was_acknowledged_is_lost_by_a_kill(tmp_path: Path, forked: Forks) -> None:
    seed = int(os.environ.get("HARNESS_KILL_SEED", str(random.randrange(1 << 30))))
    print(f"seed {seed}")
    *_, report = torture(tmp_path, forked, KILLS, seed)
    print(report)

    assert report.kills == KILLS
    assert len(report.by_scenario) == min(len(SCENARIOS), -(-KILLS // 6))
    assert report.failures == []
