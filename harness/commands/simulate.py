"""`harness simulate`: the pretend vendor alone, for trying the program or other clients without a key.

Invariant: nothing but the simulator; see `harness/simulator`.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.seam import Seam
from harness.simulator.__main__ import main as serve


def main(arguments: Sequence[str], _seam: Seam) -> int:
    """Serve until interrupted."""
    return serve(list(arguments))
