"""Twenty-odd changes, planted in the program or in a journal, are each found at the block that they change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.conversation.lines import Record, read_records
from harness.providers.catalog import Catalog
from harness.replay.verify import verify
from tests.recorded.record import record
from tests.replay.tampering import Change, replayed_by, tampered


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session as this version records it."""
    folder = tmp_path_factory.mktemp("recorded")
    record(folder / "small", folder / "place")
    return folder / "small"


def test_nothing_planted_nothing_found(session: Path) -> None:
    report = verify(session, Catalog.load())

    assert report.equal, report
    assert report.requests == report.bodies > 6


CODE = [
    ("the order of keys", "conversation/canonical.py", "sort_keys=True", "sort_keys=False", "message 1 block 1"),
    ("the separators", "conversation/canonical.py", '(",", ":")', '(", ", ":")', "tool ask_user"),
    (
        "the order of tools",
        "prompt/prefix.py",
        'key=lambda tool: str(tool["name"]))',
        "reverse=True, key=lambda tool: str(tool['name']))",
        "tool ask_user",
    ),
    ("the heading of layers", "prompt/layers.py", 'f"# {layer.title}', 'f"## {layer.title}', "session system"),
    ("the session context", "prompt/context.py", "Today is ", "It is ", "message 1 block 1"),
    (
        "the cap of a tool's output",
        "tools/output.py",
        "head[: limit - limit // 2]",
        "head[: limit - limit // 3]",
        "result of read",
    ),
    (
        "the marker on the last write",
        "prompt/markers.py",
        "range(write[0], -1, -1)",
        "range(write[0] - 3, -1, -1)",
        "marker read",
    ),
    (
        "the marker rule",
        "prompt/markers.py",
        'if role == "read" else "write"',
        'if role == "write" else "write"',
        "marker write",
    ),
    ("the TTL", "providers/connect.py", "return model.rules.ttl_for(wanted)", 'return "1h"', "model: TTL"),
    (
        "thinking in the settings",
        "providers/connect.py",
        '{"thinking": {"type": "adaptive"}}',
        "{}",
        "line settings: thinking",
    ),
    (
        "the form of a call",
        "providers/anthropic_wire.py",
        '"input": arguments}',
        '"input": {**arguments, "x": 1}}',
        "message 3 block 3",
    ),
    ("the chain of digests", "prompt/projection.py", "{min(index, 1)} ", "{index} ", "message 3 block"),
    ("the envelope", "providers/anthropic_wire.py", '"stream": (b"true",)', '"stream": (b"false",)', "body"),
    (
        "the ledger",
        "audit/ledger.py",
        "told = index == len(positions) - 1 and not side",
        "told = False",
        "expected read",
    ),
    (
        "the decoder of bills",
        "providers/anthropic_wire.py",
        'read=raw.get("cache_read_input_tokens") or 0',
        "read=1",
        "usage",
    ),
    (
        "the placeholder of healed calls",
        "conversation/history.py",
        "if call_id in self._done:",
        "if call_id in self._intents:",
        "message 4 block 1",
    ),
]


@pytest.mark.parametrize(("file", "old", "new", "where"), [pytest.param(*one[1:], id=one[0]) for one in CODE])
def test_a_change_of_the_program(file: str, old: str, new: str, where: str, session: Path, tmp_path: Path) -> None:
    found = replayed_by(tmp_path, session, file, old, new)["divergence"]

    assert found["where"].startswith(where), found


@dataclass
class Plant:
    """Changes the n-th record of a kind that fits."""

    kind: str
    change: Callable[[dict[str, Any]], object]
    fits: Callable[[dict[str, Any]], bool] = lambda _: True
    at: int = 0
    met: int = field(default=0)

    def __call__(self, record: Record, data: dict[str, Any]) -> None:
        if record.kind == self.kind and self.fits(data):
            if self.met == self.at:
                self.change(data)
            self.met += 1


def text_of(data: dict[str, Any], text: str) -> None:
    data["blocks"][0]["text"] = text


def in_rendering(data: dict[str, Any]) -> None:
    fragment = data["messages"][-1][1][0]
    fragment[0] = fragment[0].replace("Look around", "Look aside")


