"""What a verification found, as values.

Invariant: however much is damaged, so many places are told one by one; the others are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.replay.divergence import Divergence

MOST_TOLD = 20
"""Places of damage that are told one by one."""


@dataclass(frozen=True, slots=True)
class At:
    """A divergence, the request (from 1) that shows it or comes next, and the record."""

    request: int
    record: int
    divergence: Divergence


@dataclass(slots=True)
class Report:
    """What a verification found.

    version: of the program that recorded it last; other: of the last one that was another than this; rerendered:
    whether what another one rendered was made again.
    requests: proved equal. bodies: of those, with the digest of the very body that was sent; older journals have none.
    reads: of those, where the read that was expected of them is proved too.
    answers: that came; verdicts: of those, proved. agents: what is told of sub-agents that ended; agents_proved: of
    those, by the sub-agents' own journals.
    checked: renderings of another version, which were checked by digest only. unproved: requests that a damaged journal
    no longer tells enough of. damage: where it is damaged, one line each; more: places that are only counted.
    """

    session: str
    rerendered: bool = False
    version: str = ""
    other: str = ""
    requests: int = 0
    side: int = 0
    bodies: int = 0
    blocks: int = 0
    checked: int = 0
    unproved: int = 0
    reads: int = 0
    answers: int = 0
    verdicts: int = 0
    agents: int = 0
    agents_proved: int = 0
    damage: list[str] = field(default_factory=list)
    more: int = 0
    found: At | None = None

    @property
    def equal(self) -> bool:
        """Whether everything was proved."""
        return self.found is None and not self.unproved and not self.damage

    def lose(self, *places: str) -> None:
        """Note what is damaged."""
        told = places[: max(0, MOST_TOLD - len(self.damage))]
        self.damage += told
        self.more += len(places) - len(told)
