"""What a request says, read alike on every wire; and what must hold of it, whatever the wire.

Invariant: nothing of the client's is used: a request is read as its vendor got it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.simulator import Block, Received
from tests.prefix_check import identity
from tests.property.reference import SUMMARY, archive_of

CONTEXT = "[Session context:"
MARKED = ("anthropic", "breakpoints")
"""Contracts that read what was marked; the others match the text by themselves."""
STEPS = {"steps": 128, "units": 64, "blocks": 16, "slots": 1}
"""Tokens that the others read as a whole."""
LEAST = {"steps": 1_024}
SECONDS = {"5m": 300, "30m": 1_800, "1h": 3_600, "12h": 43_200}


@dataclass(frozen=True)
class Said:
    """One thing in the order in which it was sent. text: words, or the id of a call. size: bytes of a result."""

    kind: Literal["context", "person", "answer", "call", "result"]
    text: str
    size: int = 0


def read(request: Received) -> list[Said]:
    """The conversation, without system, settings and thinking."""
    match request.wire:
        case "anthropic":
            return [said for message in request.json["messages"] for said in _anthropic(message)]
        case "openai-responses":
            return [said for item in request.json["input"] for said in _responses(item)]
        case "openai-chat":
            return [said for message in request.json["messages"] for said in _chat(message)]
        case wire:
            raise AssertionError(f"no such wire: {wire}")


def summary(request: Received) -> str:
    """The archive that the summary of a compacted conversation names; "" where it is none."""
    begun = next((said.text for said in read(request) if said.kind == "person" and said.text.startswith(SUMMARY)), "")
    return archive_of(begun)


def check_without_thinking(request: Received) -> None:
    """The first request after a compaction: what was thought before is bound to what is gone."""
    if request.kind == "side":
        return
    kinds = ("thinking", "redacted_thinking", "reasoning")
    # with calls some servers want the field at least, empty
    assert not any(block.kind in kinds and block.canonical != b'""' for block in request.blocks)
    for message in request.json.get("messages", ()):
        assert not message.get("reasoning_content"), "reasoning outlived a compaction"
        assert not message.get("reasoning_details"), "reasoning outlived a compaction"


def frozen_words(request: Received) -> tuple[list[str], str]:
    """The names of the tools and the system text."""
    body = request.json
    tools = [tool.get("function", tool)["name"] for tool in body["tools"]]
    if request.wire == "anthropic":
        return tools, _text(body["system"])
    first = body["input" if request.wire == "openai-responses" else "messages"][0]
    assert first["role"] in ("system", "developer")
    return tools, _text(first["content"])


def _anthropic(message: Mapping[str, Any]) -> Iterator[Said]:
    assert isinstance(message["content"], list)
    if message["role"] == "system":
        return  # a change of effort
    for block in message["content"]:
        match block["type"]:
            case "text" if message["role"] == "user":
                yield from _person(block["text"])
            case "text":
                yield Said("answer", block["text"])
            case "tool_use":
                yield Said("call", block["id"])
            case "tool_result":
                assert isinstance(block["content"], list)
                yield Said("result", block["tool_use_id"], _size(block["content"]))
            case kind:
                assert kind in ("thinking", "redacted_thinking")


def _responses(item: Mapping[str, Any]) -> Iterator[Said]:
    match item["type"]:
        case "message":
            assert isinstance(item["content"], list)
            if item["role"] == "user":
                for part in item["content"]:
                    yield from _person(part["text"])
            elif item["role"] == "assistant":
                yield Said("answer", _text(item["content"]))
        case "function_call":
            yield Said("call", item["call_id"])
        case "function_call_output":
            assert isinstance(item["output"], list)
            yield Said("result", item["call_id"], _size(item["output"]))
        case kind:
            assert kind in ("reasoning", "configuration_update")


def _chat(message: Mapping[str, Any]) -> Iterator[Said]:
    content = message["content"] or []
    match message["role"]:
        case "user":
            for text in [content] if isinstance(content, str) else [part["text"] for part in content]:
                yield from _person(text)
        case "assistant":
            if content:
                yield Said("answer", _text(content))
            yield from (Said("call", call["id"]) for call in message.get("tool_calls") or ())
        case "tool":
            yield Said("result", message["tool_call_id"], _size(content))
        case role:
            assert role in ("system", "developer")


def _person(text: str) -> Iterator[Said]:
    """Words of the user's role: contexts stand alone, or are merged with the words behind them."""
    for piece in re.split(r"(?:^|\n\n)(?=\[Session context: )", text):
        if not piece.startswith(CONTEXT):
            if piece:
                yield Said("person", piece)
            continue
        told, _, rest = piece.partition("]\n\n")
        yield Said("context", told)
        if rest:
            yield Said("person", rest)


def _text(content: str | Sequence[Mapping[str, Any]]) -> str:
    return content if isinstance(content, str) else "\n\n".join(part["text"] for part in content)


def _size(content: str | Sequence[Mapping[str, Any]]) -> int:
    return len(_text(content).encode("utf-8", "surrogatepass"))


# ------------------------------------------------------------------------------------------------- what must hold


def check_conversation(request: Received, contexts: int) -> None:
    """Contexts stand before a person's words; results come first, in call order, and none is empty or without bound."""
    told, waiting, answered = 0, list[str](), False
    conversation = read(request)
    for place, said in enumerate(conversation):
        match said.kind:
            case "context":
                told += 1
                assert conversation[place + 1].kind == "person", "a context is followed by no person's words"
            case "call":
                assert not (waiting and answered), "a call between two results"
                waiting.append(said.text)
                answered = False
            case "result":
                assert waiting, "a result without a call"
                assert waiting.pop(0) == said.text, "results are not the calls' own, in their order"
                assert 0 < said.size < 400_000
                answered = True
            case "person":
                assert not waiting, "words between a call and its result"
            case "answer":
                assert not answered or not waiting
    assert not waiting
    assert told == contexts, f"{told} session contexts, {contexts} changes of the facts"


