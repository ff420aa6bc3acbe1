"""Money: usage times prices, and the same with a perfect cache or none.

Invariant: an unknown price gives None, never zero.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.conversation.blocks import Usage
from harness.conversation.request import Ttl
from harness.providers.facts import Model

_MILLION = 1_000_000


def cost(model: Model, usage: Usage) -> float | None:
    """USD of one request; None, too, where the server told no bill: no prompt has no tokens."""
    price = model.price_for(usage.prompt) if usage.prompt else None
    prompt = prompt_cost(model, usage)
    return None if price is None or prompt is None else prompt + usage.output * price.output / _MILLION


def prompt_cost(model: Model, usage: Usage) -> float | None:
    """USD of the prompt of one request: the part that caching decides."""
    price = model.price_for(usage.prompt)
    if price is None:
        return None
    total = (
        usage.uncached * price.input
        + usage.read * price.read
        + usage.written_short * price.write_short
        + usage.written_long * price.write_long
    )
    return total / _MILLION


def price_of_miss(model: Model, lost: int, usage: Usage) -> float | None:
    """USD that a miss cost: what its tokens were billed, as written or as plain input, less what reading them costs.

    Args:
        lost: tokens of it; what was lost lies before the last marker, so it was written as far as anything was.
    """
    price = model.price_for(usage.prompt)
    if price is None:
        return None
    written = min(lost, usage.written)
    plain = min(lost - written, usage.uncached)
    writes = usage.written_short * price.write_short + usage.written_long * price.write_long
    billed = (written * writes / usage.written if written else 0.0) + plain * price.input
    return (billed - (written + plain) * price.read) / _MILLION


def price_ahead(model: Model, lost: int, ttl: Ttl) -> float | None:
    """USD that a miss of that many tokens is going to cost, before the bill is there."""
    price = model.price_for(lost)
    return None if price is None else lost * (price.write(ttl) - price.read) / _MILLION


def uncached_cost(model: Model, usage: Usage) -> float | None:
    """USD of the same prompt where nothing is cached."""
    price = model.price_for(usage.prompt)
    return None if price is None else usage.prompt * price.input / _MILLION


def total(values: Iterable[float | None]) -> float | None:
    """The sum; None as soon as one is unknown."""
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None
