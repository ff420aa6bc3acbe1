"""Cached responses from the command line: two runs, what they say of themselves, and what is listed and removed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.caches.entry import opened, sealed
from harness.caches.response_key import FORMAT
from harness.errors import ConfigError
from harness.providers.catalog import Catalog
from harness.replay.verify import verify
from harness.simulator import Simulator
from tests.e2e.lab import Forks, Lab, Ran, Script, call, simulator_process
from tests.e2e.test_owners import beside
from tests.waiting import wait_for

Start = Callable[..., Simulator]
TASK = ("-p", "look", "--response-cache", "user")
SCRIPT = Script([{"text": "I look."}, call("read", path="notes.txt")], "It says: a note.")


@pytest.fixture
def noted(lab: Lab) -> Lab:
    """A project with a note."""
    (lab.project / "notes.txt").write_text("a note\n")
    return lab


def said(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.out.splitlines()]


def files(lab: Lab) -> list[Path]:
    return sorted((lab.state / "harness" / "caches" / "responses").glob("??/*.json"))


def test_two_runs_and_what_they_say(noted: Lab, vendor: Start) -> None:
    sim = vendor(SCRIPT)
    first = noted.run(*TASK)
    second = noted.run(*TASK, "--output-format", "stream-json")

    assert (first.code, second.code) == (0, 0)
    assert len(sim.requests) == 2
    events = said(second)
    responses = [event for event in events if event["type"] == "response"]
    assert [event["verdict"] for event in responses] == ["response cache"] * 2
    assert {event["response_cache"]["session"] for event in responses} == {first.session}
    assert [event["cost_usd"] for event in responses] == [0.0, 0.0]
    result = events[-1]
    assert result["answer"] == first.out.strip()
    assert (result["totals"]["response_cache_hits"], result["totals"]["cost_usd"]) == (2, 0.0)
    assert "2 requests, 2 from the response cache" in second.err

    table = noted.run("cache").out
    assert table.count("response cache") == 3
    assert f"of session {first.session}" in table
    assert "2 responses served, $" in table
    rows = json.loads(noted.run("cache", "--json").out)["requests"]
    assert [row["response_cache"]["session"] for row in rows] == [first.session] * 2
    misses = json.loads(noted.run("cache", first.session, "--json").out)["requests"]
    assert misses[0]["response_cache_miss"] == "nothing is cached yet"
    assert "message 3 (answer): the nearest cached request ends before it" in misses[1]["response_cache_miss"]


def test_what_was_served_is_proved_like_everything_else(noted: Lab, vendor: Start) -> None:
    vendor(SCRIPT)
    for _ in range(2):
        assert noted.run(*TASK).code == 0
    # one more turn, asked live, behind cached responses
    assert noted.run("-c", "-p", "and now?").code == 0
    reports = [verify(folder, Catalog.load()) for folder in noted.sessions()]
    assert [(report.found, report.damage) for report in reports if not report.equal] == []
    assert sorted(report.requests for report in reports) == [2, 3]


def test_what_was_served_is_listed(noted: Lab, vendor: Start) -> None:
    vendor(SCRIPT)
    first, second = noted.run(*TASK), noted.run(*TASK)

    audit = json.loads(noted.run("cache", "audit", "--json").out)
    stored, served = audit["uses"][:2], audit["uses"][2:]
    assert {(one["cache"], one["scope"], one["what"]) for one in audit["uses"]} == {
        ("responses", "user", "anthropic/claude-sonnet-5-5")
    }
    assert [(one["how"], one["session"], one["origin_session"]) for one in stored] == [
        ("stored", first.session, "")
    ] * 2
    assert [(one["how"], one["session"], one["origin_session"], one["origin_call"]) for one in served] == [
        ("hit", second.session, first.session, one["call"]) for one in stored
    ]
    assert [one["key"] for one in served] == [one["key"] for one in stored]
    assert stored[0]["cause"] == "nothing is cached yet"
    assert all(one["age"] >= 0 and one["tokens"] > 0 and one["usd"] > 0 for one in served)
    totals = audit["totals"]["responses"]
    assert [totals[how] for how in ("hit", "stale", "stored", "unkept")] == [2, 0, 2, 0]
    assert totals["usd"] == pytest.approx(sum(one["usd"] for one in served))
    table = noted.run("cache", "audit").out
    assert f"{first.session}:" in table
    assert "responses: 2 served, 2 asked for, " in table
    assert "responses: 0 served, 2 asked for" in noted.run("cache", "audit", first.session).out


def test_a_fork_is_not_told_its_parents_uses(noted: Lab, vendor: Start) -> None:
    vendor(SCRIPT, branches=True)
    first = noted.run(*TASK).session
    fork = noted.run("-c", "--fork", "-p", "and?", "--response-cache", "user").session

    uses = json.loads(noted.run("cache", "audit", "--json").out)["uses"]
    assert [use["session"] for use in uses] == [first, first, fork]


def test_a_session_that_is_named_twice_is_told_once(noted: Lab, vendor: Start) -> None:
    vendor(SCRIPT)
    first = noted.run(*TASK).session
    assert len(json.loads(noted.run("cache", "audit", first, first, "--json").out)["uses"]) == 2


@pytest.mark.parametrize("what", ["folder", "pipe", "device", "nothing that can be read"])
def test_a_journal_that_cannot_be_read_hides_no_other(what: str, noted: Lab, vendor: Start) -> None:
    vendor(SCRIPT)
    first, second = noted.run(*TASK), noted.run(*TASK)
    journal = noted.sessions()[0] / "journal.jsonl"
    journal.unlink()
    match what:
        case "folder":
            journal.mkdir()
        case "pipe":
            os.mkfifo(journal)
        case "device":
            journal.symlink_to("/dev/zero")
        case _:
            # a loop of links cannot be opened by anybody, root neither
            journal.symlink_to(journal)

    told = json.loads(noted.run("cache", "audit", "--json").out)
    assert {use["session"] for use in told["uses"]} == {second.session}
    assert told["unread"] == [first.session]
    assert f"! the journal of {first.session} cannot be read" in noted.run("cache", "audit").out
    # the journals of a test are looked at when it has ended
    shutil.rmtree(journal.parent)


def test_damage_of_a_journal_is_told(noted: Lab, vendor: Start) -> None:
    vendor(SCRIPT)
    noted.run(*TASK)
    journal = noted.sessions()[0] / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if b'"uncached"' in line)
    lines[at] = lines[at].replace(b'"uncached"', b'"unc@ched"')
    journal.write_bytes(b"".join(lines))

    told = json.loads(noted.run("cache", "audit", "--json").out)
    assert (len(told["uses"]), told["unreadable"]) == (1, 1)
    assert "! 1 records cannot be read" in noted.run("cache", "audit").out


def test_nothing_is_listed_where_nothing_was_kept(noted: Lab, vendor: Start) -> None:
    vendor(SCRIPT)
    assert noted.run("-p", "look").code == 0

    assert files(noted) == []
    assert noted.run("cache", "audit").out == (
        "responses: 0 served, 0 asked for\ntool_outputs: 0 served, 0 asked for\ndocuments: 0 served, 0 asked for\n"
    )
    assert noted.run("cache", "list").out == "0 entries, 0 bytes\n"


def test_entries_are_listed_and_removed(noted: Lab, vendor: Start) -> None:
    vendor(SCRIPT, branches=True)
    first = noted.run(*TASK)
    files(noted)[0].write_text("{}")

    listed = noted.run("cache", "list").out
    assert f"{first.session}:" in listed
    assert "damaged: " in listed
    assert "2 entries, " in listed
    entries = json.loads(noted.run("cache", "list", "--json").out)["entries"]
    assert sorted(bool(entry["problem"]) for entry in entries) == [False, True]
    assert {(entry["cache"], entry["scope"]) for entry in entries} == {("responses", "user")}
    assert json.loads(noted.run("cache", "list", "--json", "--cache", "tool_outputs").out)["entries"] == []
    assert noted.run("cache", "prune", offset=3600).out.startswith("responses: 0 files removed, 0 bytes; 2 left\n")
    assert noted.run("cache", "prune", offset=31 * 86_400).out.startswith("responses: 2 files removed")
    assert noted.run(*TASK).code == 0
    assert noted.run("cache", "prune", "--older-than", "1h", offset=60).out.startswith("responses: 0 files removed")
    assert noted.run("cache", "prune", "--older-than", "1h", offset=7200).out.startswith("responses: 2 files removed")
    assert noted.run("cache", "prune", "--older-than", "soon").code == 2
    assert noted.run(*TASK).code == 0
    assert (
        noted.run("cache", "clear", "--cache", "tool_outputs").out == "tool_outputs: 0 files removed, 0 bytes; 0 left\n"
    )
    assert noted.run("cache", "clear", "--scope", "session").out.startswith("responses: 0 files removed")
    assert noted.run("cache", "clear").out.startswith("responses: 2 files removed")
    assert files(noted) == []


def test_an_entry_that_is_no_answer_is_asked_again(noted: Lab, vendor: Start) -> None:
    """One whose name, key and digest are right, but whose stream is cut: nothing of it is shown."""
    sim = vendor(SCRIPT, branches=True)
    noted.run(*TASK)
    for path in files(noted):
        data = opened(FORMAT, path.read_bytes())
        path.write_bytes(sealed(FORMAT, data | {"chunks": data["chunks"][: len(data["chunks"]) // 2]}))
    ran = noted.run(*TASK, "--output-format", "stream-json")

    assert ran.code == 0
    assert len(sim.requests) == 4
    causes = [event["response_cache"]["cause"] for event in said(ran) if event["type"] == "response"]
    assert len(causes) == 2
    assert all("is damaged: the kept stream ends before its answer does" in cause for cause in causes)


def test_a_folder_that_cannot_be_written_is_said_and_stops_nothing(noted: Lab, vendor: Start) -> None:
    sim = vendor(SCRIPT)
    (noted.state / "harness").mkdir(parents=True)
    (noted.state / "harness" / "caches").write_text("in the way")
    ran = noted.run(*TASK, "--output-format", "stream-json")

    assert ran.code == 0
    assert len(sim.requests) == 2
    caches = [event["response_cache"] for event in said(ran) if event["type"] == "response"]
    assert all("cannot write" in about["unkept"] for about in caches)
    uses = json.loads(noted.run("cache", "audit", "--json").out)["uses"]
    assert [(use["how"], "cannot write" in use["problem"]) for use in uses] == [("unkept", True)] * 2


def test_the_setting_and_the_shared_folder(noted: Lab, vendor: Start) -> None:
    sim = vendor(SCRIPT, branches=True)
    shared = noted.folder / "shared"
    noted.config(f'[caches]\nresponses = "global"\nfolder = "{shared}"\n')
    for _ in range(2):
        assert noted.run("-p", "look").code == 0

    assert len(sim.requests) == 2
    assert len(list(shared.glob("responses/??/*.json"))) == 2
    assert "2 entries, " in noted.run("cache", "list", "--scope", "global").out
    # what others share goes only where it is named
    assert noted.run("cache", "clear").code == 0
    assert "2 entries, " in noted.run("cache", "list", "--scope", "global").out
    assert noted.run("-p", "look", "--response-cache", "off").code == 0
    assert len(sim.requests) == 4


def test_global_without_a_folder_is_said_before_anything_is_there(noted: Lab, vendor: Start) -> None:
    vendor(SCRIPT)
    ran = noted.run("-p", "look", "--response-cache", "global")

    assert ran.code == 2
    assert "set folder under [caches]" in ran.err
    assert noted.sessions() == []


@pytest.mark.parametrize("line", ['responses = "user"', 'responses_ttl = "9d"', 'folder = "."', 'tool_outputs = "off"'])
def test_a_project_cannot_say_what_answers(line: str, noted: Lab, vendor: Start) -> None:
    vendor(SCRIPT)
    (noted.project / ".harness").mkdir()
    (noted.project / ".harness" / "config.toml").write_text(f"[caches]\n{line}\n")
    ran = noted.run("-p", "look")

    assert ran.code == ConfigError.exit_code
    assert ".harness/config.toml:2: a project file may not set `caches." in ran.err


def test_two_processes_at_once(noted: Lab, forked: Forks) -> None:
    """Both work at the same requests; a third asks nobody."""
    look = [{"text": "I look."}, call("read", path="notes.txt")]
    turns = [{"answer": look}, {"answer": [{"text": "It says: a note."}]}]
    with simulator_process(noted.folder, {"default": turns}) as sim:
        noted.url = sim.url
        both = [forked.start(beside(noted, name), *TASK, cwd=noted.project) for name in "ab"]
        assert [one.end().code for one in both] == [0, 0]
        before = len(sim.requests)
        third = forked.start(noted, *TASK).end()

        assert third.code == 0
        assert "2 from the response cache" in third.err
        assert len(sim.requests) == before


def test_runs_that_are_killed_leave_whole_entries_or_none(noted: Lab, forked: Forks) -> None:
    with simulator_process(noted.folder, {"default": [{"text": "one " * 2000}]}) as sim:
        noted.url = sim.url
        for number in range(6):
            run = forked.start(noted, "-p", f"task {number}", "--response-cache", "user")
            wait_for(lambda: len(sim.requests) > number)  # noqa: B023 - called here
            time.sleep(0.02 * number)
            run.signal(signal.SIGKILL)
            run.end()
    listed = json.loads(noted.run("cache", "list", "--json").out)["entries"]
    assert [entry["problem"] for entry in listed if entry["problem"]] == []
