"""Verify: every request of a recorded session made again from raw facts, and compared byte for byte.

Invariant: no network, no tool, no write: a session file is data, whoever made it. The first divergence ends it; what a
damaged journal no longer tells is counted as not proved, and never called equal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.audit.difference import named
from harness.conversation.blocks import Message, Text
from harness.conversation.canonical import Json, digest
from harness.conversation.history import Entry
from harness.conversation.journal import FORMAT, Blobs, Record
from harness.conversation.lines import Reader
from harness.conversation.request import Request
from harness.errors import HarnessError, JournalError, ReplayFailed
from harness.prompt.markers import place
from harness.prompt.projection import Projection, batches
from harness.providers import offline
from harness.providers.catalog import Catalog
from harness.providers.offline import Form
from harness.replay import judged, remake
from harness.replay.answered import Answered
from harness.replay.caching import Attempt, Expected, markers
from harness.replay.consequences import of_request
from harness.replay.divergence import Divergence, block, value
from harness.replay.reasons import of_epoch
from harness.replay.recorded import Asked, Recorded
from harness.replay.relatives import Relatives
from harness.replay.sub_agents import SubAgents

MENDED = "rewind: lost"
MOST_TOLD = 20
"""Places of damage that are told one by one."""

SENSELESS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading a record raises that no program wrote: another type, another shape, no end of nesting."""


@dataclass(frozen=True, slots=True)
class At:
    """A divergence, the request (from 1) that shows it or comes next, and the record."""

    request: int
    record: int
    divergence: Divergence


@dataclass(slots=True)
class Report:
    """What a verification found.

    requests: proved equal. bodies: of those, with the digest of the very body that was sent; older journals have none.
    reads: of those, where the read that was expected of them is proved too.
    answers: that came; verdicts: of those, proved. agents: what is told of sub-agents that ended; agents_proved: of
    those, by the sub-agents' own journals.
    checked: renderings of another version, which were checked by digest only. unproved: requests that a damaged journal
    no longer tells enough of. damage: where it is damaged, one line each; more: places that are only counted.
    """

    session: str
    version: str = ""
    requests: int = 0
    side: int = 0
    bodies: int = 0
    blocks: int = 0
    checked: int = 0
    unproved: int = 0
    reads: int = 0
    answers: int = 0
    verdicts: int = 0
    agents: int = 0
    agents_proved: int = 0
    damage: list[str] = field(default_factory=list)
    more: int = 0
    found: At | None = None

    @property
    def equal(self) -> bool:
        """Whether everything was proved."""
        return self.found is None and not self.unproved and not self.damage

    def lose(self, *places: str) -> None:
        """Note what is damaged."""
        told = places[: max(0, MOST_TOLD - len(self.damage))]
        self.damage += told
        self.more += len(places) - len(told)


def verify(folder: Path, catalog: Catalog, *, rerender: bool = False) -> Report:
    """Verify the session in a folder.

    Args:
        catalog: for what journals of older versions do not tell of their models.
        rerender: make again what another version of the program rendered, too.

    Raises:
        ReplayFailed: there is no journal, or nothing in it is a session.
    """
    path = folder / "journal.jsonl"
    # os.path: a name that is too long, or holds a NUL, is no file and no failure
    if not os.path.isfile(path):  # noqa: PTH113 - see above
        raise ReplayFailed(f"{str(folder)[:300]} holds no journal.jsonl: name a session's folder, or its id")
    reader = Reader(path)
    verifier = _Verifier(folder, Recorded(Blobs(folder / "blobs"), catalog), Report(folder.name), rerender=rerender)
    told, last = 0, -1
    for record in reader:
        lost = [f"{one.where}: {one.reason}" for one in reader.damage[told:]]
        if not lost and record.seq > last + 1:
            # a fork of a damaged session keeps its numbers
            one = record.seq == last + 2
            lost = [f"record {last + 1} is missing" if one else f"records {last + 1} to {record.seq - 1} are missing"]
        told, last = len(reader.damage), record.seq
        verifier.damaged = verifier.damaged or bool(lost)
        verifier.report.lose(*lost)
        if not verifier.take(record):
            break
        if record.kind == "session" and not _readable(record):
            raise ReplayFailed(f"{folder} was written by a newer version; update to replay it")
    if not verifier.recorded.about:
        raise ReplayFailed(f"{path} has no whole beginning of a session, so nothing can be proved")
    report = verifier.report
    report.version = verifier.recorded.version
    if report.found is None and reader.end < reader.size:
        report.lose(f"the last {reader.size - reader.end:,} bytes are no whole record")
    return report


