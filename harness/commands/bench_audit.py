"""Bench: what the firewall and the audit take of a model call, and how long a session's book takes to read.

Invariant: a real session over real HTTP; what is measured is called as a model call does, on that session's own state.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.agent.firewall import expected, moved_block
from harness.agent.model_call import ModelCall
from harness.agent.session import Session
from harness.app import App
from harness.audit.book import read_book
from harness.audit.ledger import Ledger, apply_bill
from harness.audit.lookups import Lookups
from harness.audit.verdict import Expectation, judge
from harness.commands.bench_calls import LENGTHS, fill, server
from harness.conversation.blocks import Message, Text, Usage
from harness.conversation.canonical import Json
from harness.conversation.events import nobody
from harness.conversation.journal import Journal
from harness.conversation.lines import Record
from harness.conversation.request import Fragment, Request
from harness.errors import HarnessError
from harness.options import Options
from harness.providers.catalog import find
from harness.seam import Seam

REQUESTS = 5000
"""Of the session whose book is read."""


def measure(folder: Path, outer: Seam, runs: int) -> list[dict[str, Any]]:
    """Milliseconds of each part; median, smallest, largest."""
    rows: list[dict[str, Any]] = []
    with server(folder, outer) as seam:
        for length in LENGTHS:
            rows += asyncio.run(_length(folder.resolve(), seam, length, max(runs, 5)))
        rows.append(asyncio.run(_book(folder.resolve(), seam, max(runs, 5))))
    return rows


async def _length(folder: Path, seam: Seam, length: int, runs: int) -> list[dict[str, Any]]:
    app = App(Options(cwd=folder, no_session=True), seam, nobody)
    try:
        fill(app, length)
        await _called(app)
        app.session.add(Message("person", (Text("go on"),)))
        request = await _called(app)
        session, channel = app.session, app.agent.channel
        previous, _ = session.declared(channel.line)
        if previous is None:
            raise HarnessError("the bench's own call was not answered")
        moved, envelope = _moved(request), channel.provider.envelope
        sent, bill = _last(session, "request"), _last(session, "response")
        ledger = Ledger()

        def audit() -> None:
            judge(Expectation("alive", 9000), Usage(9, 9000, 9), channel.model.rules)
            apply_bill(ledger, sent, bill)

        parts: dict[str, Callable[[], object]] = {
            "firewall": lambda: expected(
                session,
                channel.model,
                envelope,
                request,
                Lookups(session.requests.ledger, session.requests.own, request.line.key, seam.now()),
            ),
            "verdict and ledger": audit,
            "finding the block that moved": lambda: moved_block(
                session, channel.model.id, envelope, replace(previous, seq=1 << 40), moved
            ),
        }
        return [_timed(seam, runs, part, f"{name}, {length:,} messages") for name, part in parts.items()]
    finally:
        await app.close()


async def _called(app: App) -> Request:
    call = ModelCall(app.session, app.agent.channel)
    async for _ in call.run():
        pass
    if call.request is None:
        raise HarnessError("the bench's own call was not sent")
    return call.request


def _moved(request: Request) -> Request:
    """The same request with another last block."""
    *before, last = request.messages
    fragment = last.fragments[-1]
    other = replace(last, fragments=(*last.fragments[:-1], Fragment(fragment.wire.replace(b"go", b"no"))))
    return replace(request, messages=[*before, other])


def _last(session: Session, kind: str) -> Mapping[str, Json]:
    return [record for record in session.journal.records() if record.kind == kind][-1].data


async def _book(folder: Path, seam: Seam, runs: int) -> dict[str, Any]:
    """A journal of many requests, each as a real one was journaled."""
    app = App(Options(cwd=folder, no_session=True), seam, nobody)
    try:
        fill(app, 2)
        await _called(app)
        records = list(app.session.journal.records())
    finally:
        await app.close()
    turn = [record for record in records if record.kind in ("message", "request", "response")][-4:]
    journal = Journal.create(folder / "many", seam)
    try:
        _fill_journal(journal, records, turn)
        timed = _timed(seam, runs, lambda: read_book(journal.records(), find), f"the book of {REQUESTS:,} requests")
    finally:
        journal.close()
    return timed


def _fill_journal(journal: Journal, records: list[Record], turn: list[Record]) -> None:
    for record in records:
        journal.append(record.kind, record.data)
    at = 0
    for number in range(REQUESTS - 1):
        for record in turn:
            data = dict(record.data)
            if record.kind == "request":
                data |= {"started": data["started"] + number, "messages": data["messages"] + 2 * number}
            elif record.kind == "response":
                data |= {"started": data["started"] + number, "request": at}
            written = journal.append(record.kind, data).seq
            at = written if record.kind == "request" else at


def _timed(seam: Seam, runs: int, part: Callable[[], object], what: str) -> dict[str, Any]:
    times = []
    for _ in range(runs):
        begun = seam.monotonic()
        part()
        times.append((seam.monotonic() - begun) * 1000)
    return {"median ms": statistics.median(times), "min": min(times), "max": max(times), "what": what}
