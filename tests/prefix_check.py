"""Compares what a pretend vendor received, request by request: the proof that the prefix never moves.

Invariant: nothing the client says of itself is believed; only the blocks in the vendor's own records are compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
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


@dataclass(frozen=True)
class Branched:
    """A mainline request with which a branch of its line begins. shared: the blocks that it has from the one before."""

    line: str
    base: int
    after: int
    shared: int


def branches(requests: Iterable[Received]) -> Iterator[Moved | Branched]:
    """As `moves`, for a line that several speakers share: each goes on with a request of its own, to the last block.

    A request that extends the end of a branch goes on with the longest such. Any other begins a branch: at the end of
    an earlier request, with the answer to that one behind it and no other, or behind the system blocks, with no answer
    at all. What parts from an earlier request anywhere else has moved.
    """
    ends: dict[str, list[Received]] = {}
    sent: dict[str, list[Received]] = {}
    for request in requests:
        here, earlier = ends.setdefault(request.line, []), sent.setdefault(request.line, [])
        before = max((end for end in here if first_moved(end, request) is None), key=_length, default=None)
        if before is None and earlier:
            yield _branched(request, earlier)
        if request.kind == "mainline":
            here[:] = [end for end in here if end is not before] + [request]
            earlier.append(request)


def _branched(request: Received, earlier: Sequence[Received]) -> Moved | Branched:
    base = max((one for one in earlier if first_moved(one, request) is None), key=_length, default=None)
    answers = _answers(request.blocks[len(base.blocks) if base else 0 :])
    if base is not None and answers <= 1:
        return Branched(request.line, base.index, request.index, len(base.blocks))
    system = [identity(block) for block in earlier[0].blocks if block.level != "messages"]
    own = [identity(block) for block in request.blocks]
    if base is None and answers == 0 and own[: len(system)] == system:
        return Branched(request.line, earlier[0].index, request.index, len(system))
    moved = first_moved(earlier[-1], request)
    assert moved is not None
    return moved


def _answers(blocks: Sequence[Block]) -> int:
    """Turns of the model among blocks."""
    speakers = ["", *("model" if block.role == "assistant" else "other" for block in blocks)]
    return sum(now == "model" != before for before, now in pairwise(speakers))


def _length(request: Received) -> int:
    return len(request.blocks)


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
                # a line of noise may be a number
                if not isinstance(record, dict):
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
    branches: int = 0
    """How many branches begin on lines that are in use, exactly: sub-agents, and callers that go on beside them."""
    refusals: str = ""
    """Why a request may be refused; "" where none may."""
    watched: list[Simulator] = field(default_factory=list)

    def add(self, simulator: Simulator) -> Simulator:
        """Watch one more, started or not; it may be stopped before the test ends."""
        if not any(simulator is other for other in self.watched):
            self.watched.append(simulator)
        return simulator

    def _branches(self) -> list[str]:
        found = [one for simulator in self.watched for one in branches(simulator.requests)]
        begun = [one for one in found if isinstance(one, Branched)]
        wrong = [str(one) for one in found if isinstance(one, Moved)]
        if len(begun) != self.branches:
            wrong.append(f"{len(begun)} branches began, not {self.branches}: {begun}")
        return wrong

    def problems(self) -> list[str]:
        """What went wrong; empty in good health."""
        found = []
        if self.branches:
            found += self._branches()
            moved = []
        else:
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
