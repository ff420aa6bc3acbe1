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

from harness.conversation.blocks import Block, Image, Message, Tag, Text, Thinking, ToolCall, ToolResult, Usage
from harness.conversation.canonical import Json, decode, digest, encode
from harness.conversation.history import ELSEWHERE, History
from harness.conversation.journal import Blobs
from harness.conversation.request import FrozenPrefix
from harness.conversation.stored import fetch, read_block, read_message, read_usage, write_usage
from harness.errors import ProviderError
from harness.prompt.context import Facts, context_message
from harness.prompt.layers import Layer
from harness.prompt.prefix import assemble, read_prefix
from harness.providers.base import Began, BlockDone, Finished, TextPart
from harness.providers.offline import Form, events
from harness.replay.divergence import Divergence, block, value
from harness.tools.output import Spill, entered

_ANNOUNCED = re.compile(
    r"(?:Skill|Memory) (?:added|changed): ([a-z0-9/-]+) \((.{0,5000}?)\); "
    r"(?:invoke_skill can use|the skill recall reads) it\."
)
_CONTEXT_BYTES = 64 * 1024
"""Of a session context, more than any has: what is announced in it is looked for in so much of it."""


# ------------------------------------------------------------------------------------------------------- prefix


def prefix(data: Mapping[str, Json], blobs: Blobs, *, made_here: bool) -> Iterator[Divergence]:
    """The frozen prefix: its bytes are those that were frozen, and what its inputs give.

    made_here: by this version; what another one made is checked by its digests.
    """
    stored = read_prefix(data, blobs)
    fragments = (*stored.tools, stored.static, stored.session)
    names = [*(f"tool {_name(tool)}" for tool in stored.tools), "static system", "session system"]
    digests = data.get("digests", ())
    if digests and len(digests) != len(fragments):
        counts = f"{len(digests)} blocks were frozen, and it has {len(fragments)}"
        yield Divergence("tools or system blocks", counts, "the journal's copy of them was changed")
    for name, fragment, told in zip(names, fragments, digests, strict=False):
        if digest(fragment)[:16] != told:
            now = f"its digest is {digest(fragment)[:16]}, and {told} was frozen"
            yield Divergence(name, now, "the journal's copy of this block was changed")
    if made_here:
        yield from _made_again(data, stored, names, blobs)


def _made_again(
    data: Mapping[str, Json], stored: FrozenPrefix, names: Sequence[str], blobs: Blobs
) -> Iterator[Divergence]:
    static, session = (decode(raw)["text"] for raw in (stored.static, stored.session))
    layers = [Layer(title, fetch(text, blobs)) for title, text in data.get("layers", ())]
    made = assemble([decode(tool) for tool in stored.tools], static, layers or session)
    why = "this program orders or serialises the tools otherwise"
    for name, old, new in zip(names, stored.tools, made.tools, strict=False):
        yield from _some(block(name, old, new, why))
    yield from _some(block("static system", stored.static, made.static, "this program serialises the text otherwise"))
    why = "USER.md, rules and skills as journaled give another session block"
    yield from _some(block("session system", stored.session, made.session, why))


def _name(tool: bytes) -> str:
    return str(decode(tool).get("name", "?"))


# ------------------------------------------------------------------------------------------------------- messages


@dataclass(frozen=True, slots=True)
class Worded:
    """What a message is made of.

    history: before it. began_it: the call that began a sub-agent, of which this is the first message, behind its
    caller's conversation. made_here: by this version; another one may have had other words of its own.
    """

    history: History
    began_it: str
    made_here: bool


def message(data: Mapping[str, Json], of: Worded, answer: Answered | None, blobs: Blobs) -> Iterator[Divergence]:
    """A message that is about to be added. answer: the stream it came in."""
    history, found = of.history, read_message(data, blobs)
    where = f"message {len(history.entries) + 1}"
    if found.tag not in get_args(Tag):
        yield Divergence(where, f"nobody is called {found.tag!r}", "the record makes no sense")
    match found.tag:
        case "results" if of.began_it:
            why = "its caller's calls, and the one that began it, are others"
            if of.made_here:
                yield from _blocks(where, found, _taken_over(found, history, of.began_it), why)
        case "results" if (healing := history.healing()) is not None:
            why = "the results of the calls, as they were journaled when they finished, are others"
            made = healing if of.made_here else _without_words(healing, found, history)
            yield from _blocks(where, found, made, why)
        case "answer" if answer is not None:
            yield from answer.gave(found, where)
        case "system_injected" if data.get("context") and of.made_here:
            yield from _context(where, found, data["context"], history.context)
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
    if data.get("context") and of is None and made_here:
        yield from _context(where, found, data["context"], {})
    if of is None:
        return
    whole = read_message(of, blobs)
    left = replace(whole, blocks=tuple(b for b in whole.blocks if not isinstance(b, Thinking)))
    yield from _blocks(where, found, left, why)
    yield from _some(value(where, [found.tag, found.partial], [whole.tag, whole.partial], why))


