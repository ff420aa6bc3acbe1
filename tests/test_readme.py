"""What the README names is there: tests, and pages that it links to; and each row of its matrix is backed by a test."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
TESTS = re.findall(r"`(tests/[^`]+)`", README)
MATRIX = re.search(r"^\| models \|.*?\n\|[-|]+\n(.*?)\n\n", README, re.MULTILINE | re.DOTALL)


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
            assert "docs/real-engine.md" in evidence or "the same page" in evidence, models


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()
