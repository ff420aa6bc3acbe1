"""What every test gets: a home, settings, state and working folder of its own, and none of the person's keys.

Invariant: no test reads or writes the person's files, and none can reach a vendor with a real key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from harness.simulator import Clock, Rules, Simulator
from harness.simulator.vendor import Brain
from tests.e2e.lab import Forks, forks
from tests.prefix_check import Watch
from tests.speaker import Speaker

# Read once, before any test can change the environment.
REQUIRE_SYSTEM = os.environ.get("HARNESS_REQUIRE_SYSTEM") == "1"
PROPERTY_EXAMPLES = int(os.environ.get("HARNESS_PROPERTY_EXAMPLES", "250"))

# `print_blob`: a failure prints what reproduces it. Only the stateful tests take PROPERTY_EXAMPLES.
hypothesis.settings.register_profile("harness", deadline=None, print_blob=True, derandomize=False)
# `--hypothesis-profile unshrunk`: the first failure as it was found, where making it small takes minutes.
hypothesis.settings.register_profile(
    "unshrunk",
    hypothesis.settings.get_profile("harness"),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    report_multiple_bugs=False,
)
hypothesis.settings.load_profile("harness")


def pytest_configure(config: pytest.Config) -> None:
    """Name the markers of the prefix watch."""
    config.addinivalue_line(
        "markers", "branches(reason, times): so many branches of a line begin in this test, for the reason given"
    )
    config.addinivalue_line(
        "markers", "refusals(reason): a pretend vendor refuses requests in this test, for the reason given"
    )


def pytest_report_header(config: pytest.Config) -> str:
    """Name the seed and the number of examples of this run."""
    return f"properties: seed {config.getoption('hypothesis_seed')}, {PROPERTY_EXAMPLES} stateful examples"


@pytest.fixture(scope="session")
def property_examples() -> int:
    """How many examples a stateful test tries."""
    return PROPERTY_EXAMPLES


@pytest.fixture(scope="session")
def forked() -> Iterator[Forks]:
    """Where many real processes come from without their second of imports."""
    with forks() as running:
        yield running


@pytest.fixture(autouse=True)
def isolation(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home outside `tmp_path`, which is the working folder; the home's path."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("ANTHROPIC_", "OPENAI_", "HARNESS_", "GIT_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / ".local" / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    # Git, too, knows nobody, and never looks above the test's own folder.
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.invalid")
    monkeypatch.chdir(tmp_path)
    return home


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip in the `system` group into a failure where CI has installed what the group needs."""
    report = yield
    if REQUIRE_SYSTEM and report.skipped and item.get_closest_marker("system") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but HARNESS_REQUIRE_SYSTEM=1: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def prefix_watch(request: pytest.FixtureRequest, isolation: Path, tmp_path: Path) -> Iterator[Watch]:
    """At the test's end: every mainline request extended the one before it, nothing was refused, no miss was ours.

    `@pytest.mark.moves_prefix("why", times=2)` and `@pytest.mark.refusals("why")` say otherwise;
    `@pytest.mark.branches("why", times=2)` says that so many speak on one line besides its first.
    """
    epoch, refusals = (request.node.get_closest_marker(name) for name in ("moves_prefix", "refusals"))
    branching = _said(request.node.get_closest_marker("branches"))[1] or 0
    watch = Watch([tmp_path, isolation], *_said(epoch), branches=branching, refusals=_said(refusals)[0])
    yield watch
    problems = watch.problems()
    assert not problems, "\n".join(problems)


def _said(marker: pytest.Mark | None) -> tuple[str, int | None]:
    """Reason and number of a marker; a marker without a reason is an error."""
    if marker is None:
        return "", None
    reason = marker.kwargs.get("reason") or (marker.args[0] if marker.args else "")
    assert reason, f"the marker {marker.name} needs its reason"
    return reason, marker.kwargs.get("times")


Start = Callable[..., Simulator]


@pytest.fixture
def simulator(prefix_watch: Watch) -> Iterator[Start]:
    """Starts watched pretend vendors: `simulator(brain, minimum=1)` gives one that serves, its clock standing still."""

    def start(brain: Brain, clock: Clock | None = None, **rules: Any) -> Simulator:
        made = prefix_watch.add(Simulator(brain, Rules(**rules), clock=clock or Clock(ticking=False)))
        made.start()
        return made

    yield start
    for made in prefix_watch.watched:
        made.stop()


@pytest.fixture
def speaker(simulator: Start, tmp_path: Path) -> Iterator[Callable[..., Speaker]]:
    """Begins sessions: `speaker(brain, model="…", minimum=1)` gives a person at a new one, with a vendor of its own."""
    begun: list[Speaker] = []

    def begin(brain: Brain, model: str = "claude-opus-4-8", **rules: Any) -> Speaker:
        begun.append(Speaker(simulator(brain, **rules), tmp_path, model))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()
