"""Limits of requests and of input tokens in a minute, and how each vendor tells of them.

Invariant: only what was admitted counts; with no limit set nothing is refused and nothing told. Callers serialise.
Sources: platform.claude.com/docs/en/api/rate-limits (A6: cache reads do not count, `retry-after`, reset as a date);
developers.openai.com/api/docs/guides/rate-limits (cached tokens count, reset as a duration; B).
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict, deque
from dataclasses import dataclass

from harness.simulator.contracts import Bill
from harness.simulator.records import Refused
from harness.simulator.rules import Rules

MINUTE = 60.0
_EPOCH = 1_790_000_000  # seconds; the vendor's clock starts at 0


@dataclass(frozen=True, slots=True)
class Limit:
    """How one limit stands. what: "requests" or "input-tokens". resets: seconds until all of it is there again."""

    what: str
    limit: int
    left: int
    resets: float


class RateLimits:
    """What each workspace used in the last minute."""

    def __init__(self, rules: Rules) -> None:
        self._most = (rules.requests_per_minute, rules.input_tokens_per_minute)
        self._used: dict[str, deque[tuple[float, int]]] = defaultdict(deque)

    def admit(self, workspace: str, wire: str, bill: Bill, now: float) -> dict[str, str]:
        """Count a request; the headers that tell how the limits then stand.

        Raises:
            Refused: a limit would be exceeded; 429, with its headers.
        """
        if not any(self._most):
            return {}
        used = self._used[workspace]
        while used and now - used[0][0] >= MINUTE:
            used.popleft()
        tokens = bill.total - bill.read if wire == "anthropic" else bill.total
        requests, inputs = self._most
        if requests and len(used) >= requests:
            raise self._refused(used, wire, now, "requests", used[-requests][0] + MINUTE - now)
        if inputs and sum(count for _, count in used) + tokens > inputs:
            raise self._refused(used, wire, now, "input-tokens", self._until(used, tokens, now))
        used.append((now, tokens))
        return self._headers(used, wire, now)

    def _until(self, used: deque[tuple[float, int]], tokens: int, now: float) -> float:
        """Seconds until so many tokens are free."""
        left = sum(count for _, count in used)
        for at, count in used:
            left -= count
            if left + tokens <= self._most[1]:
                return at + MINUTE - now
        return MINUTE

    def _refused(self, used: deque[tuple[float, int]], wire: str, now: float, what: str, wait: float) -> Refused:
        headers = self._headers(used, wire, now)
        words = what.replace("-", " ")
        if wire == "anthropic":
            text = f"This request would exceed your organization's rate limit of {self._of(what)} {words} per minute."
            refused = Refused(text, status=429, kind="rate_limit_error")
            refused.headers = headers | {"retry-after": str(math.ceil(wait))}
            return refused
        short, unit = ("RPM", "requests") if what == "requests" else ("TPM", "tokens")
        text = f"Rate limit reached on {unit} per min ({short}): Limit {self._of(what)}. Please try again in {wait:g}s."
        refused = Refused(text, status=429, kind=unit, code="rate_limit_exceeded")
        # what is asked for by this request is more than what is left
        refused.headers = headers | {f"x-ratelimit-remaining-{unit}": "0", f"x-ratelimit-reset-{unit}": f"{wait:g}s"}
        return refused

    def _of(self, what: str) -> int:
        return self._most[what != "requests"]

    def _headers(self, used: deque[tuple[float, int]], wire: str, now: float) -> dict[str, str]:
        resets = used[-1][0] + MINUTE - now if used else 0.0
        spent = {"requests": len(used), "input-tokens": sum(count for _, count in used)}
        found: dict[str, str] = {}
        for what, gone in spent.items():
            if most := self._of(what):
                found |= _told(wire, Limit(what, most, max(0, most - gone), resets), now)
        return found


def _told(wire: str, limit: Limit, now: float) -> dict[str, str]:
    if wire == "anthropic":
        name = f"anthropic-ratelimit-{limit.what}"
        reset = dt.datetime.fromtimestamp(math.ceil(_EPOCH + now + limit.resets), dt.UTC)
        when = reset.isoformat().replace("+00:00", "Z")
        return {f"{name}-limit": str(limit.limit), f"{name}-remaining": str(limit.left), f"{name}-reset": when}
    unit = "requests" if limit.what == "requests" else "tokens"
    told = {"limit": str(limit.limit), "remaining": str(limit.left), "reset": f"{limit.resets:g}s"}
    return {f"x-ratelimit-{name}-{unit}": value for name, value in told.items()}
