"""What entered the conversation, made again from what it was made of: prefix, context, tool output, answers.

Invariant: pure in the journal and its blobs. Each check gives divergences in the order of the blocks; what an older
journal does not tell, it does not check.
"""

from __future__ import annotations

import datetime as dt
import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from harness.conversation.blobs import Blobs
from harness.conversation.blocks import Image, Message, Tag, Text, Thinking, ToolResult
from harness.conversation.canonical import Json, decode, digest
from harness.conversation.history import ELSEWHERE, History
from harness.conversation.request import FrozenPrefix
from harness.conversation.stored import read_block, read_message
from harness.prompt.context import HEAD, Facts, context_message
from harness.prompt.layers import Layer
from harness.prompt.prefix import assemble, read_prefix
from harness.replay.answered import Answered
from harness.replay.divergence import Divergence, block, block_bytes, blocks, value
from harness.tools.output import Spill, entered

_ANNOUNCED = re.compile(
    r"(?:Skill|Memory) (?:added|changed): ([a-z0-9/-]+) \((.{0,5000}?)\); "
    r"(?:invoke_skill can use|the skill recall reads) it\."
)
_CONTEXT_BYTES = 64 * 1024
"""Of a session context, more than any has: what is announced in it is looked for in so much of it."""


# ------------------------------------------------------------------------------------------------------- prefix


def prefix(data: Mapping[str, Json], blobs: Blobs, *, made_here: bool, whole: bool) -> Iterator[Divergence]:
    """The frozen prefix: its bytes are those that were frozen, and what its inputs give.

    made_here: by this version; what another one made is checked by its digests, and a journal that is whole has them.
    """
    stored = read_prefix(data, blobs)
    fragments = (*stored.tools, stored.static, stored.session)
    names = [*(f"tool {_name(tool)}" for tool in stored.tools), "static system", "session system"]
    digests = data.get("digests", ())
    if (digests or whole) and len(digests) != len(fragments):
        counts = f"{len(digests)} blocks were frozen, and it has {len(fragments)}"
        yield Divergence("tools or system blocks", counts, "the journal's copy of them was changed")
    for name, fragment, told in zip(names, fragments, digests, strict=False):
        if digest(fragment)[:16] != told:
            now = f"its digest is {digest(fragment)[:16]}, and {told} was frozen"
            yield Divergence(name, now, "the journal's copy of this block was changed")
    if made_here:
        yield from _made_again(stored, names)


def _made_again(stored: FrozenPrefix, names: Sequence[str]) -> Iterator[Divergence]:
    static, session = (decode(raw)["text"] for raw in (stored.static, stored.session))
    layers = [Layer(title, text) for title, text in stored.layers]
    made = assemble([decode(tool) for tool in stored.tools], static, layers or session)
    why = "this program orders or serialises the tools otherwise"
    for name, old, new in zip(names, stored.tools, made.tools, strict=False):
        yield from block(name, old, new, why)
    yield from block("static system", stored.static, made.static, "this program serialises the text otherwise")
    why = "USER.md, rules and skills as journaled give another session block"
    yield from block("session system", stored.session, made.session, why)


def _name(tool: bytes) -> str:
    return str(decode(tool).get("name", "?"))


# ------------------------------------------------------------------------------------------------------- messages


@dataclass(frozen=True, slots=True)
class Worded:
    """What a message is made of.

    history: before it. began_it: the call that began a sub-agent, of which this is the first message, behind its
    caller's conversation. made_here: by this version; another one may have had other words of its own. whole: by
    a journal that tells all that today's do.
    """

    history: History
    began_it: str
    made_here: bool
    whole: bool


def message(data: Mapping[str, Json], of: Worded, answer: Answered | None, blobs: Blobs) -> Iterator[Divergence]:
    """A message that is about to be added. answer: the stream it came in."""
    history, found = of.history, read_message(data, blobs)
    where = f"message {len(history.entries) + 1}"
    yield from _speaker(where, found)
    match found.tag:
        case "results" if of.began_it:
            why = "its caller's calls, and the one that began it, are others"
            if of.made_here:
                yield from blocks(where, found.blocks, _taken_over(found, history, of.began_it).blocks, why)
        case "results" if (healing := history.healing()) is not None:
            why = "the results of the calls, as they were journaled when they finished, are others"
            made = healing if of.made_here else _without_words(healing, found, history)
            yield from blocks(where, found.blocks, made.blocks, why)
        case "answer" if answer is not None:
            yield from answer.gave(data, found, history, blobs, whole=of.whole)
        case "system_injected" if of.made_here:
            yield from _facts(where, found, data, history.context)
        case _:
            pass


