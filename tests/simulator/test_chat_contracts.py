"""Caching on the Chat wire: OpenAI's two contracts, DeepSeek's whole units, engines, OpenRouter (sections B, C)."""

from __future__ import annotations

from typing import Any

import pytest

MARK = {"mode": "explicit"}


def talk(count: int, start: int = 1, marks: Any = ()) -> list[Any]:
    """User messages of one text part of 25 tokens."""
    made = []
    for at in range(start, count + 1):
        part: dict[str, Any] = {"type": "text", "text": f"message {at} ".ljust(74, ".")}
        if at in marks:
            part["prompt_cache_breakpoint"] = MARK
        made.append({"role": "user", "content": [part]})
    return made


def test_openai_from_56_on(start: Any) -> None:
    call = start(minimum=None)
    explicit = {"prompt_cache_options": {"mode": "explicit"}}
    assert call.chat(talk(41, marks={41}), **explicit).bill == (0, 1025, 1025)
    assert call.chat(talk(43, marks={43}), **explicit).bill == (0, 1075, 1075)
    assert call.chat(talk(45, marks={41, 45}), **explicit).bill == (1025, 100, 1125)
    assert call.chat(talk(46)).bill == (1125, 25, 1150)


def test_openai_before_56(start: Any) -> None:
    call = start(minimum=None)
    assert [call.chat(talk(count), model="gpt-5.4").bill[0] for count in (47, 60)] == [0, 1152]


def test_deepseek_matches_whole_units(start: Any) -> None:
    call = start(profile="deepseek")
    assert call.chat(talk(10)).json["usage"]["prompt_cache_hit_tokens"] == 0
    # The end of the user's input is a unit's end: 250, though 64 does not divide it.
    assert call.chat(talk(20)).json["usage"]["prompt_cache_hit_tokens"] == 250
    # Elsewhere the fixed interval of 64.
    assert call.chat([*talk(7), *talk(30, start=29)]).json["usage"]["prompt_cache_hit_tokens"] == 128
    call.sim.clock.advance(1_000_000)
    assert call.chat(talk(20)).json["usage"]["prompt_cache_hit_tokens"] == 500


@pytest.mark.parametrize(("interval", "read"), [(0, 0), (100, 100), (64, 128)])
def test_f7_the_interval_is_a_rule(start: Any, interval: int, read: int) -> None:
    call = start(profile="deepseek", unit_interval=interval)
    call.chat(talk(10))
    assert call.chat([*talk(7), *talk(30, start=29)]).json["usage"]["prompt_cache_hit_tokens"] == read
    assert call.chat(talk(12)).json["usage"]["prompt_cache_hit_tokens"] == 250


@pytest.mark.parametrize("form", ["string", "parts"])
def test_deepseek_stores_the_end_of_the_output(start: Any, form: str) -> None:
    call = start(
        lambda _: [{"thinking": "hm"}, {"text": "One."}, {"call": "look", "input": {}}],
        profile="deepseek",
        unit_interval=0,
    )
    message = call.chat(talk(10)).json["choices"][0]["message"]
    if form == "parts":
        message["content"] = [{"type": "text", "text": message["content"]}]
    done = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "done"}
    call.chat([*talk(10), message, done])
    blocks = call.sim.requests[1].blocks
    assert call.sim.requests[1].read == sum(block.tokens for block in blocks[:-1])
    assert [block.kind for block in blocks[10:]] == ["reasoning", "text", "tool_call", "text"]


@pytest.mark.parametrize(("tokens", "read"), [(16, 240), (528, 0), (1, 249)])
def test_vllm_reads_full_blocks(start: Any, tokens: int, read: int) -> None:
    call = start(profile="vllm", block_tokens=tokens)
    call.chat(talk(10))
    assert call.chat(talk(10)).bill[0] == read
    assert call.chat(talk(11)).bill[0] == (250 if tokens == 1 else read)
    call.sim.clock.advance(1_000_000)
    assert call.chat(talk(11)).bill[0] == (274 if tokens == 1 else 272 if tokens == 16 else 0)
    assert call.chat(talk(11), cache_salt="mine").bill[0] == 0
    assert all(request.perfect_read == request.read for request in call.sim.requests)


