"""All that a screen may know: what happened (Event), and what needs a person (Question).

Invariant: screens see only these; they never touch the loop, the journal or a vendor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.conversation.blocks import Usage
from harness.conversation.canonical import Json


@dataclass(frozen=True, slots=True)
class RequestSent:
    """A model call began. `number` counts from 1 within the session; `side`: a side request."""

    number: int
    model: str
    side: bool = False


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer, as it streams."""

    text: str


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """A piece of the model's thinking, as it streams."""

    text: str


@dataclass(frozen=True, slots=True)
class ResponseDone:
    """A model call ended. `cost` in USD, None where the price is unknown; `verdict` as in audit.verdict.

    lost, lost_usd: tokens that were paid as new though they had been cached, and what that cost in USD.
    response_cache: whether it was a cached response ("hit"), whose, or why not; empty where that cache is off.
    """

    number: int
    model: str
    usage: Usage
    cost: float | None
    verdict: str
    cause: str
    stop: str
    lost: int = 0
    lost_usd: float | None = 0.0
    response_cache: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Retrying:
    """A model call failed before anything was shown and is sent again, byte for byte, after `wait` seconds."""

    attempt: int
    wait: float
    reason: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A call began. `summary`: its main argument, one line."""

    call_id: str
    name: str
    summary: str


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A call ended; `shown`: one line for the person."""

    call_id: str
    name: str
    shown: str
    is_error: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the person should know, one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a call has come that takes long, one line; it takes the place of what was told of that call before.

    "": that is over.
    """

    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class SubAgentDone:
    """A sub-agent ended.

    session: its id. context: "fork" or "fresh". end: as `TurnEnd`. usage, cost: of all its requests. first_read: tokens
    that its first request read; expected: that it should have read, by earlier bills; None where none tells.
    """

    call_id: str
    session: str
    skill: str
    context: str
    model: str
    end: str
    requests: int
    usage: Usage
    cost: float | None
    first_read: int | None
    expected: int | None


TurnEnd = Literal["done", "limit", "refused", "partial", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The turn is over. `text`: the model's last answer; `detail`: why, where it is not "done"."""

    reason: TurnEnd
    text: str
    detail: str = ""


Event = (
    RequestSent
    | TextDelta
    | ThinkingDelta
    | ResponseDone
    | Retrying
    | ToolStarted
    | ToolFinished
    | Progress
    | SubAgentDone
    | Notice
    | TurnEnded
)

Tell = Callable[[Event], None]
"""Tells what happens within a call, while it runs."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the person is asked, by the model where the title does not say otherwise.

    options: may be empty: then any text answers. own_words: whether it does where there are some.
    """

    text: str
    options: tuple[str, ...] = ()
    title: str = "The model asks:"
    own_words: bool = True


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a call may run.

    what: all of what it would do (a whole command, a path), not yet escaped. rule: what "session" would admit until the
    program ends; "" where only this one call can be allowed. Its answers are "once", "session" and "no". skill: of the
    sub-agent that makes the call; "": the session's own model does.
    """

    tool: str
    what: str
    rule: str = ""
    skill: str = ""


Ask = Callable[[Question], Awaitable[str | None]]
"""Answers a question; None where nobody is there."""


async def nobody(_question: Question) -> None:
    """The `Ask` where nobody is there."""


AskPermission = Callable[[Permission], Awaitable[str]]
"""Answers "once", "session" or "no"."""
