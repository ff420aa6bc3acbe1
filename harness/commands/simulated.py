"""This machine as the demo and the benches see it: folders of their own, the simulator's address, no key of the person.

Invariant: nothing of the person's settings, sessions or keys is read or written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.seam import Seam

PRIVATE = ("ANTHROPIC_", "OPENAI_", "HARNESS_")


class SimulatedSeam(Seam):
    """See the module."""

    def __init__(self, outer: Seam, folder: Path, url: str) -> None:
        self._environment = {k: v for k, v in outer.environment().items() if not k.startswith(PRIVATE)} | {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "simulated",
            "OPENAI_BASE_URL": f"{url}/v1",
            "OPENAI_API_KEY": "simulated",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
        }

    def environment(self) -> Mapping[str, str]:
        """Its own."""
        return self._environment
