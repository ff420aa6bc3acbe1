"""A session whose calls are not what they seem: ids that are empty or taken, answers cut by the output limit, kills.

Invariant: what is recorded is what the program itself wrote, over real HTTP; a kill leaves the journal up to a record.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.agent import rewind
from harness.agent.resumption import resume_turn
from harness.simulator import Rules, said
from tests.delegating import cut_journal, tool
from tests.replay.eventful import STRICT, SUMMARY, everything, person_at
from tests.speaker import Speaker

LOOK = {"call": "glob", "input": {"pattern": "*"}}
WRITE = tool("write", path="made.txt", content="made\n")
ANSWERS: dict[str, Any] = {
    "Look": [LOOK | {"id": "toolu_one"}],
    "Take": [LOOK | {"id": "toolu_one"}, LOOK | {"id": "toolu_two"}, LOOK | {"id": "toolu_two"}, LOOK | {"id": ""}],
    "Long": {"answer": [{"text": "I write."}, LOOK, WRITE], "stop": "max_tokens"},
    "Half": {"answer": [{"text": "I write."}, WRITE | {"raw_input": '{"path": "ma'}], "stop": "max_tokens"},
    "Nothing": {"answer": [WRITE], "stop": "max_tokens"},
    "Thought": {"answer": [{"thinking": "Hm."}, WRITE], "stop": "max_tokens"},
    "Pause": {"answer": [{"text": "I pause."}, WRITE], "stop": "pause_turn"},
    "Do all": [LOOK, WRITE, tool("shell", command="echo told"), tool("write", path="never.txt", content="")],
}
"""By the words that were said last, the answer; whatever else was said, it is over."""


def brain(request: dict[str, Any]) -> Any:
    """The next answer."""
    last = said(request)[-1]
    words = last.texts[-1] if last.texts else ""
    if "[Side request" in words:
        return SUMMARY
    return next((answer for begin, answer in ANSWERS.items() if words.startswith(begin)), "Done.")


def killed(person: Speaker, kind: str) -> None:
    """It ends behind the last record of a kind, and is opened again."""
    person.leave()
    cut_journal(person.folder, kind, -1)
    person.come_back()


def record(person: Speaker) -> Path:
    """Let it all happen; gives the session's folder."""
    person.options = replace(person.options, permission_mode="yolo")
    person.begin_anew()
    for model in ("claude-opus-4-8", "openai-chat/deepseek/deepseek-v4-pro"):
        person.app.switch(model)
        for words in ("Look.", "Take.", "Long.", "Half.", "Nothing."):
            person.say(words)
    person.app.switch("claude-opus-4-8")
    for words in ("Thought.", "Pause.", "Do all."):
        person.say(words)
    killed(person, "intent")  # the shell's: what it does may have run, the write before it did, the one behind it not
    everything(person, resume_turn(person.app.agent))
    person.say("Do all.")
    killed(person, "intent")
    person.say("Go elsewhere.")  # told without going on
    person.say("Nothing.")
    killed(person, "unsent")
    person.say("Be brief.")
    rewind.undo(person.app.session)
    rewind.redo(person.app.session)
    person.say("Long.")
    killed(person, "response")  # the answer was billed, and nothing of it is part of the conversation
    person.say("Once more.")
    return person.folder


@contextmanager
def recorded(folder: Path) -> Iterator[Path]:
    """The session, recorded in a folder."""
    with person_at(folder, brain, {"": Rules(minimum=1), "deepseek": STRICT}) as person:
        yield record(person)
