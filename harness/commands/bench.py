"""`harness bench`: measures this program on this machine, against the simulator, and prints medians.

Invariant: figures are printed, never judged; machines are shared and noisy, so a ratio within one run says more than a
time across two.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.commands import (
    bench_audit,
    bench_cache,
    bench_calls,
    bench_compaction,
    bench_durability,
    bench_replay,
    bench_responses,
    bench_snapshots,
    bench_startup,
    bench_subagents,
)
from harness.commands.arguments import Parser, number
from harness.seam import Seam
from harness.ui.tables import print_table

Measure = Callable[[Path, Seam, int], list[dict[str, Any]]]

PARTS: Mapping[str, tuple[str, Measure]] = {
    "cache": (
        "Tokens read, beside a perfect cache (simulated vendor)",
        lambda folder, seam, _: bench_cache.measure(folder, seam),
    ),
    "size": ("What every request carries", lambda *_: bench_calls.sizes()),
    "calls": ("Own work per model call, up to the first byte sent (SDK and HTTP included)", bench_calls.measure),
    "audit": ("Firewall and audit, of the above; and what is read afterwards", bench_audit.measure),
    "startup": ("Start-up and memory", bench_startup.measure),
    "durability": ("What durability costs", bench_durability.measure),
    "snapshots": ("Saving the files of a workspace", bench_snapshots.measure),
    "compaction": (
        "Compaction, and idle compaction beside none (simulated vendor)",
        lambda folder, seam, _: bench_compaction.measure(folder, seam),
    ),
    "subagents": ("Sub-agents (simulated vendor)", lambda folder, seam, _: bench_subagents.measure(folder, seam)),
    "replay": ("Proving a session from its journal, offline", bench_replay.measure),
    "responses": (
        "An evaluation of 30 tasks, run twice with cached responses (simulated vendor)",
        lambda folder, seam, _: bench_responses.measure(folder, seam),
    ),
}
"""Title, and what measures it in an empty folder: a row for each thing, so many runs of each."""

_COUNT = number(int, lambda count: count >= 1, "a whole number, 1 or more")


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Run the parts asked for; all by default."""
    parser = Parser(prog="harness bench", description="Measure this program on this machine.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--runs", type=_COUNT, default=7, help="runs of each measurement; the median is printed")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    flags = parser.parse_args(arguments)
    if unknown := set(flags.parts) - PARTS.keys():
        parser.error(f"no part {min(unknown)!r}; parts: {', '.join(PARTS)}")
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="harness-bench-") as folder:
        for part in flags.parts or PARTS:
            where = Path(folder) / part
            where.mkdir()
            figures[part] = PARTS[part][1](where, seam, flags.runs)
            if not flags.json:
                _print(part, figures[part])
    if flags.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    return 0


def _print(part: str, rows: Sequence[dict[str, Any]]) -> None:
    # the last column of a table is text
    names = [name for name in rows[0] if name != "what"]
    print_table(PARTS[part][0], (*names, "what"), [[*(_cell(row[n]) for n in names), row["what"]] for row in rows], 110)
    sys.stdout.write("\n")
    sys.stdout.flush()


def _cell(value: Any) -> str:
    match value:
        case float():
            return f"{value:,.4f}" if value < 1 else f"{value:,.3f}" if value < 100 else f"{value:,.0f}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
