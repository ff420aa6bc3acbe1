"""OpenAI's contract from GPT-5.6 on: exact breakpoints, at most four paid writes, no shorter unmarked prefix.

Invariant: an entry exists only where a breakpoint was written, and is read only where this request looks: at
its own explicit breakpoints and, in implicit mode, at the end of its latest message and of earlier ones.
Source: section B (developers.openai.com/api/docs/guides/prompt-caching; openai 3.54.0,
types/responses/response_create_params.py, PromptCacheOptions).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.simulator.contracts import Bill
from harness.simulator.oracle import Oracle, Perfect
from harness.simulator.prefix_cache import SECONDS, Entry, Prompt
from harness.simulator.records import Block, Ttl
from harness.simulator.rules import Rules

WRITES = 4  # B Writes: per request, the implicit breakpoint included
_LATEST = 80  # B Lookback, openai 3.54.0: "up to the latest 80 breakpoints in the conversation"
# B Lookback, the guide's copy of September.
_FIRST_EXPLICIT, _LATEST_EXPLICIT, _EARLIER_ENDINGS = 2, 50, 20


@dataclass(frozen=True, slots=True)
class _Plan:
    prompt: Prompt
    line: str
    perfect: Perfect
    touched: tuple[bytes, ...]
    writes: tuple[tuple[bytes, Ttl], ...]


class BreakpointBook:
    """The entries of every organization. Implements `Book`."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._oracle = Oracle(rules)
        self._entries: dict[bytes, Entry] = {}
        self._pending: dict[bytes, int] = {}

    def look_up(self, prompt: Prompt, line: str, now: float, request: int) -> Bill:
        """The deepest live entry at a place where this request looks."""
        looked = [at for at in self._looked_at(prompt) if prompt.tokens[at] >= prompt.minimum]
        hit = max((at for at in looked if self._alive(prompt.digests[at], now)), default=-1)
        breakpoints = self._written(prompt)
        perfect = self._oracle.look_up(prompt, line, now)
        writes = tuple((prompt.digests[at], ttl) for at, ttl in breakpoints if not self._alive(prompt.digests[at], now))
        plan = _Plan(prompt, line, perfect, self._refreshed(prompt, looked, hit, now), writes)
        explain = f"{self._explain(prompt, looked, hit, now)}; {perfect.explain}"
        for digest, _ in writes:
            self._pending[digest] = request
        read = prompt.tokens_to(hit)
        return Bill(read, prompt.total, perfect.read, explain, _paid(prompt, breakpoints, hit), plan)

    def began(self, bill: Bill, at: float, request: int, *, mainline: bool, outputs: Sequence[Sequence[Block]]) -> None:
        """B: what was read is refreshed for free; what was written becomes readable."""
        del outputs
        plan: _Plan = bill.ref
        for digest in plan.touched:
            self._entries[digest].used_at = max(self._entries[digest].used_at, at)
        for digest, ttl in plan.writes:
            known = self._entries.get(digest)
            if known is not None and known.alive(at):
                known.used_at = max(known.used_at, at)
                known.ttl = max(known.ttl, ttl, key=lambda life: SECONDS[life])
            else:
                self._entries[digest] = Entry(ttl, at, request)
        self._oracle.began(plan.prompt, plan.line, plan.perfect, at, mainline=mainline)
        self.forgotten(bill, request)

    def forgotten(self, bill: Bill, request: int) -> None:
        """Drop what the request had announced."""
        for digest, _ in bill.ref.writes:
            if self._pending.get(digest) == request:
                del self._pending[digest]

    def evict(self, share: float) -> int:
        """Evict the least recently used share of the entries."""
        live = sorted(
            (digest for digest, entry in self._entries.items() if not entry.evicted),
            key=lambda digest: self._entries[digest].used_at,
        )
        gone = live[: math.ceil(len(live) * share)]
        for digest in gone:
            self._entries[digest].evicted = True
        self._oracle.forget(set(gone))
        return len(gone)

    def _looked_at(self, prompt: Prompt) -> set[int]:
        """B Lookback, F1: explicit mode looks at explicit breakpoints only."""
        explicit = [at for at, _ in prompt.markers]
        endings = [] if prompt.explicit_only else list(prompt.endings)
        if self._rules.breakpoint_lookback == "latest80":
            return set(sorted({*explicit, *endings})[-_LATEST:])
        found = {*explicit[:_FIRST_EXPLICIT], *explicit[-_LATEST_EXPLICIT:], *endings[-_EARLIER_ENDINGS - 1 :]}
        if not prompt.explicit_only and prompt.lead >= 0:
            found.add(prompt.lead)
        return found

    def _written(self, prompt: Prompt) -> list[tuple[int, Ttl]]:
        """B Writes: the implicit breakpoint and the latest three explicit ones, or the latest four explicit."""
        marks = dict(prompt.markers)
        chosen = sorted(marks)[-WRITES:]
        if not prompt.explicit_only and prompt.endings:
            implicit = prompt.endings[-1]
            chosen = [*(at for at in sorted(marks) if at != implicit)][-(WRITES - 1) :]
            chosen = sorted({*chosen, implicit})
        # B Minimum: 1,024 tokens, strict.
        return [(at, marks.get(at, prompt.default_ttl)) for at in chosen if prompt.tokens[at] >= prompt.minimum]

    def _alive(self, digest: bytes, now: float) -> bool:
        entry = self._entries.get(digest)
        return entry is not None and entry.alive(now)

    def _refreshed(self, prompt: Prompt, looked: list[int], hit: int, now: float) -> tuple[bytes, ...]:
        """B: reuse refreshes for free; which entries besides the one hit is the same open rule as on Anthropic."""
        if hit < 0:
            return ()
        match self._rules.refresh:
            case "hit":
                where = [hit]
            case "marked":
                where = [hit, *(at for at in looked if at < hit)]
            case "all":
                where = list(range(hit + 1))
        return tuple(prompt.digests[at] for at in where if self._alive(prompt.digests[at], now))

    def _explain(self, prompt: Prompt, looked: list[int], hit: int, now: float) -> str:
        if hit >= 0:
            return f"hit at block {hit}, written by request {self._entries[prompt.digests[hit]].request}"
        if prompt.explicit_only and not prompt.markers:
            return "explicit mode without a breakpoint: caching is off"
        if not looked:
            return f"no breakpoint of at least {prompt.minimum} tokens"
        for at in range(len(prompt.digests) - 1, -1, -1):
            entry = self._entries.get(prompt.digests[at])
            if entry is not None and entry.alive(now):
                return f"miss: the entry at block {at} is not where this request looks, and there is no fallback to it"
            if entry is not None:
                fate = "was evicted" if entry.evicted else "expired"
                return f"miss: the entry at block {at} {fate}"
            if prompt.digests[at] in self._pending:
                return f"miss: the entry at block {at} is being written by a request that has not begun"
        return f"miss: looked at blocks {', '.join(map(str, sorted(looked)))}; nothing was written on this prefix"


def _paid(prompt: Prompt, breakpoints: list[tuple[int, Ttl]], hit: int) -> dict[Ttl, int]:
    """Tokens between what was read and the last breakpoint written, each by the breakpoint that ends it."""
    paid: dict[Ttl, int] = {}
    before = prompt.tokens_to(hit)
    for at, ttl in breakpoints:
        if at > hit:
            paid[ttl] = paid.get(ttl, 0) + prompt.tokens[at] - before
            before = prompt.tokens[at]
    return paid
