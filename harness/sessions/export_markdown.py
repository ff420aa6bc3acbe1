"""A session as one Markdown text.

Invariant: words of a person and what tools gave stand in fences that nothing in them can close, and an answer, which is
Markdown itself, cannot leave a fence open behind it; characters that act or hide are written out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness.conversation.blocks import Block, Image, Setting, Text, Thinking, ToolCall, ToolResult
from harness.sessions import wording
from harness.sessions.figures import Figures
from harness.sessions.transcript import Billed, Delegated, EpochBegan, Item, Problem, Said
from harness.tools.output import one_line, visible

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


def pieces(figures: Figures, items: Iterable[Item]) -> Iterator[str]:
    """The text, piece by piece."""
    heading = wording.heading(figures)
    yield f"# {_inline(heading.title)}\n\n"
    yield "".join(f"- {_inline(text)}\n" for text in heading.lines)
    for item in items:
        match item:
            case Said():
                yield from _said(item)
            case Billed():
                yield f"\n*{_inline(wording.billed(item))}*\n"
            case Delegated():
                yield f"\n*{_inline(wording.delegated(item))}*\n"
            case EpochBegan():
                yield f"\n---\n\n**Epoch: {_inline(wording.epoch(item))}**\n"
            case Problem(_, _, text):
                yield f"\n**Problem: {_inline(text)}**\n"


def _said(item: Said) -> Iterator[str]:
    message = item.message
    left = "" if item.current else ", no longer part of the conversation"
    yield f"\n## {wording.speaker(message)} · {wording.moment(item.at)}{left}\n"
    for block in message.blocks:
        yield f"\n{_block(block, item, raw=message.tag == 'answer')}\n"


def _block(block: Block, item: Said, *, raw: bool) -> str:
    match block:
        case Text(text):
            return closed(visible(text)) if raw else fenced(text)
        case Image(media_type):
            return f"*an image ({_inline(media_type)})*"
        case Thinking(text):
            return f"*Thinking*\n\n{fenced(text)}" if text else "*Thinking, not told*"
        case ToolCall(_, name):
            return f"Call of **{_inline(name)}**\n\n{fenced(wording.called(block))}"
        case ToolResult(call_id, content, is_error):
            name = _inline(item.calls.get(call_id, "an unknown call"))
            return f"**{name}**{' failed' if is_error else ''}\n\n{fenced(wording.result_text(content))}"
        case Setting():
            return f"*{_inline(wording.setting(block))}*"


def fenced(text: str) -> str:
    """A text in a fence that is longer than any in it."""
    shown = visible(text)
    longest = max((len(found) for found in re.findall(r"`{3,}", shown)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{shown}\n{fence}"


def closed(text: str) -> str:
    """A Markdown text, with the fence that it leaves open closed."""
    open_one = ""
    for row in text.split("\n"):
        found = _FENCE.match(row)
        if found is None:
            continue
        mark, rest = found[1], found[2]
        if not open_one:
            open_one = mark if mark[0] == "~" or "`" not in rest else ""
        elif mark[0] == open_one[0] and len(mark) >= len(open_one) and not rest.strip():
            open_one = ""
    return f"{text}\n{open_one}" if open_one else text


def _inline(text: str) -> str:
    """A text as part of a line: nothing in it is markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!&])", r"\\\1", one_line(" ".join(text.split()), 400))
