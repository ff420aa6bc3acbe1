"""A turn that did not come to its end, gone on with.

Invariant: going on only appends. Results that reached the journal are used as they are, a call that may have run is
said to the model, nothing is run again by itself, and what the person said is not said again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from harness.agent.cut_turn import cut_turn, last_said
from harness.agent.loop import GO_ON, Agent, cut_off
from harness.agent.main_agent import MainAgent
from harness.conversation.blocks import Message, Text
from harness.conversation.events import Event, TurnEnded
from harness.errors import UsageError


async def rest_of_turn(agent: Agent, instruction: str = "") -> AsyncGenerator[Event]:
    """What is left of a turn that was cut off; its last event is `TurnEnded`, the only one where nothing is left.

    Calls that go on where they were do so first, then what became of the others is told, and what else changed.

    Args:
        instruction: said to the model before it goes on; "" for nothing but what it must know.
    """
    session = agent.session
    if cut_turn(session) is None:
        refused, text = session.ends.refused, agent.last_text()
        yield TurnEnded("refused", "", "the model refused to answer") if refused else TurnEnded("done", text)
        return
    begun = [call for call, fate in session.history.fates() if fate == "may have run"]
    async with aclosing(agent.runner.resume(begun)) as events:
        async for event in events:
            yield event
    session.heal()
    last = last_said(session)
    words = [cut_off(session.history.dropped), GO_ON] if last is not None and last.message.tag == "answer" else []
    if agent.tell_changes() and not words:
        words = [GO_ON]
    if text := " ".join(filter(None, [*words, instruction])):
        session.add(Message("program", (Text(text),)))
    async with aclosing(agent.go_on()) as events:
        async for event in events:
            yield event


async def resume_turn(agent: MainAgent, instruction: str = "") -> AsyncGenerator[Event]:
    """The rest of a person's turn that was cut off, its files saved around it; see `rest_of_turn`.

    Raises:
        UsageError: no turn was cut off.
        HarnessError: as `Agent.turn`.
    """
    session = agent.session
    if cut_turn(session) is None:
        name = session.journal.id
        why = f"the last turn of session {name} came to its end" if last_said(session) else f"nothing is said in {name}"
        raise UsageError(f"nothing to go on with: {why}")
    async with aclosing(agent.checkpoints.around(rest_of_turn(agent, instruction))) as events:
        async for event in events:
            yield event