def _taken_over(found: Message, history: History, began_it: str) -> Message:
    """What a sub-agent is told instead of the results of its caller's calls.

    That of the call that began it is its task, the skill's text, which stands nowhere else in its journal.
    """
    own = {block.call_id: block for block in found.blocks if isinstance(block, ToolResult)}
    elsewhere = (Text(ELSEWHERE),)
    task = own[began_it].content if began_it in own else elsewhere
    calls = (call.id for call in history.open_calls())
    return Message("results", tuple(ToolResult(one, task if one == began_it else elsewhere) for one in calls))


def _without_words(healing: Message, found: Message, history: History) -> Message:
    """The results as they were journaled; what is said of a call that has none is taken as it was said."""
    lost = {call.id for call, fate in history.fates() if fate != "done"}
    said = {block.call_id: block for block in found.blocks if isinstance(block, ToolResult)}
    results = (block for block in healing.blocks if isinstance(block, ToolResult))
    return Message("results", tuple(said.get(b.call_id, b) if b.call_id in lost else b for b in results))


def kept(
    data: Mapping[str, Json], of: Mapping[str, Json] | None, blobs: Blobs, seq: int, *, made_here: bool
) -> Iterator[Divergence]:
    """A message that a compaction kept: the one it stands for, without thinking; or the facts, told anew."""
    found, where, why = read_message(data, blobs), f"kept message {seq}", "it is not the message that was kept"
    yield from _speaker(where, found)
    if of is None:
        if found.tag == "system_injected" and made_here:
            yield from _facts(where, found, data, {})
        return
    whole = read_message(of, blobs)
    left = replace(whole, blocks=tuple(b for b in whole.blocks if not isinstance(b, Thinking)))
    yield from blocks(where, found.blocks, left.blocks, why)
    yield from value(where, [found.tag, found.partial], [whole.tag, whole.partial], why)


def _speaker(where: str, found: Message) -> Iterator[Divergence]:
    if found.tag not in get_args(Tag):
        yield Divergence(where, f"nobody is called {found.tag!r}", "the record makes no sense")


def _facts(where: str, found: Message, data: Mapping[str, Json], told: Mapping[str, Json]) -> Iterator[Divergence]:
    """A session context, by its facts; other facts that are told with words are taken as they were said."""
    if data.get("context"):
        yield from _context(where, found, data["context"], told)
    elif found.text.startswith(HEAD):
        yield Divergence(where, "its facts are not there", "a session context is made of its facts")


def _context(where: str, found: Message, facts: Mapping[str, Json], told: Mapping[str, Json]) -> Iterator[Divergence]:
    """What was said of skills and memory is taken from the message itself: the journal has it nowhere else."""
    known = {**facts, "today": dt.date.fromisoformat(facts["today"]), "dirs": tuple(facts["dirs"])}
    # the first of a name: what USER.md says comes last, and may look like one
    announced = dict(reversed(_ANNOUNCED.findall(found.text[:_CONTEXT_BYTES])))
    made = context_message(Facts(**known), told, announced)
    form = Facts(**known).to_json()
    yield from value(f"{where}: facts", facts, {name: form.get(name) for name in facts}, "they are journaled otherwise")
    why = "the session context that its facts give is another"
    if made is None:
        yield Divergence(f"{where} block 1", "nothing had changed since it was last told", why)
    else:
        yield from blocks(where, found.blocks, made.blocks, why)


# ------------------------------------------------------------------------------------------------------- tools


class _Kept(Spill):
    """The spill of that time: gives the paths it gave, and writes nothing."""

    def keep(self, data: bytes) -> Path:
        """See `Spill`."""
        if self.lost:
            raise OSError(errno.EIO, self.lost[0])
        return self.folder / f"{digest(data)[:16]}.txt"


def output(data: Mapping[str, Json], blobs: Blobs, name: str) -> Iterator[Divergence]:
    """A tool's output before capping gives the text that was shown. name: of the tool and its call."""
    if not {"given", "limit"} & set(data):
        return  # an older journal
    recorded = tuple(read_block(one, blobs) for one in data["result"]["content"])
    # what was not cut is told once
    whole = [read_block(one, blobs) for one in data["given"]] if "given" in data else recorded
    spill = _Kept(Path(data.get("spill", "")), [data["unkept"]] if "unkept" in data else [])
    made = entered([part for part in whole if isinstance(part, Text | Image)], data["limit"], spill)
    why = f"the output as the tool gave it, capped at {data['limit']:,} bytes, gives another text"
    for number, (old, new) in enumerate(zip(recorded, made, strict=False), 1):
        if old != new:
            yield from block(f"result of {name} part {number}", block_bytes(old), block_bytes(new), why)
    yield from value(f"result of {name}", len(recorded), len(made), why)
