"""A lab for each test: a project folder, a home, and pretend vendors that must end every test in good health."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.simulator import Rules, Simulator
from harness.simulator.vendor import Brain
from tests.e2e.lab import Lab, assert_healthy

Start = Callable[..., Simulator]


@pytest.fixture
def lab(tmp_path: Path, isolation: Path) -> Lab:
    """A project folder and a home; `lab.url` is the vendor's address, and nobody is there yet."""
    made = Lab(tmp_path, isolation, "http://127.0.0.1:9")
    made.project.mkdir()
    return made


@pytest.fixture
def vendor(lab: Lab) -> Iterator[Start]:
    """Starts simulators and points the lab to them; each must end in good health (see `assert_healthy`)."""
    running: list[tuple[Simulator, str, dict[str, bool]]] = []

    def start(
        brain: Brain, *, allowed: str = "", cached: bool = True, branches: bool = False, **rules: Any
    ) -> Simulator:
        sim = Simulator(brain, Rules(**{"minimum": 1} | rules))
        sim.start()
        running.append((sim, allowed, {"cached": cached, "branches": branches}))
        lab.url = sim.url
        return sim

    yield start
    for sim, allowed, options in running:
        sim.stop()
        assert_healthy(sim, allowed, **options)
