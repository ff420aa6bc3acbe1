"""`harness doctor --probe` against routes that cache, and against gateways that spoil it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from harness.commands.doctor_verdict import Asked, judge
from harness.conversation.blocks import Usage
from harness.providers.catalog import find
from harness.simulator import Fault, Rules, Simulator
from tests.commands import gateway as ways
from tests.commands.gateway import Spoil, gateway
from tests.conftest import Start
from tests.e2e.lab import KEY, Forks, Lab, Ran, Script
from tests.ui.glass import Sitting


@pytest.fixture
def lab(tmp_path: Path, isolation: Path) -> Lab:
    made = Lab(tmp_path, isolation)
    made.project.mkdir()
    return made


def probe(lab: Lab, *more: str, **env: str | None) -> Ran:
    # offline: the simulator has no page to be asked for, and this is about what is sent after that
    ran = lab.run("doctor", "--probe", "--yes", "--offline", *more, env=env)
    assert lab.sessions() == []
    assert KEY not in ran.out + ran.err
    return ran


def through(lab: Lab, spoil: Spoil, *more: str, **env: str | None) -> Ran:
    """A probe through a gateway that spoils caching."""
    with Simulator(Script("ready", "ready", "ready"), Rules()) as sim, gateway(sim.url, spoil) as url:
        lab.url = url
        ran = probe(lab, *more, **env)
        assert not sim.refused
    return ran


@pytest.mark.parametrize("model", ["sonnet", "haiku", "anthropic/claude-opus-4-6", "anthropic/claude-sonnet-4-5"])
def test_a_route_that_caches(model: str, lab: Lab, simulator: Start) -> None:
    sim = simulator(Script("ready", "ready"))
    lab.url = sim.url

    ran = probe(lab, "--model", model)

    assert ran.code == 0, ran.out
    first, second = sim.requests
    assert first.written == second.read > 0
    assert f"✓ markers: accepted: request 1 wrote {first.written:,} tokens" in ran.out
    assert "✓ ttl: billed for 5m, as asked" in ran.out
    assert f"✓ verdict: caching works on this route (request 2 read {second.read:,} of {first.written:,})" in ran.out
    # the tools and the system blocks are those of a session, and the padding is the probe's
    assert {tool["name"] for tool in first.json["tools"]} >= {"read", "shell"}
    assert first.json["messages"][-1]["content"][0]["text"].startswith("[cache probe ")


def test_the_price_is_said_first_and_the_cost_at_the_end(lab: Lab, simulator: Start) -> None:
    lab.url = simulator(Script("ready", "ready")).url

    out = probe(lab).out

    said = re.search(r"2 requests of about ([\d,]+) tokens.*: about \$([\d.]+) if caching works, \$([\d.]+) if", out)
    cost = re.search(r"It cost \$([\d.]+) \(([\d,]+) tokens in", out)
    assert said
    assert cost
    assert said.start() < out.index("request 1:") < cost.start()
    assert float(cost[1]) <= float(said[3])
    assert abs(float(cost[1]) - float(said[2])) < float(said[2]) / 3


def test_an_unknown_price_is_unknown(lab: Lab) -> None:
    def renames(body: dict[str, Any], _headers: dict[str, str], _number: int) -> None:
        body["model"] = "claude-opus-4-6"

    ran = through(lab, renames, "--model", "anthropic/claude-9")

    assert ran.code == 0, ran.out
    assert "· model: anthropic/claude-9 is not in the model list" in ran.out
    assert "the price of this model is unknown" in ran.out
    assert "It cost unknown (" in ran.out
    assert "$" not in ran.out


def test_as_json(lab: Lab, simulator: Start) -> None:
    lab.url = simulator(Script("ready", "ready", "ready")).url

    found = json.loads(probe(lab, "--json", "--requests", "3").out)

    assert (found["format"], found["ok"]) == (1, True)
    requests = found["probe"]["requests"]
    assert [bool(one["read"]) for one in requests] == [False, True, True]
    assert [one["verdict"] for one in requests] == ["first", "hit", "hit"]
    assert found["probe"]["usd"] == pytest.approx(sum(one["usd"] for one in requests))
    assert found["probe"]["findings"][-1]["what"] == "verdict"


def test_the_ttl_of_the_settings_is_asked_for(lab: Lab, simulator: Start) -> None:
    lab.config('[cache]\nttl = "1h"\n')
    lab.url = simulator(Script("ready", "ready")).url

    assert "✓ ttl: billed for 1h, as asked" in probe(lab).out


SPOILT: dict[str, tuple[Spoil, list[str], dict[str, str | None], str]] = {
    "drops markers": (ways.drops_markers, [], {}, "✗ verdict: markers are dropped: of "),
    "no affinity": (
        ways.another_account_each_time, [], {}, r"✗ verdict: written but never read \(request 2 read 0 of ",
    ),
    "weak affinity": (
        ways.one_of_two_accounts, ["--requests", "3"], {}, "✗ verdict: weak affinity: 1 of 2 requests read",
    ),
    "some markers": (ways.marks_the_system_only, [], {}, "✗ verdict: only a part of each request is cached"),
    "short": (
        ways.shortens_ttl, [], {"HARNESS_CACHE_TTL": "1h"}, r"✗ ttl: TTL was shortened to 5m: [\d,]+ tokens",
    ),
    "long": (ways.lengthens_ttl, [], {}, r"✗ ttl: TTL was lengthened to 1h: [\d,]+ tokens"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_a_gateway_that_spoils_it(name: str, lab: Lab) -> None:
    spoil, more, env, pattern = SPOILT[name]

    ran = through(lab, spoil, *more, **env)

    assert re.search(pattern, ran.out), ran.out
    assert ran.code == 1
    assert "✓ verdict" not in ran.out


def test_a_vendor_whose_minimum_is_higher_than_known(lab: Lab) -> None:
    with Simulator(Script("ready", "ready"), Rules(minimum=10**9)) as sim:
        lab.url = sim.url
        ran = probe(lab)

    assert ran.code == 1
    assert "nothing was written and nothing read" in ran.out
    assert "its minimum may be higher than the 512 in the catalog" in ran.out


def test_a_model_that_calls_a_tool_instead(lab: Lab, simulator: Start) -> None:
    lab.url = simulator(Script([{"call": "shell", "input": {"command": "touch ran"}}], "ready")).url

    assert probe(lab).code == 0
    assert list(lab.project.iterdir()) == []


@pytest.mark.refusals("the vendor has no time, and then no money")
def test_a_probe_that_fails_is_one_line_and_its_exit_code(lab: Lab, simulator: Start) -> None:
    sim = simulator(Script("ready"))
    lab.url = sim.url
    lab.config("[network]\nmax_retries = 0\n")
    sim.fault(Fault("status", status=529))
    ran = probe(lab)
    assert ran.code == 75
    assert "✗ probe: 529" in ran.out
    assert "It cost $0.0000" in ran.out

    sim.fault(Fault("status", status=400, message="cache_control: unknown field"))
    ran = probe(lab)
    assert ran.code == 1
    assert "✗ verdict: markers are refused on this route" in ran.out


def test_nothing_to_look_at_where_caching_is_off(lab: Lab, simulator: Start) -> None:
    sim = simulator(Script("ready"))
    lab.url = sim.url
    lab.config("[cache]\nenabled = false\n")

    ran = probe(lab)

    assert "not sent: cache.enabled is false" in ran.out
    assert sim.requests == []


def test_what_is_bad_is_mended_first(lab: Lab) -> None:
    ran = probe(lab, ANTHROPIC_API_KEY=None)

    assert ran.code == 1
    assert "✗ anthropic key: not there → set ANTHROPIC_API_KEY" in ran.out
    assert "The probe was not sent" in ran.out


def test_where_nobody_can_be_asked(lab: Lab, simulator: Start) -> None:
    sim = simulator(Script("ready"))
    lab.url = sim.url

    ran = lab.run("doctor", "--probe")

    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "harness: --probe costs money, and there is no terminal to ask on; add --yes to send it\n"
    assert sim.requests == []


@pytest.mark.parametrize(("answer", "sent"), [("y", 2), ("", 0), ("no", 0)])
def test_a_person_is_asked(answer: str, sent: int, lab: Lab, simulator: Start, forked: Forks) -> None:
    sim = simulator(Script("ready", "ready"))
    lab.url = sim.url

    words = ["-m", "harness", "doctor", "--probe", "--offline"]
    with Sitting(words, lab.environment(), lab.project, columns=200, rows=40, forked=forked) as sitting:
        sitting.until("Send it? [y/N]")
        assert "about $" in sitting.glass.text
        assert "✓ terminal: xterm-256color, 200x40, utf-8" in sitting.glass.text
        assert sim.requests == []
        sitting.type(f"{answer}\r")
        assert sitting.end() == 0
        assert ("caching works on this route" in sitting.glass.text) == bool(sent)
    assert len(sim.requests) == sent


# ------------------------------------------------------------------------------------------------------ verdicts

SONNET = find("anthropic/claude-sonnet-5-5")
AUTOMATIC = find("openai/gpt-5.4")
LOCAL = find("openai-chat/generic/some-model")


def verdict(model: Any, marked: bool, *bills: Usage, ttl: str = "5m") -> str:
    found = judge(Asked(model, marked, ttl), bills)[-1]
    return f"{found.status} {found.text}"


@pytest.mark.parametrize(
    ("said", "bills"),
    [
        ("ok caching works", (Usage(uncached=2000), Usage(uncached=80, read=1984))),
        ("ok caching works", (Usage(uncached=500, read=1536), Usage(uncached=80, read=2000))),
        ("bad nothing is read", (Usage(uncached=2000), Usage(uncached=2020))),
        ("bad weak affinity: 1 of 2", (Usage(uncached=2000), Usage(uncached=2020), Usage(uncached=60, read=1984))),
        ("note only a part is read", (Usage(uncached=3000), Usage(uncached=1500, read=1536))),
        ("note nothing can be said", (Usage(uncached=900), Usage(uncached=920))),
    ],
)
def test_servers_that_cache_by_themselves(said: str, bills: tuple[Usage, ...]) -> None:
    assert verdict(AUTOMATIC, False, *bills).startswith(said)


def test_a_server_of_which_nothing_is_known_is_not_called_bad() -> None:
    assert verdict(LOCAL, False, Usage(uncached=9000), Usage(uncached=9020)).startswith("note nothing is read")


def test_entries_of_another_session_are_no_proof() -> None:
    warm = Usage(read=1800, written_short=900)

    assert "written but never read" in verdict(SONNET, True, warm, warm)
    assert "caching works" in verdict(SONNET, True, warm, Usage(read=2700, written_short=30))
    assert "only a part" in verdict(SONNET, True, warm, Usage(read=2000, written_short=700))


def test_too_short_a_prompt_proves_nothing() -> None:
    assert verdict(SONNET, True, Usage(uncached=300), Usage(uncached=320)).startswith("note nothing can be said")
