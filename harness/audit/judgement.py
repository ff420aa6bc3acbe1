"""The verdict on an answer: our bytes and bills, what the request carried, and what the vendor says itself.

Invariant: pure; a session judges an answer when it comes, and a replay again, by the same facts of its journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from harness.audit.diagnostics import said, weigh
from harness.audit.verdict import Expectation, Verdict, judge
from harness.conversation.blocks import Message, Thinking, Usage
from harness.conversation.canonical import Json
from harness.providers.base import Finished
from harness.providers.facts import Model


def judged(
    expected: Expectation,
    usage: Usage,
    model: Model,
    finished: Finished | None,
    carried: tuple[Sequence[Message], int],
    *,
    compared: bool,
) -> Verdict:
    """The verdict of an answer that a vendor gave.

    Args:
        finished: its end; None where it has none.
        carried: the conversation, and how many of its messages the line's last mainline request carried.
        compared: whether the vendor was asked what it says of a miss.
    """
    missed = usage.read < (expected.tokens or 0)
    thinking, image = missed and _thinking(carried[0], model), missed and _first_image(*carried)
    tells = finished is None or finished.told
    verdict = judge(expected, usage, model.rules, thinking=thinking, first_image=image, told=tells)
    if finished and compared:
        return weigh(verdict, said(finished.extra), thinking=thinking)
    return verdict


def _thinking(messages: Sequence[Message], model: Model) -> bool:
    blocks = (block for message in messages for block in message.blocks)
    return any(isinstance(b, Thinking) and b.maker == model.id and b.can_be_sent for b in blocks)


def _first_image(messages: Sequence[Message], before: int) -> bool:
    return any(m.has_image for m in messages[before:]) and not any(m.has_image for m in messages[:before])


def write_verdict(verdict: Verdict, price: float | None) -> dict[str, Json]:
    """The journal form. price: USD that the miss cost."""
    told: dict[str, Json] = asdict(verdict)
    vendor, agrees = told.pop("vendor"), told.pop("agrees")
    return told | {"price": price} | ({"vendor": {"said": vendor, "agrees": agrees}} if vendor else {})