DATA: dict[str, tuple[Change, str]] = {
    "words of the person": (
        Plant("message", lambda d: text_of(d, "Delete everything."), lambda d: d["tag"] == "person"),
        "message 2 block 1",
    ),
    "an answer": (
        Plant("message", lambda d: d["blocks"][1].update(text="I do not look."), lambda d: d["tag"] == "answer"),
        "message 3 block 2",
    ),
    "a result in the conversation": (
        Plant("message", lambda d: d["blocks"][0]["content"][0].update(text="no"), lambda d: d["tag"] == "results"),
        "message 4 block 1",
    ),
    "a result as it was capped": (
        Plant("tool_done", lambda d: d["result"]["content"][0].update(text="no"), lambda d: "given" in d),
        "result of read",
    ),
    "a tool's whole output": (
        Plant("tool_done", lambda d: d["given"][0].update(text="no"), lambda d: "given" in d),
        "result of read",
    ),
    "the cap": (Plant("tool_done", lambda d: d.update(limit=2_500), lambda d: "given" in d), "result of read"),
    "what was rendered": (Plant("rendering", in_rendering), "message 2 block 1"),
    "a rule's text": (
        Plant("prefix", lambda d: d["layers"][1].__setitem__(1, "Use tabs."), lambda d: "layers" in d),
        "session system",
    ),
    "the static block": (
        Plant("prefix", lambda d: d.update(static=d["static"].replace("coding agent", "cooking agent"))),
        "static system",
    ),
    "the order of the tools": (Plant("prefix", lambda d: d["tools"].reverse()), "tool write"),
    "a tool's definition": (
        Plant("prefix", lambda d: d["tools"].__setitem__(0, d["tools"][0].replace("Ask", "Tell"))),
        "tool ask_user",
    ),
    "the day": (
        Plant("message", lambda d: d["context"].update(today="2020-01-01"), lambda d: "context" in d),
        "message 1 block 1",
    ),
    "the bill": (Plant("response", lambda d: d["usage"].update(read=d["usage"]["read"] + 1)), "usage"),
    "the stream": (Plant("response", lambda d: d.pop("stream")), "answer in record"),
    "the stream and the bill": (
        Plant("response", lambda d: d["usage"].update(written_5m=7) or d.update(stream="")),
        "answer in record",
    ),
    "what was to be read": (
        Plant("request", lambda d: d["expected"].update(tokens=7), lambda d: d["expected"]["tokens"]),
        "expected read",
    ),
    "how an answer ended": (Plant("response", lambda d: d.update(stop="end_turn")), "end of the answer"),
    "that an answer broke off": (
        Plant("message", lambda d: d.update(partial=True), lambda d: d["tag"] == "answer"),
        "message 3",
    ),
    "the id of an answer": (Plant("response", lambda d: d.update(message_id="msg_other")), "id of the answer"),
    "who speaks": (Plant("message", lambda d: d.update(tag="root"), lambda d: d["tag"] == "person"), "message 2"),
    "that a request is on the side": (Plant("request", lambda d: d.update(kind="side")), "request: kind"),
    "the epoch of a request": (Plant("request", lambda d: d.update(epoch=7), at=2), "request: epoch"),
    "what a read refreshes": (Plant("request", lambda d: d.update(refresh="all")), "request: refresh"),
    "a model's TTL": (Plant("model", lambda d: d.update(ttl="1h")), "model: TTL"),
    "the number of blocks that were frozen": (Plant("prefix", lambda d: d["digests"].pop()), "tools or system"),
    "the TTL": (Plant("session", lambda d: d["cache"].update(ttl="1h")), "model: TTL"),
    "when it was sent": (
        Plant("request", lambda d: d.update(started=d["started"] + 400), lambda d: d["kind"] == "mainline", at=1),
        "marker read",
    ),
    "a marker": (Plant("request", lambda d: d["markers"][-1].update(ttl="1h"), at=2), "marker write"),
    "cache rules": (Plant("model", lambda d: d["rules"].update(max_markers=2)), "marker"),
    "output tokens": (Plant("request", lambda d: d.update(max_tokens=5), at=1), "body"),
    "settings": (
        Plant("request", lambda d: d["settings"].update(output_config={"effort": "max"}), at=1),
        "line settings",
    ),
    "what an answer is to": (
        Plant("response", lambda d: d.update(request=d["request"] + 90), at=1),
        "attempt at request record",
    ),
    "when an answer was asked for": (Plant("response", lambda d: d.update(started=d["started"] - 9)), "attempt at"),
    "that an answer broke": (Plant("response", lambda d: d.update(error="it broke")), "attempt at request record"),
    "a call that began": (Plant("intent", lambda d: d.update(call_id="toolu_other")), "intent of toolu_other"),
    "the tool of a call that began": (Plant("intent", lambda d: d.update(tool="read")), "intent of "),
    "whose result it is": (
        Plant("tool_done", lambda d: d["result"].update(call_id="toolu_other")),
        "result of toolu_other",
    ),
    "that an output was cut": (Plant("tool_done", lambda d: d.pop("given"), lambda d: "given" in d), "result of read"),
    "the facts of a session context": (
        Plant("message", lambda d: d.pop("context"), lambda d: "context" in d),
        "message ",
    ),
    "what is known of a model": (Plant("model", lambda d: d.update(model="other/one")), "model: facts"),
    "the price of a model": (Plant("model", lambda d: d.pop("price")), "model: facts"),
    "the digests of what was frozen": (Plant("prefix", lambda d: d.pop("digests")), "tools or system blocks"),
    "an epoch of another name": (
        Plant("epoch", lambda d: d.update(reason="cleared"), lambda d: d["reason"].startswith("undo")),
        "epoch cleared",
    ),
    "an epoch that says that something was lost": (
        Plant("epoch", lambda d: d.update(reason="rewind: lost"), lambda d: d["reason"].startswith("undo")),
        "epoch rewind: lost",
    ),
    "the conversation after undo": (
        Plant("epoch", lambda d: d["messages"].pop(), lambda d: d["reason"].startswith("undo")),
        "epoch undo: turn 31: conversation",
    ),
}


