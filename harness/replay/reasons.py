"""Whether an epoch does what its reason says.

Invariant: pure; what it says besides, of why it was wanted, is taken as it was journaled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.conversation.canonical import Json
from harness.conversation.history import Branch, kind_of
from harness.replay.divergence import Divergence, value
from harness.replay.recorded import Recorded

_AFTER = {"undo: turn ": "undo", "rewind: to before record ": "rewind"}


def of_epoch(data: Mapping[str, Json], recorded: Recorded, *, damaged: bool) -> Iterator[Divergence]:
    """What an epoch does, and what its reason says. damaged: whether something of the journal is lost."""
    reason, history = str(data["reason"]), recorded.history
    told = data.get("messages")
    for words, name in _AFTER.items():
        turn = reason.removeprefix(words)
        if turn != reason:
            before = history.before(int(turn)) if turn.isdigit() else None
            yield from _goes_to(before, data, recorded, f"it says {name}, to before record {turn}")
            return
    match kind_of(reason):
        case "start" if reason != "start" or recorded.epochs or told is not None:
            yield _other(reason, "a session starts once, with no conversation")
        case "fork" if ("parent" in data) != (told is None):
            yield _other(reason, "a fork goes on with the conversation of another, as it is or with one that it lists")
        case "rewind" if not damaged:
            yield _other(reason, "nothing is lost")
        case "fork" if told is not None and not set(recorded.written) <= set(told):
            yield _other(reason, "it leaves out a message that was written for it")
        case "refreeze" if told is not None:
            yield _other(reason, "it changes the conversation")
        case "redo" if reason == "redo":
            left = history.undone[-1] if history.undone else None
            yield from _goes_to(left, data, recorded, "it says that the last undo is taken back")
        case "compaction":
            yield from _compacted(data, recorded)
        case "clear" if reason == "clear":
            yield from value(f"epoch {reason}", told, [], "it says that the conversation begins anew")
            if "prefix" in data and recorded.written[-1:] != [data["prefix"]]:
                yield _other(reason, "the system blocks that it goes on with were not frozen for it")
        case "settings" if told is not None or not reason.endswith(f" to {data.get('effort')}"):
            yield _other(reason, "it sets another effort, or changes the conversation")
        case "start" | "fork" | "rewind" | "refreeze" | "settings":
            pass
        case _:
            yield _other(reason, "no epoch is called so")


def _goes_to(where: Branch | None, data: Mapping[str, Json], recorded: Recorded, why: str) -> Iterator[Divergence]:
    if where is None:
        yield _other(str(data["reason"]), "there is nothing to go to")
        return
    name = f"epoch {data['reason']}"
    yield from value(f"{name}: conversation", data.get("messages"), list(where.seqs), why)
    yield from value(f"{name}: prefix", data.get("prefix", recorded.history.prefix), where.prefix, why)


def _compacted(data: Mapping[str, Json], recorded: Recorded) -> Iterator[Divergence]:
    """The facts told anew, a summary, and the last messages of the conversation, all written for it."""
    history, kept = recorded.history, data.get("messages") or []
    of = [(recorded.message(seq) or {}).get("of", -1) for seq in kept]
    frozen = [data["prefix"]] if "prefix" in data else []
    if not kept or recorded.written != [*kept, *frozen]:
        yield _other(str(data["reason"]), "it lists others than the messages and system blocks written for it")
        return
    left = [one for one in of if one >= 0]
    here = [history.origin(seq) for seq in history.seqs]
    tail = [one for one in here[here.index(left[0]) :] if one in left] if left and left[0] in here else []
    said = [(recorded.message(seq) or {}).get("tag") for seq, origin in zip(kept, of, strict=True) if origin < 0]
    if said not in (["system_injected", "program"], ["program"]):
        yield _other(str(data["reason"]), "besides the messages that stay it lists others than facts and a summary")
    made = [-1] * (len(of) - len(left)) + tail
    why = "it says that a summary stands for the conversation up to its last messages, which stay"
    yield from value(f"epoch {data['reason']}: messages that stay", of, made, why)


def _other(reason: str, told: str) -> Divergence:
    return Divergence(f"epoch {reason}", told, "the reason that it gives is not what it does")
