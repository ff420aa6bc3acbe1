"""The loop: a person's words, model calls and tools, until the model is done.

Invariant: it only appends. It knows no vendor, no screen, no limit and no tool; those are given to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from harness.agent.model_call import Answer, Channel, ModelCall
from harness.agent.policies import Policy
from harness.agent.session import Session
from harness.agent.tool_runner import ToolRunner
from harness.conversation.blocks import Message, Tag, Text
from harness.conversation.canonical import Json, clean
from harness.conversation.events import Event, Notice, TurnEnded

NUDGES = 2
"""How often in a row a cut answer is asked to go on."""

GO_ON = "Go on."
"""What is said to a model behind facts that changed within a turn, and to one that paused."""

ContextSource = Callable[[Mapping[str, Json]], tuple[Message, Mapping[str, Json]] | None]
"""The session context to tell now and its facts, given those last told; None where nothing changed."""


class Call(Protocol):
    """One model call: iterate `run`, then read `answer`."""

    @property
    def answer(self) -> Answer:
        """What it gave."""

    def run(self) -> AsyncGenerator[Event]:
        """Make it. Raises HarnessError where it failed before anything was shown."""


def plain_call(agent: Agent) -> Call:
    """A call to the agent's model, as it is."""
    return ModelCall(agent.session, agent.channel)


@dataclass(slots=True)
class Agent:
    """All that a turn needs.

    steering: gives what the person typed since it was last asked. call: makes the next model call.
    """

    session: Session
    channel: Channel
    runner: ToolRunner
    context: ContextSource
    policies: Sequence[Policy] = ()
    steering: Callable[[], Sequence[str]] = tuple
    call: Callable[[Agent], Call] = plain_call

    def begin(self, text: str, tag: Tag = "person", injected: Sequence[str] = ()) -> None:
        """Append what a turn begins with: results for calls left open, then context, then the words themselves."""
        session = self.session
        session.heal()
        self.tell_changes()
        dropped = (cut_off(session.history.dropped),) if session.history.dropped else ()
        for fact in (*dropped, *injected):
            session.add(Message("system_injected", (Text(fact),)))
        session.add(Message(tag, (Text(clean(text)),)))

    def tell_changes(self) -> bool:
        """Append the session context where something of it changed; words must follow. Whether something did."""
        if (told := self.context(self.session.history.context)) is None:
            return False
        self.session.add(told[0], told[1])
        return True

    async def turn(self, text: str, tag: Tag = "person", injected: Sequence[str] = ()) -> AsyncGenerator[Event]:
        """One turn of the conversation; its last event is `TurnEnded`.

        Args:
            text: what the person says; not empty.
            injected: facts that go directly before it.

        Raises:
            HarnessError: a call failed before anything was shown; the conversation stays valid and can go on.
        """
        self.begin(text, tag, injected)
        async with aclosing(self.go_on()) as events:
            async for event in events:
                yield event

    async def go_on(self) -> AsyncGenerator[Event]:
        """The rest of a turn, whose beginning is the last message; see `turn`."""
        calls_made = nudges = 0
        while True:
            if stop := next((why for p in self.policies if (why := p.stop(self.session, calls_made))), ""):
                yield TurnEnded("limit", self.last_text(), stop)
                return
            call = self.call(self)
            async with aclosing(call.run()) as events:
                async for event in events:
                    yield event
            calls_made += 1
            answer = call.answer
            if answer.stop == "tool_use" and answer.message and answer.message.calls:
                nudges = 0
                async with aclosing(self.runner.run(answer.message.calls)) as events:
                    async for event in events:
                        yield event
                for words in self.steering():
                    self.session.add(Message("person", (Text(clean(words)),)), steering=True)
                await asyncio.sleep(0)
            elif (nudge := _nudge(answer)) and nudges < NUDGES:
                nudges += 1
                yield Notice(nudge)
                self.session.add(Message("program", (Text(nudge),)))
            else:
                yield ended(answer)
                return

    def last_text(self) -> str:
        """The text of the last answer; "" where there is none."""
        answers = (e.message.text for e in reversed(self.session.history.entries) if e.message.tag == "answer")
        return next(answers, "")


def cut_off(dropped: Sequence[str]) -> str:
    """What a model is told of its last answer. dropped: the tools of calls in it that were not kept."""
    return f"Your last answer was cut off.{_not_run(dropped)}"


def _not_run(tools: Sequence[str]) -> str:
    """What is said, to the model and to the person, of calls that were not run."""
    return f" Its call of {', '.join(tools)} was not run." if tools else ""


def _nudge(answer: Answer) -> str:
    """What is said to a model whose answer was cut where it can go on; "" where it cannot or need not."""
    match answer.stop:
        case "max_tokens":
            return f"Your answer reached the output limit.{_not_run(answer.dropped)} Go on in smaller steps."
        case "pause_turn":
            return f"{GO_ON}{_not_run(answer.dropped)}"
        case _:
            return ""


def ended(answer: Answer) -> TurnEnded:
    """How a turn ends that ends with this answer."""
    text, dropped = answer.text, _not_run(answer.dropped)
    left = f".{dropped.removesuffix('.')}" if dropped else ""
    match answer.stop:
        case "end_turn" | "stop_sequence" if text.strip() and not left:
            return TurnEnded("done", text)
        case "end_turn" | "stop_sequence" if left:
            return TurnEnded("failed", text, f"the model ended its turn with a call{left}")
        case "tool_use" if text.strip():
            return TurnEnded("failed", text, "the model stopped for a tool call and made none")
        case "end_turn" | "stop_sequence" | "tool_use":
            return TurnEnded("failed", text, "the model gave an empty answer; say more about the task, or try again")
        case "refusal":
            why = f" ({answer.why.rstrip('.')})" if answer.why else ""
            return TurnEnded(
                "refused", text, f"the model refused to answer{why}; its answer is not kept in the conversation"
            )
        case "max_tokens":
            return TurnEnded("partial", text, f"the answer reached the output limit{left}")
        case "model_context_window_exceeded":
            return TurnEnded("failed", text, "the conversation no longer fits the model's window; start a new session")
        case "broken":
            return TurnEnded("partial", text, f"the answer broke off: {answer.error}{left}")
        case other:
            return TurnEnded("failed", text, f"the vendor gave an unknown stop reason {other!r}; nothing of it was run")
