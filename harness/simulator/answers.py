"""What the scripted model says: a checked value, whatever wire it will be spoken on.

Invariant: an `Answer` that exists can be rendered; every malformed one was refused with `BadAnswer` when it
was made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.simulator.faults import Fault, fault_from

_KINDS = ("thinking", "text", "call", "redacted_thinking")
_TOKEN = 4  # bytes: the simulator's only tokenizer
_EXTRA = {"call": {"input", "id", "raw_input"}}


class BadAnswer(ValueError):
    """An answer that cannot be rendered; the text says which item and why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the model.

    `content` items: {"thinking": str} | {"text": str} | {"redacted_thinking": str} |
    {"call": name, "input": {...}, "id": optional, "raw_input": optional JSON text sent as it is}.
    """

    content: tuple[Mapping[str, Any], ...]
    stop: str | None = None
    """Stop reason, known to the vendor or not; default tool_use when there is a call, else end_turn."""
    fault: Fault | None = None
    """Done to this answer `fault.times` times per identical request body."""
    delay: float = 0.0
    """Seconds before each delta."""

    def __post_init__(self) -> None:
        for place, item in enumerate(self.content):
            problem = _problem(item)
            if problem:
                raise BadAnswer(f"answer item {place}: {problem}")

    @property
    def stop_reason(self) -> str:
        """The stop reason to send."""
        if self.stop is not None:
            return self.stop
        return "tool_use" if any("call" in item for item in self.content) else "end_turn"

    def within(self, limit: int, stop: str) -> Answer:
        """What is said of it in `limit` tokens; itself when it fits, else it ends there with this stop reason."""
        said: list[Mapping[str, Any]] = []
        left = limit
        for item in self.content:
            size = item_tokens(item)
            if size > left:
                said.extend(_beginning(item, left * _TOKEN))
                return replace(self, content=tuple(said), stop=stop)
            said.append(item)
            left -= size
        return self


def _beginning(item: Mapping[str, Any], size: int) -> list[Mapping[str, Any]]:
    """The first bytes of an item, no letter cut in half; nothing where there is no room for any of it."""
    kind = next(iter(item))
    name = item.get("call", "")
    text = input_text(item) if name else str(item[kind])
    room = size - len(name.encode("utf-8", "surrogatepass"))
    if room <= 0:
        return []
    cut = text.encode("utf-8", "surrogatepass")[:room].decode("utf-8", "ignore")
    if not name:
        return [{kind: cut}]
    return [{**{key: value for key, value in item.items() if key != "input"}, "raw_input": cut}]


def input_text(item: Mapping[str, Any]) -> str:
    """The JSON text of a call's arguments as the model wrote it."""
    raw = item.get("raw_input")
    return raw if isinstance(raw, str) else json.dumps(item.get("input", {}), ensure_ascii=False)


def output_tokens(answer: Answer) -> int:
    """Bytes / 4 of each item, rounded up."""
    return sum(item_tokens(item) for item in answer.content)


def item_tokens(item: Mapping[str, Any]) -> int:
    """Bytes / 4 of one item, rounded up."""
    text = item["call"] + input_text(item) if "call" in item else str(next(iter(item.values())))
    return -(-len(text.encode("utf-8", "surrogatepass")) // _TOKEN)


def answer_from(value: object) -> Answer:
    """An Answer from what a brain or a file gives: one, a mapping with `answer`, a text, items, an item."""
    if isinstance(value, Answer):
        return value
    if isinstance(value, str):
        return Answer(({"text": value},))
    if isinstance(value, Mapping):
        if not ({"answer", "content"} & value.keys()):
            return Answer((dict(value),))
        return _from_mapping(value)
    if isinstance(value, Sequence):
        return Answer(tuple(value))
    raise BadAnswer(f"an answer must be a list of items or an object, not {type(value).__name__}")


def _from_mapping(value: Mapping[str, Any]) -> Answer:
    unknown = value.keys() - {"answer", "content", "stop", "fault", "delay", "expect", "note"}
    if unknown:
        raise BadAnswer(f"unknown key {min(unknown)!r} in an answer")
    items = value.get("answer", value.get("content"))
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise BadAnswer("`answer` must be a list of items")
    stop = value.get("stop")
    if stop is not None and not isinstance(stop, str):
        raise BadAnswer("`stop` must be a text")
    delay = value.get("delay", 0.0)
    if isinstance(delay, bool) or not isinstance(delay, int | float) or delay < 0:
        raise BadAnswer("`delay` must be a number of seconds")
    fault = value.get("fault")
    try:
        made = None if fault is None else fault_from(fault)
    except ValueError as error:
        raise BadAnswer(str(error)) from None
    return Answer(tuple(items), stop, made, float(delay))


def _problem(item: object) -> str:
    if not isinstance(item, Mapping):
        return "must be an object"
    kinds = [kind for kind in _KINDS if kind in item]
    if len(kinds) != 1:
        return f"must have exactly one of {', '.join(_KINDS)}"
    kind = kinds[0]
    if not isinstance(item[kind], str):
        return f"`{kind}` must be a text"
    unknown = item.keys() - {kind} - _EXTRA.get(kind, set())
    if unknown:
        return f"unknown key {min(unknown)!r}"
    wrong = [name for name in ("raw_input", "id") if not isinstance(item.get(name, ""), str)]
    return f"`{wrong[0]}` must be a text" if wrong else ""
