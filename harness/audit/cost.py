"""Money: usage times prices, and the same with a perfect cache or none.

Invariant: an unknown price gives None, never zero.
"""

from __future__ import annotations

from harness.conversation.blocks import Usage
from harness.providers.catalog import Model

_MILLION = 1_000_000


def cost(model: Model, usage: Usage) -> float | None:
    """USD of one request."""
    price = model.price_for(usage.prompt)
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
        + usage.written_5m * price.write_5m
        + usage.written_1h * price.write_1h
    )
    return total / _MILLION


def price_of_miss(model: Model, lost: int, prompt: int) -> float | None:
    """USD that a miss cost: its tokens at the price of writing instead of reading."""
    price = model.price_for(prompt)
    return None if price is None else lost * (price.write_5m - price.read) / _MILLION
