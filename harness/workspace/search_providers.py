"""Web search through the provider that the person chose: their answers in one form.

Invariant: a query goes to that provider and nowhere else; its key goes into a header or the body, never into an address
or a message; what comes back is checked field by field.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from html import unescape
from urllib.parse import urlencode

from harness.config_values import SearchProvider
from harness.conversation.canonical import Json, decode, encode
from harness.errors import UsageError, WebFailed
from harness.workspace.address import parse
from harness.workspace.web import Answer, Web

ADDRESSES: Mapping[str, str] = {
    "brave": "https://api.search.brave.com/res/v1/web/search",
    "tavily": "https://api.tavily.com/search",
}

LONGEST = 1_000
"""Characters of an address; a longer one is left out."""

NOT_SET = (
    'no search provider is set: the person has to set one in config.toml, e.g. [web] search = "searxng" with '
    'search_url, or "brave" or "tavily" with search_key_env, or "ddgs" (docs/web.md)'
)


@dataclass(frozen=True, slots=True)
class Found:
    """One result, as the provider gave it: not to be trusted."""

    title: str
    url: str
    snippet: str


@dataclass(frozen=True, slots=True)
class Engine:
    """The provider, its address where that is not its own, and its key."""

    provider: SearchProvider
    url: str = ""
    key: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        """Who is asked, for the cache."""
        return f"{self.provider} {self.url or ADDRESSES.get(self.provider, '')}".strip()


async def search(web: Web, engine: Engine, query: str, limit: int) -> list[Found]:
    """At most `limit` results, best first.

    Raises:
        WebFailed: not reached, refused, or not understood.
    """
    match engine.provider:
        case "ddgs":
            return _found(web, await asyncio.to_thread(_ddgs, query, limit), ("title", "href", "body"), limit)
        case "searxng":
            words = urlencode({"q": query, "format": "json"})
            base = engine.url.rstrip("/").removesuffix("/search")
            answer = _json(await _ask(web, engine, f"{base}/search?{words}", {}, None))
            found = _found(web, answer.get("results"), ("title", "url", "content"), limit)
            if not found and (silent := _silent(answer.get("unresponsive_engines"))):
                raise WebFailed(f"searxng has no result, and its engines did not answer: {silent}", temporary=True)
            return found
        case "brave":
            # at most 50 words; without it, matches are in <strong>
            words = urlencode({"q": " ".join(query.split()[:50]), "count": limit, "text_decorations": "false"})
            headers = {"x-subscription-token": engine.key}
            answer = _json(await _ask(web, engine, f"{engine.url or ADDRESSES['brave']}?{words}", headers, None))
            results = answer.get("web")
            rows = results.get("results") if isinstance(results, dict) else []
            return [_unescaped(one) for one in _found(web, rows, ("title", "url", "description"), limit)]
        case "tavily":
            headers = {"authorization": f"Bearer {engine.key}", "content-type": "application/json"}
            body = encode({"query": query, "max_results": limit})
            answer = _json(await _ask(web, engine, engine.url or ADDRESSES["tavily"], headers, body))
            return _found(web, answer.get("results"), ("title", "url", "content"), limit)


async def _ask(web: Web, engine: Engine, address: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
    try:
        target = parse(address)
    except UsageError as problem:
        raise WebFailed(f"web.search_url cannot be used: {problem}") from None
    answer = await web.ask(target, {"accept": "application/json", **headers}, body)
    if answer.moved is not None:
        raise WebFailed(f"{engine.provider} leads to another address; correct web.search_url")
    match answer.status:
        case 200:
            return answer
        case 401 | 403 if engine.provider == "searxng":
            raise WebFailed(f"searxng refused (HTTP {answer.status}): allow the format json in its settings")
        case 401 | 403 | 422:  # Brave's word for a wrong key
            raise WebFailed(f"{engine.provider} refused (HTTP {answer.status}): check its key")
        case 402 | 432 | 433:
            raise WebFailed(f"{engine.provider} refused (HTTP {answer.status}): what its plan allows is used up")
        case 429:
            wait = f"; it asks to wait {answer.wait} s" if answer.wait else ""
            raise WebFailed(f"{engine.provider} was asked too often (HTTP 429){wait}", temporary=True)
        case status:
            raise WebFailed(
                f"{engine.provider} answered with HTTP status {status}", temporary=status == 408 or status >= 500
            )


def _json(answer: Answer) -> dict[str, Json]:
    if not answer.whole:
        raise WebFailed(
            f"{answer.target.place} answered with more than {len(answer.body):,} bytes; nothing of it is read"
        )
    try:
        found = decode(answer.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise WebFailed(f"{answer.target.place} did not answer in JSON: is web.search_url the right one?")
    return found


def _found(web: Web, rows: Json, names: tuple[str, str, str], limit: int) -> list[Found]:
    """names: what the provider calls title, address and snippet."""
    if not isinstance(rows, list):
        return []
    texts: Iterable[tuple[Json, ...]] = (tuple(map(row.get, names)) for row in rows if isinstance(row, dict))
    kept: dict[str, Found] = {}
    for row in texts:
        one = Found(*(part if isinstance(part, str) else "" for part in row))
        try:
            # in the spelling in which it is fetched; what cannot be is no result
            target = parse(one.url)
        except UsageError:
            continue
        address = target.url
        if len(address) <= LONGEST and not web.never(target):
            kept.setdefault(address, replace(one, url=address))
    return list(kept.values())[:limit]


def _unescaped(one: Found) -> Found:
    """Brave's texts are HTML."""
    plain = (unescape(re.sub(r"</?(?:strong|b|em)>", "", part)) for part in (one.title, one.snippet))
    title, snippet = plain
    return Found(title, one.url, snippet)


def _silent(engines: Json) -> str:
    """`google (timeout), bing (CAPTCHA)`, of `[["google", "timeout"], …]`."""
    pairs = [pair for pair in engines if isinstance(pair, list) and len(pair) == 2] if isinstance(engines, list) else []
    return ", ".join(f"{str(name)[:30]} ({str(why)[:60]})" for name, why in pairs[:5])


def _ddgs(query: str, limit: int) -> list[dict[str, str]]:
    try:
        from ddgs import DDGS
        from ddgs.exceptions import DDGSException
    except ImportError:
        raise WebFailed("the search provider ddgs needs the package ddgs: pip install 'harness[ddgs]'") from None
    try:
        return list(DDGS(timeout=10).text(query, max_results=limit))
    except Exception as error:  # also what the client within it raises, which is no exception of its own
        if isinstance(error, DDGSException) and "No results" in str(error):
            return []
        raise WebFailed(f"ddgs: {str(error)[:200]}", temporary=True) from error
