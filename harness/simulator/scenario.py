"""A scripted model read from JSON: which answer comes at which turn of which conversation.

Invariant: stateless; the turn is the number of the model's turns in the request, on whatever wire, so retries,
resumed and forked conversations get the same answers. A scenario that exists is well-formed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.simulator.answers import Answer, BadAnswer, answer_from
from harness.simulator.conversation import last_user_text, turns_of_the_model, user_texts

_PAST_THE_END = Answer(({"text": "The script has no further turns."},))
_NOTED = Answer(({"text": "Noted."},))
_KEYS = {"conversations", "default", "side", "model_note", "note"}
_CWD = re.compile(r"Working directory: (.+?)(?=\]|\n|\. [A-Z]|\.?$)")


class ScenarioError(ValueError):
    """A scenario that cannot be played; one line that says where and why."""


class ScenarioMismatch(Exception):
    """The request does not carry what the script expects at this turn."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One scripted answer, and what the user message before it must contain."""

    answer: Answer
    expect: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns for requests in which a user text matches `match`."""

    match: re.Pattern[str]
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole script. Calling it with a request's JSON gives the answer, or raises ScenarioMismatch."""

    conversations: tuple[Conversation, ...] = ()
    default: tuple[Turn, ...] = ()
    repeat_default: bool = False
    """`default` was one list of items: the same answer at every turn."""
    side: Answer = _NOTED
    """Answer to side requests, when the server says that the request is one."""

    def __call__(self, request: dict[str, Any]) -> Answer:
        """The answer to a request's JSON."""
        turns, name = self._turns(request)
        number = turns_of_the_model(request)
        if self.repeat_default and turns is self.default:
            number = 0
        if number >= len(turns):
            return _PAST_THE_END
        turn = turns[number]
        if turn.expect is not None:
            last = last_user_text(request)
            if not turn.expect.search(last):
                raise ScenarioMismatch(
                    f"scenario_mismatch: {name}, turn {number}: expected /{turn.expect.pattern}/ in the "
                    f"last user message, which is: {last[:500]!r}"
                )
        return filled(turn.answer, request)

    def _turns(self, request: Mapping[str, Any]) -> tuple[tuple[Turn, ...], str]:
        texts = user_texts(request)
        for place, conversation in enumerate(self.conversations):
            if any(conversation.match.search(text) for text in texts):
                return conversation.turns, f"conversation {place} (/{conversation.match.pattern}/)"
        return self.default, "default"

    @staticmethod
    def load(path: str | Path) -> Scenario:
        """Read a file. ScenarioError names the file."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ScenarioError(f"{path}: {error.strerror or error}") from None
        except ValueError as error:
            raise ScenarioError(f"{path}: not JSON: {error}") from None
        try:
            return Scenario.parse(data)
        except ScenarioError as error:
            raise ScenarioError(f"{path}: {error}") from None

    @staticmethod
    def parse(data: object) -> Scenario:
        """Check and take over parsed JSON."""
        if not isinstance(data, Mapping):
            raise ScenarioError("a scenario must be an object")
        unknown = data.keys() - _KEYS
        if unknown:
            raise ScenarioError(f"unknown key {min(unknown)!r}; keys: {', '.join(sorted(_KEYS))}")
        conversations = data.get("conversations", [])
        if not isinstance(conversations, Sequence) or isinstance(conversations, str):
            raise ScenarioError("`conversations` must be a list")
        default = data.get("default", [])
        one_answer = isinstance(default, list) and not any(
            isinstance(item, Mapping) and "answer" in item for item in default
        )
        return Scenario(
            conversations=tuple(_conversation(item, f"conversations[{at}]") for at, item in enumerate(conversations)),
            default=(_turn({"answer": default}, "default"),)
            if one_answer and default
            else _turn_list(default, "default"),
            repeat_default=one_answer and bool(default),
            side=_turn({"answer": data["side"]}, "side").answer if "side" in data else _NOTED,
        )


def _conversation(value: object, where: str) -> Conversation:
    if not isinstance(value, Mapping):
        raise ScenarioError(f"{where} must be an object")
    unknown = value.keys() - {"match", "turns", "note"}
    if unknown:
        raise ScenarioError(f"{where}: unknown key {min(unknown)!r}")
    if "match" not in value or "turns" not in value:
        raise ScenarioError(f"{where} needs `match` and `turns`")
    return Conversation(_pattern(value["match"], f"{where}.match"), _turn_list(value["turns"], f"{where}.turns"))


def _turn_list(value: object, where: str) -> tuple[Turn, ...]:
    if not isinstance(value, list):
        raise ScenarioError(f"{where} must be a list")
    return tuple(_turn(item, f"{where}[{at}]") for at, item in enumerate(value))


def _turn(value: object, where: str) -> Turn:
    if not isinstance(value, Mapping) or "answer" not in value:
        raise ScenarioError(f"{where} must be an object with `answer`")
    try:
        answer = answer_from(value)
    except BadAnswer as error:
        raise ScenarioError(f"{where}: {error}") from None
    expect = value.get("expect")
    return Turn(answer, None if expect is None else _pattern(expect, f"{where}.expect"))


def _pattern(value: object, where: str) -> re.Pattern[str]:
    if not isinstance(value, str):
        raise ScenarioError(f"{where} must be a regular expression")
    try:
        return re.compile(value)
    except re.error as error:
        raise ScenarioError(f"{where}: bad regular expression: {error}") from None


def filled(answer: Answer, request: Mapping[str, Any]) -> Answer:
    """The answer with `{{cwd}}` replaced by the newest "Working directory: X" among the user's texts."""
    if not any("{{cwd}}" in json.dumps(dict(item)) for item in answer.content):
        return answer
    found = [match for text in user_texts(request) for match in _CWD.findall(text)]
    if not found:
        raise ScenarioMismatch('scenario_mismatch: {{cwd}} is used, but no user text says "Working directory: ..."')
    content = tuple(_replaced(dict(item), found[-1]) for item in answer.content)
    return Answer(content, answer.stop, answer.fault, answer.delay)


def _replaced(value: Any, cwd: str) -> Any:
    if isinstance(value, str):
        return value.replace("{{cwd}}", cwd)
    if isinstance(value, Mapping):
        return {name: _replaced(item, cwd) for name, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, cwd) for item in value]
    return value
