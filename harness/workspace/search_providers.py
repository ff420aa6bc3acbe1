"""Web search through the provider that the person chose: their answers in one form.

Invariant: a query goes to that provider and nowhere else; its key goes into a header or the body, never into an address
or a message; what comes back is checked field by field.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

from harness.conversation.canonical import Json, decode, encode
from harness.errors import UsageError, WebFailed
from harness.workspace.address import parse
from harness.workspace.web import Answer, Web

Provider = Literal["searxng", "brave", "tavily", "ddgs"]

ADDRESSES: Mapping[str, str] = {
    "brave": "https://api.search.brave.com/res/v1/web/search",
    "tavily": "https://api.tavily.com/search",
}

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

    provider: Provider
    url: str = ""
    key: str = ""

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
            return _found(await asyncio.to_thread(_ddgs, query, limit), "title", "href", "body", limit)
        case "searxng":
            words = urlencode({"q": query, "format": "json"})
            answer = _json(await _ask(web, engine, f"{engine.url.rstrip('/')}/search?{words}", {}, None))
            return _found(answer.get("results"), "title", "url", "content", limit)
        case "brave":
            words = urlencode({"q": query, "count": limit})
            headers = {"x-subscription-token": engine.key}
            answer = _json(await _ask(web, engine, f"{engine.url or ADDRESSES['brave']}?{words}", headers, None))
            results = answer.get("web")
            rows = results.get("results") if isinstance(results, dict) else []
            return _found(rows, "title", "url", "description", limit)
        case "tavily":
            headers = {"authorization": f"Bearer {engine.key}", "content-type": "application/json"}
            body = encode({"query": query, "max_results": limit})
            answer = _json(await _ask(web, engine, engine.url or ADDRESSES["tavily"], headers, body))
            return _found(answer.get("results"), "title", "url", "content", limit)


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
        case 401 | 403:
            hint = "allow the format json in its settings" if engine.provider == "searxng" else "check its key"
            raise WebFailed(f"{engine.provider} refused (HTTP {answer.status}): {hint}")
        case status:
            again = status in (408, 429) or status >= 500
            raise WebFailed(f"{engine.provider} answered with HTTP status {status}", temporary=again)


def _json(answer: Answer) -> dict[str, Json]:
    try:
        found = decode(answer.body) if answer.whole else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise WebFailed(f"{answer.target.place} did not answer in JSON: is web.search_url the right one?")
    return found


def _found(rows: Json, title: str, url: str, snippet: str, limit: int) -> list[Found]:
    if not isinstance(rows, list):
        return []
    texts: Iterable[tuple[Json, ...]] = (
        tuple(row.get(name) for name in (title, url, snippet)) for row in rows if isinstance(row, dict)
    )
    kept = [Found(*(part if isinstance(part, str) else "" for part in row)) for row in texts]
    return [one for one in kept if one.url.startswith(("https://", "http://"))][:limit]


def _ddgs(query: str, limit: int) -> list[dict[str, str]]:
    try:
        from ddgs import DDGS
        from ddgs.exceptions import DDGSException
    except ImportError:
        raise WebFailed("the search provider ddgs needs the package ddgs: pip install 'harness[ddgs]'") from None
    try:
        return list(DDGS(timeout=10).text(query, max_results=limit))
    except DDGSException as error:
        if "No results" in str(error):
            return []
        raise WebFailed(f"ddgs: {str(error)[:200]}", temporary=True) from error
