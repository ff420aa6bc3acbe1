"""How much work something is, counted and not timed: the byte codes that Python ran for it.

Invariant: the same on a busy machine; what C does in one step (a slice, a look-up) is one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def work(action: Callable[[], object]) -> int:
    """The byte codes that an action took."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count
