"""A workspace, what was seen in it, and a way to call tools as the runner does."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness.tools.base import Outcome, Tool
from harness.workspace.paths import Workspace


def just_now(text: str) -> str:
    """A result from the cache as it reads at once: a busy machine may come to it seconds later."""
    return re.sub(r"(?<=^\[from the cache: )\d+ s old", "0 s old", text)


class Known:
    """A `Seen` in memory, fed from outcomes."""

    def __init__(self) -> None:
        self.identities: dict[str, str] = {}
        self.contents: dict[str, bytes] = {}

    def identity(self, path: str) -> str | None:
        return self.identities.get(path)

    def content(self, identity: str) -> bytes | None:
        return self.contents.get(identity)

    def learn(self, outcome: Outcome) -> None:
        self.identities |= outcome.facts.get("seen", {})
        self.contents |= {hashlib.sha256(blob).hexdigest(): blob for blob in outcome.blobs}


@pytest.fixture
def known() -> Known:
    return Known()


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    root = tmp_path / "root"
    root.mkdir()
    return Workspace(root, home=tmp_path / "home")


@pytest.fixture
def call(known: Known) -> Callable[..., Outcome]:
    """Calls a tool with arguments that must meet its schema; what it saw is remembered."""

    def called(tool: Tool, /, **args: Any) -> Outcome:
        jsonschema.validate(args, dict(tool.spec.schema))
        tool.subject(args)

        async def once() -> Outcome:
            return await tool.run(args)

        outcome = asyncio.run(once())
        assert outcome.content
        assert "\n" not in outcome.shown
        known.learn(outcome)
        return outcome

    return called
