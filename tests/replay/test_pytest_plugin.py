"""Recorded sessions in somebody's repository, as their own tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.program import ROOT
from tests.replay.tampering import tampered

RECORDED = ROOT / "tests" / "recorded" / "small"


def suite(folder: Path, sessions: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text(f"[pytest]\n{sessions}\n")
    words = [sys.executable, "-m", "pytest", "-p", "harness.replay.pytest_plugin", "-p", "no:cacheprovider", "-v"]
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_a_session_as_recorded_passes(tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "recorded" / "small")

    ran = suite(tmp_path, "harness_sessions = recorded/*")

    assert ran.returncode == 0, ran.stdout
    assert "1 passed" in ran.stdout


def test_a_moved_byte_fails_and_is_told(tmp_path: Path) -> None:
    def change(record: object, data: dict[str, object]) -> None:
        del record
        if data.get("tag") == "person":
            data["blocks"] = [{"is": "text", "text": "other words"}]

    (tmp_path / "recorded").mkdir()
    tampered(RECORDED, tmp_path / "recorded" / "small", change)

    ran = suite(tmp_path, "harness_sessions = recorded/*")

    assert ran.returncode == 1
    assert "DIVERGES at request 1" in ran.stdout
    assert "message 2 block 1" in ran.stdout
    assert "Traceback" not in ran.stdout


def test_journals_that_are_not_named_are_left_alone(tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "recorded" / "small")
    shutil.copytree(RECORDED, tmp_path / "elsewhere" / "other")

    ran = suite(tmp_path, "harness_sessions = elsewhere/*")

    assert "1 passed" in ran.stdout
    assert "elsewhere/other" in ran.stdout
    assert "recorded/small" not in ran.stdout


@pytest.mark.parametrize("globs", ["recordings/* recordings/*/agents/*", "/recorded/*"])
def test_a_setting_that_names_no_session_is_an_error(tmp_path: Path, globs: str) -> None:
    shutil.copytree(RECORDED, tmp_path / "recorded" / "small")
    (tmp_path / "project").mkdir()

    ran = suite(tmp_path / "project", f"harness_sessions = {globs}")

    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"harness_sessions = {globs}: no recorded session is there" in ran.stderr


def test_a_session_deeper_in_the_repository_is_named_too(tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "tests" / "recorded" / "small")

    ran = suite(tmp_path, "harness_sessions = recorded/*")

    assert "1 passed" in ran.stdout
