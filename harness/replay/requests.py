"""One request made again: blocks, settings, markers, what it should read, body; and its answer judged.

Invariant: pure in the records before it and its own; a body is made, never sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.audit.difference import named
from harness.conversation.blocks import Message, Text
from harness.conversation.canonical import Json, digest
from harness.conversation.lines import Record
from harness.conversation.request import Request
from harness.prompt.markers import place
from harness.prompt.projection import Projection
from harness.providers import offline
from harness.providers.offline import Form
from harness.replay import judged
from harness.replay.answered import Answered
from harness.replay.caching import Attempt, Expected, markers
from harness.replay.consequences import of_request
from harness.replay.divergence import Divergence, value
from harness.replay.recorded import Asked, Recorded
from harness.replay.relatives import Relatives
from harness.replay.rendered import Rendered


@dataclass(frozen=True, slots=True)
class _Open:
    """A request that is not answered yet, and what it should read; None where the journal does not tell enough."""

    request: Request
    expected: Expected | None


class Requests:
    """Those of a session. `check` each, then know its record; and `answered`, before its answer's is known."""

    def __init__(self, recorded: Recorded, relatives: Relatives) -> None:
        self.rendered = Rendered(recorded)
        self.reads = 0
        """Of how many the expected read is proved, and of how many answers the verdict."""
        self.verdicts = 0
        self._recorded = recorded
        self._relatives = relatives
        self._bodies = False
        """Whether a request before had the digest of its body: then all have."""
        self._open: dict[int, _Open] = {}

    def check(self, record: Record, *, made_here: bool) -> Iterator[Divergence]:
        """Make one again, and compare."""
        data, recorded = record.data, self._recorded
        asked = recorded.asked(data["model"])
        form = offline.form(asked.model)
        yield from self.rendered.check(asked.model.id, form, made_here=made_here)
        projection = self.rendered.projection(asked.model.id, form)
        count = data["messages"]
        if count != len(projection.messages):
            if data["kind"] == "mainline" or count > len(projection.messages):
                told = f"{count} messages were sent, the journal's conversation has {len(projection.messages)}"
                yield Divergence(f"message {min(count, len(projection.messages)) + 1}", told, "another conversation")
                return
            projection = projection.first(count)
        yield from of_request(data, recorded)
        request = self._made(data, asked, form, projection)
        yield from self._blocks(data, request)
        yield from self._line(data, asked, request)
        yield from markers(data, recorded, asked, request)
        if ("body" in data or self._bodies) and made_here:
            attempt = Attempt(data, data, data["started"], self._relatives)
            yield from attempt.check(recorded, asked, request)
            self.reads += attempt.expected is not None and attempt.expected.proved
            self._open[record.seq] = _Open(request, attempt.expected)
        if self._bodies and "body" not in data:
            yield Divergence("request: body", "it is not there", "the requests before it have it")
        body = digest(form.body(request))
        if data.get("body", body) != body:
            told = f"a body with the digest {data['body'][:16]} was sent, and {body[:16]} is made"
            yield Divergence("body", told, "blocks, markers and settings are the same: the envelope is another")
        self._bodies = "body" in data

    def answered(self, data: Mapping[str, Json], answer: Answered) -> Iterator[Divergence]:
        """The verdict on an answer and its cost, where the journal tells what they rest on. data: of its response."""
        recorded = self._recorded
        request = recorded.requests[data["request"]]
        yield from judged.price(data, request, recorded)
        opened = self._open.pop(data["request"], None)
        expected = opened.expected if opened else None
        again = "again" in data or data.get("started", request["started"]) != request["started"]
        if opened is not None and again:
            attempt = Attempt(request, data.get("again", request), data["started"], self._relatives)
            yield from attempt.check(recorded, recorded.asked(request["model"]), opened.request)
            expected = attempt.expected
        if expected is not None:
            yield from judged.verdict(data, request, expected.found, answer, recorded)
            self.verdicts += expected.proved

    def _made(self, data: Mapping[str, Json], asked: Asked, form: Form, projection: Projection) -> Request:
        """The request as this program makes it of what the journal says."""
        texts = [Message("system_injected", (Text(text),)) for text in data.get("tail", ())]
        fragments = form.render(texts, projection.after) if texts else ()
        tail = [projection.render(-1, message, f) for message, f in zip(texts, fragments, strict=True)]
        messages = projection.with_tail(tail)
        side = bool(tail)
        alive = self._recorded.alive(data)
        markers = place(projection.prefix, messages, alive, asked.rules, asked.ttl, side=side)
        line = self._recorded.line(asked, data["base_url"])
        return Request(line, projection.prefix, messages, markers, data["max_tokens"], side, data.get("compare"))

    def _blocks(self, data: Mapping[str, Json], request: Request) -> Iterator[Divergence]:
        """All blocks, by the chained digests that were journaled when it was sent."""
        if (data["head"], data["blocks"]) == (request.head, request.blocks):
            return
        previous, _ = self._recorded.declared(data["line"])
        since = previous.blocks if previous else 0
        for marker in data["markers"]:
            at, number = marker["message"], marker["block"]
            digests: Sequence[str] = (request.prefix.static_digest, request.prefix.session_digest)
            if at >= 0:
                digests = request.messages[at].digests if at < len(request.messages) else ()
            if len(digests) <= number or digests[number] != marker["digest"]:
                break
            since = max(since, number + 1 if at < 0 else request.messages[at].first + number + 1)
        names = [one.where for one in named(request.prefix, request.messages)][len(request.prefix.tools) :]
        left = names[since:]
        where = (left[0] if len(left) == 1 else f"{left[0]} or later") if left else f"block {request.blocks + 1}"
        told = f"{data['blocks']} blocks ending in {data['head'][:16]} were sent, "
        told += f"{request.blocks} ending in {request.head[:16]} are made"
        yield Divergence(where, told, "the digests of what was sent are others: its bytes or its place changed")

    def _line(self, data: Mapping[str, Json], asked: Asked, request: Request) -> Iterator[Divergence]:
        """The settings that the line is keyed on."""
        made = dict(request.line.settings)
        why = "effort, TTL and model as journaled give other settings"
        for name in sorted({*made, *data["settings"]}):
            yield from value(f"line settings: {name}", data["settings"].get(name), made.get(name), why)
        yield from value("line settings: wire", data["wire"], asked.model.wire, why)
        yield from value("line key", data["line"], request.line.key, "the line is named by other bytes")
