"""A session's cache as one page: a row for each request, as wide as its prompt.

Invariant: whole and quiet: no script, no network (its own policy forbids both), and every text in it is escaped, for it
may hold what a hostile repository made a model or a vendor say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources

from harness.audit.book import Book, Row
from harness.audit.cost import total
from harness.audit.report import clock, counted, hit_rate, money, percent, tokens
from harness.conversation.blocks import Usage
from harness.tools.output import visible

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
MOST_MISSES = 100
"""Rows of the list of misses: the dearest."""

_HEIGHT = 100.0
_LONGEST = 600


def page(session: str, book: Book, damage: int) -> str:
    """The page, as HTML text that can be encoded as UTF-8. `damage`: records that could not be read."""
    style = resources.files("harness.ui").joinpath("cache_page.css").read_text("utf-8")
    name = said(session)
    body = "\n".join(
        (
            *_head(name, book, damage),
            *_losses(book),
            *_overview(book),
            *_sub_agents(book),
            *_misses(book),
            *_rows(book),
            "</main>",
        )
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Cache of session {name}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def said(text: str) -> str:
    """Any text, safe in HTML and in attributes, on one line; what acts or hides is written out."""
    shown = visible(" ".join(text.split()))
    return escape(shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…", quote=True)


def _head(name: str, book: Book, damage: int) -> Iterator[str]:
    usage, saved = book.usage, book.saved
    side = sum(row.side for row in book.rows)
    began = f"{clock(book.rows[0].at)} to {clock(book.rows[-1].at)}" if book.rows else "no request yet"
    yield f'<main>\n<h1>Cache of session {name}</h1>\n<p class="quiet">{began}</p>'
    if damage:
        yield f"<p>{damage} records cannot be read; what they held is missing here.</p>"
    perfect = book.perfect / usage.prompt if usage.prompt else None
    figures = (
        ("requests", f"{len(book.rows):,}", f"{side} of them side requests" if side else ""),
        ("prompt tokens", tokens(usage.prompt), f"{tokens(usage.output)} out"),
        ("hit rate", percent(hit_rate(usage)), f"{tokens(usage.read)} read"),
        ("a perfect cache", percent(perfect), f"{tokens(book.perfect)} read"),
        ("input bill", money(book.bill), f"with a perfect cache: {money(book.perfect_bill)}"),
        (_saved(saved), money(None if saved is None else abs(saved)), "against no caching at all"),
        ("whole cost", money(book.cost), "answers too"),
        *_with_sub_agents(book),
        *_given_again(book),
    )
    yield '<dl class="figures">'
    for title, value, note in figures:
        yield f"<div><dt>{title}</dt><dd>{value}<small>{note}</small></dd></div>"
    yield "</dl>"


def _saved(saved: float | None) -> str:
    return "saved by caching" if saved is None or saved >= 0 else "lost by caching"


def _with_sub_agents(book: Book) -> Iterator[tuple[str, str, str]]:
    if book.sub_agents:
        yield "with sub-agents", money(book.all_cost), counted(len(book.sub_agents), "sub-agent")


def _given_again(book: Book) -> Iterator[tuple[str, str, str]]:
    if served := [row.served for row in book.rows if row.served]:
        cost = money(total(answer.cost for answer in served))
        yield "from the response cache", f"{len(served):,}", f"would have cost {cost}"


def _losses(book: Book) -> Iterator[str]:
    if not book.lost:
        return
    yield "<h2>What was lost, by cause</h2>\n<table>\n<tr><th>cause</th>"
    yield '<th class="n">requests</th><th class="n">tokens</th><th class="n">money</th></tr>'
    for lost in book.lost:
        counts = (f"{lost.requests:,}", tokens(lost.tokens), money(lost.usd))
        yield (
            f'<tr><td class="text">{said(lost.cause)}</td>'
            + "".join(f'<td class="n">{one}</td>' for one in counts)
            + "</tr>"
        )
    yield "</table>"


def _sub_agents(book: Book) -> Iterator[str]:
    """What each was billed, with all of its own; none of it is in the rows."""
    if not book.sub_agents:
        return
    titles = ("after", "requests", "tokens in", "read", "first request read", "money")
    yield "<h2>Sub-agents</h2>\n<table>\n<tr><th>skill</th><th>model</th><th>session</th>"
    yield "".join(f'<th class="n">{title}</th>' for title in titles) + "</tr>"
    for one in book.sub_agents:
        done = one.ended
        first = "" if done.first_read is None else tokens(done.first_read)
        first += "" if done.expected is None else f" of {tokens(done.expected)}"
        texts = (f"{done.skill} ({done.context}), {done.end}", done.model, done.session)
        counts = (f"{one.after:,}", f"{done.requests:,}", tokens(done.usage.prompt), percent(hit_rate(done.usage)))
        yield (
            "<tr>"
            + "".join(f'<td class="text">{said(text)}</td>' for text in texts)
            + "".join(f'<td class="n">{count}</td>' for count in (*counts, first, money(done.cost)))
            + "</tr>"
        )
    yield "</table>"


# ---------------------------------------------------------------------------------------------- the overview


def _overview(book: Book) -> Iterator[str]:
    """All requests side by side, as high as their prompts: read below, written, then what was neither."""
    count, highest = max(len(book.rows), 1), _widest(book)
    yield "<h2>All requests</h2>\n<figure>"
    yield f'<svg viewBox="0 0 {count} {_HEIGHT:g}" preserveAspectRatio="none" role="img" aria-label="{_alt(book)}">'
    levels = [_levels(row) for row in book.rows]
    for index, part in reversed(list(enumerate(("read", "written", "uncached", "again")))):
        steps = [f"M0 {_HEIGHT:g}"]
        for place, level in enumerate(levels):
            top = _HEIGHT * (1 - 0.94 * level[index] / highest)
            steps.append(f"V{top:.2f}H{place + 1}")
        yield f'<path class="{part}" d="{"".join(steps)}V{_HEIGHT:g}Z"/>'
    for row in book.rows:
        if kind := _kind(row):
            yield f'<line class="tick {kind}" x1="{row.number - 0.5}" x2="{row.number - 0.5}" y1="0" y2="5"/>'
    for epoch in book.epochs:
        if epoch.before > 1:
            yield f'<line x1="{epoch.before - 1}" x2="{epoch.before - 1}" y1="0" y2="{_HEIGHT:g}"/>'
    yield "</svg>"
    keys = [("read", "read from cache"), ("written", "written"), ("uncached", "neither"), ("could", "could be read")]
    keys += [("again", "served from the response cache")] if any(row.served for row in book.rows) else []
    legend = "".join(f'<span><i class="{key}"></i>{words}</span>' for key, words in keys)
    yield f'<figcaption class="legend quiet">{legend}<span>widest: {tokens(highest)} tokens</span></figcaption>'
    yield "</figure>"


def _alt(book: Book) -> str:
    misses = sum(bool(_kind(row)) for row in book.rows)
    return f"{counted(len(book.rows), 'request')} by prompt length; {misses} of them missed"


def _levels(row: Row) -> tuple[int, int, int, int]:
    usage = row.usage or Usage()
    return usage.read, usage.read + usage.written, usage.prompt, _prompt(row)


def _prompt(row: Row) -> int:
    """Tokens of its prompt; of one that was served a cached response, those of the request that was asked first."""
    usage = row.served.usage if row.served else row.usage
    return usage.prompt if usage else 0


def _widest(book: Book) -> int:
    return max(map(_prompt, book.rows), default=1) or 1


def _kind(row: Row) -> str:
    """The class of a row that read less than was there: "ours", "miss", or "" for any other."""
    if row.verdict == "ours":
        return "ours"
    return "miss" if row.lost or row.verdict in ("evicted", "vendor stripped", "expired") else ""


# -------------------------------------------------------------------------------------------------- the rows


def _misses(book: Book) -> Iterator[str]:
    misses = sorted((row for row in book.rows if _kind(row)), key=lambda row: (-(row.lost_usd or 0.0), row.number))
    if not misses:
        return
    more = f" (the dearest {MOST_MISSES} of {len(misses):,})" if len(misses) > MOST_MISSES else ""
    yield f"<h2>Misses{more}</h2>\n<table>\n<tr><th>request</th><th>verdict</th>"
    yield '<th class="n">tokens</th><th class="n">money</th><th>cause</th></tr>'
    for row in misses[:MOST_MISSES]:
        yield (
            f'<tr><td><a href="#r{row.number}">{row.number}</a></td><td>{said(row.verdict)}</td>'
            f'<td class="n">{tokens(row.lost)}</td><td class="n">{money(row.lost_usd)}</td>'
            f'<td class="text">{said(row.cause)}</td></tr>'
        )
    yield "</table>"


def _rows(book: Book) -> Iterator[str]:
    widest, epochs = _widest(book), [epoch for epoch in book.epochs if epoch.before > 1]
    yield '<h2>One by one</h2>\n<p class="quiet">Point at a row, or go on with Tab, to see all of it.</p>'
    yield '<ol class="rows">'
    for row in book.rows:
        while epochs and epochs[0].before <= row.number:
            yield f'<li class="epoch">epoch: {said(epochs.pop(0).reason)}</li>'
        yield _row(row, widest)
    for epoch in epochs:
        yield f'<li class="epoch">epoch: {said(epoch.reason)}</li>'
    yield "</ol>"


def _row(row: Row, widest: int) -> str:
    kinds = " ".join(filter(None, ("row", _kind(row), "side" if row.side else "")))
    side = " side" if row.side else ""
    facts = list(_facts(row))
    title = f"Request {row.number}{side}"
    spoken = said(f"{title}, {row.verdict}: {facts[1][1]}")
    listed = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in ((n, said(v)) for n, v in facts if v))
    return (
        f'<li class="{kinds}"><a class="request" id="r{row.number}" href="#r{row.number}" aria-label="{spoken}">'
        f'<span class="number">{row.number}{side}</span>{_bar(row, widest)}'
        f'<span class="verdict">{said(row.label)}</span></a>'
        f'<div class="details" role="note"><h3>{said(title)}: {said(row.verdict or "broke off")}</h3>'
        f"<dl>{listed}</dl></div></li>"
    )


def _bar(row: Row, widest: int) -> str:
    usage, prompt = row.usage or Usage(), _prompt(row)
    if not prompt:
        return '<span class="bar"></span>'
    counts: Sequence[tuple[str, int]] = (
        ("read", usage.read),
        ("written", usage.written),
        ("uncached", usage.uncached),
        ("again", prompt if row.served else 0),
    )
    shares = [(name, 100 * count / prompt) for name, count in counts if count]
    parts = "".join(f'<i class="{name}" style="width:{share:.3f}%"></i>' for name, share in shares)
    could = f'<i class="could" style="left:{100 * row.perfect / prompt:.3f}%"></i>' if row.perfect > usage.read else ""
    return f'<span><span class="bar" style="width:{100 * prompt / widest:.3f}%">{parts}{could}</span></span>'


def _facts(row: Row) -> Iterator[tuple[str, str]]:
    """What is known of a request, not yet escaped; the second is its tokens in words."""
    usage = row.usage
    yield "time", clock(row.at)
    if row.served is not None:
        yield "tokens", "none: a cached response was served, and no vendor was asked"
        yield "response cache", row.served.origin
        yield "would have cost", row.served.price
    elif usage is None:
        yield "tokens", "the bill was not told"
    else:
        read, written, rest = (tokens(count) for count in (usage.read, usage.written, usage.uncached))
        yield "tokens", f"{tokens(usage.prompt)}: {read} read, {written} written, {rest} neither; {usage.output:,} out"
        yield "hit rate", f"{percent(hit_rate(usage))}; a perfect cache: {percent(row.perfect / (usage.prompt or 1))}"
    yield "model", row.model
    prompt = f"its prompt {money(row.bill)}, with a perfect cache {money(row.perfect_bill)}"
    yield "money", "" if row.served else f"{money(row.cost)}; {prompt}"
    yield "cause", row.cause
    yield "lost", f"{tokens(row.lost)} tokens, {money(row.lost_usd)}" if row.lost else ""
    yield "block", row.where
    yield "the vendor says", row.vendor
    yield "ended", row.stop
