"""What `/cost` and `/cache` show.

Invariant: an unknown price stays unknown; no share is rounded up to 100 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from harness.audit.book import Book, Row
from harness.audit.cost import total
from harness.audit.report import counted, hit_rate, money, percent, tokens
from harness.audit.totals import Totals
from harness.conversation.events import SubAgentDone
from harness.ui.plain import one_line

LONGEST_CAUSE = 200
_LATEST = 8


def cost_lines(totals: Totals) -> list[str]:
    """What the session was billed."""
    usage = totals.usage
    return [
        f"{counted(totals.requests, 'request')}, {money(totals.cost)}",
        f"in   {tokens(usage.prompt)} tokens",
        f"     {tokens(usage.read)} read from cache, {tokens(usage.written)} written, {tokens(usage.uncached)} neither",
        f"out  {tokens(usage.output)} tokens",
    ]


def book_lines(book: Book) -> Iterator[str]:
    """What the requests of a session add up to, a line for each thing."""
    usage, saved = book.usage, book.saved
    side = sum(row.side for row in book.rows)
    also = f", {counted(side, 'side request')} among them" if side else ""
    yield f"{counted(len(book.rows), 'request')}{also} · {tokens(usage.prompt)} tokens in · {money(book.cost)}"
    if book.sub_agents:
        yield f"with sub-agents   {money(book.all_cost)} ({counted(len(book.sub_agents), 'sub-agent')})"
    yield f"hit rate          {percent(hit_rate(usage))} of all prompt tokens ({tokens(usage.read)})"
    yield f"a perfect cache   {percent(book.perfect / usage.prompt if usage.prompt else None)} ({tokens(book.perfect)})"
    yield f"input bill        {money(book.bill)}; with a perfect cache {money(book.perfect_bill)}"
    words = "less" if saved is None or saved >= 0 else "more"
    yield f"caching           {money(None if saved is None else abs(saved))} {words} than without it"
    if served := [row.served for row in book.rows if row.served is not None]:
        first = total(answer.cost for answer in served)
        yield f"response cache    {counted(len(served), 'response')} served, {money(first)} the first time"
    for lost in book.lost:
        yield f"lost              {money(lost.usd)} in {counted(lost.requests, 'request')}: {one_line(lost.cause)}"


def sub_agent_line(one: SubAgentDone) -> str:
    """What a sub-agent was billed, and what its first request read; one line."""
    usage, of = one.usage, "" if one.expected is None else f" of {tokens(one.expected)}"
    first = "" if one.first_read is None else f"; its first one read {tokens(one.first_read)}{of}"
    head = f"{one.skill} ({one.context}, {one.model}) {one.end}: {counted(one.requests, 'request')}"
    bill = f"{tokens(usage.prompt)} tokens in, {percent(hit_rate(usage))} read, {money(one.cost)}"
    return one_line(f"{head}, {bill}{first}; session {one.session}", 400)


def cause(row: Row) -> str:
    """Why a request read what it read, and what was lost by it; one line."""
    price = f" ({tokens(row.lost)} tokens, {money(row.lost_usd)})" if row.lost else ""
    missed = f"response cache: {one_line(row.unserved, LONGEST_CAUSE)}" if row.unserved else ""
    return "; ".join(filter(None, (one_line(row.cause, LONGEST_CAUSE) + price, missed)))


def cache_lines(book: Book, session: str) -> list[str]:
    """The book of a session in short: what it adds up to, its verdicts, and its latest requests one by one."""
    lines = list(book_lines(book))
    counts = Counter(row.verdict or "broken off" for row in book.rows)
    lines += ["verdicts          " + ", ".join(f"{count} {one_line(kind)}" for kind, count in counts.most_common())]
    for row in book.rows[-_LATEST:]:
        usage, why = row.usage, cause(row)
        read = f"{tokens(usage.read)} of {tokens(usage.prompt)} read" if usage else "bill not told"
        side = " side" if row.side else ""
        lines.append(f"  {row.number:>3}{side}  {one_line(row.verdict) or '-':8}  {read}{f': {why}' if why else ''}")
    return [*lines, f"all of it: harness cache {session}"] if book.rows else lines[:1]
