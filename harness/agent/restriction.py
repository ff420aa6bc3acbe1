"""What a sub-agent may do: what its caller may, and of that what its skill names.

Invariant: a restriction only ever refuses; it stands before the caller's own permission, which is asked as well. The
list of tools never changes: what is not allowed is refused when it is called.
"""

from __future__ import annotations

from dataclasses import replace

from harness.agent.tool_runner import Asker, Permit
from harness.errors import UsageError
from harness.workspace.paths import Workspace
from harness.workspace.permissions import Allowed, Rule, Subject, decide, parse_rule

_ALWAYS = frozenset({"todo", "ask_user"})
"""They touch nothing, and a sub-agent that cannot ask would guess."""


def restricted(permit: Permit, skill: str, allowed: tuple[tuple[str, str], ...] | None, workspace: Workspace) -> Permit:
    """The caller's permission within the bounds of a skill.

    Args:
        allowed: tools and patterns of their calls; None: whatever the caller may.
    """

    async def check(tool: str, subject: Subject, asker: Asker) -> str:
        # a sub-agent of this one asks in its own name
        me = replace(asker, skill=asker.skill or skill)
        return _refusal(tool, subject, skill, allowed, workspace) or await permit(tool, subject, me)

    return check


def _refusal(
    tool: str, subject: Subject, skill: str, allowed: tuple[tuple[str, str], ...] | None, workspace: Workspace
) -> str:
    if tool == "checkpoint":
        # it would take back what the caller and other sub-agents did
        return "refused: a sub-agent undoes no files; say in your report what should be undone"
    if allowed is None or tool in _ALWAYS:
        return ""
    patterns = [pattern for name, pattern in allowed if name == tool]
    if any(not pattern or _covers(pattern, subject, workspace) for pattern in patterns):
        return ""
    named = ", ".join(f"{name}({pattern})" if pattern else name for name, pattern in allowed)
    return f"refused: the skill {skill} allows only: {named or 'no tool'}; find another way, or report without it"


def _covers(pattern: str, subject: Subject, workspace: Workspace) -> bool:
    """Whether a pattern covers a call. What is no rule covers nothing."""
    kind = {"shell": "shell", "web": "web_fetch"}.get(subject.kind, "write")
    try:
        rule: Rule = parse_rule(f"{kind}({pattern})")
    except UsageError:
        return False
    match subject.kind:
        case "none":
            return False
        case "shell" | "web":
            about = subject
        case "read" | "write":
            # the same places, as a write rule knows them
            about = Subject("write", subject.paths)
    return isinstance(decide("ask", [rule], about, workspace), Allowed)
