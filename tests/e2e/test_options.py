"""What the flags of a one-shot run do, and what its output promises in docs/output.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.simulator import Answer, Fault
from tests.delegating import Brain
from tests.delegating import call as delegated
from tests.e2e.conftest import Start
from tests.e2e.lab import Lab, Ran, Script, call, result_text, results, texts

PAGE = Path(__file__).resolve().parents[2] / "docs" / "output.md"
WORK = Script(
    [{"text": "I look."}, call("glob", pattern="*"), call("shell", command="true")],
    [{"thinking": "Hm."}, {"text": "All\nis \u2028 well."}],
)


# ------------------------------------------------------------------------------------------------ output formats


def documented() -> dict[str, set[str]]:
    """The field names of each section of the page."""
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return {
        section.partition("\n")[0]: set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) for section in sections
    }


def lines(ran: Ran) -> list[dict[str, Any]]:
    assert ran.out.isascii()
    return [json.loads(line) for line in ran.out.splitlines()]


def check_fields(line: dict[str, Any]) -> Iterator[str]:
    """The sections of the page that this object used; its fields are those of its section, no more and no fewer."""
    known = documented()
    kind = line["type"]
    assert line.keys() == known[kind] - (set() if "structured" in line else {"structured"})
    yield kind
    if kind == "result":
        assert line["totals"].keys() == known["totals"]
        yield "totals"
        for request in line["requests"]:
            assert request.keys() == known["response"] - {"type"}


def test_every_field_is_documented_and_every_documented_one_is_there(lab: Lab, vendor: Start) -> None:
    sim = vendor(WORK)
    (lab.folder / "schema.json").write_text('{"type": "object"}')
    sim.fault(Fault("status", status=529, headers={"retry-after-ms": "1"}))
    flags = ("--output-format", "stream-json")
    all_lines = lines(lab.run("-p", "hello", *flags, "--permission-mode", "yolo"))
    sim.brain = lambda _: "{}"
    all_lines += lines(lab.run("-p", "hello", *flags, "--json-schema", str(lab.folder / "schema.json")))
    sim.brain = lambda _: Answer(({"text": "and"},), "max_tokens")
    all_lines += lines(lab.run("-p", "hello", *flags))
    sim.brain = Brain([[delegated("explore", "alpha")], "Thanks."], {"alpha": ["It is so."]})
    all_lines += lines(lab.run("-p", "explore", *flags))

    seen = {section for line in all_lines for section in check_fields(line)}

    assert seen == documented().keys()
    assert {line["format"] for line in all_lines if line["type"] in {"start", "result"}} == {1}


def test_the_three_forms_carry_the_same_figures(lab: Lab, vendor: Start) -> None:
    ran: dict[str, Ran] = {}
    for form in ("text", "json", "stream-json"):
        sim = vendor(WORK)
        ran[form] = lab.run("-p", "hello", "--permission-mode", "yolo", "--output-format", form)
        sim.stop()

    (result,) = lines(ran["json"])
    *_, last = lines(ran["stream-json"])
    assert last | {"session": ""} == result | {"session": ""}
    totals = result["totals"]
    assert result["answer"] == "All\nis \u2028 well."
    assert ran["text"].out == "All\nis \\u2028 well.\n"
    figures = r"(\d+) requests · ([\d,]+) tokens in, ([\d,]+) out · hit ([\d.]+) % · \$([\d.]+)"
    said = re.search(figures, ran["text"].err)
    assert said
    assert int(said[1]) == totals["requests"] == len(result["requests"]) == 2
    assert int(said[2].replace(",", "")) == totals["prompt_tokens"]
    assert int(said[3].replace(",", "")) == totals["output_tokens"]
    assert float(said[4]) == pytest.approx(100 * totals["hit_rate"], abs=0.1)
    assert float(said[5]) == pytest.approx(totals["cost_usd"], abs=0.0001)
    assert totals["prompt_tokens"] == sum(request["prompt_tokens"] for request in result["requests"])


def test_the_stream_tells_the_answer_piece_by_piece(lab: Lab, vendor: Start) -> None:
    vendor(WORK)
    told = lines(lab.run("-p", "hello", "--permission-mode", "yolo", "--output-format", "stream-json"))
    kinds = [line["type"] for line in told]

    assert kinds[0] == "start"
    assert kinds[-2:] == ["turn_ended", "result"]
    assert "".join(line["text"] for line in told if line["type"] == "text") == "I look.All\nis \u2028 well."
    assert kinds.count("tool_started") == kinds.count("tool_finished") == 2
    assert kinds.index("request") < kinds.index("text") < kinds.index("response") < kinds.index("tool_started")


@pytest.mark.parametrize("form", ["json", "stream-json"])
def test_failures_in_json(form: str, lab: Lab, vendor: Start) -> None:
    vendor(Script(), allowed="bad").fault(Fault("status", status=400, message="bad \x1b[31m"))
    ran = lab.run("-p", "hello", "--output-format", form)
    *_, last = lines(ran)

    assert ran.code == last["exit_code"] == 1
    assert last["reason"] == "failed"
    assert "bad \x1b[31m" in last["detail"]
    assert len(ran.lines) == 1


# ------------------------------------------------------------------------------------------------- --json-schema

SCHEMA = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'


@pytest.fixture
def schema(lab: Lab) -> str:
    path = lab.folder / "schema.json"
    path.write_text(SCHEMA)
    return str(path)


@pytest.mark.parametrize("answer", ['{"n": 7}', '```json\n{"n": 7}\n```', ' \n{"n":7} '])
def test_an_answer_that_meets_the_schema(answer: str, lab: Lab, vendor: Start, schema: str) -> None:
    sim = vendor(Script(answer))
    ran = lab.run("-p", "count", "--json-schema", schema, "--output-format", "json")

    assert ran.code == 0
    assert lines(ran)[0]["structured"] == {"n": 7}
    assert len(sim.requests) == 1
    assert '"required":["n"]' in texts(sim.requests[0].json)


def test_what_is_printed_is_the_json_alone(lab: Lab, vendor: Start, schema: str) -> None:
    vendor(Script('```json\n{"n": 7}\n```'))

    assert lab.run("-p", "count", "--json-schema", schema).out == '{"n": 7}\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"$ref": "http://127.0.0.1:1/x.json"}', "refers to `http://127.0.0.1:1/x.json`, which is not in it"),
        ('{"properties": {"n": {"$ref": "file:///etc/passwd"}}}', "refers to `file:///etc/passwd`"),
        ('{"allOf": [{"$ref": "#/$defs/none"}]}', "refers to `#/$defs/none`"),
        ('{"$ref": "#"}', "without end"),
        ('{"not": ' * 900 + "{}" + "}" * 900, "without end"),
        ('{"$schema": 5}', "not a JSON Schema"),
        ('{"$id": 5}', "not a JSON Schema"),
        ('{"$id": "http://[x", "not": {"$id": "y"}}', "not a JSON Schema"),
        ('{"$schema": "http://json-schema.org/draft-04/schema#", "$ref": 5}', "5 is no reference"),
        ('{"$schema": "http://json-schema.org/draft-03/schema#", "type": "object"}', "draft 3 is too old"),
        # what is referred to is looked at, too, wherever it stands
        ('{"properties": {"n": {"$ref": "#/x"}}, "x": {"type": 5}}', "not a JSON Schema"),
        ('{"properties": {"n": {"$ref": "#/x"}}, "x": 5}', "not a JSON Schema"),
        ('{"properties": {"n": {"$ref": "#/x"}}, "x": {"$ref": "#/none"}}', "refers to `#/none`"),
        ('{"properties": {"n": {"$ref": "#/type/x"}}, "type": "object"}', "refers to `#/type/x`"),
        ('{"type": "object', "not JSON"),
        ('{"type": "thing"}', "not a JSON Schema"),
        ("true", "must be a JSON object"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_before_anything_is_sent(
    lab: Lab, vendor: Start, schema: str, text: str, why: str
) -> None:
    sim = vendor(Script("no"))
    Path(schema).write_text(text)

    ran = lab.run("-p", "count", "--json-schema", schema)

    assert (ran.code, sim.requests) == (2, [])
    assert len(ran.lines) == 1
    assert why in ran.lines[0]


def test_a_schema_is_read_by_its_own_draft_and_may_refer_to_its_parts(lab: Lab, vendor: Start, schema: str) -> None:
    # a list of schemas under `items` is another thing since 2020-12
    draft = "http://json-schema.org/draft-07/schema#"
    parts = {"$schema": draft, "items": [{"$ref": "#/definitions/n"}], "definitions": {"n": {"type": "integer"}}}
    Path(schema).write_text(json.dumps(parts))
    vendor(Script('["7"]', "[7]"))

    ran = lab.run("-p", "count", "--json-schema", schema)

    assert (ran.code, ran.out) == (0, "[7]\n")
    assert ran.err.count("does not meet the schema") == 1


def test_an_answer_that_is_nested_too_deeply_does_not_meet_the_schema(lab: Lab, vendor: Start, schema: str) -> None:
    Path(schema).write_text('{"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#/properties/b"}}}')
    vendor(Script('{"a":' * 700 + "{}" + "}" * 700, '{"b": 1}', '{"a": {}}'))

    ran = lab.run("-p", "count", "--json-schema", schema)

    assert (ran.code, ran.out) == (0, '{"a": {}}\n')
    assert ran.err.count("nested too deeply") == 2


def test_an_answer_that_is_repaired(lab: Lab, vendor: Start, schema: str) -> None:
    sim = vendor(Script("Seven.", '{"n": "7"}', '{"n": 7}', "more"))

    ran = lab.run("-p", "count", "--json-schema", schema)

    assert (ran.code, json.loads(ran.out)) == (0, {"n": 7})
    assert len(sim.requests) == 3
    assert ran.err.count("does not meet the schema") == 2
    # the same tools, system and settings as a run without a schema: see also `vendor`, which compares all blocks
    assert lab.run("-c", "-p", "and in words?").code == 0
    assert len({json.dumps(request.json["system"][0]) for request in sim.requests}) == 1
    assert all(request.json.keys() == sim.requests[0].json.keys() for request in sim.requests)


def test_an_answer_that_never_meets_the_schema(lab: Lab, vendor: Start, schema: str) -> None:
    sim = vendor(Script("a", "b", "c", "d"))

    ran = lab.run("-p", "count", "--json-schema", schema, "--output-format", "json")

    assert ran.code == 1
    assert len(sim.requests) == 3
    assert len(ran.lines) == 1
    assert "after 2 repairs" in ran.lines[0]
    assert lines(ran)[0]["structured"] is None


def test_work_before_the_structured_answer(lab: Lab, vendor: Start, schema: str) -> None:
    vendor(Script([call("glob", pattern="*")], '{"n": 0}'))

    assert json.loads(lab.run("-p", "count files", "--json-schema", schema).out) == {"n": 0}


# -------------------------------------------------------------------------------------------------------- limits


def test_max_turns(lab: Lab, vendor: Start) -> None:
    sim = vendor(lambda request: [call("grep", pattern=f"x{len(request['messages'])}")])

    ran = lab.run("-p", "hello", "--max-turns", "3")

    assert ran.code == 3
    assert "--max-turns 3" in ran.lines[0]
    assert len(sim.requests) == 3
    sim.brain = lambda _: "done"
    assert lab.run("-c", "-p", "go on", "--max-turns", "1").code == 0


def test_max_cost(lab: Lab, vendor: Start) -> None:
    sim = vendor(lambda request: [call("grep", pattern=f"x{len(request['messages'])}")], minimum=None)

    ran = lab.run("-p", "hello", "--max-cost", "0.006", "--output-format", "json")

    assert ran.code == 3
    assert "--max-cost 0.006" in ran.lines[0]
    spent = [request["cost_usd"] for request in lines(ran)[0]["requests"]]
    assert sum(spent[:-1]) < 0.006 <= sum(spent)
    # what earlier runs cost is not counted again
    sim.brain = lambda _: "done"
    assert lab.run("-c", "-p", "go on", "--max-cost", "0.006").code == 0


def test_max_cost_is_told_as_it_was_typed(lab: Lab, vendor: Start) -> None:
    vendor(lambda request: [call("grep", pattern=f"x{len(request['messages'])}")])

    assert "--max-cost 0.00001 reached" in lab.run("-p", "hello", "--max-cost", "0.00001").err


def test_a_fallback_that_is_not_in_the_model_list_is_said_before_it_is_needed(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script("well", "well"))

    ran = lab.run("-p", "hello", "--fallback-model", "claude-sonet-5-5")

    assert ran.code == 0
    assert "! anthropic/claude-sonet-5-5 is not in the model list (did you mean" in ran.err
    refused = lab.run("-p", "hello", "--fallback-model", "claude-sonet-5-5", "--max-cost", "1")
    assert (refused.code, len(sim.requests)) == (2, 1)
    assert "the price of anthropic/claude-sonet-5-5 is unknown; choose another --fallback-model" in refused.err


def test_max_cost_without_a_price_leaves_nothing(lab: Lab, vendor: Start) -> None:
    vendor(Script())
    assert lab.run("-p", "hello").code == 0
    before = lab.sessions()

    assert lab.run("-p", "x", "-c", "--fork", "--max-cost", "1", "--model", "claude-nope").code == 2
    assert lab.sessions() == before


# --------------------------------------------------------------------------------------------------- permissions


def asked(lab: Lab, vendor: Start, what: dict[str, Any], *flags: str) -> tuple[str, bool]:
    """What a model is told that makes this call and then goes on, and whether it is told as an error."""
    sim = vendor(Script([what], "went on"))
    ran = lab.run("-p", "hello", *flags)
    assert (ran.code, ran.out) == (0, "went on\n"), ran.err
    (result,) = results(sim.requests[1].json)
    return result_text(result), bool(result.get("is_error"))


def test_plan_reads_only(lab: Lab, vendor: Start) -> None:
    (lab.project / "a.txt").write_text("content a\n")
    plan = ("--permission-mode", "plan")

    text, is_error = asked(lab, vendor, call("read", path="a.txt"), *plan)
    assert not is_error
    assert "content a" in text
    text, is_error = asked(lab, vendor, call("write", path="b.txt", content="x"), *plan)
    assert is_error
    assert "--permission-mode" in text
    text, is_error = asked(lab, vendor, call("shell", command="touch c.txt"), *plan, "--allow", "shell(touch *)")
    assert is_error
    assert "--permission-mode" in text
    assert sorted(path.name for path in lab.project.iterdir()) == ["a.txt"]


def test_edit_stays_in_the_workspace_and_runs_what_is_allowed(lab: Lab, vendor: Start) -> None:
    outside = lab.folder / "outside"
    outside.mkdir()
    (lab.project / "link").symlink_to(outside)

    assert asked(lab, vendor, call("write", path="b.txt", content="x"))[1] is False
    for path in ("../outside/x", "link/x", str(outside / "x")):
        text, is_error = asked(lab, vendor, call("write", path=path, content="x"))
        assert is_error
        assert "--add-dir" in text
    assert asked(lab, vendor, call("write", path="link/y", content="y"), "--add-dir", str(outside))[1] is False
    assert [path.name for path in outside.iterdir()] == ["y"]


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        ("echo hello", True),
        ("touch made", False),
        ("echo hello; touch made", False),
        ("echo hello && touch made", False),
        ("echo hello > made", False),
        ("echo $(touch made)", False),
        ("echo `touch made`", False),
        ("echo hello\ntouch made", False),
    ],
)
def test_edit_runs_what_is_allowed(command: str, runs: bool, lab: Lab, vendor: Start) -> None:
    text, is_error = asked(lab, vendor, call("shell", command=command), "--allow", "shell(echo *)")

    assert is_error is not runs
    assert ("hello" in text) if runs else re.search("--(allow|permission-mode)", text)
    assert not (lab.project / "made").exists()


def test_yolo_never_refuses(lab: Lab, vendor: Start) -> None:
    asked(lab, vendor, call("shell", command="echo x > ../made"), "--permission-mode", "yolo")

    assert (lab.folder / "made").read_text() == "x\n"


def test_nobody_is_there(lab: Lab, vendor: Start) -> None:
    text, _ = asked(lab, vendor, call("ask_user", question="Which one?"))

    assert re.search(r"[Nn]obody", text)


# ------------------------------------------------------------------------------------------- sessions and models


def test_fork_leaves_the_session_as_it_is(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script("one", "two", "three"), branches=True, minimum=None)
    assert lab.run("-p", "hello").code == 0
    (first,) = lab.sessions()
    before = (first / "journal.jsonl").read_bytes()

    forked = lab.run("-c", "--fork", "-p", "another way")

    assert forked.code == 0
    # but for one more record, which says that there is a fork
    after = (first / "journal.jsonl").read_bytes()
    assert after.startswith(before)
    assert [record.kind for record in lab.records(first)][before.count(b"\n") :] in ([], ["forked"])
    assert forked.session != first.name
    assert sim.requests[1].usage["cache_read_input_tokens"] > 0
    assert lab.run("-r", first.name, "-p", "this way").code == 0
    assert lab.run("-r", forked.session[:-2], "-p", "and on").code == 0
    assert "another way" not in texts(sim.requests[2].json)
    assert "another way" in texts(sim.requests[3].json)


def test_another_model_is_another_line(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script([{"thinking": "secretly"}, {"text": "one"}], "two", "three", "four"), minimum=None)
    assert lab.run("-p", "hello").code == 0
    assert lab.run("-c", "-p", "you now", "--model", "opus").code == 0
    # a session keeps the model it last spoke to
    assert lab.run("-c", "-p", "still you").code == 0
    assert lab.run("-c", "-p", "back again", "--model", "sonnet").code == 0

    models = [request.model for request in sim.requests]
    assert models == ["claude-sonnet-5-5", "claude-opus-5-5", "claude-opus-5-5", "claude-sonnet-5-5"]
    assert len({request.line for request in sim.requests}) == 2
    told = [texts(request.json).count("[Session context: ") for request in sim.requests]
    assert told == [1, 2, 2, 3]
    assert "secretly" not in json.dumps(sim.requests[1].json)
    assert sim.requests[3].usage["cache_read_input_tokens"] > 0


def test_effort_is_told_inside_the_conversation_and_stays(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script("one", "two", "three"))
    assert lab.run("-p", "hello").code == 0
    ran = lab.run("-c", "-p", "harder", "--effort", "high")
    assert (ran.code, "told inside the conversation" in ran.err) == (0, True)
    assert lab.run("-c", "-p", "and on").code == 0

    assert [request.effort for request in sim.requests] == [None, "high", "high"]
    assert {request.line for request in sim.requests} == {"claude-sonnet-5-5 " + '{"thinking": {"type": "adaptive"}}'}
    assert [r.data["reason"] for r in lab.records() if r.kind == "epoch"] == ["start"]


def test_where_no_message_can_tell_it_effort_is_a_settings_change_with_a_price(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script("one", "two", "three"))
    assert lab.run("-p", "hello", "--model", "claude-opus-4-8").code == 0
    ran = lab.run("-c", "-p", "harder", "--effort", "high")
    assert ran.code == 0
    assert re.search(
        r"effort high for anthropic/claude-opus-4-8: [\d,]+ cached tokens are written again: about \$0", ran.err
    )
    assert lab.run("-c", "-p", "and on").code == 0
    assert lab.run("-c", "-p", "more", "--effort", "huge").code == 2
    ran = lab.run("-c", "-p", "more", "--effort", "high")
    assert "effort high" not in ran.err

    assert [request.effort for request in sim.requests] == [None, "high", "high", "high"]
    assert [r.data["reason"] for r in lab.records() if r.kind == "epoch"] == [
        "start",
        "settings: effort default to high",
    ]


def test_a_session_without_cache_stays_without(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script([call("glob", pattern="*")], "one", "two"), cached=False)
    lab.config("[cache]\nenabled = false\n")
    assert lab.run("-p", "hello").code == 0
    lab.config("")
    assert lab.run("-c", "-p", "more").code == 0
    lab.config('[cache]\nttl = "1h"\n')
    assert lab.run("-c", "-p", "more").code == 0

    assert len(sim.requests) == 4
    assert all(b"cache_control" not in request.body for request in sim.requests)


def test_no_session(lab: Lab, vendor: Start) -> None:
    vendor(Script())

    assert lab.run("-p", "hello", "--no-session").code == 0
    assert lab.sessions() == []
    assert lab.run("-p", "hello", "-c").code == 2


def test_strict_prefix_does_not_hinder(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script([call("glob", pattern="*")], "one", "two"))

    assert lab.run("-p", "hello", "--strict-prefix").code == 0
    assert lab.run("-c", "-p", "more", "--strict-prefix").code == 0
    assert len(sim.requests) == 3


def test_working_folder_of_choice(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script([call("write", path="made.txt", content="x")]))
    other = lab.folder / "other"
    other.mkdir()

    assert lab.run("-p", "hello", "--cwd", str(other)).code == 0
    assert (other / "made.txt").exists()
    assert f"Working directory: {other}" in texts(sim.requests[0].json)


# ------------------------------------------------------------------------------------------------------ terminal

EVIL = "\x1b]0;owned\x07 \x1b[2J \x9b31m \u202edlrow\u202c \x08\x08 zero\u200bwidth"
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def test_nothing_acts_on_the_terminal(lab: Lab, vendor: Start) -> None:
    name = "a\x1b[31m\u202e.txt"
    (lab.project / name).write_text(EVIL)
    vendor(
        Script(
            [{"text": EVIL}, {"call": "read", "input": {"path": name}}, call("shell", command=f"printf '{EVIL}'")],
            [call("glob", pattern="*"), call("grep", pattern="owned"), call(f"evil{EVIL}", path=EVIL)],
            [call("todo", todos=[{"content": EVIL, "status": "pending"}]), call("shell", command=EVIL)],
            EVIL,
        )
    )

    ran = lab.run("-p", f"hello {EVIL}", "--permission-mode", "yolo")

    assert ran.code == 0
    assert ACTS.search(ran.out + ran.err) is None
    assert "\\x1b]0;owned" in ran.out


def test_evil_retries_and_notices(lab: Lab, vendor: Start) -> None:
    message = EVIL + "\nharness: fine"
    vendor(Script()).fault(Fault("status", status=529, message=message, headers={"retry-after-ms": "1"}))

    ran = lab.run("-p", "hello")

    assert ran.code == 0
    assert ACTS.search(ran.err) is None
    assert ran.lines == []
