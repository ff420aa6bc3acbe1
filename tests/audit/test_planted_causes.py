"""Twelve causes of a miss, each planted in a real session: verdict, block and price must each be right.

Tokens are the vendor's own books, prices those of its price list; nothing here asks the audit what it expects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from harness.conversation.events import Notice
from harness.errors import PrefixMoved
from tests.audit import plants
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]

LOOK = [{"text": "I look."}, {"call": "glob", "input": {"pattern": "*"}}]


@dataclass(frozen=True)
class Vendor:
    """USD per million tokens of a token that is new, and of one that is read; how much of a prompt can be read."""

    new: float
    read: float
    step: int = 1
    rules: Mapping[str, Any] = field(default_factory=dict)

    def readable(self, prompt: int) -> int:
        return prompt // self.step * self.step


VENDORS = {
    "claude-opus-4-8": Vendor(6.25, 0.50),
    "openai/gpt-6.1-sol": Vendor(2.5, 0.10),
    "openai/gpt-5.4": Vendor(2.5, 0.25, 128, {"retention": "in_memory"}),
}
WIRES = ["claude-opus-4-8", "openai/gpt-6.1-sol", "openai/gpt-5.4"]


def begin(speaker: Begin, model: str, *answers: Any) -> Speaker:
    return speaker(Script(*answers), model=model, **VENDORS[model].rules)


def last(person: Speaker) -> dict[str, Any]:
    verdict: dict[str, Any] = list(person.records("response"))[-1].data["verdict"]
    return verdict


def check(person: Speaker, model: str, kind: str, where: str = "", block: int = -1) -> dict[str, Any]:
    """Kind, block, tokens and price of the last verdict, by the vendor's books."""
    verdict, (before, after) = last(person), person.mainline[-2:]
    assert (verdict["kind"], verdict["where"], verdict["block"]) == (kind, where, block)
    lost = min(VENDORS[model].readable(before.prompt_tokens), after.prompt_tokens) - after.read
    assert verdict["lost"] == lost > 0
    assert verdict["price"] == pytest.approx(lost * (VENDORS[model].new - VENDORS[model].read) / 1e6)
    return verdict


def tools_of(person: Speaker) -> list[str]:
    """Names of the tools as sent, in order."""
    return [tool.get("function", tool)["name"] for tool in person.mainline[0].json["tools"]]


# --------------------------------------------------------------------------------- ours: bytes that moved


@dataclass(frozen=True)
class Moved:
    """How a plant is made and what the verdict must say of it. where: "tool" and "system" are filled in."""

    plant: Callable[[Speaker], None]
    where: str
    said: str


MOVED = {
    "changed tool": Moved(lambda p: plants.plant(p, tool=plants.changed_tool), "tool", "properties.extra was absent"),
    "reordered schema": Moved(
        lambda p: plants.plant(p, tool=plants.reordered_schema), "tool", "the same values, keys in another order"
    ),
    "edited system": Moved(lambda p: plants.plant(p, static=plants.edited_text), "static system", "text; at byte"),
    "edited message": Moved(lambda p: plants.plant(p, message=plants.edited_text), "message 2 block 1", "edited"),
}


@pytest.mark.moves_prefix(reason="planted", times=1)
@pytest.mark.parametrize("model", WIRES)
@pytest.mark.parametrize("name", MOVED)
def test_bytes_that_moved(name: str, model: str, speaker: Begin) -> None:
    person, moved = begin(speaker, model, "One.", "Two."), MOVED[name]
    person.say("One? " * 200)
    moved.plant(person)
    events = person.say("Two?")

    tools = tools_of(person)
    where = f"tool {tools[-1]}" if moved.where == "tool" else moved.where
    block = {"tool": len(tools) - 1, "static system": len(tools), "message 2 block 1": len(tools) + 3}[moved.where]
    verdict = check(person, model, "ours", where, block)
    assert moved.said in verdict["diff"]
    (notice,) = (event.text for event in events if isinstance(event, Notice))
    assert where in notice
    assert moved.said in notice
    assert "tokens are paid again, for $" in notice


@pytest.mark.moves_prefix(reason="planted", times=1)
def test_a_string_where_a_list_was(speaker: Begin) -> None:
    person = begin(speaker, "claude-opus-4-8", LOOK, "One.", "Two.")
    person.say("One?")
    sent = person.app.session.project("anthropic/claude-opus-4-8", person.app.agent.channel.provider)
    (index,) = (i for i, e in enumerate(person.app.session.history.entries) if e.message.tag == "results")
    plants.plant_message(person, index, plants.string_for_list)
    person.say("Two?")

    block = len(sent.prefix.tools) + sent.messages[index].first
    verdict = check(person, "claude-opus-4-8", "ours", f"message {index + 1} block 1", block)
    assert "content was a list and became a string" in verdict["diff"]


@pytest.mark.parametrize("name", MOVED)
def test_what_moved_is_not_sent_where_that_was_asked(name: str, speaker: Begin) -> None:
    person = begin(speaker, "claude-opus-4-8", "One.", "Two.")
    person.say("One?")
    MOVED[name].plant(person)
    person.app.agent.channel = replace(person.app.agent.channel, strict_prefix=True)
    with pytest.raises(PrefixMoved, match=MOVED[name].said):
        person.say("Two?")

    assert len(person.mainline) == 1


