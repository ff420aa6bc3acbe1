"""The perfect cache: what a request could have read if every earlier request had put its breakpoints ideally.

Invariant: it never looks at where markers stand, only at where they may. A prefix can be read when it is the tail
of an earlier mainline request of the same line, or one of the system ends of any earlier request, and that entry
would still be alive.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.simulator.prefix_cache import SECONDS, Prompt
from harness.simulator.records import Ttl
from harness.simulator.rules import Rules


@dataclass(slots=True)
class _Life:
    ttl: Ttl
    used_at: float

    def alive(self, now: float) -> bool:
        return now - self.used_at < SECONDS[self.ttl]


@dataclass(frozen=True, slots=True)
class Perfect:
    """The deepest position that could have been read, and what that read refreshes."""

    read: int
    index: int
    touched: tuple[bytes, ...]

    @property
    def explain(self) -> str:
        """One phrase."""
        return f"perfect: {self.read} tokens to block {self.index}" if self.read else "perfect: nothing"


class Oracle:
    """Tails and system ends of every request whose response began. Callers serialise access.

    Digests already contain workspace, model, and the settings that matter at their level, so that equal
    digests mean an equal prefix on the same line; the line's name is only needed for settings outside the
    digest (betas).
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._tails: dict[tuple[str, bytes], _Life] = {}
        self._ends: dict[bytes, _Life] = {}

    def look_up(self, prompt: Prompt, line: str, now: float) -> Perfect:
        """The deepest live position of `prompt`; read is 0 when there is none above the model's minimum."""
        ends = set(prompt.system_ends)
        for index in range(len(prompt.digests) - 1, -1, -1):
            if prompt.tokens[index] < prompt.minimum:
                break
            if self._alive(prompt, line, index, ends, now):
                return Perfect(prompt.tokens[index], index, self._refreshed(prompt, line, index, ends, now))
        return Perfect(0, -1, ())

    def began(self, prompt: Prompt, line: str, perfect: Perfect, at: float, *, mainline: bool) -> None:
        """The response began: refresh what a perfect client read, store what it would have written."""
        for digest in perfect.touched:
            for life in (self._tails.get((line, digest)), self._ends.get(digest)):
                if life is not None and life.alive(at):
                    life.used_at = max(life.used_at, at)
        ttl = max((mark for _, mark in prompt.markers), key=lambda mark: SECONDS[mark], default=prompt.default_ttl)
        for index in prompt.system_ends:
            if index > perfect.index and prompt.tokens[index] >= prompt.minimum:
                self._ends[prompt.digests[index]] = _Life(ttl, at)
        last = len(prompt.digests) - 1 - prompt.trailing
        if mainline and last > perfect.index and prompt.tokens[last] >= prompt.minimum:
            self._tails[(line, prompt.digests[last])] = _Life(ttl, at)

    def forget(self, digests: set[bytes]) -> None:
        """The vendor evicted these prefixes: nobody could have read them."""
        self._tails = {key: life for key, life in self._tails.items() if key[1] not in digests}
        self._ends = {digest: life for digest, life in self._ends.items() if digest not in digests}

    def _alive(self, prompt: Prompt, line: str, index: int, ends: set[int], now: float) -> bool:
        digest = prompt.digests[index]
        tail = self._tails.get((line, digest))
        end = self._ends.get(digest) if index in ends else None
        return any(life is not None and life.alive(now) for life in (tail, end))

    def _refreshed(self, prompt: Prompt, line: str, hit: int, ends: set[int], now: float) -> tuple[bytes, ...]:
        """The cache's own rule, for a client that marks the system ends and the entry that it reads."""
        match self._rules.refresh:
            case "hit":
                where = [hit]
            case "marked":
                where = [hit, *(index for index in prompt.system_ends if index < hit)]
            case "all":
                where = list(range(hit + 1))
        return tuple(prompt.digests[index] for index in where if self._alive(prompt, line, index, ends, now))
