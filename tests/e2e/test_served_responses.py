"""Cached responses in what a person looks at afterwards: the conversation, its exports, and the page of its cache."""

from __future__ import annotations

import json

from tests.e2e.conftest import Start
from tests.e2e.lab import Lab, Script, call

TASK = ("-p", "look", "--response-cache", "user")


def test_it_is_told_whose_answer_it_was_and_what_it_would_have_cost(lab: Lab, vendor: Start) -> None:
    (lab.project / "notes.txt").write_text("a note\n")
    vendor(Script([call("read", path="notes.txt")], "It says: a note."))
    assert [lab.run(*TASK).code for _ in range(2)] == [0, 0]
    first, second = lab.sessions()
    asked = [record for record in lab.records(first) if record.kind == "request"]
    paid = [record.data["cost"] for record in lab.records(first) if record.kind == "response"]

    shown = lab.run("sessions", "show", second.name).out
    pages = [lab.run("sessions", "export", second.name, "--format", form).out for form in ("md", "html")]
    items = json.loads(lab.run("sessions", "export", second.name, "--format", "json").out)["items"]
    assert lab.process("cache", second.name, "--html", "page.html").code == 0

    for request, cost in zip(asked, paid, strict=True):
        told = f"answer of session {first.name}, record {request.seq}, of "
        assert told in shown
        assert f"out, ${cost:.4f}" in shown
        assert told in pages[1]
        assert told in pages[0].replace("\\", "")
        assert told in (lab.project / "page.html").read_text()
    responses = [item["response_cache"] for item in items if item["type"] == "response"]
    assert [(one["session"], one["request"], one["cost"]) for one in responses] == [
        (first.name, request.seq, cost) for request, cost in zip(asked, paid, strict=True)
    ]
    assert "missed" not in pages[1].partition("</style>")[2]
    assert "served from" not in lab.run("sessions", "show", first.name).out