@pytest.mark.parametrize("name", DATA)
def test_a_change_of_the_journal(name: str, session: Path, tmp_path: Path) -> None:
    change, where = DATA[name]

    report = verify(tampered(session, tmp_path / "session", change), Catalog.load())

    assert report.damage == []
    assert report.found is not None, report
    assert report.found.divergence.where.startswith(where), report.found


def test_a_blob_that_was_changed_or_is_gone(session: Path, tmp_path: Path) -> None:
    copy = tampered(session, tmp_path / "session", Plant("message", lambda d: d.update(note=1)))
    (stream,) = {
        r.data["stream"]
        for r in read_records(copy / "journal.jsonl")
        if r.kind == "response" and r.data["request"] < 12
    }
    path = copy / "blobs" / stream[:2] / stream
    path.write_bytes(path.read_bytes().replace(b"look", b"hook"))
    changed = verify(copy, Catalog.load()).found
    path.unlink()
    gone = verify(copy, Catalog.load()).found

    assert changed is not None
    assert "does not have the content that its name says" in changed.divergence.diff
    assert gone is not None
    assert "missing" in gone.divergence.diff
    assert changed.request == gone.request == 2  # the request after the first answer


def test_a_line_that_was_changed_by_hand_is_damage(session: Path, tmp_path: Path) -> None:
    copy = tampered(session, tmp_path / "session", Plant("message", lambda d: d.update(note=1)))
    path = copy / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Look around", b"Look aside!", 1))

    report = verify(copy, Catalog.load())

    assert not report.equal
    assert "checksum" in report.damage[0]


LATER = [
    (
        "the form of a message",
        "providers/anthropic_wire.py",
        '"input": arguments}',
        '"input": {**arguments, "x": 1}}',
        True,
    ),
    ("the session context", "prompt/context.py", "Today is ", "It is ", True),
    ("the cap", "tools/output.py", "head[: limit - limit // 2]", "head[: limit - limit // 3]", True),
    ("the heading of layers", "prompt/layers.py", 'f"# {layer.title}', 'f"## {layer.title}', True),
    ("a tool's definition", "tools/read.py", '    "read",\n', '    "read_file",\n', False),
    ("the system prompt", "prompt/system.md", "coding agent", "cooking agent", False),
    ("the words around a summary", "agent/cut_turn.py", "[Summary of the conversation", "[A summary of what", False),
]
"""What a later version words otherwise, and whether what is made again shows it: what is frozen is never made again."""


@pytest.mark.parametrize(("file", "old", "new", "shows"), [pytest.param(*one[1:], id=one[0]) for one in LATER])
def test_a_later_version(file: str, old: str, new: str, shows: bool, session: Path, tmp_path: Path) -> None:
    def earlier(_record: Record, data: dict[str, Any]) -> None:
        data |= {"version": "0.0.1"} if "version" in data else {}

    old_session = tampered(session, tmp_path / "session", earlier)
    looked = replayed_by(tmp_path / "one", old_session, file, old, new)
    again = replayed_by(tmp_path / "two", old_session, file, old, new, "--rerender")

    assert looked["equal"], looked
    assert looked["checked_by_digest"] > 5
    assert again["equal"] is not shows, again
