"""Session context: the facts that change, as appended messages.

Invariant: facts are told directly before a person's message, once and then only when one of them changed; what was told
is never edited. The text is pure in its facts, and the facts last told are in the journal, so a resume tells nothing
twice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.conversation.blocks import Message, Text
from harness.conversation.canonical import Json

HEAD = "[Session context: "
"""What each begins with, and nothing else."""

MAX_CHANGES_BYTES = 4 * 1024
"""Of one kind of change, at most: a folder of thousands of skills may come at once."""

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the model is told besides the conversation.

    rules, skills, memory: digest of each rules file, skill and memory file by name: a difference from what was told is
    announced. A session without memory says nothing of it. own: USER.md and SOUL.md as they are shown, by title; one
    that is different is told whole.
    """

    today: dt.date
    model: str
    os: str
    cwd: str
    mode: str
    dirs: tuple[str, ...] = ()
    rules: Mapping[str, str] = field(default_factory=dict)
    skills: Mapping[str, str] = field(default_factory=dict)
    memory: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """The form that is journaled with the message."""
        return {
            "today": self.today.isoformat(),
            "model": self.model,
            "os": self.os,
            "cwd": self.cwd,
            "mode": self.mode,
            "dirs": list(self.dirs),
            "rules": dict(self.rules),
            "skills": dict(self.skills),
            "own": dict(self.own),
            **({"memory": dict(self.memory)} if self.memory else {}),
        }


def context_message(facts: Facts, told: Mapping[str, Json], descriptions: Mapping[str, str]) -> Message | None:
    """The message that tells the facts, or None where the model knows them all.

    Args:
        told: `Facts.to_json()` as last told; empty at the start, when all of it is in the session block.
        descriptions: of the skills that can be announced, by name, and of memory, by "place/name".
    """
    # a session of an earlier version did not say what it had of them
    own = told.get("own", facts.own)
    if told and {**told, "own": own} == facts.to_json():
        return None
    lines, files = [_headline(facts)], ""
    if told:
        lines += _changes("Project rules", "read it before you go on", facts.rules, told.get("rules", {}), {})
        lines += _changes("Skill", "invoke_skill can use it", facts.skills, told.get("skills", {}), descriptions)
        lines += _changes("Memory", "the skill recall reads it", facts.memory, told.get("memory", {}), descriptions)
        changed = [title for title in sorted({*facts.own, *own}) if facts.own.get(title) != own.get(title)]
        lines += [f"{title} {'changed: see below' if title in facts.own else 'removed'}." for title in changed]
        files = "".join(f"\n\n# {title}\n{facts.own[title]}" for title in changed if title in facts.own)
    return Message("system_injected", (Text(HEAD + " ".join(lines) + "]" + files),))


def _headline(facts: Facts) -> str:
    day = _WEEKDAYS[facts.today.weekday()]  # not strftime: its names follow the locale
    also = f" Also in the workspace: {', '.join(facts.dirs)}." if facts.dirs else ""
    return (
        f"Today is {facts.today.isoformat()}, {day}. Current model: {facts.model}. OS: {facts.os}. "
        f"Working directory: {facts.cwd}. Permission mode: {facts.mode}.{also}"
    )


def _changes(
    what: str, advice: str, now: Mapping[str, str], told: Mapping[str, str], texts: Mapping[str, str]
) -> list[str]:
    lines: list[str] = []
    names = [name for name in sorted({*now, *told}) if now.get(name) != told.get(name)]
    used = 0
    for place, name in enumerate(names):
        if name not in now:
            line = f"{what} removed: {name}."
        else:
            verb = "changed" if name in told else "added"
            text = f" ({texts[name]})" if name in texts else ""
            line = f"{what} {verb}: {name}{text}; {advice}."
        used += len(line.encode())
        if used > MAX_CHANGES_BYTES and lines:
            lines.append(f"{len(names) - place} more changes of this kind.")
            break
        lines.append(line)
    return lines
