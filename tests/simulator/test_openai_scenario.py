"""One script on three wires: the same turns, the same control pages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.simulator import Rules, Scenario
from harness.simulator.conversation import last_user_text, said, turns_of_the_model, user_texts

SCRIPT = {
    "conversations": [
        {
            "match": "fix the test",
            "turns": [
                {
                    "answer": [
                        {"thinking": "hm"},
                        {"text": "Looking."},
                        {"call": "read", "input": {"path": "{{cwd}}/a"}},
                    ]
                },
                {"expect": "1 failed", "answer": [{"text": "Done."}], "stop": "max_tokens"},
            ],
        }
    ],
    "default": [{"text": "I do not know that."}],
    "side": [{"text": "A summary."}],
}
CONTEXT = "[Session context: Working directory: /repo/x. Permission mode: edit]"


class Anthropic:
    """How a client of each wire keeps a conversation: messages in, text and calls out."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.sent: list[Any] = []

    def user(self, text: str) -> None:
        self.sent.append({"role": "user", "content": [{"type": "text", "text": text}]})

    def result(self, text: str) -> None:
        block = {"type": "tool_result", "tool_use_id": self.made["id"], "content": [{"type": "text", "text": text}]}
        self.sent.append({"role": "user", "content": [block]})

    def ask(self) -> Any:
        self.reply = self.call(self.sent)
        if self.reply.status == 200:
            self.sent.append({"role": "assistant", "content": self.reply.json["content"]})
            self.made = self.reply.json["content"][-1]
        return self.reply

    @property
    def call_input(self) -> Any:
        return self.made["input"]

    @property
    def text(self) -> str:
        return str(self.reply.json["content"][-1]["text"])


class Responses(Anthropic):
    def user(self, text: str) -> None:
        self.sent.append({"role": "user", "content": [{"type": "input_text", "text": text}]})

    def result(self, text: str) -> None:
        output = [{"type": "input_text", "text": text}]
        self.sent.append({"type": "function_call_output", "call_id": self.made["call_id"], "output": output})

    def ask(self) -> Any:
        self.reply = self.call.respond(self.sent)
        if self.reply.status == 200:
            self.sent.extend(self.reply.json["output"])
            self.made = self.sent[-1]
        return self.reply

    @property
    def call_input(self) -> Any:
        return json.loads(self.made["arguments"])

    @property
    def text(self) -> str:
        return str(self.made["content"][0]["text"])


class Chat(Anthropic):
    def user(self, text: str) -> None:
        self.sent.append({"role": "user", "content": [{"type": "text", "text": text}]})

    def result(self, text: str) -> None:
        identity = self.made["tool_calls"][0]["id"]
        self.sent.append({"role": "tool", "tool_call_id": identity, "content": [{"type": "text", "text": text}]})

    def ask(self) -> Any:
        self.reply = self.call.chat(self.sent)
        if self.reply.status == 200:
            self.made = self.reply.json["choices"][0]["message"]
            self.sent.append(self.made)
        return self.reply

    @property
    def call_input(self) -> Any:
        return json.loads(self.made["tool_calls"][0]["function"]["arguments"])

    @property
    def text(self) -> str:
        return str(self.made["content"])


CLIENTS = pytest.mark.parametrize("client", [Anthropic, Responses, Chat])


@CLIENTS
def test_a_script_on_every_wire(start: Any, client: Any) -> None:
    call = start(Scenario.parse(SCRIPT))
    talk = client(call)
    talk.user(CONTEXT)
    talk.user("Please fix the test.")
    talk.ask()
    assert talk.call_input == {"path": "/repo/x/a"}
    talk.result("1 failed")
    talk.ask()
    assert talk.text == "Done."
    talk.user("And now?")
    talk.ask()
    assert talk.text == "The script has no further turns."
    pages = call.get("/_sim/requests")
    assert [page["wire"] for page in pages] == [{"Anthropic": "anthropic"}.get(client.__name__, pages[0]["wire"])] * 3
    assert [page["prefix_ok"] for page in pages] == [None, True, True]
    assert [page["read"] for page in pages[1:]] == [page["perfect_read"] for page in pages[1:]] or client is Anthropic
    assert call.sim.requests[2].extends(call.sim.requests[0])
    assert call.get("/_sim/refused") == []


@CLIENTS
def test_what_is_expected_and_asides(start: Any, client: Any) -> None:
    call = start(Scenario.parse(SCRIPT))
    talk = client(call)
    talk.user(CONTEXT)
    talk.user("Please fix the test.")
    talk.ask()
    talk.result("all passed")
    reply = talk.ask()
    assert (reply.status, reply.json["error"]["type"]) == (400, "scenario_mismatch")
    assert "all passed" in reply.error
    talk.sent[:] = talk.sent[:1]
    talk.ask()
    assert talk.text == "I do not know that."
    talk.user("[Side request: summarise]")
    talk.ask()
    assert talk.text == "A summary."
    assert [request.kind for request in call.sim.requests] == ["mainline", "mainline", "side"]


@pytest.mark.parametrize(
    ("post", "body"),
    [
        ("fault", {"kind": "status", "status": 429}),
        ("evict", {}),
        ("clock", {"advance": 99_999}),
        ("scenario", {"default": [{"text": "new"}]}),
    ],
)
def test_control_pages(start: Any, items: Any, post: str, body: Any) -> None:
    call = start()
    call.respond(items(3))
    assert call.post(f"/_sim/{post}", body).status == 200
    reply = call.respond(items(4))
    match post:
        case "fault":
            assert reply.status == 429
            assert call.get("/_sim/refused")[0]["code"] == "rate_limit_exceeded"
        case "evict" | "clock":
            assert reply.bill[0] == 0
        case _:
            assert reply.json["output"][0]["content"][0]["text"] == "new"
    call.post("/_sim/reset", {})
    assert call.sim.requests == []


def test_a_brain_sees_the_request_as_it_was_sent_and_may_read_it_on_any_wire(start: Any) -> None:
    seen: list[Any] = []

    def brain(request: Any) -> str:
        seen.append(request)
        return "ok"

    call = start(brain)
    call.respond(
        [
            {"role": "developer", "content": "static"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "found"},
            {"role": "user", "content": [{"type": "input_text", "text": "go on"}]},
        ]
    )
    assert [message.speaker for message in said(seen[0])] == ["system", "user", "assistant", "tool", "user"]
    assert (user_texts(seen[0]), last_user_text(seen[0])) == (["hi", "go on"], "found\ngo on")
    assert turns_of_the_model(seen[0]) == 1
    assert (user_texts({"input": "hi"}), last_user_text({"input": "hi"})) == (["hi"], "hi")


def test_rules_by_name() -> None:
    rules = Rules.parse(["profile=vllm", "block_tokens=528", "strict_alternation=true", "cache_key=required"])
    assert (rules.profile, rules.block_tokens, rules.strict_alternation) == ("vllm", 528, True)
    for bad in ("profile=aol", "contract=x", "slots=0", "retention=1h", "strict_alternation=maybe"):
        with pytest.raises(ValueError, match=bad.partition("=")[0]):
            Rules.parse([bad])