def test_sglang_has_a_tree_of_tokens(start: Any) -> None:
    call = start(profile="sglang")
    call.chat(talk(10))
    assert call.chat(talk(11)).bill[0] == 250
    # it parts within the ninth message, not at the end of a block
    other = talk(11)
    other[8]["content"][0]["text"] = other[8]["content"][0]["text"].replace("message", "massage")
    assert call.chat(other).bill[0] == 200 + (len('{"type":"text","text":"m') // 4)
    assert call.chat(talk(11), cache_salt="mine").bill[0] == 0


def test_llamacpp_has_slots(start: Any) -> None:
    call = start(profile="llamacpp")
    call.chat(talk(10))
    assert call.chat(talk(12)).bill[0] == 250
    assert call.chat(talk(12)).bill[0] == 299
    assert call.chat(talk(12), cache_prompt=False).bill[0] == 0
    call.chat([{"role": "user", "content": "another session " * 50}])
    assert call.chat(talk(12)).bill[0] == 0
    two = start(profile="llamacpp", slots=2)
    for messages in (talk(10), [{"role": "user", "content": "another session " * 50}]):
        two.chat(messages)
    assert two.chat(talk(12)).bill[0] == 250
    assert two.sim.evict() == 2
    assert two.chat(talk(12)).bill[0] == 0


def test_llamacpp_keeps_what_it_generated(start: Any) -> None:
    call = start(lambda _: "An answer of some length.", profile="llamacpp")
    message = call.chat(talk(4)).json["choices"][0]["message"]
    call.chat([*talk(4), message, *talk(5, start=5)])
    assert call.sim.requests[1].read == sum(block.tokens for block in call.sim.requests[1].blocks[:-1])


def test_the_contract_may_be_chosen(start: Any) -> None:
    call = start(profile="generic", contract="blocks", cache_report="on")
    call.chat(talk(10))
    assert call.chat(talk(11)).bill[0] == 240
    call = start(contract="none")
    call.chat(talk(90))
    assert call.chat(talk(90)).bill == (0, 0, 2250)
    assert call.sim.requests[1].explain == "no cache"
    for contract in ("units", "slots", "steps", "breakpoints"):
        call = start(profile="generic", contract=contract, cache_report="on", minimum=None)
        call.chat(talk(90))
        assert call.chat(talk(91)).bill[0] > 2000


def test_openrouter_translates_or_passes_markers(start: Any) -> None:
    def marked(count: int, at: int) -> list[Any]:
        messages = talk(count)
        messages[at - 1]["content"][0]["cache_control"] = {"type": "ephemeral", "ttl": "1h"}
        return messages

    call = start(profile="openrouter", minimum=None)
    explicit = {"prompt_cache_options": {"mode": "explicit"}}
    assert call.chat(marked(60, 50), model="openai/gpt-6.1-sol", **explicit).bill == (0, 1250, 1500)
    assert call.chat(marked(60, 50), model="openai/gpt-6.1-sol", **explicit).bill == (1250, 0, 1500)
    assert call.sim.requests[0].blocks[49].marker == "30m"
    claude = "anthropic/claude-opus-4.8"
    assert call.chat(marked(60, 50), model=claude).bill == (0, 1250, 1500)
    assert call.sim.requests[2].blocks[49].marker == "1h"
    assert call.chat(marked(70, 60), model=claude).bill == (1250, 250, 1750)
    assert call.sim.requests[3].contract == "anthropic"
    five = talk(9)
    for message in five[:5]:
        message["content"][0]["cache_control"] = {"type": "ephemeral"}
    assert "A maximum of 4 blocks with cache_control" in call.chat(five, model=claude).failure[1]
    assert call.chat(talk(10), model="deepseek/deepseek-v4-pro").bill[0] == 0
    assert call.chat(talk(12), model="deepseek/deepseek-v4-pro").bill[0] == 250


@pytest.mark.parametrize(
    ("model", "window"), [("claude-opus-4.8", 1_000_000), ("claude-haiku-4.5", 200_000), ("claude-nobody", 131_072)]
)
def test_openrouter_has_the_window_of_its_vendor(start: Any, model: str, window: int) -> None:
    call = start(profile="openrouter")
    frame = len('{"type":"text","text":""}')
    for tokens, status in ((window, 200), (window + 1, 400)):
        content = [{"type": "text", "text": "x" * (tokens * 4 - frame)}]
        assert call.chat([{"role": "user", "content": content}], model=f"anthropic/{model}").status == status


def test_c_sticky_routing_of_openrouter(start: Any) -> None:
    call = start(profile="openrouter")
    model = "openai/gpt-6.1-sol"
    call.chat(talk(3), model=model, session_id="a", prompt_cache_key="x")
    assert call.chat(talk(4), model=model, session_id="a", prompt_cache_key="y").bill[0] == 75
    assert call.chat(talk(4), model=model, session_id="b").bill[0] == 0
    call.headers = {"x-session-id": "a"}
    assert call.chat(talk(4), model=model, prompt_cache_key="z").bill[0] == 100


def test_blocks_of_a_conversation(start: Any) -> None:
    call = start()
    made = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    messages = [
        {"role": "system", "content": "static"},
        {"role": "developer", "content": [{"type": "text", "text": "session"}]},
        *talk(1, marks={1}),
        {"role": "assistant", "content": "calling", "tool_calls": [made]},
        {"role": "tool", "tool_call_id": "c", "content": "done"},
    ]
    call.chat(messages, tools=[tool])
    blocks = call.sim.requests[0].blocks
    assert [(block.level, block.role, block.first) for block in blocks] == [
        ("tools", "", True),
        ("system", "system", True),
        ("system", "developer", True),
        ("messages", "user", True),
        ("messages", "assistant", True),
        ("messages", "assistant", False),
        ("messages", "tool", True),
    ]
    assert blocks[1].canonical == b'"static"'
    assert b"breakpoint" not in blocks[3].canonical
    assert call.sim.requests[0].markers == (3,)
    assert blocks[6].canonical == b'{"tool_call_id":"c","content":"done"}'
    # Another form of the same text is another prefix.
    messages[0]["content"] = [{"type": "text", "text": "static"}]
    call.chat(messages, tools=[tool])
    assert call.sim.requests[1].read == 0
