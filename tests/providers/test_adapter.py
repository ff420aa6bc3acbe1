"""The version of the adapters: nobody has to raise it, and nobody can forget to."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.providers import adapter

ROOT = Path(__file__).resolve().parents[2]


def version_of(folder: Path) -> str:
    code = "from harness.providers import adapter; print(adapter.version())"
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "harness", tmp_path / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_it_is_the_same_wherever_the_same_source_is(copied: Path) -> None:
    assert version_of(copied) == adapter.version()
    assert re.fullmatch("[0-9a-f]{12}", adapter.version())


@pytest.mark.parametrize("name", ["providers/anthropic_wire.py", "providers/calls.py", "conversation/canonical.py"])
def test_a_change_of_what_decodes_is_another_version(name: str, copied: Path) -> None:
    with (copied / "harness" / name).open("a") as file:
        file.write("\n# decodes in another way\n")
    assert version_of(copied) != adapter.version()


def test_what_draws_the_screen_is_no_part_of_it(copied: Path) -> None:
    (copied / "harness" / "ui" / "plain.py").write_text("")
    assert version_of(copied) == adapter.version()
