"""The text of the two system blocks: the static one from `system.md`, the session one from what was read on disk.

Invariant: the static text is the same for every session of one version, on any machine; the session text depends only
on its arguments, is ordered, and is bounded by the caps of what it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Layer:
    """One part of the session block. `title` is a heading; an empty `text` leaves the layer out."""

    title: str
    text: str


def static_text() -> str:
    """The static system block."""
    return resources.files("harness.prompt").joinpath("system.md").read_text("utf-8").strip()


def session_text(layers: Sequence[Layer]) -> str:
    """The session system block; never empty, because an empty text cannot carry a marker."""
    parts = [f"# {layer.title}\n{layer.text.strip()}" for layer in layers if layer.text.strip()]
    return "\n\n".join(parts) or "# Project\nNo project rules, no skills."
