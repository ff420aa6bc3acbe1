"""What `/cost` and `/cache` show.

Invariant: an unknown price stays unknown; no share is rounded up to 100 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.audit.report import Summary, hit_rate, money, percent, tokens
from harness.conversation.events import ResponseDone

_LATEST = 8


def cost_lines(summary: Summary) -> list[str]:
    """What the session was billed."""
    usage = summary.usage
    return [
        f"{summary.requests} requests, {money(summary.cost)}",
        f"in   {tokens(usage.prompt)} tokens",
        f"     {tokens(usage.read)} read from cache, {tokens(usage.written)} written, {tokens(usage.uncached)} neither",
        f"out  {tokens(usage.output)} tokens",
    ]


def cache_lines(summary: Summary, responses: Sequence[ResponseDone]) -> list[str]:
    """What was read, over all; and the verdicts of this run's `responses`, the latest one by one."""
    lines = [f"{percent(hit_rate(summary.usage))} of all prompt tokens of the session were read from cache"]
    if not responses:
        return lines
    counts = Counter(event.verdict for event in responses)
    lines.append("since the start of this run: " + ", ".join(f"{count} {kind}" for kind, count in counts.most_common()))
    for event in responses[-_LATEST:]:
        cause = f": {event.cause}" if event.cause else ""
        read = f"{tokens(event.usage.read)} of {tokens(event.usage.prompt)} read"
        lines.append(f"  {event.number:>3}  {event.verdict:8}  {read}{cause}")
    return lines
