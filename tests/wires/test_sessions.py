"""Whole sessions on each wire, contract and profile: every request extends the last, and reads what can be read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]

READ = {"call": "read", "input": {"path": "notes.txt"}}
ANSWERS = (
    [{"thinking": "I look."}, {"text": "I read it."}, READ, READ],
    [{"thinking": "Once more."}, READ],
    "Done.",
    [{"text": "Again."}, READ],
    [{"text": "So it is."}],
)

# model, rules of the server
SERVERS: dict[str, tuple[str, dict[str, Any]]] = {
    "responses, breakpoints": ("openai/gpt-6.1-sol", {}),
    "responses, breakpoints, the key needed": ("openai/gpt-6.2-sol", {"cache_key": "required"}),
    "responses, breakpoints, lookback of September": (
        "openai/gpt-6-sol",
        {"breakpoint_lookback": "first2_latest50"},
    ),
    "responses, steps": ("openai/gpt-5.4", {}),
    "responses, steps of 2,048": ("openai/gpt-5.5", {}),
    "chat, breakpoints": ("openai-chat/openai/gpt-6.1-sol", {}),
    "chat, steps": ("openai-chat/openai/gpt-5.4", {}),
    "openrouter to openai": ("openai-chat/openrouter/openai/gpt-6.1-sol", {"profile": "openrouter"}),
    "openrouter to anthropic": ("openai-chat/openrouter/anthropic/claude-sonnet-5.5", {"profile": "openrouter"}),
    "deepseek": ("openai-chat/deepseek/deepseek-v4-pro", {"profile": "deepseek", "strict_alternation": True}),
    "deepseek, wants all reasoning": (
        "openai-chat/deepseek/deepseek-v4-pro",
        {"profile": "deepseek", "reasoning_echo": "all"},
    ),
    "vllm": ("openai-chat/vllm/qwen3-coder-30b", {"profile": "vllm", "strict_alternation": True}),
    "vllm, blocks of 528, which nobody told us": (
        "openai-chat/vllm/qwen3-coder-30b",
        {"profile": "vllm", "block_tokens": 528},
    ),
    "sglang": ("openai-chat/sglang/qwen3-coder-30b", {"profile": "sglang", "cache_report": "on"}),
    "llamacpp": ("openai-chat/llamacpp/gemma-4-27b", {"profile": "llamacpp", "strict_alternation": True}),
    "llamacpp, no usage at all": ("openai-chat/llamacpp/noise", {"profile": "llamacpp", "cache_report": "nothing"}),
    "deepseek, no usage at all": (
        "openai-chat/deepseek/deepseek-v4-pro",
        {"profile": "deepseek", "cache_report": "nothing"},
    ),
    "ollama": ("openai-chat/ollama/qwen3", {"profile": "ollama"}),
    "ollama, telling nothing": ("openai-chat/ollama/qwen3", {"profile": "ollama", "cache_report": "off"}),
    "moonshot": ("openai-chat/moonshot/kimi-k3", {"profile": "moonshot"}),
    "zai": ("openai-chat/zai/glm-5.3", {"profile": "zai"}),
    "qwen": ("openai-chat/qwen/qwen3.8-max", {"profile": "qwen"}),
    "minimax": ("openai-chat/minimax/MiniMax-M3", {"profile": "minimax"}),
    "xai": ("openai-chat/xai/grok-4.7", {"profile": "xai"}),
    "mistral": ("openai-chat/mistral/mistral-large-4", {"profile": "mistral", "strict_alternation": True}),
    "gemini": ("openai-chat/gemini/gemini-4-argon", {"profile": "gemini"}),
    "groq": ("openai-chat/groq/openai/gpt-oss-120b", {"profile": "groq"}),
    "generic": ("openai-chat/some-model", {"profile": "generic", "strict_alternation": True}),
}


def told(server: str) -> set[str]:
    """The verdicts that may come."""
    if server in ("generic", "ollama, telling nothing") or "no usage" in server:
        return {"first", "not told"}
    if "nobody told us" in server:
        # a hit where a prompt happens to end with a block
        return {"first", "evicted", "hit"}
    if server == "gemini":
        return {"first", "hit", "too short"}
    # a vendor leaves out reasoning of an earlier turn before 5.6
    return {"first", "hit"} | ({"vendor stripped"} if "steps" in server else set())


@pytest.mark.parametrize("server", SERVERS)
def test_a_session(server: str, speaker: Begin) -> None:
    model, rules = SERVERS[server]
    person = speaker(Script(*ANSWERS), model=model, **rules)
    (person.project / "notes.txt").write_text("".join(f"note {number}\n" for number in range(400)))
    person.say("Read it twice.")
    person.simulator.clock.advance(100)
    person.come_back()
    assert person.answer("And again.") == "So it is."

    requests = person.mainline
    assert len(requests) == 5
    assert [request.model for request in requests] == [person.app.model.name] * 5
    for before, after in pairwise(requests):
        assert after.extends(before)
        assert after.read == after.perfect_read, after.explain
    verdicts = person.verdicts()
    assert set(verdicts) <= told(server), list(zip(verdicts, [request.explain for request in requests], strict=True))
    assert len(set(verdicts[1:3])) == 1 or server == "gemini", "its least is passed on the way"


@pytest.mark.parametrize("server", SERVERS)
def test_a_side_request_reads_and_is_not_extended(server: str, speaker: Begin) -> None:
    model, rules = SERVERS[server]
    person = speaker(Script("One.", "Aside.", "Two.", "Three."), model=model, **rules)
    person.say("One?")
    person.aside()
    # the same bytes again: where a vendor writes the end of every request, all of it is read
    person.aside()
    person.say("Two?")

    first, second = person.mainline
    assert second.extends(first)
    assert second.read == second.perfect_read, second.explain
    side = next(request for request in person.simulator.requests if request.kind == "side")
    assert side.read == side.perfect_read, side.explain
    assert set(person.verdicts()) <= told(server), person.verdicts()


def test_what_no_bill_tells_costs_an_unknown_sum(speaker: Begin) -> None:
    person = speaker(
        Script("One."), model="openai-chat/deepseek/deepseek-v4-pro", profile="deepseek", cache_report="nothing"
    )
    assert person.app.model.price is not None
    person.say("One?")

    assert person.app.session.totals.cost is None
    assert [record.data["cost"] for record in person.records("response")] == [None]


@pytest.mark.moves_prefix(reason="another session of the same workspace", times=1)
def test_sessions_of_one_workspace_share_their_key_and_their_opening(speaker: Begin) -> None:
    person = speaker(Script("One."), model="openai/gpt-6.1-sol", cache_key="required")
    person.say("One?")
    person.begin_anew()
    person.say("Other?")
    first, second = person.mainline

    assert first.json["prompt_cache_key"] == second.json["prompt_cache_key"]
    assert str(person.project) not in first.json["prompt_cache_key"]
    assert second.read > 0
    assert person.app.session.about["cache_key"] == first.json["prompt_cache_key"]


def test_what_the_model_said_comes_back_with_its_phase(speaker: Begin) -> None:
    """openai 3.54.0, ResponseOutputMessageParam: preserve and resend it on all assistant messages."""
    person = speaker(Script(*ANSWERS), model="openai/gpt-6.1-sol")
    (person.project / "notes.txt").write_text("a note\n")
    person.say("Look.")
    person.come_back()
    person.say("Again?")
    said = [item for item in person.mainline[-1].json["input"] if item.get("role") == "assistant"]

    assert [item.get("phase") for item in said] == ["commentary", "final_answer", "commentary"]
    for before, after in pairwise(person.mainline):
        assert after.extends(before)


def test_a_server_that_tells_nothing_of_a_cache_is_not_said_to_have_lost_it(speaker: Begin) -> None:
    """As Ollama's /v1/messages and some gateways: no field of usage speaks of a cache."""
    person = speaker(Script(*ANSWERS), model="claude-opus-4-8", cache_report="off")
    (person.project / "notes.txt").write_text("".join(f"note {number}\n" for number in range(400)))
    person.say("Read it twice.")
    person.come_back()
    person.say("And again.")

    assert person.verdicts() == ["first", *["not told"] * 4]
    for before, after in pairwise(person.mainline):
        assert after.extends(before)
