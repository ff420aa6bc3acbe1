"""The bench of an evaluation that is run twice: what it shows has to hold, too."""

from __future__ import annotations

from pathlib import Path

from harness.commands.bench_responses import measure
from harness.seam import Seam


def test_the_second_run_of_an_evaluation_asks_nobody(tmp_path: Path) -> None:
    rows = {row["what"]: (row["first run"], row["second run"]) for row in measure(tmp_path, Seam(), tasks=4)}

    assert rows["model calls"] == (20, 20)
    assert rows["of them vendor calls"] == (20, 0)
    assert rows["of them cached responses"] == (0, 20)
    assert rows["USD"][0] > rows["USD"][1] == 0.0
    assert rows["answers: tasks, identical in the second run"] == (4, 4)
    assert rows["final files: tasks, identical in the second run"] == (4, 4)