def _context(where: str, found: Message, facts: Mapping[str, Json], told: Mapping[str, Json]) -> Iterator[Divergence]:
    """What was said of skills and memory is taken from the message itself: the journal has it nowhere else."""
    known = {**facts, "today": dt.date.fromisoformat(facts["today"]), "dirs": tuple(facts["dirs"])}
    # the first of a name: what USER.md says comes last, and may look like one
    announced = dict(reversed(_ANNOUNCED.findall(found.text[:_CONTEXT_BYTES])))
    made = context_message(Facts(**known), told, announced)
    why = "the session context that its facts give is another"
    if made is None:
        yield Divergence(f"{where} block 1", "nothing had changed since it was last told", why)
    else:
        yield from _blocks(where, found, made, why)


def _blocks(where: str, recorded: Message, made: Message, cause: str) -> Iterator[Divergence]:
    for number, (old, new) in enumerate(zip(recorded.blocks, made.blocks, strict=False), 1):
        if old != new:
            yield from _some(block(f"{where} block {number}", _bytes(old), _bytes(new), cause))
    if len(recorded.blocks) != len(made.blocks):
        counts = f"{len(recorded.blocks)} blocks were recorded, {len(made.blocks)} are made"
        yield Divergence(f"{where} block {min(len(recorded.blocks), len(made.blocks)) + 1}", counts, cause)


def _bytes(one: Block) -> bytes:
    return repr(one).encode("utf-8", "replace")


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
    if "given" not in data:
        return
    given = [part for one in data["given"] if isinstance(part := read_block(one, blobs), Text | Image)]
    spill = _Kept(Path(data["spill"]), [data["unkept"]] if "unkept" in data else [])
    made = entered(given, data["limit"], spill)
    recorded = tuple(read_block(one, blobs) for one in data["result"]["content"])
    why = f"the output as the tool gave it, capped at {data['limit']:,} bytes, gives another text"
    for number, (old, new) in enumerate(zip(recorded, made, strict=False), 1):
        if old != new:
            yield from _some(block(f"result of {name} part {number}", _bytes(old), _bytes(new), why))
    yield from _some(value(f"result of {name}", len(recorded), len(made), why))


# ------------------------------------------------------------------------------------------------------- answers


@dataclass(frozen=True, slots=True)
class Answered:
    """What a recorded stream says: complete blocks, text of one that is not, the bill, its id, its end."""

    blocks: tuple[Block, ...]
    rest: str
    usage: Usage | None
    message_id: str
    finished: Finished | None

    @classmethod
    def read(cls, raw: bytes, form: Form) -> Answered:
        """Decode a stream as it was journaled: lines of [milliseconds, bytes as latin-1]."""
        decoder = form.decoder()
        blocks: list[Block] = []
        rest: list[str] = []
        usage: Usage | None = None
        message_id, finished = "", None
        stream = b"".join(decode(line)[1].encode("latin-1") for line in raw.split(b"\n") if line)
        try:
            for data in events(stream):
                for part in decoder.feed(data, ""):
                    match part:
                        case Began():
                            usage, message_id = part.usage, part.message_id
                        case TextPart(text):
                            rest.append(text)
                        case BlockDone(done):
                            blocks.append(done)
                            rest.clear()
                        case Finished():
                            usage, finished = part.usage, part
                        case _:
                            pass
                if decoder.finished:
                    break
        except (ProviderError, UnicodeDecodeError):
            pass  # where it broke off, it broke off when it came, too
        return cls(tuple(blocks), "".join(rest), usage, message_id, finished)

    def billed(self, data: Mapping[str, Json]) -> Iterator[Divergence]:
        """A `response` record says what its stream does; the usage of a cached one is what it was billed at first."""
        stop, end = data["stop"], self.finished
        if stop not in ("interrupted", "broken") and (end is None or stop != end.stop):
            told = f"it was journaled as {stop!r}, and the stream {f'ended as {end.stop!r}' if end else 'has no end'}"
            yield Divergence("end of the answer", told, "the recorded stream of the answer ends otherwise")
        why = "the recorded stream of the answer is another's"
        yield from _some(value("id of the answer", data["message_id"], self.message_id, why))
        data = data.get("cached") or data
        if self.usage is not None:
            why = "the recorded stream of the answer bills something else"
            yield from _some(value("usage", write_usage(read_usage(data["usage"])), write_usage(self.usage), why))

    def gave(self, found: Message, where: str) -> Iterator[Divergence]:
        """Every block of the answer came in the stream, in that order; what was not kept is left out."""
        if found.partial != (self.finished is None):
            told = f"it was kept as {'a part' if found.partial else 'whole'}"
            yield Divergence(where, told, "the recorded stream of the answer says otherwise")
        came = [*self.blocks, *([Text(self.rest)] if self.rest else [])]
        for number, one in enumerate(found.blocks, 1):
            while came and not _same(one, came[0]):
                came.pop(0)
            if not came:
                left = [b for b in self.blocks if type(b) is type(one)]
                now = _bytes(left[min(number, len(left)) - 1]) if left else b"(nothing of its kind came)"
                why = "the recorded stream of the answer holds no such block"
                yield from _some(block(f"{where} block {number}", _bytes(one), now, why))
                return
            came.pop(0)


def _same(one: Block, came: Block) -> bool:
    """A call whose id was empty or taken got another, and is not run."""
    if isinstance(one, ToolCall) and isinstance(came, ToolCall):
        same_id = one.id == came.id or bool(one.invalid)
        return same_id and one.name == came.name and encode(one.arguments) == encode(came.arguments)
    return one == came


def _some(found: Divergence | None) -> Iterator[Divergence]:
    if found is not None:
        yield found
