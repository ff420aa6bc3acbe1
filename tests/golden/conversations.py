"""Canonical conversations: one of each kind of content that can be sent."""

from __future__ import annotations

from harness.conversation.blocks import Image, Message, Setting, Tag, Text, Thinking, ToolCall, ToolResult

MODEL = "anthropic/claude-sonnet-5-5"
CONTEXT = "[Session context: Today is 2026-05-13, Wednesday.]"


def said(text: str, tag: Tag = "person") -> Message:
    return Message(tag, (Text(text),))


def answered(*parts: Text | Thinking | ToolCall, partial: bool = False) -> Message:
    return Message("answer", parts, partial)


def call(number: int, **arguments: object) -> ToolCall:
    return ToolCall(f"toolu_{number}", "read", {"path": f"{number}.txt", **arguments})


def result(number: int, *content: Text | Image, is_error: bool = False) -> ToolResult:
    return ToolResult(f"toolu_{number}", content or (Text(f"content of {number}"),), is_error)


CONVERSATIONS: dict[str, list[Message]] = {
    "text": [said("Hello."), answered(Text("Hi.")), said("What is this?")],
    "parallel_calls": [
        said("Read three."),
        answered(Text("I look."), call(1), call(2, limit=5), call(3, offset=2)),
        Message("results", (result(1), result(2), result(3))),
    ],
    "image_in_a_result": [
        said("Look at it."),
        answered(call(1)),
        Message("results", (result(1, Text("a picture"), Image("image/png", "aGVsbG8=")),)),
    ],
    "error_result": [
        said("Read."),
        answered(call(1)),
        Message("results", (result(1, Text("no such file"), is_error=True),)),
    ],
    "signed_thinking": [
        said("Think."),
        answered(Thinking("Let me see.", "c2ln", MODEL), Text("So."), call(1)),
        Message("results", (result(1),)),
    ],
    "foreign_thinking_is_dropped": [
        said("Think."),
        answered(Thinking("Not yours.", "c2ln", "anthropic/claude-opus-4-8"), Text("So.")),
        said("And?"),
    ],
    "redacted_thinking": [
        said("Think."),
        answered(Thinking("", "", MODEL, "b3BhcXVl"), Text("So.")),
        said("And?"),
    ],
    "partial_answer": [
        said("Tell me."),
        answered(
            Thinking("Unsigned.", "", MODEL),
            Text("It was a dark"),
            Thinking("At the end.", "c2ln", MODEL),
            partial=True,
        ),
        said("Go on."),
    ],
    "invalid_call": [
        said("Read."),
        answered(ToolCall("toolu_1", "read", {"invalid_json": '{"path": '}, "the arguments are not valid JSON")),
        Message("results", (result(1, Text("The call was not run."), is_error=True),)),
    ],
    "unicode": [
        said('Grüße, 世界 👩‍👩‍👧 \u2028 \u2029 \x7f \t \\ " </script>'),
        answered(Text("e\u0301 \ufeff \U0010ffff")),
        said("\ufffd"),
    ],
    "context_person_program": [
        said(CONTEXT, "system_injected"),
        said("An instruction that the program adds.", "system_injected"),
        said("Hello."),
        answered(Text("not JSON")),
        said("That is not valid. Answer again.", "program"),
    ],
    "steering_after_results": [
        said("Read."),
        answered(call(1)),
        Message("results", (result(1),)),
        said("Also look at the other one."),
    ],
    "effort_told": [
        said("Think."),
        Message("setting", (Setting("effort", "low", MODEL),)),
        answered(Text("So.")),
        said("And?"),
        Message("setting", (Setting("effort", "high", MODEL),)),
        said("No answer came."),
    ],
    "nothing_to_send_of_an_answer": [
        said("Think."),
        answered(Thinking("Not yours.", "c2ln", "anthropic/claude-opus-4-8")),
        said("And?"),
    ],
}
"""By name. The last message is a person's, the program's, or results: what a request can end with."""
