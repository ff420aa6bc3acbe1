"""The check that guards every other test can itself fail."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.simulator import Simulator
from tests.prefix_check import Branched, Moved, Watch, branches, moves, verdicts_of_ours

Start = Callable[..., Simulator]


def send(simulator: Simulator, *texts: str, system: str = "You are a test.", side: bool = False) -> None:
    """Send a conversation of user texts, one message each."""
    body = {
        "model": "claude-opus-4-8",
        "max_tokens": 10,
        "system": [{"type": "text", "text": system}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": text}]} for text in texts],
    }
    headers = {"x-api-key": "k", "anthropic-version": "2026-10-21", "content-type": "application/json"}
    if side:
        headers["x-sim-kind"] = "side"
    request = urllib.request.Request(f"{simulator.url}/v1/messages", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as response:
        response.read()


def test_requests_that_extend_one_another_pass(simulator: Start) -> None:
    vendor = simulator(lambda _: "ok")
    send(vendor, "one")
    send(vendor, "one", "two")
    send(vendor, "one", "two", "aside", side=True)
    send(vendor, "one", "two", "three")

    assert list(moves(vendor.requests)) == []


@pytest.mark.moves_prefix(reason="the check is what is tested", times=1)
def test_a_moved_byte_is_found_and_shown(simulator: Start) -> None:
    vendor = simulator(lambda _: "ok")
    send(vendor, "one")
    send(vendor, "onE", "two")

    (moved,) = moves(vendor.requests)
    assert (moved.before, moved.after, moved.block) == (0, 1, 1)
    assert b"onE" in moved.became
    assert "onE" in str(moved)


@pytest.mark.moves_prefix(reason="the check is what is tested", times=1)
@pytest.mark.parametrize("change", ["system", "shorter", "joined"])
def test_every_way_to_move_is_found(simulator: Start, change: str) -> None:
    vendor = simulator(lambda _: "ok")
    send(vendor, "one", "two")
    match change:
        case "system":
            send(vendor, "one", "two", "three", system="You are another test.")
        case "shorter":
            send(vendor, "one")
        case "joined":
            body: dict[str, Any] = json.loads(vendor.requests[0].body)
            body["messages"] = [{"role": "user", "content": [m["content"][0] for m in body["messages"]]}]
            headers = {"x-api-key": "k", "anthropic-version": "2026-10-21", "content-type": "application/json"}
            url = f"{vendor.url}/v1/messages"
            urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)).close()
        case _:
            pytest.fail(change)

    assert len(list(moves(vendor.requests))) == 1


def say(simulator: Simulator, *texts: str) -> None:
    """Send a conversation in which every second text is the model's."""
    body = {
        "model": "claude-opus-4-8",
        "max_tokens": 10,
        "system": [{"type": "text", "text": "You are a test."}],
        "messages": [
            {"role": ("user", "assistant")[at % 2], "content": [{"type": "text", "text": text}]}
            for at, text in enumerate(texts)
        ],
    }
    headers = {"x-api-key": "k", "anthropic-version": "2026-10-21", "content-type": "application/json"}
    url = f"{simulator.url}/v1/messages"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)).close()


@pytest.mark.branches(reason="the check is what is tested", times=2)
def test_branches_are_told_apart(simulator: Start) -> None:
    vendor = simulator(lambda _: "ok")
    say(vendor, "one")
    say(vendor, "one", "ok", "two")
    say(vendor, "one", "ok", "a fork")
    say(vendor, "one", "ok", "two", "ok", "three")
    say(vendor, "anew")
    say(vendor, "one", "ok", "a fork", "ok", "on")

    found = list(branches(vendor.requests))
    assert [(one.base, one.after) for one in found if isinstance(one, Branched)] == [(0, 2), (0, 4)]
    assert len(found) == 2
    assert Watch(branches=1, watched=[vendor]).problems() != []
    assert Watch(branches=3, watched=[vendor]).problems() != []


@pytest.mark.moves_prefix(reason="the check is what is tested", times=1)
@pytest.mark.parametrize(
    "texts",
    [("one", "ok", "twO", "ok", "three", "ok", "four"), ("onE", "ok", "two"), ("one", "oK", "two", "ok", "three")],
    ids=["in the middle", "at the beginning", "in an answer"],
)
def test_what_moved_is_no_branch(simulator: Start, texts: tuple[str, ...]) -> None:
    vendor = simulator(lambda _: "ok")
    say(vendor, "one")
    say(vendor, "one", "ok", "two")
    say(vendor, "one", "ok", "two", "ok", "three")
    say(vendor, *texts)

    assert [type(one) for one in branches(vendor.requests)] == [Moved]
    assert "does not extend" in Watch(branches=1, watched=[vendor]).problems()[0]


def test_the_watch_itself_reports_a_move(simulator: Start, prefix_watch: Watch) -> None:
    prefix_watch.reason, prefix_watch.refusals = "the watch is what is tested", "the same"
    vendor = simulator(lambda _: "ok")
    send(vendor, "one")
    send(vendor, "two")
    strict = Watch()
    strict.add(vendor)

    assert len(strict.problems()) == 1
    assert "does not extend" in strict.problems()[0]
    assert Watch(reason="said so", watched=[vendor]).problems() == []
    assert Watch(reason="said so", times=2, watched=[vendor]).problems() != []


def test_the_watch_reports_a_refusal(simulator: Start, prefix_watch: Watch) -> None:
    prefix_watch.refusals = "the watch is what is tested"
    vendor = simulator(lambda _: "ok")
    with pytest.raises(urllib.error.HTTPError):
        send(vendor, "")

    assert "refused: 400" in Watch(watched=[vendor]).problems()[0]


def test_a_promised_move_that_does_not_come_is_reported(simulator: Start) -> None:
    vendor = simulator(lambda _: "ok")

    assert Watch(reason="it moves", watched=[vendor]).problems() != []


def test_a_journaled_verdict_of_ours_is_found(tmp_path: Path, prefix_watch: Watch) -> None:
    prefix_watch.folders = ()
    folder = tmp_path / "a-session"
    folder.mkdir()
    verdict = {"kind": "ours", "cause": "a byte moved"}
    line = json.dumps({"kind": "response", "data": {"verdict": verdict}})
    (folder / "journal.jsonl").write_text(f"{line}\n")

    assert verdicts_of_ours([tmp_path]) == ["a-session: a byte moved"]
    assert Watch(folders=[tmp_path]).problems() == ["a-session: a byte moved"]
