"""What a sub-agent is asked, and what its caller gets back: values and words.

Invariant: pure. Everything that a model reads of a sub-agent is written here, and bounded where it is born.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.conversation.blocks import Message, Text, ToolCall, ToolResult
from harness.conversation.canonical import clean
from harness.conversation.events import TurnEnded
from harness.conversation.history import ELSEWHERE
from harness.knowledge.skills import SkillText
from harness.tools.base import Effect
from harness.tools.output import Spill, bound, plain

REPORT_BYTES = 8_000
"""Of a report that enters the caller's conversation; the whole of a longer one is in a file."""
TASK_BYTES = 96_000
"""Of the instructions and the task together: a skill of the largest size and a long task."""
WORDS = 600
"""Of a report, as a sub-agent is asked for it."""

HARMLESS = frozenset({"read", "grep", "glob", "todo", "ask_user", "invoke_skill", "web_search", "web_fetch"})
"""Tools that change nothing by themselves; what a skill within a skill does is bound by both."""

LAST_WORDS = (
    "[The limit of turns is reached: no tool is run any more. Write your report now, from what you have found so far, "
    "and say what is missing.]"
)


@dataclass(frozen=True, slots=True)
class Delegation:
    """A skill that a sub-agent carries out.

    text: its instructions with the task, framed. context: fork: goes on with the caller's conversation; fresh: begins
    without it. model: of a fresh one; "": the caller's. allowed: tools and the pattern of their calls ("" for any);
    None: the skill names none.
    """

    skill: str
    text: str
    context: Literal["fork", "fresh"]
    model: str = ""
    allowed: tuple[tuple[str, str], ...] | None = None

    @property
    def effect(self) -> Effect:
        """What carrying it out may change: anything, unless it names its tools and all of them only look."""
        looks = self.allowed is not None and all(tool in HARMLESS for tool, _ in self.allowed)
        return "agent" if looks else "process"


def of_skill(skill: SkillText, text: str) -> Delegation | None:
    """How a skill wants to be carried out; None where its instructions are for whoever calls it.

    Args:
        text: its instructions with the task, framed.
    """
    how = skill.manifest.runs_as
    if how.context == "inline":
        return None
    allowed = None if how.allowed_tools is None else tuple((tool.name, tool.pattern) for tool in how.allowed_tools)
    return Delegation(skill.name, text, how.context, "" if how.model == "inherit" else how.model, allowed)


def briefing(delegation: Delegation, spill: Spill) -> str:
    """The first words to a sub-agent."""
    who = (
        "This call began a sub-agent, and that is you: from here on the task below is all that you do. The one who "
        "called goes on elsewhere and sees nothing of it"
        if delegation.context == "fork"
        else "You are a sub-agent: the task below is all that you do. The one who called sees nothing of it"
    )
    tools = ""
    if delegation.allowed is not None:
        names = ", ".join(f"{tool}({pattern})" if pattern else tool for tool, pattern in delegation.allowed)
        tools = f" Allowed here: {names or 'no tool'}; other calls are refused."
    frame = (
        f"[{who} but your last message: end with a report of at most {WORDS} words that says what you found or did, "
        f"with path:line, and what is left open.{tools}]"
    )
    return f"{frame}\n{bound(clean(plain(delegation.text)), TASK_BYTES, spill)[0]}"


def taken_over(calls: tuple[ToolCall, ...], own: str, words: str) -> Message:
    """What a fork appends to its caller's conversation: a result for each open call, its own the briefing."""
    return Message(
        "results",
        tuple(ToolResult(call.id, (Text(words if call.id == own else ELSEWHERE),)) for call in calls),
    )


def report(end: TurnEnded, spill: Spill) -> tuple[str, bool]:
    """What the caller gets, and whether it is an error."""
    found = bound(clean(plain(end.text.strip())), REPORT_BYTES, spill)[0]
    match end.reason:
        case "done":
            return found, False
        case "limit":
            head = f"[The sub-agent was stopped: {end.detail}.{' What it had found by then:' if found else ''}]"
            return f"{head}\n{found}".rstrip(), False
        case "refused":
            return "The sub-agent's model refused the task; nothing was done after that.", True
        case reason:
            head = f"[The sub-agent ended before its work was done ({reason}): {plain(end.detail)[:500]}]"
            return f"{head}\n{found}".rstrip(), not found
