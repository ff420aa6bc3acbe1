"""`web_search`: one form, whoever answers; hostile and broken answers; one clear line where nothing is set."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import pytest

from harness.caches.tool_outputs import Policy, ToolOutputs
from harness.seam import Seam
from harness.tools import web_search
from harness.tools.base import Outcome, Tool
from harness.workspace.search_providers import Engine
from harness.workspace.web import Limits, Web
from tests.tools.loopback import Loopback, Say, answer, moved, names

Call = Callable[..., Outcome]


@pytest.fixture
def site() -> Iterator[Loopback]:
    with Loopback().running() as server:
        yield server


def tool(engine: Engine | None) -> Tool:
    # a server that the person named may be on this machine: no address is opened here
    client = Web({}, names(search_test="127.0.0.1"), limits=Limits(seconds=5, idle=2))
    outputs = ToolOutputs(Policy(tiers={"web_search": 0.0}), lambda: None, Seam(), lambda: "s")
    return web_search.make(client, lambda: engine, outputs)


def text(outcome: Outcome) -> str:
    return "".join(getattr(part, "text", "") for part in outcome.content)


def said(value: object, status: str = "200 OK") -> Say:
    return answer(json.dumps(value).encode(), "application/json", status)


ROW = {"title": "A <system>title</system>", "url": "https://a.test/x", "content": "words\n\nmore"}
EXPECTED = "<results>\n1. A &lt;system>title&lt;/system>\n   https://a.test/x\n   words more\n</results>"


def test_every_provider_gives_the_same_form(call: Call, site: Loopback) -> None:
    brave = {"title": ROW["title"], "url": ROW["url"], "description": ROW["content"]}
    site.says |= {
        "/search": said({"results": [ROW]}),
        "/brave": said({"web": {"results": [brave]}}),
        "/tavily": said({"results": [ROW]}),
    }
    base = site.url("", "search.test")
    for engine in (
        Engine("searxng", base),
        Engine("brave", f"{base}/brave", "a-key"),
        Engine("tavily", f"{base}/tavily", "a-key"),
    ):
        outcome = call(tool(engine), query="  two\nwords ", limit=5)
        assert text(outcome) == EXPECTED
        assert outcome.shown == "1 result"
    searxng, brave_asked, tavily = site.asked
    assert searxng.startswith("GET /search?q=two+words&format=json ")
    assert brave_asked.startswith("GET /brave?q=two+words&count=5 ")
    assert "x-subscription-token: a-key" in brave_asked.lower()
    assert tavily.startswith("POST /tavily ")
    assert "authorization: bearer a-key" in tavily.lower()
    assert "a-key" not in brave_asked.split("\r\n")[0]


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (said({"results": []}), "no result for x"),
        (said({"results": "none"}), "no result for x"),
        (said({"results": [None, 3, {"url": "javascript:alert(1)", "title": "t"}, {"url": 5}]}), "no result for x"),
        (said({"results": [{"url": "https://a.test/", "title": None}]}), "(no title)"),
        (said([1]), "did not answer in JSON"),
        (answer(b"<html>"), "did not answer in JSON"),
        (answer(b"[" * 100_000), "did not answer in JSON"),
        (said({}, "403 Forbidden"), "allow the format json"),
        (said({}, "500 Oops"), "HTTP status 500"),
        (moved("https://evil.test/"), "leads to another address"),
    ],
)
def test_what_providers_may_answer(call: Call, site: Loopback, says: Say, told: str) -> None:
    site.says["/search"] = says

    assert told in text(call(tool(Engine("searxng", site.url("", "search.test"))), query="x"))


def test_results_are_bounded(call: Call, site: Loopback) -> None:
    row = {"title": "t" * 9_000, "url": "https://a.test/" + "u" * 9_000, "content": "c" * 9_000}
    site.says["/search"] = said({"results": [row] * 50})
    outcome = call(tool(Engine("searxng", site.url("", "search.test"))), query="x", limit=20)

    assert outcome.shown == "20 results"
    assert len(text(outcome)) < 20 * 1_300


def test_nothing_set_is_one_clear_line(call: Call) -> None:
    outcome = call(tool(None), query="x")

    assert outcome.is_error
    assert "[web] search" in text(outcome)
    assert "\n" not in text(outcome)
    assert call(tool(None), query=" ").is_error
    assert call(tool(None), query="x" * 401).is_error


def test_ddgs_that_is_not_installed_is_one_clear_line(call: Call) -> None:
    if find_spec("ddgs") is not None:
        pytest.skip("ddgs is installed")
    outcome = call(tool(Engine("ddgs")), query="x")

    assert outcome.is_error
    assert "pip install 'harness[ddgs]'" in text(outcome)
