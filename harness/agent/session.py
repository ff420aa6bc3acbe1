"""One session: its journal, and everything that is known because the journal says so.

Invariant: state changes only by `record`, which writes a journal record and then applies it; a resume applies the same
records in the same order, so nothing is known that was not written first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from harness.agent.answer_ends import AnswerEnds
from harness.agent.file_history import FileHistory
from harness.agent.files_seen import SeenFiles
from harness.agent.projections import Projections
from harness.agent.requests import Requests
from harness.agent.told_agents import ToldAgents
from harness.audit.ledger import Ledger
from harness.audit.shared_ledger import children, family, sub_agents, tell_parent
from harness.audit.totals import Totals
from harness.audit.verdict import Sent
from harness.conversation.blobs import Blobs
from harness.conversation.blocks import Message
from harness.conversation.canonical import Json
from harness.conversation.history import Entry, History, kind_of
from harness.conversation.journal import FORMAT, Journal
from harness.conversation.lines import Reader, Record
from harness.conversation.lock import in_use
from harness.conversation.repair import in_doubt, mended
from harness.conversation.request import FrozenPrefix, Line
from harness.conversation.stored import write_message
from harness.errors import JournalError, storage_error
from harness.prompt.prefix import write_prefix
from harness.prompt.projection import Projection
from harness.providers.base import Provider
from harness.providers.efforts import Efforts
from harness.seam import Seam
from harness.workspace.scratch import scratch


class Session:
    """An open session. Make one with `create`, `resume` or `fork_of`; `close` it."""

    def __init__(self, journal: Journal, seam: Seam) -> None:
        self.journal = journal
        self.seam = seam
        self.history = History(journal.blobs, lambda seq: journal.read(seq).data)
        self.requests = Requests(self.history)
        self.projections = Projections(journal, self.record)
        self.models: dict[str, Mapping[str, Json]] = {}
        """What is known of each model that was asked, as journaled."""
        self.seen = SeenFiles(journal.blobs)
        self.files = FileHistory()
        self.ends = AnswerEnds()
        self.totals = Totals()
        self.about: dict[str, Json] = {}
        self.epochs: list[str] = []
        """Why each began."""
        self.relatives: list[str] = []
        """Ids of the session this one was forked from and of its own forks: they share a cache."""
        self.sub_agents = ToldAgents()
        self.births: list[Mapping[str, Json]] = []
        """Of a sub-agent: who called it, as `agent.subagent_sessions` journals it; a fork has its caller's first."""
        self.efforts = Efforts()
        self.fallback: Mapping[str, Json] | None = None
        """That another model stands in for the person's, as `agent.fallback` journals it."""
        self._beginning = -1
        """How many records it began with; -1 for one that was opened."""

    @classmethod
    def create(cls, folder: Path, seam: Seam, prefix: FrozenPrefix, about: Mapping[str, Json]) -> Session:
        """Begin a session in a new folder. `about`: cwd, root, version and the settings that are frozen with it.

        Raises:
            JournalError: it cannot be written; nothing of it is left.
        """
        session = cls(Journal.create(folder, seam), seam)
        try:
            session.record("session", {"format": FORMAT, **about})
            session.record("prefix", write_prefix(prefix, session.journal.blobs))
            session.record("epoch", {"reason": "start"})
        except BaseException:
            session.journal.remove()
            raise
        session._beginning = session.journal.length
        return session

    @classmethod
    def resume(cls, folder: Path, seam: Seam, *, from_elsewhere: bool = False, ledger: Ledger | None = None) -> Session:
        """Open a session as its journal left it. What of it is damaged is told by `journal.warnings`.

        Args:
            from_elsewhere: a person said that its owner on another machine is gone.
            ledger: of its caller, for a sub-agent, which shares it; no relative is read then.

        Raises:
            JournalError: busy, unreadable, or of a format that this version does not know.
        """
        journal = Journal.open(folder, seam, from_elsewhere=from_elsewhere)
        try:
            session = cls(journal, seam)
            session._take(journal.load())
            session._check(folder.name)
            session._mend(torn=session.journal.torn > 0)
            for child in sorted(children(folder) - set(session.relatives)):
                # its journal is to name whose bills its requests rest on
                session.record("forked", {"child": child})
            if ledger is not None:
                session.requests.ledger = ledger
            elif session.relatives or sub_agents(folder):
                session.requests.ledger = family(folder, journal.records(), seam.now()).ledger()
        except BaseException:
            journal.close()
            raise
        return session

    def _take(self, records: Iterable[Record]) -> None:
        """Take in what was written before; a record whose data is gone is lost as if its line were."""
        for record in records:
            try:
                self.apply(record)
            except JournalError as error:
                self.journal.lose(record.seq - 1, str(error))

    def _mend(self, *, torn: bool) -> None:
        """Go on without the messages that are lost. Once for the same damage; as an epoch, for the prefix moves."""
        for call in in_doubt(self.history, self.journal.damage, torn=torn):
            self.record("intent", {"call_id": call.id, "tool": call.name})
        reason = "rewind: lost behind record " + ", ".join(str(damage.after) for damage in self.journal.damage)
        if not self.journal.damage or reason in self.epochs:
            return
        lost = [seq for seq in self.projections.renderings.messages() - self.history.known if seq > self.history.begun]
        parts = mended(self.history.entries, lost)
        if parts != self.history.entries:
            self.begin_epoch(reason, [part.seq if isinstance(part, Entry) else self.keep(part) for part in parts])

    def _check(self, name: str) -> None:
        if self.about.get("format", 0) > FORMAT:
            raise JournalError(f"session {name} was written by a newer version; update to resume it")
        if self.projections.prefix is None or not self.about:
            raise JournalError(f"session {name} has no whole beginning and cannot go on; start a new one")

    @classmethod
    def fork_of(
        cls,
        source: Path,
        folder: Path,
        seam: Seam,
        until: int | None = None,
        ledger: Ledger | None = None,
        moved: Mapping[str, Json] | None = None,
    ) -> Session:
        """A new session that continues another, which stays as it is and may be in use: it is taken as far as it is.

        Records keep their numbers, so that whatever points at one still does.
        It is there when it is whole, and not before.

        Args:
            source: the folder of the other; the new one goes beside it.
            until: the last record number that is taken over; all by default.
            ledger: of the other, for a sub-agent, which lives in its folder: they share it.
            moved: root and cwd of the new one, where it works elsewhere.

        Raises:
            JournalError: the other cannot be read, or the new one not be written; nothing of it is left then.
        """
        try:
            # half of one would be gone on with as the last session, and its calls run again; a sub-agent has its birth
            with scratch(source.parent, ".fork-") if ledger is None else nullcontext(folder.parent) as beside:
                forked = cls(Journal.create(beside / folder.name, seam), seam)
                try:
                    forked._become(source, until, moved or {})
                    if ledger is None:
                        forked.journal.move(folder)
                        ledger = family(folder, forked.journal.records(), seam.now()).ledger()
                        tell_parent(source, folder.name)  # last: nothing fails behind it
                    forked.requests.ledger = ledger
                except BaseException:
                    forked.journal.remove()
                    raise
        except OSError as error:
            raise storage_error(error, folder) from error
        return forked

    def _become(self, source: Path, until: int | None, moved: Mapping[str, Json]) -> None:
        """Take over the records of another session, and begin an epoch behind them."""
        # before the size is read: whoever has it then may be about to run what has no record yet
        used = in_use(source, self.seam)
        reader = Reader(source / "journal.jsonl", (source / "journal.jsonl").stat().st_size)
        # after the size was read: every blob that those records name is there
        self.journal.blobs.adopt(Blobs(source / "blobs"))
        self._take(self._copied(reader, until, moved))
        self._check(source.name)
        lost = [damage.after for damage in reader.damage if until is None or damage.after < until]
        self.record("epoch", {"reason": "fork", "parent": source.name} | ({"lost": lost} if lost else {}))
        self._mend(torn=used or reader.end < reader.size)

    def inherit(self, caller: Session) -> None:
        """Share another session's ledger, and send tools and system blocks as it does."""
        self.requests.ledger = caller.requests.ledger
        self.projections.inherit(caller.projections)

    def _copied(self, records: Iterable[Record], until: int | None, moved: Mapping[str, Json]) -> Iterator[Record]:
        for record in records:
            if until is not None and record.seq > until:
                return
            copy = replace(record, data={**record.data, **moved}) if record.kind == "session" else record
            self.journal.copy(copy)
            yield copy

    @property
    def born(self) -> Mapping[str, Json]:
        """Of a sub-agent: its own birth."""
        return self.births[-1] if self.births else {}

    def warnings(self) -> list[str]:
        """What a person must know of it as it was left, one line each; none where all is well."""
        return [*self.journal.warnings(), *self.files.warnings()]

    @property
    def untouched(self) -> bool:
        """Whether it began here and nothing was recorded since: there is nothing to continue."""
        return self.journal.length == self._beginning

    @property
    def prefix(self) -> FrozenPrefix:
        """Tools and system blocks as they are sent in this epoch."""
        if self.projections.prefix is None:
            raise JournalError("the session has no prefix yet")
        return self.projections.prefix

    def record(self, kind: str, data: Mapping[str, Json]) -> Record:
        """Write a fact, then know it."""
        record = self.journal.append(kind, data)
        self.apply(record)
        return record

    def apply(self, record: Record) -> None:
        """Take one record in."""
        data = record.data
        self.history.apply(record)
        self.files.apply(record)
        self.ends.apply(record)
        self.efforts.apply(record)
        self.sub_agents.apply(record)
        self.totals.apply(record)
        match record.kind:
            case "session":
                self.about = dict(data)
            case "epoch":
                self._begin_epoch(data)
            case "forked":
                self.relatives.append(data["child"])
            case "born":
                self.births.append(data)
            case "model":
                self.models[data["model"]] = data
            case "fallback" | "fallback_over":
                self.fallback = data if record.kind == "fallback" else None
            case "tool_done":
                self.seen.apply(self.requests.last_answer, data.get("facts") or {})
            case _:
                pass
        self.projections.apply(record)
        self.requests.apply(record)

    def _begin_epoch(self, data: Mapping[str, Json]) -> None:
        self.epochs.append(data["reason"])
        self.relatives += [data["parent"]] if "parent" in data else []
        for after in data.get("lost", ()):
            self.journal.lose(after, "it could not be read when the session was forked")
        if kind_of(data["reason"]) in ("rewind", "undo", "redo"):
            self.seen.only(set(self.history.seqs))

    def add(
        self,
        message: Message,
        context: Mapping[str, Json] | None = None,
        unsent: Sequence[Json] = (),
        *,
        steering: bool = False,
    ) -> None:
        """Append a message to the conversation.

        Args:
            context: the facts that it tells, for a session context.
            unsent: blocks of a broken answer that are kept for the record only.
            steering: the person said it while a turn ran; it begins none.
        """
        data = write_message(message, self.journal.blobs)
        if context:
            data["context"] = dict(context)
        if unsent:
            data["unsent"] = list(unsent)
        if steering:
            data["steering"] = True
        self.record("message", data)

    def keep(self, message: Message, context: Mapping[str, Json] | None = None, of: int | None = None) -> int:
        """Write a message that is part of no conversation until an epoch lists it; gives its record number.

        Args:
            of: the record of the message that it stands for, cleaned.
        """
        data = write_message(message, self.journal.blobs)
        if context:
            data["context"] = dict(context)
        if of is not None:
            data["of"] = self.history.origin(of)
        return self.record("kept", data).seq

    def begin_epoch(
        self,
        reason: str,
        messages: Sequence[int] | None = None,
        prefix: FrozenPrefix | int | None = None,
    ) -> None:
        """Begin an epoch: one record, so that a crash leaves all of it or nothing.

        Args:
            reason: begins with one of the words of `history.kind_of`, then ": detail".
            messages: record numbers of the conversation from now on; None: it stays.
            prefix: tools and system blocks from now on, or the record of some; None, or the same: they stay.
        """
        data: dict[str, Json] = {"reason": reason}
        if messages is not None:
            data["messages"] = list(messages)
        if isinstance(prefix, int):
            data |= {"prefix": prefix} if prefix != self.history.prefix else {}
        elif prefix is not None and prefix != self.prefix:
            data["prefix"] = self.record("refrozen", write_prefix(prefix, self.journal.blobs)).seq
        self.record("epoch", data)

    def heal(self) -> None:
        """Append results for calls that a crash or an interruption left open: no vendor takes a call without one."""
        if (healing := self.history.healing()) is not None:
            self.add(healing)

    def declared(self, line: Line) -> tuple[Sent | None, str]:
        """The line's last mainline request, and the reason of an epoch that began since (or "")."""
        sent, epoch = self.requests.sent.get(line.key, (None, 0))
        since = self.epochs[epoch + 1 :] if sent else self.epochs[1:]
        return sent, since[-1] if since else ""

    def project(self, profile: str, provider: Provider) -> Projection:
        """The rendered conversation for a profile; renders, and journals, what is new."""
        return self.projections.project(profile, provider, self.prefix, self.history.entries)

    async def sync(self) -> None:
        """Everything recorded so far is on the disk."""
        await self.journal.sync()

    def close(self) -> None:
        """Let go of the session."""
        self.journal.close()
