"""Any order of what can happen to a session with Anthropic: nothing moves, no read is worse than the perfect cache's.

Invariant: every rule of caching that the documentation leaves open is tried both ways. `HARNESS_PROPERTY_EXAMPLES`
sets the number of examples of all variants together.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from harness.conversation.request import Refresh
from harness.simulator import Clock, Rules, Simulator
from tests.prefix_check import Watch
from tests.property import machine
from tests.property.world import Model, World

RULES: list[tuple[Refresh, bool]] = [
    (refresh, collapse) for refresh in ("marked", "hit", "all") for collapse in (False, True)
]


class AnyOrder(machine.AnyOrder):
    models = (
        "claude-opus-4-8",
        "claude-sonnet-5-5",  # binds thinking to the exact prefix
        "claude-fable-5-2",  # binds it too, and always thinks
        "claude-opus-4-6",  # caches nothing below 4,096 tokens
        "claude-haiku-4-5",  # so does this one, and it strips earlier thinking
    )


@pytest.mark.moves_prefix(reason="every example is a session of its own; the machine checks the pairs of each branch")
@pytest.mark.refusals(reason="the machine plans refusals, and checks that there are no others")
@pytest.mark.parametrize(("refresh", "collapse"), RULES)
def test_any_order(
    refresh: Refresh, collapse: bool, fast_folder: Path, prefix_watch: Watch, property_examples: int
) -> None:
    prefix_watch.watched.clear()
    model, number = Model(), iter(range(10**9))
    rules = Rules(refresh=refresh, collapse_tool_runs=collapse)
    simulator = Simulator(model, rules, clock=Clock(ticking=False))
    environment = {"PATH": os.environ["PATH"]}
    with simulator, asyncio.Runner() as runner:

        def make() -> World:
            simulator.reset()
            return World({"": simulator}, model, fast_folder / str(next(number)), environment, refresh, runner)

        machine.run(AnyOrder, make, property_examples // len(RULES))
