"""Verify: every request of a recorded session made again from raw facts, and compared byte for byte.

Invariant: no network, no tool, no write: a session file is data, whoever made it. The first divergence ends it; what a
damaged journal no longer tells is counted as not proved, and never called equal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from harness.conversation.blobs import Blobs
from harness.conversation.journal import FORMAT
from harness.conversation.lines import Reader, Record
from harness.errors import HarnessError, ReplayFailed
from harness.providers import offline
from harness.providers.catalog import Catalog
from harness.replay import judged, remake
from harness.replay.answered import Answered
from harness.replay.divergence import SENSELESS, Divergence
from harness.replay.order import in_order
from harness.replay.reasons import of_epoch
from harness.replay.recorded import Recorded
from harness.replay.relatives import Relatives
from harness.replay.report import At, Report
from harness.replay.requests import Requests
from harness.replay.sub_agents import SubAgents

MENDED = "rewind: lost"


def verify(folder: Path, catalog: Catalog, *, rerender: bool = False) -> Report:
    """Verify the session in a folder.

    Args:
        catalog: for what journals of older versions do not tell of their models.
        rerender: make again what another version of the program rendered, too.

    Raises:
        ReplayFailed: there is no journal, or nothing in it is a session.
    """
    path = journal_of(folder)
    reader = Reader(path)
    verifier = Verification(folder, catalog, rerender=rerender)
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
    report.version, report.other = verifier.recorded.version, verifier.recorded.other
    if report.found is None and reader.end < reader.size:
        report.lose(f"the last {reader.size - reader.end:,} bytes are no whole record")
    return report


def journal_of(folder: Path) -> Path:
    """The journal of the session in a folder.

    Raises:
        ReplayFailed: there is none.
    """
    path = folder / "journal.jsonl"
    # os.path: a name that is too long, or holds a NUL, is no file and no failure
    if not os.path.isfile(path):  # noqa: PTH113 - see above
        raise ReplayFailed(f"{str(folder)[:300]} holds no journal.jsonl: name a session's folder, or its id")
    return path


def _readable(session: Record) -> bool:
    """Whether this program knows the form that a session is written in."""
    form = session.data.get("format", 0)
    return not isinstance(form, int | float) or form <= FORMAT


class Verification:
    """Takes the records of the session in a folder in, one after the other; see `verify`."""

    def __init__(self, folder: Path, catalog: Catalog, *, rerender: bool = False) -> None:
        relatives = Relatives(folder)
        self.recorded = Recorded(Blobs(folder / "blobs"), catalog)
        self.report = Report(folder.name, rerender)
        self.damaged = False
        """Whether records that the next request may rest on are missing."""
        self._rerender = rerender
        self._answer: Answered | None = None
        self._requests = Requests(self.recorded, relatives)
        self._sub_agents = SubAgents(relatives)

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
            self.report.blocks += data["blocks"]
            self.report.reads, self.report.checked = self._requests.reads, len(self._requests.rendered.by_digest)
        if record.kind == "response":
            self.report.answers, self.report.verdicts = self.report.answers + 1, self._requests.verdicts
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

    def _check(self, record: Record) -> Iterator[Divergence]:
        recorded, data = self.recorded, record.data
        blobs = recorded.blobs
        yield from in_order(record, recorded)
        match record.kind:
            case "prefix" | "refrozen":
                yield from remake.prefix(data, blobs, made_here=self._made_here, whole=recorded.tells_all)
            case "message":
                worded = remake.Worded(
                    recorded.history, recorded.began_it, made_here=self._made_here, whole=self._whole
                )
                yield from remake.message(data, worded, self._answer, blobs)
                self._answer = None
            case "wire_prefix":
                yield from remake.prefix(data, blobs, made_here=False, whole=recorded.tells_all)
            case "kept":
                of = recorded.message(data.get("of", -1))
                yield from remake.kept(data, of, blobs, record.seq, made_here=self._made_here)
            case "tool_done" if self._made_here:
                call = recorded.history.open_call(data["result"]["call_id"])
                yield from remake.output(data, blobs, f"{call.name} {call.id}" if call else "a call")
            case "response":
                yield from self._response(record)
            case "unsent" if self._answer is not None and self._whole:
                yield from self._answer.kept_beside(data, recorded.history, blobs)
            case "retry" if "usage" in data:
                yield from judged.price(data, recorded.requests[data["request"]], recorded)
            case "epoch" if self._whole:
                yield from of_epoch(data, recorded, damaged=bool(self.report.damage))
            case "subagent":
                found = list(self._sub_agents.check(data))
                self.report.agents += 1
                self.report.agents_proved += None not in found
                yield from (one for one in found if one is not None)
            case "request":
                yield from self._requests.check(record, made_here=self._made_here)
            case _:
                pass

    def _response(self, record: Record) -> Iterator[Divergence]:
        data = record.data
        self._answer = None
        request = self.recorded.requests[data["request"]]
        if not data.get("stream"):
            told = "its stream is not in the journal"
            yield Divergence(f"answer in record {record.seq}", told, "what the model said and billed is not known")
            return
        form = offline.form(self.recorded.asked(request["model"]).model)
        answer = Answered.read(self.recorded.blobs.get(data["stream"]), form, data)
        yield from answer.billed(data, whole=self._whole)
        yield from self._requests.answered(data, answer)
        if request["kind"] == "mainline":
            self._answer = answer
