"""Before a request goes out: does it extend what its line was sent, and if not, which block moved.

Invariant: what was sent is read from the journal file, as it stood when the line's last request was written, and not
from memory, so that what moved in memory or in a later record shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.agent.session import Session
from harness.audit.cost import price_ahead
from harness.audit.difference import Difference, first_difference, named
from harness.audit.lookups import Lookups
from harness.audit.other_line import other_line
from harness.audit.verdict import Expectation, Sent, expect
from harness.conversation.blobs import Blobs
from harness.conversation.canonical import Json
from harness.conversation.lines import Record
from harness.conversation.request import Fragment, FrozenPrefix, Line, Request, Ttl
from harness.conversation.stored import fetch, read_message
from harness.prompt.prefix import read_prefix
from harness.prompt.projection import Envelope, Projection
from harness.providers.facts import Model

LOST = Difference(-1, "unknown block", "what was sent is no longer in the journal")


def expected(
    session: Session, model: Model, envelope: Envelope, request: Request, looks: Lookups, *, shorter: bool = False
) -> Expectation:
    """What an attempt should read; for "ours", with the block that moved.

    looks: into the ledger, as the attempt starts. shorter: a side request that leaves out the last messages on purpose.
    """
    previous, declared = session.declared(request.line)
    declared = declared or ("a side request from an earlier message" if shorter else "")
    found = expect(
        request,
        previous,
        declared,
        looks.alive,
        looks.known,
        elsewhere=looks.elsewhere,
        lookback=model.caching.lookback if model.rules.max_markers else 0,
    )
    if found.reason == "first" and not found.cause:
        return replace(found, cause=other_line(session.requests.last, request.line, model.id))
    if found.reason != "ours" or previous is None:
        return found
    moved = moved_block(session, model.id, envelope, previous, request)
    cause = f"{found.cause}: {moved.where}: {moved.diff}"
    return replace(found, block=moved.block, where=moved.where, diff=moved.diff, cause=cause)


def comparable(session: Session, request_line: Line) -> str:
    """The id of the answer that a vendor can compare the next request with; "" where there is none.

    The line's last one; on a new line the session's last one at the same server, which tells what a switch changed.
    """
    sent, _ = session.requests.sent.get(request_line.key, (None, 0))
    last = session.requests.last
    if sent is None and (last.get("wire"), last.get("base_url")) == (request_line.wire, request_line.base_url):
        sent, _ = session.requests.sent.get(last["line"], (None, 0))
    return sent.answer if sent else ""


def warning(found: Expectation, model: Model, ttl: Ttl) -> str:
    """What the person is told of a request that is sent although it does not extend its line."""
    if found.tokens is None:
        return f"prefix moved: {found.cause}; what it costs is not known"
    lost = max(0, found.tokens - found.left)
    price = price_ahead(model, lost, ttl)
    usd = "at an unknown price" if price is None else f"for ${price:.4f}"
    return f"prefix moved: {found.cause}; up to {lost:,} tokens are paid again, {usd}"


def moved_block(session: Session, profile: str, envelope: Envelope, previous: Sent, request: Request) -> Difference:
    """The first block in which a request differs from what its line was sent before."""
    journal = session.journal
    journaled = _Journaled(journal.blobs, profile)
    lost = LOST
    for record in journal.records():
        if record.seq >= previous.seq:
            lost = _by_markers(record.data, request) if record.seq == previous.seq else LOST
            break
        journaled.apply(record)
    before = journaled.projection(envelope)
    if before is None:
        return lost
    blocks = list(named(before.prefix, before.messages))[: len(before.prefix.tools) + previous.blocks]
    return first_difference(blocks, list(named(request.prefix, request.messages))) or lost


def _by_markers(sent: Mapping[str, Json], request: Request) -> Difference:
    """Where a request moved, as nearly as the digests at the earlier one's markers tell: its blocks are lost."""
    for marker in sent["markers"]:
        match marker["role"]:
            case "static":
                where, digest = "tools or static system", request.prefix.static_digest
            case "session":
                where, digest = "session system", request.prefix.session_digest
            case _:
                at = marker["message"]
                digests = request.messages[at].digests if at < len(request.messages) else ()
                where = f"a block of the first {at + 1} messages"
                digest = digests[marker["block"]] if marker["block"] < len(digests) else ""
        if digest != marker["digest"]:
            return replace(LOST, where=where)
    return LOST


class _Journaled:
    """What one profile was sent, as the journal tells it: prefix, conversation, renderings."""

    def __init__(self, blobs: Blobs, profile: str) -> None:
        self._blobs = blobs
        self._profile = profile
        self._prefix: FrozenPrefix | None = None
        self._messages: dict[int, Mapping[str, Json]] = {}
        self._refrozen: dict[int, FrozenPrefix] = {}
        self._conversation: list[int] = []
        self._groups: dict[tuple[int, ...], Sequence[Json]] = {}

    def apply(self, record: Record) -> None:
        data = record.data
        match record.kind:
            case "prefix":
                self._refrozen[record.seq] = read_prefix(data, self._blobs)
                self._prefix = self._prefix or self._refrozen[record.seq]
            case "wire_prefix" if data["profile"] == self._profile:
                self._prefix = read_prefix(data, self._blobs)
            case "refrozen":
                self._refrozen[record.seq] = read_prefix(data, self._blobs)
            case "message":
                self._messages[record.seq] = data
                self._conversation.append(record.seq)
            case "kept":
                self._messages[record.seq] = data
            case "epoch":
                self._prefix = self._refrozen.get(data.get("prefix", -1), self._prefix)
                self._conversation = list(data.get("messages", self._conversation))
            case "rendering" if data["profile"] == self._profile:
                # the first is what was sent; messages that were rendered together are sent together
                self._groups.setdefault(tuple(seq for seq, _ in data["messages"]), data["messages"])
            case _:
                pass

    def projection(self, envelope: Envelope) -> Projection | None:
        """The request's blocks; as far as the journal still holds them."""
        if self._prefix is None:
            return None
        made, left = Projection(self._prefix, envelope), self._conversation
        begins: dict[int, list[tuple[int, ...]]] = {}
        for group in self._groups:
            begins.setdefault(group[0], []).append(group)
        while left:
            whole = (group for group in begins.get(left[0], ()) if group == tuple(left[: len(group)]))
            group = max(whole, key=len, default=())
            if not group:
                break
            for seq, kept in self._groups[group]:
                fragments = tuple(Fragment(fetch(text, self._blobs).encode("utf-8"), at) for text, at in kept)
                made.add(seq, read_message(self._messages[seq], self._blobs), fragments)
            left = left[len(group) :]
        return made
