"""When a compaction is due, and whether one pays: arithmetic over bills and prices, no estimate of any text.

Invariant: pure; an unknown price never makes anything due. All prices are USD per million tokens, all sizes tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.config import Config
from harness.conversation.request import TTL_SECONDS, Ttl
from harness.providers.facts import Price

DEFAULT_OUTPUT = 32_000
"""Room for a long file, within every current model's limit."""
SUMMARY = 4_000
"""Tokens that a summary is taken to have at most; its answer may have no more than twice that."""
AFTER = 10_000
"""Tokens after the system blocks once a compaction is done, at most."""


@dataclass(frozen=True, slots=True)
class CompactionConfig:
    """What the person set.

    share: of the window, from which on. cost_from: prompt tokens from which on the cost rule looks; 0: never.
    idle_from: prompt tokens from which on there is enough to save while idle. margin: seconds before the end of a TTL
    at which an idle compaction begins. returns: how likely someone who was silent for a TTL comes back.
    """

    enabled: bool = True
    share: float = 0.8
    cost_from: int = 200_000
    idle: bool = True
    idle_from: int = 20_000
    margin: float = 30.0
    returns: float = 0.25

    @classmethod
    def of(cls, config: Config) -> CompactionConfig:
        """As the person set it."""
        return cls(
            enabled=config.compaction_enabled,
            share=config.compaction_share,
            cost_from=config.compaction_cost_from,
            idle=config.compaction_idle,
            idle_from=config.compaction_idle_from,
            margin=config.compaction_margin,
            returns=config.compaction_returns,
        )


def most_output(window: int) -> int:
    """Output tokens that are asked for where nothing is set: a quarter of a small window.

    vLLM, SGLang, DeepSeek and OpenAI's older models refuse a request whose prompt and `max_tokens` are together more
    than the window, however short the answer would be. How long a prompt is, only its bill tells, which comes too late,
    and an estimate decides nothing that is sent: so it is a fixed part of the window, which `window_limit` leaves free.
    What then still does not fit is refused, and compacted.
    """
    return min(DEFAULT_OUTPUT, window // 4)


def window_limit(window: int, share: float, max_output: int) -> int:
    """The prompt from which on a compaction is due: a share of the window, and room for an answer at the least."""
    return max(0, min(int(window * share), window - min(max_output, window // 4) - min(2 * SUMMARY, window // 8)))


def compaction_price(price: Price, prompt: int) -> float:
    """USD of compacting a prompt that is cached: read it once, write a summary, write what follows the system."""
    return (prompt * price.read + SUMMARY * price.output + AFTER * price.write_short) / 1e6


def cost_due(price: Price | None, prompts: int, last: int) -> bool:
    """Whether reading what a compaction would have saved has cost as much as a compaction.

    So the bill is never more than twice what it would have been, had one known how long the session goes on.

    Args:
        prompts: the sum, over the requests since the last compaction, of prompt tokens beyond those that it leaves.
        last: the last prompt.
    """
    return price is not None and prompts * price.read / 1e6 >= compaction_price(price, last)


def idle_pays(price: Price | None, prompt: int, returns: float, ttl: Ttl) -> bool:
    """Whether to compact before the TTL ends: a cold start of it all, as likely as it is, against one warm request."""
    if price is None:
        return False
    cold, warm = prompt * price.write(ttl) / 1e6, compaction_price(price, prompt)
    # who comes back after a compaction pays for a small cold start, which `warm` holds already
    return returns * cold > warm - (1 - returns) * AFTER * price.write_short / 1e6


def idle_delay(ttl: Ttl, since: float, margin: float) -> float | None:
    """Seconds from now until an idle compaction begins; None where nothing expires, or has already.

    Args:
        since: seconds since the line was last read or written.
        margin: see `CompactionConfig`.
    """
    life = TTL_SECONDS[ttl]
    if life == float("inf") or since > life - min(margin, 10.0):
        return None
    return max(0.0, life - margin - since)
