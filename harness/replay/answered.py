"""An answer read again from its recorded stream: its blocks, what of it is sent back, its bill, its end.

Invariant: pure. How much of an answer was there when it was interrupted is not in its stream: the last piece may have
come whole and been looked at in part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.conversation.answers import checked, left_out, sent_back
from harness.conversation.blobs import Blobs
from harness.conversation.blocks import Block, Message, Text, ToolCall, Usage
from harness.conversation.canonical import Json, decode, encode
from harness.conversation.history import History
from harness.conversation.stored import read_block, read_usage, write_usage
from harness.errors import ProviderError
from harness.providers.base import Began, BlockBroken, BlockDone, Decodes, Finished, Part, TextPart
from harness.providers.offline import Form, events
from harness.replay.divergence import Divergence, block, block_bytes, blocks, value


@dataclass(frozen=True, slots=True)
class Answered:
    """What a recorded stream says: complete blocks, text of one that is not, the bill, its id, its end.

    request, stop: as journaled. broken: blocks that never were complete. begun: what was billed when it began.
    """

    request: int
    stop: str
    blocks: tuple[Block, ...]
    rest: str
    broken: tuple[BlockBroken, ...]
    begun: Usage | None
    message_id: str
    finished: Finished | None

    @classmethod
    def read(cls, raw: bytes, form: Form, data: Mapping[str, Json]) -> Answered:
        """Decode a stream as it was journaled: lines of [milliseconds, bytes as latin-1]. data: its record."""
        decoder = form.decoder()
        came: list[Block] = []
        rest: list[str] = []
        broken: list[BlockBroken] = []
        began, finished = Began("", ""), None
        stream = b"".join(decode(line)[1].encode("latin-1") for line in raw.split(b"\n") if line)
        try:
            for part in _parts(decoder, stream, came_to_its_end=data["stop"] not in ("broken", "interrupted")):
                match part:
                    case Began():
                        began = part
                    case TextPart(text):
                        rest.append(text)
                    case BlockDone(done):
                        came.append(done)
                        rest.clear()
                    case BlockBroken():
                        broken.append(part)
                    case Finished():
                        finished = part
                    case _:
                        pass
        except (ProviderError, UnicodeDecodeError):
            pass  # where it broke off, it broke off when it came, too
        if data["stop"] == "broken":
            broken += decoder.broken()
        about = data["request"], data["stop"]
        found = cls(*about, tuple(came), "".join(rest), tuple(broken), began.usage, began.message_id, finished)
        return found._as_far_as_it_came(data)

    def _as_far_as_it_came(self, data: Mapping[str, Json]) -> Answered:
        """Of one that was interrupted: without an end that was in the last piece and was not looked at any more."""
        billed = None if self.finished is None else write_usage(self.finished.usage)
        if self.stop != "interrupted" or billed == write_usage(read_usage((data.get("cached") or data)["usage"])):
            return self
        # of a cached one the whole bill is told, and what came of its stream has at most the beginning of it
        return replace(self, finished=None, begun=None if "cached" in data else self.begun)

    @property
    def usage(self) -> Usage | None:
        """What it was billed, as far as it says."""
        return self.finished.usage if self.finished else self.begun

    def billed(self, data: Mapping[str, Json], *, whole: bool) -> Iterator[Divergence]:
        """A `response` record says what its stream does; the usage of a cached one is what it was billed at first."""
        end = self.finished
        if self.stop not in ("interrupted", "broken") and (end is None or self.stop != end.stop):
            told = f"it was journaled as {self.stop!r}, and the stream "
            told += f"ended as {end.stop!r}" if end else "has no end"
            yield Divergence("end of the answer", told, "the recorded stream of the answer ends otherwise")
        why = "the recorded stream of the answer is another's"
        yield from value("id of the answer", data["message_id"], self.message_id, why)
        if whole:
            why = "the recorded stream of the answer says something else"
            said = dict(end.extra) if end else {}
            yield from value("what the vendor said besides", data["extra"], said, why)
        if self.usage is not None:
            why = "the recorded stream of the answer bills something else"
            yield from value("usage", (data.get("cached") or data)["usage"], write_usage(self.usage), why)

    def gave(
        self, data: Mapping[str, Json], found: Message, history: History, blobs: Blobs, *, whole: bool
    ) -> Iterator[Divergence]:
        """What the conversation has of the answer is what is sent back of it, and what it has not is kept beside it.

        whole: by this program, whose journals tell all of it.
        """
        where = f"message {len(history.entries) + 1}"
        interrupted = self.stop == "interrupted"
        if found.partial != (self.finished is None) and not (interrupted and found.partial):
            told = f"it was kept as {'a part' if found.partial else 'whole'}"
            yield Divergence(where, told, "the recorded stream of the answer says otherwise")
        yield from self._came(found, where, whole=whole)
        if whole and not interrupted:
            made = sent_back(self._kept(history), self.stop, partial=found.partial)
            why = "of the recorded stream of the answer, something else is sent back"
            yield from blocks(where, found.blocks, made.blocks if made else (), why)
            yield from self._unsent(where, data.get("unsent", ()), made, history, blobs)

    def kept_beside(self, data: Mapping[str, Json], history: History, blobs: Blobs) -> Iterator[Divergence]:
        """An `unsent` record: of this answer, nothing is part of the conversation, and all of it is kept there."""
        where = "answer that is not sent back"
        about = {"request": data["request"], "stop": data["stop"]}
        yield from value(where, about, {"request": self.request, "stop": self.stop}, "it is another answer's")
        if self.stop != "interrupted":
            made = sent_back(self._kept(history), self.stop, partial=self.finished is None)
            why = "of the recorded stream of the answer, something is sent back"
            yield from blocks(where, (), made.blocks if made else (), why)
            yield from self._unsent(where, data["blocks"], made, history, blobs)

    def _kept(self, history: History) -> tuple[Block, ...]:
        """The blocks as they were kept: calls under the ids that they are known by, and the text that was shown."""
        came: list[Block] = []
        for one in self.blocks:
            came.append(checked(one, came, history.knows_call, self.request))
        return (*came, Text(self.rest)) if self.rest.strip() else tuple(came)

    def _unsent(
        self, where: str, told: Sequence[Json], made: Message | None, history: History, blobs: Blobs
    ) -> Iterator[Divergence]:
        """What is kept beside the conversation."""
        why = "the recorded stream of the answer leaves something else unsent"
        broken = [{"is": b.kind, "raw": b.raw} | ({"name": b.name} if b.name else {}) for b in self.broken]
        yield from value(f"{where}: broken blocks", [one for one in told if "raw" in one], broken, why)
        whole = [read_block(one, blobs) for one in told if "raw" not in one]
        yield from blocks(f"{where}: unsent", whole, left_out(self._kept(history), made), why)

    def _came(self, found: Message, where: str, *, whole: bool) -> Iterator[Divergence]:
        """Every block came in the stream, in that order; what was not kept is left out."""
        came = [*self.blocks, *([Text(self.rest)] if self.rest else [])]
        for number, one in enumerate(found.blocks, 1):
            while came and not _same(one, came[0], whole=whole):
                came.pop(0)
            if not came:
                left = [b for b in self.blocks if type(b) is type(one)]
                now = block_bytes(left[min(number, len(left)) - 1]) if left else b"(nothing of its kind came)"
                why = "the recorded stream of the answer holds no such block"
                yield from block(f"{where} block {number}", block_bytes(one), now, why)
                return
            came.pop(0)


def _same(one: Block, came: Block, *, whole: bool) -> bool:
    """A call whose id was empty or taken got another, and is not run; other versions know of no phase of a text."""
    if not whole and isinstance(one, Text) and isinstance(came, Text) and not one.phase:
        return one.text == came.text
    if isinstance(one, ToolCall) and isinstance(came, ToolCall):
        same_id = one.id == came.id or bool(one.invalid)
        return same_id and one.name == came.name and encode(one.arguments) == encode(came.arguments)
    return one == came


def _parts(decoder: Decodes, stream: bytes, *, came_to_its_end: bool) -> Iterator[Part]:
    """As the transport decodes what comes."""
    for event in events(stream):
        yield from decoder.feed(event, "")
        if decoder.finished:
            return
    if came_to_its_end:
        yield from decoder.close()
