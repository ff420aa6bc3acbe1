"""The tool `web_search`: titles, addresses and snippets from the search provider that the person chose.

Invariant: one schema, whoever answers; results are data of strangers, bounded, and no address is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.caches.tool_outputs import Loaded, Lookup, ToolOutputs
from harness.conversation.canonical import Json
from harness.errors import HarnessError
from harness.tools.base import Outcome, Tool, ToolSpec, error, ok
from harness.tools.output import foreign, one_line
from harness.workspace.permissions import Subject
from harness.workspace.search_providers import NOT_SET, Engine, search
from harness.workspace.web import Web

RESULTS = 8
MOST = 20
QUERY = 400
SNIPPET = 400
VERSION = 2

_FORM = [{"title": "", "url": "", "snippet": ""}]

SPEC = ToolSpec(
    "web_search",
    "Search the web: titles, addresses, snippets. Read a result with web_fetch. Put nothing private into a query.",
    {
        "additionalProperties": False,
        "properties": {
            "fresh": {"description": "do not take it from the cache", "type": "boolean"},
            "limit": {"description": "results, default 8", "maximum": MOST, "minimum": 1, "type": "integer"},
            "query": {"type": "string"},
        },
        "required": ["query"],
        "type": "object",
    },
)


def make(web: Web, engine: Callable[[], Engine | None], outputs: ToolOutputs) -> Tool:
    """The tool. engine: gives the provider, None where none is set; asked when it is needed, for its key's sake."""

    async def run(args: Mapping[str, Json]) -> Outcome:
        query, limit = " ".join(args["query"].split()), int(args.get("limit", RESULTS))
        if not 0 < len(query) <= QUERY:
            return error(f"a query has 1 to {QUERY} characters, and this one {len(query)}")
        try:
            found = engine()
            if found is None:
                return error(NOT_SET)
            lookup = Lookup(
                tool="web_search",
                version=VERSION,
                arguments={"query": query, "limit": limit},
                identity={"provider": found.place},
                form=_FORM,
                host=found.provider,
                shown=query,
            )
            served = await outputs.through(
                lookup, lambda: _load(web, found, query, limit), fresh=bool(args.get("fresh"))
            )
        except HarnessError as problem:
            return error(foreign(one_line(str(problem), 600)))
        rows = served.value
        note = [f"[{foreign(served.note)}]"] if served.note else []
        lines = [*note, "<results>", *map(_shown, range(1, len(rows) + 1), rows), "</results>"]
        if not rows:
            lines = [*note, f"no result for {one_line(query)}"]
        count = f"{len(rows)} result{'' if len(rows) == 1 else 's'}"
        shown = f"{count}{', from the cache' if served.note else ''}"
        return Outcome(ok("\n".join(lines)).content, shown=shown, facts=served.facts)

    # asked of a server that the person named, for this: nothing that the model says chooses where it goes
    return Tool(SPEC, run, lambda _: Subject("none"))


async def _load(web: Web, engine: Engine, query: str, limit: int) -> Loaded:
    found = await search(web, engine, query, limit)
    cut = [{"title": _cut(one.title), "url": foreign(one.url), "snippet": _cut(one.snippet)} for one in found]
    # an empty answer is as often a hiccup as the truth
    return Loaded(cut, "" if cut else "it has no results")


def _cut(text: str) -> str:
    return foreign(one_line(" ".join(text.split()), SNIPPET))


def _shown(number: int, row: Mapping[str, Json]) -> str:
    snippet = f"\n   {row['snippet']}" if row["snippet"] else ""
    return f"{number}. {row['title'] or '(no title)'}\n   {row['url']}{snippet}"
