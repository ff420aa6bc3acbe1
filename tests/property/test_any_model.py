"""Any order of what can happen to a session that goes from vendor to vendor: none of them is paid twice for a token.

Invariant: as in `test_any_order`, on every wire and caching contract at once, with one clock for all vendors. It gets
half of `HARNESS_PROPERTY_EXAMPLES`, as each of its examples is longer.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import rule

from harness.simulator import Clock, Rules, Simulator
from tests.prefix_check import Watch
from tests.property import machine
from tests.property.world import Model, World
from tests.vendors import MODELS, SERVERS

# what sources leave open, or tell differently, of the vendors behind the OpenAI wires
RULES: list[dict[str, Any]] = [{}, {"cache_key": "required", "breakpoint_lookback": "first2_latest50"}]


class AnyModel(machine.AnyOrder):
    models = tuple(served.model for served in MODELS.values())

    @rule(data=st.data())
    def model_switches_in_the_same_run(self, data: st.DataObject) -> None:
        self.world.switch(data.draw(st.sampled_from(self.models)))

    @rule(
        data=st.data(),
        away=st.lists(st.lists(machine.answers(), max_size=2), min_size=1, max_size=3),
        pause=st.sampled_from([0.0, 20.0, 150.0]),
    )
    def there_and_back(self, data: st.DataObject, away: list[list[machine.Calls]], pause: float) -> None:
        first = self.world.app.model.id
        self.world.turn("Before I go.", [[{"text": "Well."}]])
        self.world.check()
        self.world.switch(data.draw(st.sampled_from(self.models)))
        for plan in away:
            self.world.turn("Your turn.", [one.items() for one in plan])
            self.world.check()
        self.world.clock.advance(pause)
        self.world.switch(first)
        self.world.turn("Back again.", [[{"thinking": "Again."}, {"text": "As before."}]])


@pytest.mark.moves_prefix(reason="every example is a session of its own; the machine checks the pairs of each branch")
@pytest.mark.refusals(reason="the machine plans refusals, and checks that there are no others")
@pytest.mark.parametrize("rules", RULES, ids=["default", "careful"])
def test_any_model(rules: dict[str, Any], fast_folder: Path, prefix_watch: Watch, property_examples: int) -> None:
    prefix_watch.watched.clear()
    model, number, clock = Model(), iter(range(10**9)), Clock(ticking=False)
    environment = {"PATH": os.environ["PATH"]}
    with ExitStack() as stack:
        vendors = {
            name: stack.enter_context(Simulator(model, Rules(**(own | rules)), clock=clock))
            for name, own in SERVERS.items()
        }
        runner = stack.enter_context(asyncio.Runner())

        def make() -> World:
            for vendor in vendors.values():
                vendor.reset()
            return World(vendors, model, fast_folder / str(next(number)), environment, None, runner)

        machine.run(AnyModel, make, property_examples // (2 * len(RULES)))
