"""One session that has all of it is proved: cached responses and outputs, pages, sub-agents, ways back, a fork."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.agent import rewind
from harness.caches.store import Store
from harness.caches.tool_outputs import BOUNDS, Policy, ToolOutputs
from harness.providers.catalog import Catalog
from harness.replay.verify import verify
from harness.simulator import Clock, Rules, Simulator, said
from harness.tools import web_fetch
from harness.tools.base import Tool
from harness.tools.output import Spill
from tests.delegating import FORK, FRESH, call, children, skill, tool
from tests.replay.eventful import SUMMARY, everything
from tests.speaker import Speaker
from tests.tools.loopback import Loopback, answer, web

ANSWERS: dict[str, Any] = {"Delegate": [call("look", "alpha"), call("part", "beta")]}
"""By the words that were said last; whatever else was said, it is over."""


def brain(request: dict[str, Any]) -> Any:
    """The next answer: the page whose address the words end in, or one of those."""
    words = said(request)[-1].texts[-1] if said(request)[-1].texts else ""
    if "[Side request" in words:
        return SUMMARY
    if words.startswith("Fetch"):
        return [tool("web_fetch", url=words.split()[-1])]
    return next((one for begin, one in ANSWERS.items() if words.startswith(begin)), "Done.")


async def _fetched(fetch: Tool, page: str) -> None:
    await fetch.run({"url": page})


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Speaker]:
    """At a vendor that the watch over prefixes does not see: what moves one here is journaled, and proved."""
    server = Simulator(brain, Rules(minimum=1), clock=Clock(ticking=False))
    server.start()
    speaker = Speaker(server, tmp_path)
    yield speaker
    speaker.close()
    server.stop()


def test_everything_together_is_proved(person: Speaker, tmp_path: Path) -> None:
    with Loopback().running() as site:
        site.says["/"] = answer(b"<p>the words of the page", "text/html")
        page = site.url("/")
        for name, how in (("look", FORK), ("part", FRESH)):
            skill(person.project, name, how)
        kept = Store(person.app.state / "caches" / "tool_outputs", person.seam, BOUNDS)
        fetch = web_fetch.make(web(), Spill(tmp_path), ToolOutputs(Policy(), lambda: kept, person.seam))
        person._runner.run(_fetched(fetch, page))
        rule = f"web_fetch(site.test:{site.port})"
        person.options = replace(person.options, response_cache="user", permission_mode="yolo", allow=(rule,))
        for _ in range(2):
            person.begin_anew()
            person.say("Begin.")
        person.come_back(response_cache="off")
        for words in (f"Fetch {page}", "Delegate.", "Keep this: " + "so much of it " * 8_000, "Now."):
            person.say(words)
        first = rewind.turns(person.app.session)[0]
        everything(person, person.app.compaction.compactor.run("asked for"))
        person.say("Go on.")
        person.app.switch("openai/gpt-6.1-sol")
        person.say(f"Fetch elsewhere {page}")
        rewind.undo(person.app.session)
        rewind.redo(person.app.session)
        person.app.switch("claude-opus-4-8")
        rewind.rewind(person.app.session, first.seq)
        person.say(f"Fetch again {page}")
        source = person.folder
        cached = [one.data["facts"]["cache"]["how"] for one in person.records("tool_done") if one.data["facts"]]
        served = ["cached" in one.data for one in person.records("response")]
        agents = children(person)
        person.come_back(fork=True)
        person.say(f"Fetch in a fork {page}")

    assert cached == ["hit"] * 3
    assert served.count(True) == 1
    assert len(agents) == 2
    assert len(site.asked) == 1
    for folder in (source, person.folder, *agents):
        report = verify(folder, Catalog.load())
        assert report.equal, (folder, report.found, report.damage)
        assert report.requests == report.bodies > 0
        assert report.agents_proved == report.agents