def check_markers(request: Received) -> None:
    """Where there are any: at most four, none on what may not be marked, TTLs never increasing."""
    if request.contract not in MARKED:
        for key in (b'"cache_control":', b'"prompt_cache_breakpoint":'):
            assert key not in request.body, f"{request.model} is sent markers"
        return
    marked = [request.blocks[place] for place in request.markers]
    assert 1 <= len(marked) <= 4
    ttls = [SECONDS[block.marker or ""] for block in marked]
    assert ttls == sorted(ttls, reverse=True)
    for block in marked:
        assert block.kind not in ("thinking", "redacted_thinking", "reasoning")
        assert CONTEXT.encode() not in block.canonical[:60], "a session context carries a marker"
    if request.kind == "mainline":
        # behind it there may be a change of effort, which nobody can mark
        last = next(block for block in reversed(request.blocks) if block.role not in ("system", "developer"))
        assert last.marker, "the last block of a mainline request is its write"


def beyond_reach(request: Received) -> bool:
    """Whether more ends of messages lie behind what was cached than this vendor looks back at.

    That is 80, and only where a gateway knows no explicit mode: with it, nothing but our markers counts.
    """
    options = request.json.get("prompt_cache_options", {})
    if request.contract != "breakpoints" or options.get("mode") == "explicit":
        return False
    total = behind = 0
    for block in _counted(request):
        total += block.tokens
        behind += block.eligible and total > request.perfect_read
    return behind > 80 - 4


def check_side(request: Received) -> None:
    """A side request may write tools and system, and nothing behind them."""
    ends = [place for place in request.markers if request.blocks[place].level == "messages"]
    assert len(ends) <= 1
    options = request.json.get("prompt_cache_options", {})
    if request.contract == "breakpoints" and options.get("mode") != "explicit":
        return  # behind a gateway that knows no mode, the vendor writes the end of every request
    written = request.written + request.read
    assert not ends or written <= sum(block.tokens for block in request.blocks[: ends[0] + 1])


def check_nothing_is_read_twice(before: Received, request: Received) -> None:
    """Where the vendor matches text by itself: all that `request` begins with as `before` did is read, to the unit.

    The vendor's own accounts are not asked: this counts the blocks that are the same.
    """
    step = STEPS.get(request.contract)
    if step is None:
        return
    same = 0
    for old, new in zip(_counted(before), _counted(request), strict=False):
        if identity(old) != identity(new):
            break
        same += new.tokens
    if request.contract in ("blocks", "slots"):
        same = min(same, request.prompt_tokens - 1)  # a local engine computes at least the last token
    whole = same if request.contract == "units" and same == before.prompt_tokens else same // step * step
    if whole >= LEAST.get(request.contract, 0):
        assert request.read >= whole, f"{whole - request.read} tokens are paid again: {request.explain}"


def _counted(request: Received) -> list[Block]:
    return [block for block in request.blocks if block.counted]


def check_verdict(
    response: Mapping[str, Any],
    received: Received,
    earlier: Sequence[Received],
    billed: Container[str],
    *,
    at_once: bool = False,
) -> None:
    """What the client made of its bill, against what the vendor knows.

    Args:
        earlier: what came there before. billed: ids of the answers whose bill was told. at_once: others asked at the
            same time, so nobody can tell which of them an engine worked on last.
    """
    # an attempt that broke before its first event has written, and could not tell
    resent = any(
        one.body == received.body or (one.message_id not in billed and received.extends(one)) for one in earlier
    )
    # what the engine held was another branch's
    replaced = received.contract == "slots" and (at_once or (bool(earlier) and not received.extends(earlier[-1])))
    # an effort that is the vendor's default is to us another line, and to the vendor the same
    shared = any(one.line == received.line and effort(one) != effort(received) for one in earlier)
    verdict = response["verdict"]
    kind, expected, bill = verdict["kind"], verdict["expected"], verdict["read"]
    note = f"request {received.index} of {received.model}: {verdict}; {received.explain}"
    assert kind != "ours", note
    assert kind != "evicted" or replaced or beyond_reach(received), note
    # a vendor leaves out reasoning of an earlier turn before 5.6
    assert kind != "vendor stripped" or any(not block.counted for block in received.blocks), note
    assert kind != "not told" or received.contract == "none", note
    if kind == "hit" and received.contract != "none":
        assert bill >= max(expected, 1), note
        assert verdict["lost"] == 0, note
    if received.contract not in MARKED:
        return
    match kind:
        case "expired":
            assert resent or bill < received.prompt_tokens, note
            assert resent or "written by" not in received.explain or bill <= system_tokens(received), note
        case "first" | "declared":
            assert resent or shared or bill <= system_tokens(received), note
        case "too short":
            assert bill == 0, note
        case _:
            assert kind in ("hit", "evicted"), note


def effort(request: Received) -> str | None:
    """The effort that a request asks for; None where it names none."""
    body = request.json
    asked = body.get("output_config", {}).get("effort") or body.get("reasoning", {}).get("effort")
    return asked or body.get("reasoning_effort")


def system_tokens(request: Received) -> int:
    return sum(block.tokens for block in request.blocks if block.level != "messages")