def _readable(session: Record) -> bool:
    """Whether this program knows the form that a session is written in."""
    form = session.data.get("format", 0)
    return not isinstance(form, int | float) or form <= FORMAT


@dataclass(frozen=True, slots=True)
class _Open:
    """A request that is not answered yet, and what it should read; None where the journal does not tell enough."""

    request: Request
    expected: Expected | None


class _Verifier:
    """Takes the records in, one after the other."""

    def __init__(self, folder: Path, recorded: Recorded, report: Report, *, rerender: bool) -> None:
        self.recorded = recorded
        self.report = report
        self.damaged = False
        """Whether records that the next request may rest on are missing."""
        self._rerender = rerender
        self._answer: Answered | None = None
        self._calls: dict[str, str] = {}
        self._rendered: set[int] = set()
        self._bodies = False
        """Whether a request before had the digest of its body: then all have."""
        self._open: dict[int, _Open] = {}
        self._relatives = Relatives(folder)
        self._sub_agents = SubAgents(self._relatives)

    def take(self, record: Record) -> bool:
        """Check one record, then know it; False at the first divergence."""
        try:
            found = next(self._check(record), None)
            if found is None:
                self.recorded.apply(record)
                self._count(record)
        except HarnessError as error:
            found = Divergence(self._where(record), str(error), "the journal's data cannot be read")
        except SENSELESS as error:
            found = Divergence(f"record {record.seq}", f"{type(error).__name__}: {error}", "the record makes no sense")
        if found is None:
            return True
        if self.damaged:
            return self._go_on(record)
        self.report.found = At(self.report.requests + 1, record.seq, found)
        return False

    def _go_on(self, record: Record) -> bool:
        """Behind damage: what cannot be proved is counted, and what can be known is."""
        self.report.unproved += record.kind == "request"
        try:
            self.recorded.apply(record)
        except (HarnessError, *SENSELESS) as error:
            self.report.lose(f"record {record.seq}: {error}")
        return True

    def _count(self, record: Record) -> None:
        data = record.data
        if record.kind == "request":
            self.report.requests += 1
            self.report.side += data["kind"] == "side"
            self.report.bodies += "body" in data
            self._bodies = self._bodies or "body" in data
            self.report.blocks += data["blocks"]
        self.report.answers += record.kind == "response"
        if record.kind == "epoch" and data["reason"].startswith(MENDED):
            self.damaged = False  # from here on the conversation is told again, whole

    def _where(self, record: Record) -> str:
        match record.kind:
            case "message":
                return f"message {len(self.recorded.history.entries) + 1}"
            case "prefix" | "refrozen" | "wire_prefix":
                return "tools or system blocks"
            case "tool_done":
                return f"result of {record.data['result'].get('call_id', '?')}"
            case kind:
                return f"record {record.seq} ({kind})"

    @property
    def _made_here(self) -> bool:
        return self._rerender or self.recorded.same_version

    @property
    def _whole(self) -> bool:
        """Whether what follows is of a journal that tells all that today's do."""
        return self._made_here and self.recorded.tells_all

    # ------------------------------------------------------------------------------------------- facts

    def _check(self, record: Record) -> Iterator[Divergence]:
        recorded, data = self.recorded, record.data
        blobs = recorded.blobs
        match record.kind:
            case "prefix" | "refrozen":
                yield from remake.prefix(data, blobs, made_here=self._made_here)
            case "message":
                worded = remake.Worded(
                    recorded.history, recorded.began_it, made_here=self._made_here, whole=self._whole
                )
                yield from remake.message(data, worded, self._answer, blobs)
                for one in data["blocks"] if data["tag"] == "answer" else ():
                    if one["is"] == "call":
                        self._calls[one["id"]] = one["name"]
                self._answer = None
            case "wire_prefix":
                yield from remake.prefix(data, blobs, made_here=False)
            case "kept":
                of = recorded.message(data.get("of", -1))
                yield from remake.kept(data, of, blobs, record.seq, made_here=self._made_here)
            case "tool_done" if self._made_here:
                call = data["result"]["call_id"]
                yield from remake.output(data, blobs, f"{self._calls.get(call, 'tool')} {call}")
            case "response":
                yield from self._response(record)
            case "unsent" if self._answer is not None and self._whole:
                yield from self._answer.kept_beside(data, recorded.history, blobs)
            case "retry" if "usage" in data and data["request"] in recorded.requests:
                yield from judged.price(data, recorded.requests[data["request"]], recorded)
            case "epoch" if self._whole:
                yield from of_epoch(data, recorded)
            case "subagent":
                found = list(self._sub_agents.check(data))
                self.report.agents += 1
                self.report.agents_proved += None not in found
                yield from (one for one in found if one is not None)
            case "request":
                yield from self._request(record)
            case _:
                pass

    def _response(self, record: Record) -> Iterator[Divergence]:
        data = record.data
        self._answer = None
        request = self.recorded.requests.get(data["request"])
        if request is None:
            told = f"it answers request record {data['request']}, which the journal does not have"
            yield Divergence(f"answer in record {record.seq}", told, "what was asked is lost")
            return
        if not data.get("stream"):
            told = "its stream is not in the journal"
            yield Divergence(f"answer in record {record.seq}", told, "what the model said and billed is not known")
            return
        form = offline.form(self.recorded.asked(request["model"]).model)
        answer = Answered.read(self.recorded.blobs.get(data["stream"]), form, data)
        yield from answer.billed(data, whole=self._whole)
        yield from self._judged(data, request, answer)
        if request["kind"] == "mainline":
            self._answer = answer

    def _judged(self, data: Mapping[str, Json], request: Mapping[str, Json], answer: Answered) -> Iterator[Divergence]:
        """Its verdict and its cost, where the journal tells what they rest on."""
        yield from judged.price(data, request, self.recorded)
        opened = self._open.pop(data["request"], None)
        expected = opened.expected if opened else None
        again = "again" in data or data.get("started", request["started"]) != request["started"]
        if opened is not None and again:
            attempt = Attempt(request, data.get("again", request), data["started"], self._relatives)
            yield from attempt.check(self.recorded, self.recorded.asked(request["model"]), opened.request)
            expected = attempt.expected
        if expected is not None:
            yield from judged.verdict(data, request, expected.found, answer, self.recorded)
            self.report.verdicts += expected.proved

    # ------------------------------------------------------------------------------------------- requests

    def _request(self, record: Record) -> Iterator[Divergence]:
        data, recorded = record.data, self.recorded
        asked = recorded.asked(data["model"])
        form = offline.form(asked.model)
        projection = self._projection(asked.model.id, form)
        yield from self._wire_prefix(asked.model.id, form)
        yield from self._render(projection, asked.model.id, form)
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
        if ("body" in data or self._bodies) and self._made_here:
            attempt = Attempt(data, data, data["started"], self._relatives)
            yield from attempt.check(recorded, asked, request)
            self.report.reads += attempt.expected is not None and attempt.expected.proved
            self._open[record.seq] = _Open(request, attempt.expected)
        for name, there, held in (("body", self._bodies, data), ("left_behind", recorded.tells_all, data["expected"])):
            if there and name not in held:
                yield Divergence(f"request: {name}", "it is not there", "the requests before it have it")
        body = digest(form.body(request))
        if data.get("body", body) != body:
            told = f"a body with the digest {data['body'][:16]} was sent, and {body[:16]} is made"
            yield Divergence("body", told, "blocks, markers and settings are the same: the envelope is another")

    def _projection(self, profile: str, form: Form) -> Projection:
        recorded = self.recorded
        if (known := recorded.projections.get(profile)) is not None:
            return known
        if recorded.prefix is None:
            raise JournalError("the journal has no prefix before this request")
        prefix = recorded.wire_prefixes.get(profile, recorded.prefix)
        recorded.projections[profile] = made = Projection(prefix, form.envelope)
        return made

    def _wire_prefix(self, profile: str, form: Form) -> Iterator[Divergence]:
        """The tools and system blocks in the form of a wire."""
        recorded = self.recorded
        projection = recorded.projections[profile]
        if recorded.prefix is None or not self._made_here or projection.messages:
            return
        stored, made = projection.prefix, form.prefix(recorded.prefix)
        if stored == made:
            return
        for old, new in zip(named(stored, ()), named(made, ()), strict=False):
            if found := block(old.where, old.wire, new.wire, "this program puts it into this wire's form otherwise"):
                yield found

    def _render(self, projection: Projection, profile: str, form: Form) -> Iterator[Divergence]:
        """Add what is new: as it was rendered then, and rendered again."""
        for batch in batches(self.recorded.history.entries[len(projection.messages) :]):
            left: Sequence[Entry] = batch
            while left:
                group = self.recorded.group(profile, [entry.seq for entry in left])
                if group is None:
                    told = f"the journal has no rendering of message record {left[0].seq} for {profile}"
                    yield Divergence(f"message {len(projection.messages) + 1}", told, "what was sent is not known")
                    return
                kept = group.data["messages"]
                yield from self._rendered_again(projection, group, left[: len(kept)], form)
                for entry, (_, fragments) in zip(left, kept, strict=False):
                    projection.add(entry.seq, entry.message, self.recorded.fragments(fragments))
                left = left[len(kept) :]

    def _rendered_again(
        self, projection: Projection, group: Record, batch: Sequence[Entry], form: Form
    ) -> Iterator[Divergence]:
        if not self._made_here:
            self.report.checked += group.seq not in self._rendered
            self._rendered.add(group.seq)
            return
        made = form.render([entry.message for entry in batch], projection.after)
        number = sum(bool(message.fragments) for message in projection.messages)
        for (_, kept), new in zip(group.data["messages"], made, strict=True):
            old = self.recorded.fragments(kept)
            number += bool(old or new)
            why = "this program renders the message otherwise than it was rendered then"
            for index, (left, right) in enumerate(zip(old, new, strict=False), 1):
                where = f"message {number} block {index}"
                if found := block(where, left.wire, right.wire, why):
                    yield found
                if found := value(f"{where}: place of its marker", left.marker_at, right.marker_at, why):
                    yield found
            if len(old) != len(new):
                told = f"{len(old)} blocks were sent, {len(new)} are made"
                yield Divergence(f"message {number} block {min(len(old), len(new)) + 1}", told, why)

    def _made(self, data: Mapping[str, Json], asked: Asked, form: Form, projection: Projection) -> Request:
        """The request as this program makes it of what the journal says."""
        texts = [Message("system_injected", (Text(text),)) for text in data.get("tail", ())]
        fragments = form.render(texts, projection.after) if texts else ()
        tail = [projection.render(-1, message, f) for message, f in zip(texts, fragments, strict=True)]
        messages = projection.with_tail(tail)
        side = bool(tail)
        alive = self.recorded.alive(data)
        markers = place(projection.prefix, messages, alive, asked.rules, asked.ttl, side=side)
        line = self.recorded.line(asked, data["base_url"])
        return Request(line, projection.prefix, messages, markers, data["max_tokens"], side, data.get("compare"))

    def _blocks(self, data: Mapping[str, Json], request: Request) -> Iterator[Divergence]:
        """All blocks, by the chained digests that were journaled when it was sent."""
        if (data["head"], data["blocks"]) == (request.head, request.blocks):
            return
        previous, _ = self.recorded.declared(data["line"])
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
            if found := value(f"line settings: {name}", data["settings"].get(name), made.get(name), why):
                yield found
        if found := value("line settings: wire", data["wire"], asked.model.wire, why):
            yield found
        if found := value("line key", data["line"], request.line.key, "the line is named by other bytes"):
            yield found
