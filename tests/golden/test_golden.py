"""All text that a model sees, and the journal's format, as files: a diff there is a prefix that moves.

`HARNESS_UPDATE_GOLDEN=1` writes them anew; read the diff before it is committed.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.agent.delegation import LAST_WORDS, Delegation, briefing, report
from harness.app import App
from harness.conversation.canonical import encode
from harness.conversation.events import TurnEnded
from harness.conversation.history import ELSEWHERE
from harness.conversation.lines import read_records
from harness.conversation.request import CacheRules, LedgerEntry, Line, Request
from harness.prompt.context import Facts, context_message
from harness.prompt.layers import static_text
from harness.prompt.markers import place
from harness.prompt.prefix import assemble
from harness.prompt.projection import Projection
from harness.providers import anthropic_wire as wire
from harness.simulator import Received
from harness.tools.output import Spill
from tests.golden.conversations import CONVERSATIONS, MODEL, said
from tests.speaker import Script, Speaker

FILES = Path(__file__).parent / "files"
UPDATE = os.environ.get("HARNESS_UPDATE_GOLDEN") == "1"
TOOL = {"name": "read", "description": "Reads.", "input_schema": {"type": "object"}}

Begin = Callable[..., Speaker]


def golden(name: str, content: bytes) -> None:
    """Compare with the file of that name, byte for byte."""
    path = FILES / name
    if UPDATE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert path.read_bytes() == content, f"{name} changed: HARNESS_UPDATE_GOLDEN=1 writes it anew"


def test_what_a_sub_agent_is_told(tmp_path: Path) -> None:
    spill = Spill(tmp_path)
    names = {"fork": None, "fresh": (("read", ""), ("shell", "git log *"))}
    told = [
        f"{context}: {briefing(Delegation('look', '<skill>…</skill>', context, allowed=names[context]), spill)}"
        for context in ("fork", "fresh")
    ]
    ends = [
        report(TurnEnded(reason, "Found it.", "40 turns are over"), spill)[0] for reason in ("done", "limit", "refused")
    ]
    golden("delegation.txt", "\n---\n".join([*told, ELSEWHERE, LAST_WORDS, *ends, ""]).encode("utf-8"))


@pytest.fixture
def session(speaker: Begin) -> Speaker:
    """A session in a sample project."""
    person = speaker(Script("One."))
    (person.project / "AGENTS.md").write_text("Use four spaces.\n")
    folder = person.project / ".harness" / "skills" / "deploy"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: deploy\ndescription: Ships it.\n---\nDo it.\n")
    user = person.project.parent / "home" / ".config" / "harness"
    user.mkdir(parents=True, exist_ok=True)
    (user / "USER.md").write_text("Call me Ada.\n")
    (user / "SOUL.md").write_text("Plain words.\n")
    for folder, name, text in (
        (user, "editor", "# How Ada edits\n- Tabs.\n"),
        (user, "machines", "# Machines\n" + "x" * 5000),
        (person.project / ".harness", "releases", "# Releases: on Fridays\n"),
    ):
        (folder / "memory").mkdir(exist_ok=True)
        (folder / "memory" / f"{name}.md").write_text(text)
    person.begin_anew()
    return person


def prefix_of(app: App) -> tuple[bytes, bytes, bytes]:
    prefix = app.session.prefix
    return b"\n".join(prefix.tools) + b"\n", prefix.static + b"\n", prefix.session + b"\n"


def test_tools_and_static_block_as_sent(session: Speaker) -> None:
    tools, static, _ = prefix_of(session.app)

    golden("tools.jsonl", tools)
    golden("static.json", static)
    # bytes of canonical JSON / 4
    assert (len(tools) + len(static)) / 4 <= 2_600
    assert len(encode(static_text())) / 4 < 1_100


def test_tools_and_static_block_are_the_same_in_every_folder(session: Speaker, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = Speaker(session.simulator, tmp_path / "elsewhere", "claude-haiku-4-5")
    theirs, ours = prefix_of(other.app), prefix_of(session.app)
    other.close()

    assert theirs[:2] == ours[:2]
    assert theirs[2] != ours[2]


def test_session_block_of_a_sample_project(session: Speaker) -> None:
    golden("session.json", prefix_of(session.app)[2])


def test_what_the_vendor_receives_is_the_golden_prefix(session: Speaker) -> None:
    session.say("One?")
    request: Received = session.mainline[0]
    sent = [block.canonical for block in request.blocks if block.level != "messages"]

    assert b"\n".join(sent) + b"\n" == b"".join(prefix_of(session.app))


FACTS = Facts(
    dt.date(2026, 5, 13),
    "claude-sonnet-5-5",
    "Linux",
    "/srv/app",
    "edit",
    rules={"AGENTS.md": "1"},
    skills={"deploy": "1"},
    memory={"person/editor": "1"},
)
CHANGES = {
    "first": FACTS,
    "date": replace(FACTS, today=dt.date(2026, 5, 14)),
    "model": replace(FACTS, model="claude-opus-5-5"),
    "mode": replace(FACTS, mode="yolo"),
    "directories": replace(FACTS, dirs=("/data", "/srv/shared")),
    "rules_edited": replace(FACTS, rules={"AGENTS.md": "2"}),
    "rules_added": replace(FACTS, rules={"AGENTS.md": "1", "sub/AGENTS.md": "1"}),
    "rules_removed": replace(FACTS, rules={}),
    "skill_added": replace(FACTS, skills={"deploy": "1", "triage": "1"}),
    "skill_changed": replace(FACTS, skills={"deploy": "2"}),
    "skill_removed": replace(FACTS, skills={}),
    "memory_added": replace(FACTS, memory={"person/editor": "1", "person/tools": "1", "project/releases": "1"}),
    "memory_changed": replace(FACTS, memory={"person/editor": "2"}),
    "memory_removed": replace(FACTS, memory={}),
    "everything": replace(
        FACTS, today=dt.date(2027, 1, 1), dirs=("/data",), rules={"CLAUDE.md": "1"}, skills={"triage": "1"}
    ),
}


def test_session_context_texts() -> None:
    descriptions = {
        "deploy": "Ships it.",
        "triage": "Sorts it.",
        "person/editor": "How Ada edits",
        "person/tools": "Tools",
    }
    texts = []
    for name, facts in CHANGES.items():
        message = context_message(facts, {} if name == "first" else FACTS.to_json(), descriptions)
        assert message is not None
        texts.append(f"{name}: {message.text}\n")

    golden("context.txt", "".join(texts).encode())


def body(name: str, *, side: bool = False, alive: int | None = None, ttl: Any = "5m") -> bytes:
    prefix = assemble([TOOL], "The static block.", "The session block.")
    projection = Projection(prefix, wire.envelope)
    for seq, message in enumerate(CONVERSATIONS[name]):
        projection.add(seq, message, wire.render(message, MODEL, projection.after))
    instruction = said("[Side request] Sum up.", "system_injected")
    tail = [projection.render(-1, instruction, wire.render(instruction, MODEL))] if side else []
    messages = projection.with_tail(tail)
    known = [] if alive is None else [messages[alive].digests[-1]]
    markers = place(
        prefix, messages, lambda d: LedgerEntry(d, 9, 0.0, "5m") if d in known else None, CacheRules(), ttl, side=side
    )
    line = Line("anthropic", "http://vendor", MODEL.partition("/")[2], {"thinking": {"type": "adaptive"}})
    return wire.body(Request(line, prefix, messages, markers, 1000, side))


@pytest.mark.parametrize("name", sorted(CONVERSATIONS))
def test_wire_body(name: str) -> None:
    sent = body(name)

    golden(f"bodies/{name}.json", sent + b"\n")
    assert encode(json.loads(sent)) == sent, "canonical: keys sorted, no spaces"


def test_wire_body_of_a_side_request() -> None:
    golden("bodies/side_request.json", body("text", side=True, alive=2) + b"\n")


def test_wire_body_with_an_hour_to_live_and_an_older_entry_alive() -> None:
    golden("bodies/one_hour.json", body("parallel_calls", alive=0, ttl="1h") + b"\n")


def test_bodies_are_equal_but_for_markers_whatever_is_alive() -> None:
    plain = [json.loads(body("parallel_calls", alive=alive)) for alive in (None, 0)]
    for value in plain:
        for message in value["messages"]:
            for block in message["content"]:
                block.pop("cache_control", None)

    assert plain[0] == plain[1]


def test_the_journal_of_a_small_session(session: Speaker) -> None:
    session.simulator.brain = Script([{"text": "I plan."}, {"call": "todo", "input": {"items": []}}], "Done.")
    session.say("Plan it.")
    text = (session.folder / "journal.jsonl").read_text()
    kept = []
    for record in read_records(session.folder / "journal.jsonl"):
        data = json.loads(json.dumps(record.data))
        if record.kind == "prefix":
            data = {name: f"<{type(value).__name__}>" for name, value in data.items()}
        kept.append({"seq": record.seq, "kind": record.kind, "at": record.at, "data": data})
    shape = json.dumps(kept, indent=1, ensure_ascii=False, sort_keys=True)
    for found, name in ((str(session.project.parent), "<folder>"), (session.simulator.url, "<url>")):
        shape = shape.replace(found, name)

    golden("journal.format1.json", volatile(shape).encode() + b"\n")
    assert text.isascii()


def volatile(shape: str) -> str:
    """Digests, ids, sizes and times depend on the folder and the port; their places in the format do not."""
    value = json.loads(shape)
    names = {
        "digest",
        "head",
        "line",
        "message_id",
        "stream",
        "seconds",
        "started",
        "id",
        "call_id",
        "version",
        "cache_key",
        "cost",
    }

    def walk(node: Any) -> Any:
        match node:
            case dict():
                return {
                    key: f"<{type(item).__name__}>" if key in names and not isinstance(item, dict) else walk(item)
                    for key, item in node.items()
                }
            case list():
                return [walk(item) for item in node]
            case int() | float() if not isinstance(node, bool) and node > 100:
                return "<number>"
            case str() if "toolu_" in node or len(node) == 64:
                return "<text with an id>"
            case _:
                return node

    return json.dumps(
        [{**record, "data": walk(record["data"]), "at": "<number>"} for record in value],
        indent=1,
        ensure_ascii=False,
        sort_keys=True,
    )
