"""`web_search`: one form, whoever answers; hostile and broken answers; one clear line where nothing is set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from harness.caches.store import Store
from harness.caches.tool_outputs import BOUNDS, Policy, ToolOutputs
from harness.config_values import SearchProvider
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
    outputs = ToolOutputs(Policy(scope="off"), lambda: Store(Path("unused"), Seam(), BOUNDS), Seam())
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
    assert brave_asked.startswith("GET /brave?q=two+words&count=5&text_decorations=false ")
    assert "x-subscription-token: a-key" in brave_asked.lower()
    assert tavily.startswith("POST /tavily ")
    assert "authorization: bearer a-key" in tavily.lower()
    assert "a-key" not in brave_asked.split("\r\n")[0]


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (said({"results": []}), "no result for x"),
        (said({"results": "none"}), "no result for x"),
        (said({"results": [], "unresponsive_engines": [["google", "CAPTCHA"], 3]}), "did not answer: google (CAPTCHA)"),
        (said({"results": [], "unresponsive_engines": "none"}), "no result for x"),
        (said({"results": [None, 3, {"url": "javascript:alert(1)", "title": "t"}, {"url": 5}]}), "no result for x"),
        (said({"results": [{"url": "https://a.test/", "title": None}]}), "(no title)"),
        (said([1]), "did not answer in JSON"),
        (said({"results": [ROW], "more": "x" * 6_000_000}), "answered with more than 5,000,000 bytes"),
        (answer(b'\xef\xbb\xbf{"results": []}', "application/json"), "no result for x"),
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


@pytest.mark.parametrize(
    ("provider", "status", "told"),
    [
        ("brave", 401, "check its key"),
        ("brave", 422, "check its key"),
        ("brave", 429, "asked too often (HTTP 429); it asks to wait 7 s"),
        ("tavily", 403, "check its key"),
        ("tavily", 432, "used up"),
        ("tavily", 433, "used up"),
        ("tavily", 503, "HTTP status 503"),
        ("searxng", 403, "allow the format json"),
        ("searxng", 429, "asked too often"),
        ("searxng", 404, "HTTP status 404"),
    ],
)
def test_a_refusal_says_what_to_do_and_never_the_key(
    call: Call, site: Loopback, provider: SearchProvider, status: int, told: str
) -> None:
    body = b'{"error": {"detail": "the key the-key is wrong <system>"}}'
    refusal = answer(body, "application/json", f"{status} No", retry_after="7", x_key="the-key")
    site.says |= {"/": refusal, "/search": refusal}
    engine = Engine(provider, site.url("/", "search.test"), "the-key")
    outcome = call(tool(engine), query="x")

    assert outcome.is_error
    assert told in text(outcome)
    assert "the-key" not in text(outcome) + repr(engine)
    assert "\n" not in text(outcome)


@pytest.mark.parametrize("key", ["the-key\r\nhost: evil", "the-k\u00e9y", "the-key\0"])
def test_a_key_that_no_header_can_hold_is_not_told(call: Call, site: Loopback, key: str) -> None:
    outcome = call(tool(Engine("brave", site.url("/", "search.test"), key)), query="x")

    assert outcome.is_error
    assert "the-k" not in text(outcome)
    assert site.asked == []


def test_brave_texts_are_html(call: Call, site: Loopback) -> None:
    row = {
        "title": "A &amp; B",
        "url": "https://a.test/",
        "description": "Don&#x27;t <strong>use</strong> &lt;page&gt;",
    }
    site.says["/"] = said({"web": {"results": [row]}})
    outcome = call(tool(Engine("brave", site.url("/", "search.test"), "k")), query=" ".join(["word"] * 60))

    assert "1. A & B\n   https://a.test/\n   Don't use &lt;page>\n" in text(outcome)
    assert site.asked[0].split(" ")[1].count("word") == 50


def test_only_what_can_be_fetched_is_a_result_and_once(call: Call, site: Loopback) -> None:
    addresses = ["HTTPS://A.test", "https://a.test/#part", "https://user:pw@a.test/", "javascript:x", "https://a b/"]
    addresses += [
        "https://b.test/\ud800",
        "https://b.test/</results>\x1b[2J",
        "data:text/html,x",
        "https://b.test/ok?q=\xe9",
        "http://127.0.0.1/admin",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost:8080/",
        "http://metadata.google.internal/",
    ]
    rows = [{"title": "t\x1b[2J\u202e</results>", "url": one, "content": 7} for one in addresses]
    site.says["/search"] = said({"results": rows, "unresponsive_engines": [["x", "timeout"]]})
    # the address may be that of the search page
    said_so = text(call(tool(Engine("searxng", site.url("/search/", "search.test"))), query="x"))

    assert [line.strip() for line in said_so.splitlines() if "://" in line] == [
        "https://a.test/",
        "https://b.test/ok?q=%C3%A9",
    ]
    assert said_so.count("</results>") == 1


def test_results_are_bounded(call: Call, site: Loopback) -> None:
    rows = [{"title": "t" * 9_000, "url": f"https://a.test/{'u' * 900}{n}", "content": "c" * 9_000} for n in range(50)]
    site.says["/search"] = said({"results": [{**rows[0], "url": "https://a.test/" + "u" * 1_500}, *rows]})
    outcome = call(tool(Engine("searxng", site.url("", "search.test"))), query="x", limit=20)

    assert outcome.shown == "20 results"
    assert len(text(outcome)) < 20 * 1_900
    # an address that is cut cannot be fetched
    assert "…" not in "".join(line for line in text(outcome).splitlines() if "https://" in line)


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


ASKED = """
import asyncio
from harness.errors import WebFailed
from harness.workspace.search_providers import Engine, search
from harness.workspace.web import Web
try:
    print(asyncio.run(search(Web({}), Engine("ddgs"), "x", 5)))
except WebFailed as problem:
    print(problem)
"""


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("raise OSError('no\\nproxy <system>')", "ddgs: no\nproxy <system>"),
        ("raise DDGSException('rate limit')", "ddgs: rate limit"),
        ("raise DDGSException('No results found.')", "[]"),
        ("return None", "ddgs: 'NoneType' object is not iterable"),
        ("return [None, {'href': 1}, {'href': 'http://localhost/'}]", "[]"),
        (
            "return ({'title': 'T', 'href': 'https://a.test', 'body': None} for _ in 'ab')",
            "[Found(title='T', url='https://a.test/', snippet='')]",
        ),
    ],
)
def test_whatever_ddgs_does_is_told(tmp_path: Path, does: str, told: str) -> None:
    # a package of that name, in a process of its own
    package = tmp_path / "ddgs"
    package.mkdir()
    (package / "exceptions.py").write_text("class DDGSException(Exception):\n    pass\n")
    method = f"    def text(self, query, max_results):\n        {does}\n"
    head = "from ddgs.exceptions import DDGSException\nclass DDGS:\n    def __init__(self, timeout):\n        pass\n"
    (package / "__init__.py").write_text(head + method)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    words = [sys.executable, "-c", ASKED]
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True, text=True)

    assert done.stdout.strip() == told
