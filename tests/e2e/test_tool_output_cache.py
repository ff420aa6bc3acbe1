"""Cached tool outputs in whole sessions: files, sub-agents, scopes, and what is told of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.app import App
from harness.conversation.events import Question
from harness.documents import cache as documents
from harness.options import Options
from harness.providers.catalog import Catalog
from harness.replay.verify import verify
from harness.simulator import Simulator
from tests.delegating import FRESH, Brain, children, records, skill, tool
from tests.delegating import call as delegated
from tests.e2e.entry import ShiftedSeam
from tests.e2e.lab import Lab, Script, call
from tests.speaker import Speaker
from tests.tools.loopback import Loopback, answer

Start = Callable[..., Simulator]
Begin = Callable[..., Speaker]
Json = dict[str, Any]

ASK = ("-p", "look", "--permission-mode", "yolo")
LARGE = "".join(f"line {number} of it\n" for number in range(160_000))
READ = call("read", path="large.txt", offset=90_000, limit=2)
GREP = call("grep", pattern="needle")


@pytest.fixture
def filed(lab: Lab) -> Lab:
    """A project with files, and a person who lets them be cached."""
    (lab.project / "large.txt").write_text(LARGE)
    (lab.project / "a.py").write_text("needle = 1\n")
    lab.config('[caches.tools]\nread = "1d"\ngrep = "1h"\n')
    return lab


def results(lab: Lab) -> list[tuple[str, Json]]:
    """What the calls of the newest session gave the model, and their facts."""
    found = [record.data for record in lab.records() if record.kind == "tool_done"]
    return [("".join(part["text"] for part in data["result"]["content"]), data["facts"]) for data in found]


def audit(lab: Lab, *ids: str) -> list[Json]:
    uses: list[Json] = json.loads(lab.run("cache", "audit", "--json", *ids).out)["uses"]
    return uses


def entries(lab: Lab, *flags: str) -> list[Json]:
    found: list[Json] = json.loads(lab.run("cache", "list", "--json", *flags).out)["entries"]
    return found


def test_files_are_served_to_another_session_and_said_to_be(filed: Lab, vendor: Start) -> None:
    edit = call("edit", path="large.txt", old="line 89999 of", new="LINE 89999 of")
    vendor(Script([READ], [GREP], "Seen."))
    assert filed.run(*ASK, offset=10).code == 0
    first = results(filed)
    vendor(Script([READ], [GREP], [edit], [READ], [GREP], "Seen."))
    assert filed.run(*ASK, offset=610).code == 0
    second = results(filed)

    for (text, facts), (served, again) in zip(first, second, strict=False):
        assert served == f"[from the cache: 10 min old; unchanged since]\n{text}"
        assert facts.get("seen") == again.get("seen")
        assert (again["cache"]["how"], again["cache"]["origin"]["session"]) == ("hit", filed.sessions()[0].name)
    # what was served counts as read; and what was edited is not served again
    assert "LINE 89999 of it" in second[2][0]
    assert [facts["cache"]["how"] for _, facts in second[3:]] == ["stored", "stored"]
    assert "LINE 89999 of it" in second[3][0]
    uses = audit(filed)
    assert [use["how"] for use in uses] == ["stored", "stored", "hit", "hit", "stored", "stored"]
    assert uses[2]["what"] == "read large.txt from line 90000"
    assert (uses[2]["origin_session"], uses[2]["origin_call"]) == (uses[0]["session"], uses[0]["call"])
    assert uses[4]["cause"] == "nothing is cached of it as it is now"
    reports = [verify(folder, Catalog.load()) for folder in filed.sessions()]
    assert [report.found for report in reports if not report.equal] == []
    executed = filed.run("replay", filed.sessions()[-1].name, "--execute")
    assert "5 calls: 5 same" in executed.out, executed.out


def test_what_a_command_writes_is_seen(filed: Lab, vendor: Start) -> None:
    command = call("shell", command="printf 'needle = 2\\n' > b.py; sed -i s/needle/noodle/ a.py")
    vendor(Script([GREP], [command], [GREP], "Seen."))
    assert filed.run(*ASK, offset=10).code == 0
    (before, _), _, (after, facts) = results(filed)

    assert "a.py" in before
    assert facts["cache"]["how"] == "stored"
    assert "b.py" in after
    assert "a.py" not in after


def test_what_changed_just_now_is_not_kept(filed: Lab, vendor: Start) -> None:
    vendor(Script([GREP], [GREP], "Seen."))
    (filed.project / "a.py").write_text("needle = 3\n")
    assert filed.run(*ASK, offset=0).code == 0
    first = audit(filed)[0]
    assert (first["how"], first["problem"]) == ("unkept", "it had changed a moment before")


async def undone(lab: Lab) -> None:
    """As the person does it, with /undo."""
    app = App(Options(lab.project, continue_last=True), ShiftedSeam(20, lab.environment(), lab.project), nobody)
    try:
        assert await app.checkpoints.undo(app.session.history.turns()[0].seq)
    finally:
        await app.close()


async def nobody(_question: Question) -> None:
    """Nobody is there."""


@pytest.mark.parametrize("undo", ["by the model", "by the person"])
def test_what_is_put_back_drops_what_was_found(undo: str, filed: Lab, vendor: Start) -> None:
    made = call("write", path="c.py", content="needle = 4\n")
    vendor(Script([made], [GREP], "Made."), branches=True)
    assert filed.run(*ASK, offset=10).code == 0
    assert "c.py" in results(filed)[-1][0]
    assert [one["what"] for one in entries(filed)] == ["grep needle in ."]
    if undo == "by the model":
        vendor(Script(*["."] * 3, [call("checkpoint", action="undo")], "Undone."), branches=True)
        assert filed.run("-c", *ASK, offset=20).code == 0
    else:
        asyncio.run(undone(filed))

    assert not (filed.project / "c.py").exists()
    assert entries(filed) == []


# --------------------------------------------------------------------------------------- sub-agents and scopes


@pytest.fixture
def site() -> Iterator[Loopback]:
    rows = {"results": [{"title": "T", "url": "https://a.test/", "content": "c"}]}
    with Loopback().running() as server:
        server.says["/search"] = answer(json.dumps(rows).encode(), "application/json")
        yield server


SEARCH = tool("web_search", query="how")
FRONT = FRESH.replace("grep", "grep web_search")


def begin(speaker: Begin, site: Loopback, scope: str, caller: list[Any], tasks: dict[str, Any]) -> Speaker:
    """A session whose sub-agents may search."""
    person = speaker(Brain(caller, tasks), minimum=1)
    skill(person.project, "look", FRONT)
    settings = person.project.parent / "home" / ".config" / "harness" / "config.toml"
    settings.write_text(
        f'[web]\nsearch = "searxng"\nsearch_url = "{site.url("", "127.0.0.1")}"\n[caches]\ntool_outputs = "{scope}"\n'
    )
    person.begin_anew()
    return person


def cache_facts(folder: Path) -> list[Json]:
    found = [record.data["facts"].get("cache") for record in records(folder, "tool_done")]
    return [facts for facts in found if facts]


@pytest.mark.branches(reason="a sub-agent begins anew", times=1)
@pytest.mark.parametrize("scope", ["run", "session", "user"])
def test_what_a_sub_agent_got_is_served_to_its_caller_as_the_sub_agents(
    scope: str, speaker: Begin, site: Loopback
) -> None:
    person = begin(
        speaker, site, scope, [[delegated("look", "alpha")], [SEARCH], "So."], {"alpha": [[SEARCH], "Found."]}
    )
    person.say("How?")
    (child,) = children(person)
    (stored,), (served,) = cache_facts(child), cache_facts(person.folder)

    assert len(site.asked) == 1
    assert (stored["how"], served["how"]) == ("stored", "hit")
    made = records(child, "tool_done")[0].data["result"]["call_id"]
    assert (served["origin"]["session"], served["origin"]["call"]) == (child.name, made)
    assert served["scope"] == scope


@pytest.mark.branches(reason="sub-agents begin anew", times=3)
def test_a_run_leaves_nothing_behind(speaker: Begin, site: Loopback) -> None:
    person = begin(
        speaker, site, "run", [[SEARCH], [delegated("look", "alpha")], "So."], {"alpha": [[SEARCH], "Found."]}
    )
    person.say("How?")
    folder = person.app._caches._scopes.folder("tool_outputs", "run")
    kept = list(folder.glob("??/*.json"))
    (child,) = children(person)
    (served,) = cache_facts(child)
    person.begin_anew()
    person.say("How?")

    assert len(kept) == 1
    assert (served["how"], served["origin"]["session"]) == ("hit", child.parents[1].name)
    assert not folder.parent.exists()
    assert len(site.asked) == 2


def test_beside_the_response_cache_nothing_is_served_that_tells_its_age(speaker: Begin, site: Loopback) -> None:
    """It would be in every later request, and none of them the same again."""
    person = begin(speaker, site, "user", [[SEARCH], [SEARCH], "So."], {})
    settings = person.project.parent / "home" / ".config" / "harness" / "config.toml"
    settings.write_text(settings.read_text().replace('tool_outputs = "user"', 'responses = "user"'))
    for _ in range(2):
        person.begin_anew()
        person.say("How?")

    assert len(site.asked) == 4
    assert len(person.simulator.requests) == 3
    assert person.verdicts() == ["response cache"] * 3


def test_entries_of_a_session_are_listed_with_it(filed: Lab, vendor: Start) -> None:
    filed.config('[caches]\ntool_outputs = "session"\n[caches.tools]\ngrep = "1h"\n')
    vendor(Script([GREP], "Seen."))
    assert filed.run(*ASK, offset=10).code == 0
    (session,) = filed.sessions()

    (entry,) = entries(filed)
    assert (entry["scope"], entry["session"]) == ("session", session.name)
    assert len(list((session / "caches" / "tool_outputs").glob("??/*.json"))) == 1
    assert entries(filed, "--scope", "user") == []
    assert "tool_outputs: 1 file removed" in filed.run("cache", "prune", "--older-than", "1d", offset=90_000).out


def test_files_are_never_in_a_folder_that_others_share(filed: Lab, vendor: Start) -> None:
    shared = filed.folder / "shared"
    filed.config(f'[caches]\ntool_outputs = "global"\nfolder = "{shared}"\n[caches.tools]\ngrep = "1h"\n')
    vendor(Script([GREP], [GREP], "Seen."))
    assert filed.run(*ASK, offset=10).code == 0
    assert audit(filed) == []
    assert not shared.exists()


def test_conversions_are_told_with_the_rest(lab: Lab) -> None:
    folder = lab.home / ".cache" / "harness" / "documents"
    folder.mkdir(parents=True)
    about = {"key": "k" * 32, "kind": "PDF", "source": "/x/report.pdf", "script": "pdf.py"}
    for at, event, more in ((100, "converted", {}), (160, "hit", {}), (170, "failed", {"problem": "it is damaged"})):
        documents.log(folder, {"time": documents.stamp(at), "event": event, **about, **more})
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"event": "hit"}\n{"time": 5, "event": "hit", "key": 1}\nhalf a li')

    uses = audit(lab)
    assert [(use["at"], use["how"], use["age"], use["problem"]) for use in uses] == [
        (100.0, "stored", None, ""),
        (160.0, "hit", 60.0, ""),
        (170.0, "unkept", None, "it is damaged"),
    ]
    assert {(use["cache"], use["what"], use["session"]) for use in uses} == {("documents", "PDF /x/report.pdf", "")}
    assert "documents: 1 served, 2 asked for, 1 not kept" in lab.run("cache", "audit").out
