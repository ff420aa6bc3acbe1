"""The tool `web_fetch`: a page of the web as readable Markdown, or another text from there.

Invariant: only public addresses are reached, on every hop; what a page says is data: it cannot end its own frame or
play another speaker; it is bounded, and the whole of it is in a file that `read` can page.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping

from harness.caches.tool_outputs import Loaded, Lookup, ToolOutputs
from harness.conversation.canonical import Json
from harness.errors import UsageError, WebFailed
from harness.tools.base import Outcome, Tool, ToolSpec, error, ok
from harness.tools.output import Spill, foreign, head, one_line
from harness.workspace.address import Target, parse
from harness.workspace.charset import decoded
from harness.workspace.html_markdown import Readable, folded, readable
from harness.workspace.permissions import Subject
from harness.workspace.web import ACCEPT, USER_AGENT, Answer, Web

BYTES = 16_000
TEXT = 5_000_000
"""Characters of what is kept of a page."""

VERSION = 4
"""Of what is made of a page: one more, and what is cached of it is made anew."""

_FORM = {"url": "", "status": 200, "title": "", "media": "", "text": "", "cut": False}

SPEC = ToolSpec(
    "web_fetch",
    "Get a public web page as Markdown, or text, JSON or XML as it is. Gives up to 16,000 bytes and the path of a file "
    "with all of it. May come from a cache, and says so. Use shell for local servers.",
    {
        "additionalProperties": False,
        "properties": {
            "fresh": {"description": "do not take it from the cache", "type": "boolean"},
            "url": {"description": "https://…", "type": "string"},
        },
        "required": ["url"],
        "type": "object",
    },
)

_NAMES = (
    "csv ecmascript graphql javascript json jsonl n-triples rtf sparql-query sql toml typescript x-csh x-diff"
    " x-httpd-php x-javascript x-jsonl x-latex x-ndjson x-patch x-perl x-php x-powershell x-python x-python-code x-ruby"
    " x-sh x-shellscript x-sql x-subrip x-tex x-toml x-troff-man x-typescript x-yaml xml yaml"
)
_TEXTS = frozenset(f"application/{name}" for name in _NAMES.split())
_PAGES = ("text/html", "application/xhtml+xml")

_TAG = re.compile(r"<[a-zA-Z!/?]")
_CONTROL = re.compile("[\x01-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
"""What no text has; an escape is part of some charsets and of what terminals are sent."""

_LOOKED_AT = 4_096
"""Characters by which it is told whether a body is text."""

_CUT = f"[the page was too large; only its first {TEXT:,} bytes were fetched: download it with shell to read on]"


def make(web: Web, spill: Spill, outputs: ToolOutputs) -> Tool:
    """The tool; `outputs`: what is remembered of earlier calls."""

    async def run(args: Mapping[str, Json]) -> Outcome:
        try:
            target = parse(args["url"])
            lookup = Lookup(
                tool="web_fetch",
                version=VERSION,
                arguments={"url": target.url},
                identity={"accept": ACCEPT, "user-agent": USER_AGENT},
                host=target.place,
                form=_FORM,
                shown=target.url,
            )
            served = await outputs.through(lookup, lambda: _load(web, target), fresh=bool(args.get("fresh")))
        except (UsageError, WebFailed) as problem:
            return error(foreign(one_line(str(problem), 600)))
        return _outcome(served.value, served.note, served.facts, spill)

    return Tool(SPEC, run, lambda args: _subject(web, args))


def _subject(web: Web, args: Mapping[str, Json]) -> Subject:
    try:
        target = parse(args["url"])
    except UsageError:
        target = None
    if target is None or web.never(target):
        # it will be refused by the tool itself, with the reason, before anything is sent; no rule could help
        return Subject("none")
    return Subject("web", command=target.url, hosts=(target.place,))


def _refusal(media: str) -> str:
    """Why a body of this type is not read; "" where it is."""
    if media == "application/pdf":
        return "it is a PDF: download it with shell and use the documents skill"
    text = media.startswith("text/") or media.endswith(("+json", "+xml")) or media in _TEXTS or media in _PAGES
    if text or media in ("", "application/octet-stream"):
        return ""
    return f"it is {media[:60]}, and only text is fetched; download it with shell"


async def _load(web: Web, target: Target) -> Loaded:
    answer = await web.get(target, _refusal)
    if answer.moved is not None:
        return Loaded({"moved": answer.moved.url, "url": target.url}, unkept="it leads to another host")
    if answer.status >= 400:
        again = answer.status in (408, 425, 429) or answer.status >= 500
        wait = f"; it asks to wait {answer.wait} s" if answer.wait else ""
        raise WebFailed(f"{answer.target.url} answered with HTTP status {answer.status}{wait}", temporary=again)
    page = await asyncio.to_thread(_page, answer)
    if answer.status != 200:
        return Loaded(page, unkept=f"it has the HTTP status {answer.status}")
    # no text is as often a hiccup as the truth
    return Loaded(page, unkept="" if page["text"].strip() else "it has no text")


def _page(answer: Answer) -> dict[str, Json]:
    body = answer.body
    if body.startswith(b"%PDF-"):
        raise WebFailed(f"{answer.target.url}: {_refusal('application/pdf')}")
    begin = body[:1024].lstrip().lower()
    markup = answer.media in _PAGES or (
        answer.media in ("", "application/octet-stream") and begin.startswith((b"<!doctype html", b"<html"))
    )
    text = decoded(body, answer.charset, markup=markup or answer.media.endswith("xml"))
    begun = text[:_LOOKED_AT]
    if "\0" in begun or len(_CONTROL.findall(begun)) > len(begun) // 50:
        raise WebFailed(f"{answer.target.url} is not text; download it with shell")
    if markup and _TAG.search(text):
        page = readable(text, answer.target.url, xml=answer.media == "application/xhtml+xml")
    else:
        page = Readable("", folded(_laid_out(text, answer.media)))
    return {
        "url": answer.target.url,
        "status": answer.status,
        "title": page.title,
        "media": answer.media or "no type",
        "text": foreign(page.text[:TEXT]),
        "cut": not answer.whole or len(page.text) > TEXT,
    }


def _laid_out(text: str, media: str) -> str:
    """JSON of one line in lines, so that it can be paged; anything else as it is."""
    if not media.endswith("json") or text.count("\n") > len(text) // 400:
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=1)
    except (ValueError, RecursionError):
        return text


def _outcome(page: Mapping[str, Json], note: str, facts: Mapping[str, Json], spill: Spill) -> Outcome:
    if "moved" in page:
        moved = one_line(page["moved"], 1000)
        said = f"{one_line(page['url'], 1000)} leads to another host; fetch that if you want it: {moved}"
        return ok(said, shown="moved", **facts)
    text, full = head(page["text"], BYTES, spill)
    about = [
        one_line(page["url"], 1000),
        page["media"],
        f"HTTP status {page['status']}" if page["status"] != 200 else "",
        f"title: {foreign(one_line(page['title']))}" if page["title"] else "",
    ]
    lines = [
        *([f"[{foreign(note)}]"] if note else []),
        f"[web page: {'; '.join(filter(None, about))}]",
        "<page>",
        text or "(no text)",
        "</page>",
        *([_CUT] if page["cut"] else []),
    ]
    size = len(page["text"].encode("utf-8", "replace"))
    shown = f"{size:,} bytes of text{', from the cache' if note else ''}"
    return Outcome(ok("\n".join(lines)).content, shown=shown, facts=facts, full=full)
