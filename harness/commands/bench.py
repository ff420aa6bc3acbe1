"""`harness bench`: measures this program on this machine, against the simulator, and prints medians.

Invariant: figures are printed, never judged; machines are shared and noisy, so a ratio within one run says more than a
time across two.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
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
from harness.commands.arguments import Parser
from harness.seam import Seam
from harness.ui.tables import print_table

PARTS = (
    "cache",
    "size",
    "calls",
    "audit",
    "startup",
    "durability",
    "snapshots",
    "compaction",
    "subagents",
    "replay",
    "responses",
)


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Run the parts asked for; all by default."""
    parser = Parser(prog="harness bench", description="Measure this program on this machine.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--runs", type=int, default=7, help="runs of each measurement; the median is printed")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    flags = parser.parse_args(arguments)
    if unknown := set(flags.parts) - set(PARTS):
        parser.error(f"no part {min(unknown)!r}; parts: {', '.join(PARTS)}")
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="harness-bench-") as folder:
        for part in flags.parts or PARTS:
            where = Path(folder) / part
            where.mkdir()
            figures[part] = _measure(part, where, seam, flags.runs)
            if not flags.json:
                _print(part, figures[part])
    if flags.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    return 0


def _measure(part: str, folder: Path, seam: Seam, runs: int) -> list[dict[str, Any]]:
    match part:
        case "cache":
            return bench_cache.measure(folder, seam)
        case "size":
            return bench_calls.sizes()
        case "calls":
            return bench_calls.measure(folder, seam, runs)
        case "audit":
            return bench_audit.measure(folder, seam, runs)
        case "durability":
            return bench_durability.measure(folder, seam, runs)
        case "compaction":
            return bench_compaction.measure(folder, seam)
        case "replay":
            return bench_replay.measure(folder, seam, runs)
        case "subagents":
            return bench_subagents.measure(folder, seam)
        case "responses":
            return bench_responses.measure(folder, seam)
        case "snapshots":
            return bench_snapshots.measure(folder, seam, runs)
        case _:
            return bench_startup.measure(folder, seam, runs)


TITLES = {
    "cache": "Tokens read, beside a perfect cache (simulated vendor)",
    "size": "What every request carries",
    "calls": "Own work per model call, up to the first byte sent (SDK and HTTP included)",
    "audit": "Firewall and audit, of the above; and what is read afterwards",
    "startup": "Start-up and memory",
    "durability": "What durability costs",
    "compaction": "Compaction, and idle compaction beside none (simulated vendor)",
    "subagents": "Sub-agents (simulated vendor)",
    "replay": "Proving a session from its journal, offline",
    "responses": "An evaluation of 30 tasks, run twice with cached responses (simulated vendor)",
    "snapshots": "Saving the files of a workspace",
}


def _print(part: str, rows: Sequence[dict[str, Any]]) -> None:
    # the last column of a table is text
    names = [name for name in rows[0] if name != "what"]
    print_table(TITLES[part], (*names, "what"), [[*(_cell(row[n]) for n in names), row["what"]] for row in rows], 110)
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
