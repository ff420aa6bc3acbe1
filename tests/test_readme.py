"""What README and docs name is there: tests, pages, a script; each row of the matrix is backed by a test."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.simulator.scenario import Scenario

ROOT = Path(__file__).parents[1]
PAGES = {path: path.read_text("utf-8") for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))}
FIGURES = PAGES[ROOT / "docs" / "figures.md"]
TESTS = sorted({test for page in PAGES.values() for test in re.findall(r"`(tests/[^`*]+\.py[^`]*)`", page)})
MATRIX = re.search(r"^\| models \|.*?\n\|[-|]+\n(.*?)\n\n", FIGURES, re.MULTILINE | re.DOTALL)
LINKS = [
    (path, target) for path, page in PAGES.items() for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page)
]


def collect(*names: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *names]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_test_that_is_named_exists() -> None:
    found = collect(*TESTS)

    assert found.returncode == 0, found.stdout[-2000:]


def test_a_test_that_is_not_there_is_noticed() -> None:
    assert collect("tests/wires/test_sessions.py::test_a_session[nobody]").returncode != 0


def test_every_row_of_the_matrix_says_what_its_figures_are_and_names_a_test() -> None:
    assert MATRIX is not None
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in MATRIX[1].splitlines()]

    assert len(rows) > 10
    for models, contract, evidence, backed in rows:
        assert models, rows
        assert contract, models
        assert "simulated from" in evidence or "real engine" in evidence, models
        assert re.search(r"`tests/[^`]+\.py::[^`]+`", backed), models
        if "real engine" in evidence:
            assert "real-engine.md" in evidence or "the same page" in evidence, models


@pytest.mark.parametrize(("page", "target"), LINKS, ids=[f"{page.name}: {target}" for page, target in LINKS])
def test_every_link_leads_somewhere(page: Path, target: str) -> None:
    assert (page.parent / target).exists()


def test_every_page_of_docs_is_linked_from_the_readme() -> None:
    linked = {target for page, target in LINKS if page == ROOT / "README.md"}

    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*")} <= linked


def test_the_script_for_the_simulator_plays() -> None:
    block = re.search(r"```json\n(.*?)```", PAGES[ROOT / "docs" / "simulator.md"], re.DOTALL)
    assert block is not None

    assert len(Scenario.parse(json.loads(block[1])).default) == 2
