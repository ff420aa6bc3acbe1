"""Compares what a pretend vendor received, request by request: the proof that the prefix never moves.

Invariant: nothing the client says of itself is believed; only the blocks in the vendor's own records are compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.simulator import Block, Received, Simulator


@dataclass(frozen=True)
class Moved:
    """A mainline request that does not begin with all blocks of the one before it on its line."""

    line: str
    before: int
    after: int
    block: int
    was: bytes
    became: bytes

    def __str__(self) -> str:
        return (
            f"request {self.after} does not extend request {self.before} of line {self.line}: "
            f"block {self.block} was {self.was[:200]!r} and became {self.became[:200]!r}"
        )


def identity(block: Block) -> tuple[str, str, bool, bytes]:
    """What makes a block the same block: level, role, message boundary and bytes, markers aside."""
    return block.level, block.role, block.first, block.canonical


def first_moved(before: Received, after: Received) -> Moved | None:
    """The first block in which `after` does not extend `before`; None where it extends it."""
    for index, old in enumerate(before.blocks):
        new = after.blocks[index] if index < len(after.blocks) else None
        if new is None or identity(new) != identity(old):
            became = b"(nothing)" if new is None else new.canonical
            return Moved(after.line, before.index, after.index, index, old.canonical, became)
    return None


def moves(requests: Iterable[Received]) -> Iterator[Moved]:
    """Every consecutive mainline pair on a line that does not extend. A side request is never a base."""
    last: dict[str, Received] = {}
    for request in requests:
        before = last.get(request.line)
        if before is not None and (moved := first_moved(before, request)) is not None:
            yield moved
        if request.kind == "mainline":
            last[request.line] = request


def verdicts_of_ours(folders: Sequence[Path]) -> list[str]:
    """Journals under the folders that hold the verdict "ours", with its cause."""
    found = []
    for folder in folders:
        for path in folder.rglob("journal.jsonl"):
            for line in path.read_bytes().splitlines():
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                if record.get("kind") == "response" and record["data"]["verdict"]["kind"] == "ours":
                    found.append(f"{path.parent.name}: {record['data']['verdict']['cause']}")
    return found


@dataclass
class Watch:
    """The pretend vendors of one test, and what the test says may happen to them."""

    folders: Sequence[Path] = ()
    reason: str = ""
    """Why the prefix may move; "" where it may not."""
    times: int | None = None
    """How often exactly; None: at least once."""
    refusals: str = ""
    """Why a request may be refused; "" where none may."""
    watched: list[Simulator] = field(default_factory=list)

    def add(self, simulator: Simulator) -> Simulator:
        """Watch one more, started or not; it may be stopped before the test ends."""
        if not any(simulator is other for other in self.watched):
            self.watched.append(simulator)
        return simulator

    def problems(self) -> list[str]:
        """What went wrong; empty in good health."""
        found = []
        moved = [moved for simulator in self.watched for moved in moves(simulator.requests)]
        if not self.reason:
            found += [str(move) for move in moved]
            found += verdicts_of_ours(self.folders)
        elif self.times is not None and len(moved) != self.times:
            found.append(f"the prefix moved {len(moved)} times, not {self.times}: {[str(move) for move in moved]}")
        elif self.times is None and not moved and self.watched:
            found.append("the test says that the prefix moves, and it did not")
        if not self.refusals:
            refused = [refusal for simulator in self.watched for refusal in simulator.refused]
            found += [f"refused: {refusal.status} {refusal.error}" for refusal in refused]
        return found
