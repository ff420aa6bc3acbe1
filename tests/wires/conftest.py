"""A person at a session of each wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.speaker import Speaker

WIRES = {
    "anthropic": "claude-opus-4-8",
    "responses": "openai/gpt-6.1-sol",
    "chat": "openai-chat/openai/gpt-6.1-sol",
}
"""A model for each wire."""


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    """Each wire in turn."""
    return str(request.param)


@pytest.fixture
def begin(wire: str, speaker: Callable[..., Speaker]) -> Callable[..., Speaker]:
    """Begins a session of this wire that may do all: `begin(brain, idle=0.4, body_limit=30_000)`.

    idle: seconds that the vendor may be silent. All else are rules of the vendor.
    """

    def start(brain: Any, idle: float = 20, **rules: Any) -> Speaker:
        person = speaker(brain, model=WIRES[wire], **rules)
        settings = person.project.parent / "home" / ".config" / "harness" / "config.toml"
        settings.write_text(f'permission_mode = "yolo"\n[network]\nidle_timeout = {idle}\n')
        # a session that has not spoken keeps no model
        person.come_back(model=WIRES[wire])
        assert wire in person.app.model.wire
        return person

    return start
