"""The web tools in whole sessions: permission, a search provider, the cache across sessions, its audit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.caches.store import Store
from harness.caches.tool_outputs import BOUNDS, Policy, ToolOutputs
from harness.conversation.canonical import Json
from harness.tools import web_fetch
from harness.tools.output import Spill
from tests.speaker import Script, Speaker
from tests.tools.loopback import Loopback, answer, web


@pytest.fixture
def site() -> Iterator[Loopback]:
    with Loopback().running() as server:
        yield server


def call(name: str, **arguments: Any) -> list[Any]:
    return [{"call": name, "input": arguments}]


def result(person: Speaker) -> tuple[str, dict[str, Json]]:
    """The last call's result as the model got it, and its facts."""
    done = list(person.records("tool_done"))[-1].data
    parts = done["result"]["content"]
    return "".join(part["text"] for part in parts), done["facts"]


def set_up(person: Speaker, config: str) -> None:
    folder = person.project.parent / "home" / ".config" / "harness"
    (folder / "config.toml").write_text(config)
    person.begin_anew()


def test_a_fetch_needs_a_rule_and_a_public_address(speaker: Callable[..., Speaker], site: Loopback) -> None:
    site.says["/"] = answer(b"inside", "text/plain")
    asks = call("web_fetch", url=site.url("/", "127.0.0.1"))
    elsewhere = call("web_fetch", url="http://docs.test:8080/")
    person = speaker(Script(elsewhere, "No.", asks, "No.", asks, "No."))
    person.say("Look.")
    assert "--allow 'web_fetch(docs.test:8080)'" in result(person)[0]
    # no rule helps here, so none is proposed
    person.say("Look there.")
    assert "--allow" not in result(person)[0]
    assert "not on the public internet" in result(person)[0]
    person.come_back(allow=(f"web_fetch(127.0.0.1:{site.port})",))
    person.say("Again.")
    assert "not on the public internet" in result(person)[0]
    assert site.asked == []


def test_what_is_cached_needs_its_rule_too(speaker: Callable[..., Speaker], site: Loopback, tmp_path: Path) -> None:
    """Nothing else keeps it back: nobody is asked for it."""
    site.says["/"] = answer(b"<p>the words of the page", "text/html")
    asks = call("web_fetch", url=site.url("/"))
    person = speaker(Script(asks, "No.", asks, "So."))
    kept = Store(person.app.state / "caches" / "tool_outputs", person.seam, BOUNDS)
    fetch = web_fetch.make(web(), Spill(tmp_path), ToolOutputs(Policy(), lambda: kept, person.seam))

    async def fetched() -> None:
        await fetch.run({"url": site.url("/")})

    asyncio.run(fetched())
    person.say("Look.")
    refused, facts = result(person)

    assert "words of the page" not in refused
    assert "cache" not in facts
    person.come_back(allow=(f"web_fetch(site.test:{site.port})",))
    person.say("Look again.")
    served, facts = result(person)
    assert "the words of the page" in served
    assert facts["cache"]["how"] == "hit"
    assert len(site.asked) == 1


@pytest.mark.moves_prefix("each session begins anew, with the same words")
def test_what_one_session_asked_another_is_served(
    speaker: Callable[..., Speaker], site: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"results": [{"title": "T", "url": "https://a.test/", "content": "c"}]}
    site.says["/search"] = answer(json.dumps(rows).encode(), "application/json")
    person = speaker(Script(call("web_search", query="how"), "So."))
    set_up(person, f'[web]\nsearch = "searxng"\nsearch_url = "{site.url("", "127.0.0.1")}"\n')
    person.say("How?")
    first, facts = result(person)
    origin = person.id
    origin_call = next(person.records("tool_done")).data["result"]["call_id"]
    person.simulator.clock.advance(600)
    person.begin_anew()
    person.say("How?")
    second, served = result(person)

    assert facts["cache"]["how"] == "stored"
    assert second == f"[from the cache: 10 min old; fresh: true asks again]\n{first}"
    assert served["cache"]["how"] == "hit"
    assert served["cache"]["origin"]["session"] == origin
    assert served["cache"]["origin"]["call"] == origin_call
    assert len(site.asked) == 1
    # the person wants everything anew
    person.options = person.options.__class__(cwd=person.project, model="claude-opus-4-8", fresh=True)
    person.begin_anew()
    person.say("How?")
    assert result(person)[0] == first
    assert len(site.asked) == 2

    person.leave()
    capsys.readouterr()
    assert cli.run(["cache", "audit", "--json"], person.seam) == 0
    audit = json.loads(capsys.readouterr().out)
    assert sorted(row["how"] for row in audit["uses"]) == ["hit", "stored", "stored"]
    hit = next(row for row in audit["uses"] if row["how"] == "hit")
    assert (hit["origin_session"], hit["origin_call"], hit["what"]) == (origin, origin_call, "web_search how")
    assert (hit["cache"], hit["scope"]) == ("tool_outputs", "user")
    assert cli.run(["cache", "audit"], person.seam) == 0
    assert "tool_outputs: 1 served, 2 asked for\n" in capsys.readouterr().out
    assert cli.run(["cache", "clear", "--cache", "tool_outputs"], person.seam) == 0
    assert capsys.readouterr().out.endswith("bytes; 0 left\n")


def test_no_provider_is_one_line_for_the_person(speaker: Callable[..., Speaker]) -> None:
    person = speaker(Script(call("web_search", query="how"), "So."))
    person.say("How?")

    assert "[web] search" in result(person)[0]


def test_a_key_that_is_missing_is_said(speaker: Callable[..., Speaker]) -> None:
    person = speaker(Script(call("web_search", query="how"), "So."))
    set_up(person, '[web]\nsearch = "brave"\nsearch_key_env = "MY_KEY"\n')
    person.say("How?")

    assert "MY_KEY" in result(person)[0]
