"""The flags of a run take the words that the settings take."""

from __future__ import annotations

import pytest

from harness import config_values as words
from harness.cli import parser

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
