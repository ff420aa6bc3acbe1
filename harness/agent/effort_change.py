"""A change of effort in mid-session, the way that costs least: told inside the conversation, later, or paid for.

Invariant: no line changes its settings but in a declared epoch. What is told inside the conversation is a message of
it, journaled like any other, and goes to the model that it was meant for and to no other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from harness.agent.model_call import Channel
from harness.agent.session import Session
from harness.audit.cost import price_ahead
from harness.audit.report import money, tokens
from harness.conversation.blocks import Message, Setting
from harness.conversation.events import Ask, Question
from harness.errors import UsageError
from harness.providers import connect
from harness.providers.facts import Model

NOW, LATER, NO = "now", "at the next compaction", "no"

_USUAL = ("low", "medium", "high", "xhigh", "max")
"""Of a model of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change does to a cache.

    kind: same: nothing changes. free: nothing is cached, so nothing is lost. told: inside the conversation. waits: for
    the next epoch. paid: the cached tokens are written again, which costs `price` USD more than reading them; None: not
    known.
    """

    kind: Literal["same", "free", "told", "waits", "paid"]
    tokens: int | None = 0
    price: float | None = 0.0

    @property
    def cost(self) -> str:
        """What is written again, and its price."""
        what = "cached tokens" if self.tokens is None else f"{tokens(self.tokens)} cached tokens"
        return f"{what} are written again: {'an unknown price' if self.price is None else f'about {money(self.price)}'}"


def levels(model: Model) -> tuple[str, ...]:
    """The efforts that may be asked of a model; none where it has none to set."""
    return _USUAL if model.efforts is None else model.efforts


def check(model: Model, level: str) -> None:
    """Refuse an effort that the model does not have. Raises UsageError."""
    known = levels(model)
    if not known:
        raise UsageError(f"{model.id} has no effort to set; leave it out, or choose another model")
    if level not in known:
        raise UsageError(f"{model.id} knows no effort `{level}`; it has: {', '.join(known)}")


def in_force(session: Session, model: Model) -> str | None:
    """The effort that the model's next answer is made with; None: the vendor's default."""
    if session.efforts.told:
        for entry in reversed(session.history.entries):
            for block in entry.message.blocks if entry.message.tag == "setting" else ():
                if isinstance(block, Setting) and block.model == model.id:
                    return block.value
    return session.efforts.of_line(model.id)


def effect(session: Session, channel: Channel, level: str) -> Effect:
    """What it does to the cache of the channel's model to go on with another effort now."""
    model = channel.model
    if level == in_force(session, model):
        return Effect("same")
    key, now = on_its_line(session, channel).line.key, session.seam.now()
    held = session.requests.ledger.held(key, now)
    if not session.efforts.born(model.id) or held == 0:
        return Effect("free")
    if connect.says_effort(model):
        return Effect("told")
    change = model.change("effort")
    if change.loses == "nothing" or change.how == "deferred":
        return Effect("waits" if change.how == "deferred" else "free")
    if held is not None and change.loses == "messages":
        system = session.requests.ledger.known(key, channel.provider.prefix(session.prefix).session_digest)
        held -= (system.tokens or 0) if system else 0
    return Effect("paid", held, None if held is None else price_ahead(model, held, channel.ttl))


def question(model: Model, level: str, found: Effect) -> Question:
    """What a person is asked before they pay for it."""
    text = f"effort {level} for {model.id}: {found.cost}"
    return Question(text, (NOW, LATER, NO), title="A change that the cache does not survive:", own_words=False)


def change_now(session: Session, model: Model, level: str) -> None:
    """Go on with that effort on a new line: an epoch of this model; the lines of the others stay."""
    reason = f"settings: effort {in_force(session, model) or 'default'} to {level}"
    session.record("epoch", {"reason": reason, "effort": level, "model": model.id})


def change_later(session: Session, level: str) -> None:
    """Want that effort: what can be told inside the conversation is, with the next request; the rest waits."""
    if level != session.efforts.wanted:
        session.record("setting", {"effort": level})


async def change(session: Session, channel: Channel, level: str, ask: Ask | None) -> str:
    """Go on with another effort, in the way that costs least; what is paid for is asked first.

    Gives one line that says what was done; "" where there was nothing to do.

    Args:
        ask: the person; None where nobody is there: then what they typed was their word.

    Raises:
        UsageError: the model in use does not have it.
    """
    model = channel.model
    check(model, level)
    found = effect(session, channel, level)
    match found.kind:
        case "same":
            change_later(session, level)
            return ""
        case "told":
            change_later(session, level)
            return f"effort {level} for {model.id}: told inside the conversation, the cache stays"
        case "free":
            change_now(session, model, level)
            return f"effort {level} for {model.id}: nothing is cached, so it costs nothing"
        case "waits":
            answer: str | None = LATER
        case "paid":
            answer = await ask(question(model, level, found)) if ask else NOW
    if answer == NOW:
        change_now(session, model, level)
        return f"effort {level} for {model.id}: {found.cost}"
    if answer == LATER:
        change_later(session, level)
        return f"effort {level} for {model.id}: from the next compaction on"
    return f"the effort of {model.id} stays as it is"


def on_its_line(session: Session, channel: Channel) -> Channel:
    """The channel with the settings that its line has in this epoch."""
    model, key = channel.model, session.about.get("cache_key", "")
    settings = connect.settings(model, session.efforts.of_line(model.id), key, channel.ttl)
    if settings == channel.line.settings:
        return channel
    return replace(channel, line=replace(channel.line, settings=settings))


def settled(session: Session, channel: Channel) -> Channel:
    """The channel for the next request; what the person wants and its line does not say is told in a message before it.

    The message stands behind a person's words or tool results, never behind an answer: vendors take it nowhere else.
    """
    model, wanted = channel.model, session.efforts.wanted
    channel = on_its_line(session, channel)
    if wanted is None or not session.efforts.born(model.id) or not connect.says_effort(model):
        return channel
    last = session.history.entries[-1].message.tag if session.history.entries else "answer"
    known = model.efforts is None or wanted in model.efforts
    if known and last not in ("answer", "setting") and wanted != in_force(session, model):
        session.add(Message("setting", (Setting("effort", wanted, model.id),)))
    return channel
