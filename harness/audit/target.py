"""Whether a run kept the cache target that a person set.

Invariant: only what is ours can miss it. A request is warm when something was there for it and no vendor, pause or
declared change stood between; of those, the share counts that was read of what could be read.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.audit.report import money, percent, tokens
from harness.conversation.events import ResponseDone

_WARM = frozenset({"hit", "ours"})


def warm_rate(responses: Sequence[ResponseDone]) -> float | None:
    """What the warm requests read, by what they could have read; None where none was warm."""
    warm = [response for response in responses if response.verdict in _WARM]
    read = sum(response.usage.read for response in warm)
    there = read + sum(response.lost for response in warm if response.verdict == "ours")
    return read / there if there else None


def missed(responses: Sequence[ResponseDone], target: float | None) -> str:
    """How a target was missed: the rate, and the request that cost most, its cause and price; "" where it was not."""
    rate = warm_rate(responses)
    if target is None or rate is None or rate >= target:
        return ""
    worst = max((r for r in responses if r.verdict == "ours"), key=lambda r: (r.lost_usd or 0.0, r.lost))
    others = sum(r.verdict == "ours" and r.lost > 0 for r in responses) - 1
    more = f"; {others} more" if others else ""
    return (
        f"cache target missed: warm requests read {percent(rate)} of what was there, below {100 * target:g} %; request "
        f"{worst.number} lost {tokens(worst.lost)} tokens ({money(worst.lost_usd)}): {worst.cause}{more}"
    )
