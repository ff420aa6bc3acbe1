"""The scripted model, and the simulator as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from harness.simulator import Scenario, ScenarioError

SCRIPT: dict[str, Any] = {
    "model_note": "plays two turns",
    "conversations": [
        {
            "match": "fix the (test|bug)",
            "turns": [
                {
                    "answer": [
                        {"text": "Looking."},
                        {"call": "look", "input": {"path": "{{cwd}}/a", "deep": ["{{cwd}}"]}},
                    ]
                },
                {"expect": "1 failed", "answer": [{"text": "Done."}], "stop": "max_tokens"},
            ],
        }
    ],
    "default": [{"text": "I do not know that."}],
    "side": [{"text": "A summary."}],
}


def start_of(work: str = "/tmp/a b") -> list[Any]:
    return [
        {"role": "user", "content": f"[Session context: Today is Monday. Working directory: {work}]"},
        {"role": "user", "content": [{"type": "text", "text": "please fix the bug"}]},
    ]


def test_turns_are_counted_by_assistant_messages(start: Any) -> None:
    call = start(Scenario.parse(SCRIPT))
    first = call(start_of()).json
    assert first["content"][1]["input"] == {"path": "/tmp/a b/a", "deep": ["/tmp/a b"]}
    assert call(start_of()).json["content"] == first["content"]
    result = {
        "type": "tool_result",
        "tool_use_id": first["content"][1]["id"],
        "content": "1 failed, 2 passed",
    }
    after = [
        *start_of(),
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": [result]},
    ]
    second = call(after).json
    assert (second["content"][0]["text"], second["stop_reason"]) == ("Done.", "max_tokens")
    after += [{"role": "assistant", "content": second["content"]}, {"role": "user", "content": "and now?"}]
    assert call(after).json["content"][0]["text"] == "The script has no further turns."


def test_the_newest_working_directory_wins(start: Any) -> None:
    call = start(Scenario.parse(SCRIPT))
    moved = {"role": "user", "content": "[Session context: Working directory: /new. Permission mode: edit]"}
    assert call([*start_of(), moved]).json["content"][1]["input"]["path"] == "/new/a"


def test_what_the_script_expects_must_be_there(start: Any) -> None:
    call = start(Scenario.parse(SCRIPT))
    content = call(start_of()).json["content"]
    result = {"type": "tool_result", "tool_use_id": content[1]["id"], "content": "all passed"}
    reply = call([*start_of(), {"role": "assistant", "content": content}, {"role": "user", "content": [result]}])
    assert (reply.status, reply.json["error"]["type"]) == (400, "scenario_mismatch")
    assert "turn 1: expected /1 failed/" in reply.error
    assert "all passed" in reply.error


def test_default_and_side_answers(start: Any) -> None:
    call = start(Scenario.parse(SCRIPT))
    said = {"role": "user", "content": "something else"}
    assert call([said]).json["content"][0]["text"] == "I do not know that."
    side = {"role": "user", "content": "[Side request: summarise]"}
    assert call([said, side]).json["content"][0]["text"] == "A summary."
    call.headers = {"x-sim-kind": "side"}
    call([said])
    assert [request.kind for request in call.sim.requests] == ["mainline", "side", "side"]
    call.headers = {}
    call.sim.is_side = lambda _: True
    call([said])
    assert call.sim.requests[-1].kind == "side"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ([], "must be an object"),
        ({"talks": []}, "unknown key 'talks'"),
        ({"conversations": [{"match": "("}]}, "conversations[0] needs"),
        ({"conversations": [{"match": "(", "turns": []}]}, "conversations[0].match: bad regular expression"),
        ({"conversations": [{"match": "a", "turns": [{}]}]}, "turns[0] must be an object with `answer`"),
        ({"conversations": [{"match": "a", "turns": [{"answer": [{"say": "x"}]}]}]}, "answer item 0"),
        ({"default": [{"answer": [], "fault": {"kind": "rain"}}]}, "unknown fault kind 'rain'"),
    ],
)
def test_bad_scenarios_name_the_place(change: Any, text: str) -> None:
    with pytest.raises(ScenarioError) as error:
        Scenario.parse(change)
    assert text in str(error.value)


def process(*options: str, stdin: Any = subprocess.DEVNULL) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "harness.simulator", *options]
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(command, cwd=root, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ask(url: str, value: Any = None) -> Any:
    data = None if value is None else json.dumps(value).encode()
    headers = {"x-api-key": "right", "anthropic-version": "2023-06-01"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=5) as reply:
        return json.load(reply)


def test_as_a_process_over_http(tmp_path: Path, text: Any) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps(SCRIPT), encoding="utf-8")
    with process("--scenario", str(script), "--key", "right", "--rules", "minimum=1", "refresh=all") as server:
        assert server.stdout is not None
        hello = json.loads(server.stdout.readline())
        url = hello["url"]
        assert hello["pid"] == server.pid
        assert ask(f"{url}/_sim/health")["ok"] is True
        request = {"model": "claude-opus-4-8", "max_tokens": 9}
        for words in (["a"], ["a", "b"], ["c"]):
            content = [*(text(word) for word in words[:-1]), text(words[-1], "5m")]
            ask(f"{url}/v1/messages", request | {"messages": [{"role": "user", "content": content}]})
        seen = ask(f"{url}/_sim/requests")
        assert [item["prefix_ok"] for item in seen] == [None, True, False]
        assert [item["extends"] for item in seen] == [None, 0, None]
        assert [item["perfect_read"] for item in seen] == [0, 7, 0]
        assert [item["usage"]["cache_read_input_tokens"] for item in seen] == [0, 7, 0]
        assert (seen[1]["n_blocks"], seen[1]["markers"], len(seen[1]["blocks"])) == (2, [1], 2)
        assert ask(f"{url}/_sim/clock", {"advance": 5})["now"] >= 5
        assert ask(f"{url}/_sim/scenario", {"default": [{"text": "new"}]}) == {"ok": True}
        assert ask(f"{url}/_sim/refused") == []
        server.terminate()
        assert server.wait(5) == 0
        assert server.stdout.read() == ""


def test_a_process_ends_with_its_stdin(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text("{}", encoding="utf-8")
    with process("--scenario", str(script), "--until-stdin-closes", stdin=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        assert "url" in server.stdout.readline()
        server.stdin.close()
        assert server.wait(5) == 0


@pytest.mark.parametrize(
    ("content", "says"), [("{", "not JSON"), ('{"talks": 1}', "unknown key 'talks'"), (None, "No such file")]
)
def test_a_bad_scenario_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, says: str
) -> None:
    from harness.simulator.__main__ import main  # noqa: PLC0415 - the module runs nothing when imported

    script = tmp_path / "script.json"
    if content is not None:
        script.write_text(content, encoding="utf-8")
    assert main(["--scenario", str(script)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert main(["--scenario", os.devnull, "--rules", "colour=red"]) == 2
