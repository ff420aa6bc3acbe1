"""A server with a small window that reserves room for the answer: what is asked for fits beside the prompt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.agent.compaction_rules import DEFAULT_OUTPUT, most_output, window_limit
from harness.conversation.events import TurnEnded
from harness.simulator import said
from tests.speaker import Speaker

Begin = Callable[..., Speaker]
MODEL = "openai-chat/vllm/qwen3-coder-30b"
VLLM: dict[str, Any] = {"profile": "vllm", "strict_alternation": True}
READ = {"call": "read", "input": {"path": "notes.txt"}}


def brain(request: dict[str, Any]) -> Any:
    """Reads on "look", sums up where it is asked to."""
    last = said(request)[-1]
    if "[Side request" in "".join(last.texts):
        return "<summary>We looked at the notes several times and all was well.</summary>"
    return [READ] if last.speaker == "user" and "look" in "".join(last.texts) else "So it is."


def sized(speaker: Begin, window: int, settings: str = "") -> Speaker:
    """A session on a server of that window, which the person's catalog knows."""
    person = speaker(brain, model=MODEL, context_window=window, **VLLM)
    home = person.project.parent / "home" / ".config" / "harness"
    (home / "catalog.toml").write_text(
        f'{(home / "catalog.toml").read_text()}[models."{MODEL}"]\nwindow = {window}\nmax_output = {window}\n'
    )
    (home / "config.toml").write_text(settings)
    (person.project / "notes.txt").write_text("".join(f"note {n}: {'x' * 60}\n" for n in range(36)))
    person.begin_anew()
    assert person.app.model.window == window
    return person


def ends(person: Speaker, *words: str) -> list[str]:
    found = [person.say(one)[-1] for one in words]
    return [end.reason if isinstance(end, TurnEnded) else "" for end in found]


def test_the_first_turns_fit_a_window_of_8192(speaker: Begin) -> None:
    person = sized(speaker, 8_192)
    assert ends(person, "Hello.", "Have a look.") == ["done", "done"]
    asked = {request.json["max_tokens"] for request in person.mainline}
    assert asked == {2_048}
    assert person.simulator.refused == []


@pytest.mark.moves_prefix("compactions begin epochs")
def test_a_window_of_32768_fills_and_nothing_is_refused(speaker: Begin) -> None:
    person = sized(speaker, 32_768)
    words = [f"Please look, part {number}." for number in range(30)]
    assert ends(person, *words) == ["done"] * len(words)
    assert "compaction: window" in {str(record.data["reason"])[:18] for record in person.records("epoch")}
    assert max(request.prompt_tokens for request in person.mainline) > 20_000
    assert person.simulator.refused == []


def test_what_the_person_sets_is_asked_for(speaker: Begin) -> None:
    person = sized(speaker, 16_384, "max_output_tokens = 9000\n")
    assert ends(person, "Hello.") == ["done"]
    assert person.mainline[-1].json["max_tokens"] == 9_000


@pytest.mark.parametrize("window", [4_096, 8_192, 32_768, 65_536, 131_072, 200_000, 1_000_000])
def test_a_prompt_below_the_limit_leaves_room_for_the_answer_and_the_summary(window: int) -> None:
    limit = window_limit(window, 0.8, most_output(window))
    assert window // 2 < limit
    assert limit + most_output(window) < window
    assert most_output(window) <= DEFAULT_OUTPUT