@pytest.mark.moves_prefix(reason="planted", times=1)
def test_what_a_later_record_says_is_not_taken_for_what_was_sent(speaker: Begin) -> None:
    """A bug that also journals what it did: the block is found all the same."""
    model = "openai/gpt-6.1-sol"
    person = begin(speaker, model, "One.", "Two.")
    person.say("One?")
    journaled = next(person.records("wire_prefix")).data
    tools = [plants.rewritten(tool.encode(), plants.changed_tool).decode() for tool in journaled["tools"]]
    person.app.session.journal.append("wire_prefix", {**journaled, "tools": tools})
    person.come_back()
    person.say("Two?")

    check(person, model, "ours", f"tool {tools_of(person)[0]}", 0)


@pytest.mark.moves_prefix(reason="planted", times=2)
def test_what_was_sent_and_never_journaled_is_narrowed_down_by_its_markers(speaker: Begin) -> None:
    """The planted bytes were sent; after a resume the right ones are, and nobody knows the planted ones any more."""
    person = begin(speaker, "claude-opus-4-8", "One.", "Two.", "Three.")
    person.say("One?")
    plants.plant(person, tool=plants.changed_tool)
    person.say("Two?")
    person.come_back()
    person.say("Three?")

    verdict = check(person, "claude-opus-4-8", "ours", "tools or static system")
    assert "what was sent is no longer in the journal" in verdict["cause"]


# ------------------------------------------------------------------------------------- ours: a marker too far


@pytest.mark.moves_prefix(reason="a verdict of ours without a moved byte", times=0)
def test_look_back_beyond_twenty(speaker: Begin) -> None:
    model = "claude-opus-4-8"
    person = begin(speaker, model, "One.", LOOK, "Two.", [LOOK[1]] * 24, "Three.")
    channel = person.app.agent.channel
    # one marker instead of four, so on the end of each request only: what agents do that rely on the look-back
    one = replace(channel.model, rules=replace(channel.model.rules, max_markers=1))
    person.app.agent.channel = replace(channel, model=one)
    person.say("One?")
    person.say("Two?")
    assert person.verdicts() == ["first", "hit", "hit"], "within twenty positions the earlier write is found"

    person.say("Three?")
    verdict = check(person, model, "ours")
    assert verdict["cause"].startswith("look-back: no marker on the last write, and the next is 48 blocks on")
    assert "looks at 20" in verdict["cause"]


# -------------------------------------------------------------------------------------------- not ours


@pytest.mark.parametrize("model", WIRES)
def test_expired_ttl(model: str, speaker: Begin) -> None:
    person = begin(speaker, model, "One.", "Two.")
    person.say("One?")
    person.simulator.clock.advance(300 if "6.1" not in model else 1800)
    person.say("Two?")

    verdict = check(person, model, "expired")
    assert "not read for longer than its TTL" in verdict["cause"]


@pytest.mark.parametrize("model", WIRES)
def test_vendor_eviction(model: str, speaker: Begin) -> None:
    person = begin(speaker, model, "One.", "Two.")
    person.say("One?")
    person.simulator.evict()
    person.say("Two?")

    check(person, model, "evicted")


def test_too_short(speaker: Begin) -> None:
    person = speaker(Script("One.", "Two."), model="claude-opus-4-6")
    person.say("One?")
    person.say("Two?")

    assert person.verdicts() == ["too short", "too short"]
    assert (last(person)["lost"], last(person)["price"], last(person)["where"]) == (0, 0.0, "")


def test_model_switch(speaker: Begin) -> None:
    person = begin(speaker, "claude-opus-4-8", "One.", "Two.")
    person.say("One?")
    person.come_back(model="claude-sonnet-5")
    person.say("Two?")

    verdict, (before, after) = last(person), person.mainline
    assert (verdict["kind"], verdict["block"]) == ("first", -1)
    assert "model switch: anthropic/claude-opus-4-8 to anthropic/claude-sonnet-5" in verdict["cause"]
    # all that the first model has in its cache is new to the second, at the second's prices
    assert verdict["lost"] == before.prompt_tokens
    assert after.read == 0
    assert verdict["price"] == pytest.approx(before.prompt_tokens * (2.5 - 0.20) / 1e6)


def test_model_switch_to_another_vendor_has_a_cause_and_no_made_up_price(speaker: Begin) -> None:
    person = begin(speaker, "claude-opus-4-8", "One.", "Two.")
    person.say("One?")
    person.come_back(model="openai/gpt-6.1-sol")
    person.say("Two?")

    assert last(person)["kind"] == "first"
    assert "model switch: anthropic/claude-opus-4-8 to openai/gpt-6.1-sol" in last(person)["cause"]
    assert (last(person)["lost"], last(person)["price"]) == (0, 0.0)


@pytest.mark.parametrize("model", ["claude-opus-4-8", "openai/gpt-5.4"])
def test_setting_change(model: str, speaker: Begin) -> None:
    person = begin(speaker, model, "One.", "Two.")
    person.say("One?")
    person.come_back(effort="low")
    person.say("Two?")

    verdict = check(person, model, "declared")
    assert verdict["cause"] == "settings: effort default to low"


def test_stripped_thinking(speaker: Begin) -> None:
    thinks = [{"thinking": "hm " * 40}, {"call": "todo", "input": {"items": []}}]
    person = speaker(Script(thinks, "One.", "Two."), model="claude-sonnet-4-5", minimum=1)
    person.say("One?")
    person.say("Two?")

    verdict, (_, before, after) = last(person), person.mainline
    assert (verdict["kind"], verdict["block"]) == ("vendor stripped", -1)
    # what was left out is not billed at all; what stands behind it is written anew
    assert verdict["lost"] == min(before.prompt_tokens, after.prompt_tokens) - after.read > 0
    assert verdict["price"] == pytest.approx(verdict["lost"] * (3.75 - 0.30) / 1e6)
