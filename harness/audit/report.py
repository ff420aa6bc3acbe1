"""Figures as they are shown: shares, money and counts in words, the line at the end of a run, the counts in JSON.

Invariant: hit rates are weighted by tokens and count what was read, never requests; an unknown price stays unknown.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from harness.audit.totals import Totals
from harness.conversation.blocks import Usage
from harness.conversation.events import SubAgentDone


def hit_rate(usage: Usage) -> float | None:
    """The share of all prompt tokens that was read from cache; None where there was no prompt."""
    return usage.read / usage.prompt if usage.prompt else None


def percent(share: float | None) -> str:
    """Like "97.3 %", or "-" where there is no figure; never rounded up to 100."""
    if share is None:
        return "-"
    return f"{int(share * 1000) / 10:.1f} %"


def money(usd: float | None) -> str:
    """Like "$0.0123", or "unknown"."""
    return "unknown" if usd is None else f"${usd:.4f}"


def as_typed(number: float) -> str:
    """Like "0.00001", "2500000": as a person writes a number, without an exponent and without a rounding."""
    return f"{Decimal(repr(number)):f}".removesuffix(".0")


def counted(count: int, noun: str) -> str:
    """Like "1 request", "2,345 requests"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def tokens(count: int) -> str:
    """Like "12,345"."""
    return f"{count:,}"


def counts(usage: Usage) -> dict[str, int]:
    """The five counts of every JSON form."""
    return {
        "prompt_tokens": usage.prompt,
        "read_tokens": usage.read,
        "written_tokens": usage.written,
        "uncached_tokens": usage.uncached,
        "output_tokens": usage.output,
    }


def sub_agent_json(ended: SubAgentDone) -> dict[str, Any]:
    """A sub-agent, as every JSON form has it."""
    names = ("call_id", "session", "skill", "context", "model", "end", "requests")
    return {
        **{name: getattr(ended, name) for name in names},
        **counts(ended.usage),
        "hit_rate": hit_rate(ended.usage),
        "cost_usd": ended.cost,
        "first_read_tokens": ended.first_read,
        "first_expected_tokens": ended.expected,
    }


def clock(at: float) -> str:
    """Local time of a moment in seconds since the epoch; "?" for one that no calendar has."""
    try:
        return dt.datetime.fromtimestamp(at).astimezone().strftime("%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return "?"


def run_line(totals: Totals, session: str = "") -> str:
    """One line for the end of a run. session: its id, where it is kept."""
    usage = totals.usage
    sizes = f"{tokens(usage.prompt)} tokens in, {tokens(usage.output)} out"
    if totals.requests > totals.served and not usage.prompt:
        sizes = "this server counts no tokens"
    rate = percent(hit_rate(usage))
    kept = f", {totals.served} from the response cache" if totals.served else ""
    line = f"{counted(totals.requests, 'request')}{kept} · {sizes} · hit {rate} · {money(totals.cost)}"
    return f"{line} · session {session}" if session else line
