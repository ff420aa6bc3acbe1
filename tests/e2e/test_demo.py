"""`harness demo`: no key and no network, whichever vendor's model it is for."""

from __future__ import annotations

import json

import pytest

from tests.e2e.lab import Lab


@pytest.mark.parametrize("model", ["sonnet", "gpt"])
def test_it_needs_no_key_for_a_model_of_either_vendor(lab: Lab, model: str) -> None:
    ran = lab.run("demo", "--json", "--model", model, env={"ANTHROPIC_API_KEY": None, "OPENAI_API_KEY": None})

    assert ran.code == 0, ran.err
    figures = json.loads(ran.out)
    assert figures["test_passes"] is True
    assert figures["read_tokens"] == figures["perfect_read_tokens"] > 0
