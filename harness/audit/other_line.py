"""Why a session that has spoken before begins another line.

Invariant: pure in the journaled form of its last request and the one that is about to be sent.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.conversation.canonical import Json
from harness.conversation.request import Line


def other_line(last: Mapping[str, Json], line: Line, model: str) -> str:
    """In one line; "" where the session has not spoken before, or nothing tells.

    Args:
        last: the session's last mainline request as journaled; empty where there is none.
        model: whose request is sent, as a person names it.
    """
    if not last:
        return ""
    if last["model"] != model:
        return f"model switch: {last['model']} to {model}; the line left behind stays cached"
    if last["base_url"] != line.base_url:
        return f"another server: {last['base_url']} to {line.base_url}"
    old, new = last["settings"], dict(line.settings)
    changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return f"another setting: {', '.join(changed)}" if changed else ""
