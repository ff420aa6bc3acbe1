"""`harness demo`: no key and no network, whichever vendor's model it is for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.commands.demo_task import RATES, write
from tests.e2e.lab import Lab


@pytest.mark.parametrize("model", ["sonnet", "gpt"])
def test_it_needs_no_key_for_a_model_of_either_vendor(lab: Lab, model: str) -> None:
    ran = lab.run("demo", "--json", "--model", model, env={"ANTHROPIC_API_KEY": None, "OPENAI_API_KEY": None})

    assert ran.code == 0, ran.err
    figures = json.loads(ran.out)
    assert figures["test_passes"] is True
    assert figures["read_tokens"] == figures["perfect_read_tokens"] > 0


def test_what_is_mended_in_the_first_second_is_what_runs(tmp_path: Path) -> None:
    write(tmp_path)
    rate, wanted = tmp_path / "shop" / "rates" / "pl.py", RATES["pl"]
    shown = [sys.executable, "-c", "from shop.rates.pl import RATE; print(RATE)"]

    def run() -> str:
        return subprocess.run(shown, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    before, made = run(), rate.stat().st_mtime
    rate.write_text(rate.read_text().replace(before, str(wanted)))

    assert (before != str(wanted), run()) == (True, str(wanted))
    assert int(made) != int(rate.stat().st_mtime)
