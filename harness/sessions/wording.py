"""A session's figures and moments in words, the same in every list and export.

Invariant: an unknown price stays unknown; no share is rounded up to 100 %. Nothing is escaped here.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from harness.audit.report import counted, hit_rate, money, percent, tokens
from harness.conversation.blocks import Message, Setting, Text, ToolCall
from harness.conversation.canonical import encode
from harness.sessions.figures import Figures
from harness.sessions.transcript import Billed, Delegated, EpochBegan

NO_TITLE = "(nothing said)"

SPEAKERS = {
    "person": "Person",
    "program": "Program",
    "system_injected": "Context",
    "results": "Results",
    "answer": "Answer",
    "setting": "Setting",
}


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above a session: its title, and a few lines about it."""

    title: str
    lines: tuple[str, ...]


def heading(figures: Figures) -> Heading:
    """The heading of a session."""
    lines = [f"session {figures.id}" + (f", a fork of {figures.parent}" if figures.parent else "")]
    if figures.cwd:
        lines.append(f"in {figures.cwd}")
    lines.append(f"begun {moment(figures.created)}, last used {moment(figures.used)}")
    lines.append(summary(figures))
    lines += [f"damage: {problem}" for problem in figures.problems]
    return Heading(figures.title or NO_TITLE, tuple(lines))


def summary(figures: Figures) -> str:
    """Turns, requests, tokens, hit rate and cost, one line."""
    usage = figures.usage
    parts = [
        counted(figures.turns, "turn"),
        counted(figures.requests, "request"),
        f"{tokens(usage.prompt)} tokens in",
        f"hit {percent(hit_rate(usage))}",
        money(figures.cost),
    ]
    return " · ".join(parts + ([figures.model] if figures.model else []))


def billed(item: Billed) -> str:
    """What a model call read and cost, and why it did not read more, one line."""
    parts = ["side request"] if item.side else []
    if item.served is not None:
        given = f"served from the response cache: {item.served.origin}"
        return " · ".join([*parts, given, f"would have cost {item.served.price}"])
    parts.append(f"read {percent(hit_rate(item.usage))} of {tokens(item.usage.prompt)} tokens")
    parts += [f"out {tokens(item.usage.output)}", money(item.cost), item.verdict]
    text = " · ".join(parts) + (f": {item.cause}" if item.cause else "")
    if item.lost:
        text += f" ({tokens(item.lost)} tokens lost, {money(item.price)})"
    return text


def delegated(item: Delegated) -> str:
    """What a sub-agent did, what that cost, and where all of it is."""
    ended = item.ended
    read = f"read {percent(hit_rate(ended.usage))} of {tokens(ended.usage.prompt)} tokens"
    parts = (counted(ended.requests, "request"), read, f"out {tokens(ended.usage.output)}", money(ended.cost))
    where = f" · {item.path}" if item.path else ""
    head = f"sub-agent {ended.skill} ({ended.context}, {ended.model}) {ended.end}"
    return f"{head}: {' · '.join(parts)} · session {ended.session}{where}"


def epoch(item: EpochBegan) -> str:
    """Why an epoch began, and what became of the conversation."""
    left = "" if item.messages is None else f" ({counted(item.messages, 'message')} from here on)"
    return f"{item.reason}{left}"


def called(call: ToolCall) -> str:
    """A call's arguments as text: a lone string as it is, else JSON."""
    match tuple(call.arguments.values()):
        case (str(only),):
            return only
        case _:
            return encode(call.arguments).decode("utf-8")


def result_text(content: tuple[object, ...]) -> str:
    """The text of a result; images are told as such."""
    return "\n".join(part.text if isinstance(part, Text) else "[an image]" for part in content)


def speaker(message: Message) -> str:
    """Who says it."""
    return SPEAKERS.get(message.tag, message.tag) + (" (incomplete)" if message.partial else "")


def setting(said: Setting) -> str:
    """A change of a setting, as the model was told it."""
    return f"{said.name}: {said.value}, told to {said.model}"


def moment(at: float) -> str:
    """Local time to the minute, like "2026-11-22 15:17"; "-" where nothing is known."""
    try:
        return f"{dt.datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M}" if at else "-"
    except (OverflowError, OSError, ValueError):
        return "-"  # damaged, or of a clock that was far off
