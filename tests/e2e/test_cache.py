"""`harness cache`: what it prints of a session, also of one that is damaged, open elsewhere or hostile."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.conversation.lines import Reader, format_line, line_digest
from tests.delegating import Brain
from tests.delegating import call as delegated
from tests.e2e.conftest import Start
from tests.e2e.lab import Lab, Script, call

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cache.md"
TURN = Script([{"text": "I look."}, call("glob", pattern="*")], "Done.", "Yes.")

OWNER = """
import sys
from pathlib import Path
from harness.conversation.journal import Journal
from harness.seam import Seam
journal = Journal.open(Path(sys.argv[1]), Seam())
print("owned", flush=True)
sys.stdin.read()
"""


def session(lab: Lab, vendor: Start) -> str:
    vendor(TURN, minimum=1024)
    lab.run("-p", "look")
    return lab.run("-c", "-p", "and now?").session


def journal(lab: Lab, name: str) -> Path:
    return lab.state / "harness" / "sessions" / name / "journal.jsonl"


def fields(value: dict[str, Any], section: str) -> None:
    """The keys of an object are those that the page documents, no more and no fewer."""
    text = PAGE.read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    assert value.keys() == set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def test_the_latest_session_of_this_workspace_and_its_figures(lab: Lab, vendor: Start) -> None:
    name = session(lab, vendor)
    ran = lab.run("cache")

    assert ran.code == 0
    assert f"session {name}" in ran.out
    verdicts = re.findall(r"^ *\d+ .* (first|hit) ", ran.out, re.MULTILINE)
    assert verdicts == ["first", "hit", "hit"]
    figures = json.loads(lab.run("cache", name[:8], "--json").out)
    totals = figures["totals"]
    assert f"({totals['read_tokens']:,})" in ran.out
    assert f"${totals['bill_usd']:.4f}; with a perfect cache ${totals['perfect_bill_usd']:.4f}" in ran.out
    assert totals["perfect_read_tokens"] == totals["read_tokens"]
    assert totals["saved_usd"] > 0


def test_every_field_is_documented_and_every_documented_one_is_there(lab: Lab, vendor: Start) -> None:
    session(lab, vendor)
    lab.run("-c", "-p", "another", "--model", "claude-opus-4-8")
    lab.run("-c", "-p", "louder", "--effort", "max")
    figures = json.loads(lab.run("cache", "--json").out)

    fields(figures, "cache")
    fields(figures["totals"], "cache totals")
    fields(figures["requests"][0], "cache request")
    fields(figures["epochs"][0], "cache epoch")
    causes = {lost["cause"]: lost for lost in figures["totals"]["lost"]}
    assert causes.keys() == {"model switch", "declared: settings"}
    fields(causes["model switch"], "cache lost")
    assert figures["epochs"][-1]["before"] == 5
    assert "-- epoch: settings: effort default to max" in lab.run("cache").out


def test_sub_agents_stand_below_their_calls_and_can_be_looked_at(lab: Lab, vendor: Start) -> None:
    sim = vendor(Brain([[delegated("explore", "alpha")], "Thanks."], {"alpha": ["It is so."]}))
    lab.run("-p", "explore")
    (name,) = (path.name for path in lab.sessions())
    figures = json.loads(lab.run("cache", "--json").out)

    (child,) = figures["sub_agents"]
    fields(child, "cache sub-agent")
    assert child["after"] == 1
    assert child["first_read_tokens"] == sim.requests[1].read > 0
    assert figures["totals"]["all_cost_usd"] == pytest.approx(figures["totals"]["cost_usd"] + child["cost_usd"])
    shown = lab.run("cache").out.splitlines()
    assert shown[2].startswith("-- sub-agent: explore (fresh, ")
    assert any("with sub-agents" in line for line in shown)
    own = json.loads(lab.run("cache", child["session"], "--json").out)
    assert [row["read_tokens"] for row in own["requests"]] == [child["first_read_tokens"]]
    assert "It is so." in lab.run("sessions", "show", child["session"]).out
    listed = json.loads(lab.run("sessions", "list", "--json").out)
    assert [(one["id"], one["requests"]) for one in listed] == [(name, 3)]
    exported = json.loads(lab.run("sessions", "export", name, "--format", "json").out)
    (item,) = (item for item in exported["items"] if item["type"] == "sub_agent")
    assert Path(item["path"]).is_file()
    for form in ("md", "html"):
        assert child["session"] in lab.run("sessions", "export", name, "--format", form).out
    refused = lab.run("-r", child["session"], "-p", "on")
    assert (refused.code, len(refused.lines)) == (2, 1)
    assert f"go on with {name}" in refused.lines[0]


def test_no_session_here_and_none_of_that_name(lab: Lab) -> None:
    assert (lab.run("cache").code, lab.run("cache", "nobody").code) == (2, 2)
    assert lab.run("cache").lines == [
        f"harness: no session in {lab.project} yet; name one of another workspace: harness cache ID"
    ]


def test_only_the_misses(lab: Lab, vendor: Start) -> None:
    session(lab, vendor)
    shown = lab.run("cache", "--misses").out

    assert " first " in shown
    assert " hit " not in shown


def test_a_session_that_another_process_has_open_is_shown_and_left_alone(lab: Lab, vendor: Start) -> None:
    name = session(lab, vendor)
    folder = journal(lab, name).parent
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == "owned\n"
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        ran = lab.run("cache")
        after = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        owner.communicate("")

    assert ran.code == 0
    assert " hit " in ran.out
    assert after == before


@pytest.mark.parametrize("kind", ["request", "response", "epoch", "message", "session"])
def test_a_damaged_line_is_told_and_the_rest_is_shown(kind: str, lab: Lab, vendor: Start) -> None:
    name = session(lab, vendor)
    lines = journal(lab, name).read_bytes().splitlines(keepends=True)
    at = next(index for index, line in enumerate(lines) if b'"kind":"%s"' % kind.encode() in line)
    lines[at] = lines[at].replace(b'"at"', b'"xx"', 1)
    journal(lab, name).write_bytes(b"".join([*lines, b'{"torn', b"\x00" * 99]))
    ran = lab.run("cache", name)

    assert ran.code == 0
    assert "records cannot be read" in ran.out
    assert ran.out.count(" hit ") == 2
    assert json.loads(lab.run("cache", name, "--json").out)["unreadable"] >= 1


def rewritten(path: Path, change: Any) -> None:
    """A journal with other content, every line whole: what somebody who wants to deceive would hand over."""
    made, previous = [], ""
    for record in Reader(path):
        change(record.kind, record.data)
        line = format_line(record, previous)
        previous = line_digest(line[:-1])
        made.append(line)
    path.write_bytes(b"".join(made))


HOSTILE = "\x1b[2J\x1b]8;;http://x\x07 </style><script>alert(1)</script> \u202e\u2028 \ud800 'a' \"b\" & <img src=x>"


def hostile(kind: str, data: Any) -> None:
    if kind == "response":
        data["verdict"] |= {"kind": HOSTILE, "cause": HOSTILE, "where": HOSTILE, "lost": 5, "vendor": {"said": HOSTILE}}
        data["stop"] = HOSTILE
    elif kind == "request":
        data["model"] = HOSTILE
    elif kind == "epoch":
        data["reason"] = HOSTILE


def test_nothing_that_a_session_holds_acts_on_the_terminal(lab: Lab, vendor: Start) -> None:
    name = session(lab, vendor)
    rewritten(journal(lab, name), hostile)
    ran = lab.run("cache", name)

    assert ran.code == 0
    assert not set(ran.out) & set("\x1b\x07\u202e\u2028\ud800")
    assert "\\x1b[2J" in ran.out
    assert lab.run("cache", name, "--json").out.isascii()


def test_a_page_is_written_whole_and_for_its_owner(lab: Lab, vendor: Start, tmp_path: Path) -> None:
    name = session(lab, vendor)
    rewritten(journal(lab, name), hostile)
    path = tmp_path / "page.html"
    ran = lab.run("cache", name, "--html", str(path))

    assert (ran.code, ran.out) == (0, f"{path}: 3 requests of session {name}\n")
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text("utf-8")
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;" in text
    assert [part for part in tmp_path.iterdir() if part.name.endswith(".part")] == []
    assert lab.run("cache", name, "--html", str(tmp_path)).code == 2
    assert lab.run("cache", name, "--html", str(tmp_path / "no" / "such")).code == 1


# ------------------------------------------------------------------------------------------------ --min-cache-hit


def reworded(kind: str, data: Any) -> None:
    """A journal in which what was sent is told otherwise: what a bug of ours that edits history would leave."""
    if kind == "rendering":
        data["messages"] = json.loads(json.dumps(data["messages"]).replace("look", "l00k", 1))


@pytest.mark.moves_prefix(reason="planted", times=0)
def test_a_run_that_misses_its_target_by_a_fault_of_ours_exits_with_4(lab: Lab, vendor: Start) -> None:
    vendor(TURN, minimum=1024, branches=True)
    name = lab.run("-p", "look").session
    rewritten(journal(lab, name), reworded)
    ran = lab.run("-c", "-p", "and now?", "--min-cache-hit", "0.99", "--output-format", "json")

    figures = json.loads(ran.out)
    (line,) = ran.lines
    assert ran.code == figures["exit_code"] == 4
    assert (figures["reason"], figures["answer"]) == ("done", "Yes.")
    assert line == f"harness: {figures['cache_missed']}"
    assert "request 3 lost " in line
    assert "the request does not extend its line" in line
    assert re.search(r"\(\$0\.\d{4}\)", line)
    request = figures["requests"][0]
    assert request["verdict"] == "ours"
    assert f"lost {request['lost_tokens']:,} tokens (${request['lost_usd']:.4f})" in line


def test_a_run_that_keeps_its_target_or_misses_it_by_no_fault_of_ours_exits_with_0(lab: Lab, vendor: Start) -> None:
    sim = vendor(TURN, minimum=1024)
    lab.config("[cache]\nmin_hit = 1.0\n")
    assert lab.run("-p", "look").code == 0
    sim.evict(1.0)
    assert lab.run("-c", "-p", "evicted?").code == 0
    sim.clock.advance(400)
    assert lab.run("-c", "-p", "late?", offset=400).code == 0
    shown = lab.run("cache").out
    assert " evicted " in shown
    assert " expired " in shown


@pytest.mark.parametrize("value", ["0", "1.1", "-1", "nan", "most"])
def test_a_target_is_a_share(value: str, lab: Lab) -> None:
    assert lab.run("-p", "x", "--min-cache-hit", value).code == 2


def test_a_target_needs_a_task_and_a_sane_setting(lab: Lab) -> None:
    assert lab.run("--min-cache-hit", "0.5").code == 2
    lab.config("[cache]\nmin_hit = 2\n")
    assert "min_hit" in lab.run("-p", "x").err
