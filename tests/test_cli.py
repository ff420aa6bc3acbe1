"""The flags of a run take the words that the settings take."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import config_values as words
from harness.cli import parser, run
from tests.e2e.entry import ShiftedSeam

FLAGS = {
    "--effort": words.EFFORTS,
    "--permission-mode": words.MODES,
    "--response-cache": words.CACHE_SCOPES,
}


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_takes_every_word_of_its_setting(flag: str) -> None:
    for word in FLAGS[flag]:
        flags = vars(parser().parse_args(["-p", "task", flag, word]))

        assert flags[flag.removeprefix("--").replace("-", "_")] == word


@pytest.mark.parametrize("runs", ["0", "-1", "many"])
def test_a_bench_needs_a_run(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--runs", runs, "size"]) == 2
    assert f"--runs: must be a whole number, 1 or more, not '{runs}'" in capsys.readouterr().err


def test_a_home_that_depends_on_where_one_is_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sessions"], ShiftedSeam(0, {"HOME": "home"})) == 2
    assert "HOME is home, which is another folder wherever you are" in capsys.readouterr().err
    assert not Path("home").exists()
