"""What could fill a context for good: huge outputs, many of them, images. On each wire the next request is taken.

`test_faults` has the table of all faults and their tests.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from harness.conversation.events import TurnEnded
from harness.errors import ContextOverflow
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]

BODY_LIMIT = 32 * 1024 * 1024


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"call": name, "input": arguments}


def done(person: Speaker, words: str) -> None:
    last = person.say(words)[-1]
    assert isinstance(last, TurnEnded)
    assert last.reason == "done", last
    assert person.simulator.refused == []


def set_window(person: Speaker, tokens: int) -> None:
    """The person's own catalog says how large the model's window is."""
    path = person.project.parent / "home" / ".config" / "harness" / "catalog.toml"
    path.write_text(f'{path.read_text()}[models."{person.app.model.id}"]\nwindow = {tokens}\n')
    person.come_back(model=person.app.model.id)
    assert person.app.model.window == tokens


def test_one_output_larger_than_the_window(begin: Begin) -> None:
    commands = [call("shell", command="cat big.txt"), call("grep", pattern="line"), call("read", path="big.txt")]
    person = begin(Script(*([one] for one in commands), "Done."), context_window=40_000)
    (person.project / "big.txt").write_text("a line of some length\n" * 200_000)

    done(person, "Look at it.")
    assert person.mainline[-1].prompt_tokens < 40_000
    done(person, "And now?")


FULL = {
    "openai": "openai-chat/openai/gpt-5.4",
    "openrouter": "openai-chat/openrouter/z-ai/glm-5.3",
    "deepseek": "openai-chat/deepseek/deepseek-v4-pro",
    "moonshot": "openai-chat/moonshot/kimi-k3",
    "zai": "openai-chat/zai/glm-5.3",
    "qwen": "openai-chat/qwen/qwen3.8-max",
    "minimax": "openai-chat/minimax/MiniMax-M3",
    "xai": "openai-chat/xai/grok-4.7",
    "mistral": "openai-chat/mistral/mistral-large-4",
    "gemini": "openai-chat/gemini/gemini-4-argon",
    "groq": "openai-chat/groq/openai/gpt-oss-120b",
    "vllm": "openai-chat/vllm/qwen3-coder-30b",
}


@pytest.mark.refusals(reason="the window is full")
@pytest.mark.parametrize("server", FULL)
def test_each_server_is_understood_where_it_says_that_its_window_is_full(server: str, speaker: Begin) -> None:
    person = speaker(Script("One."), model=FULL[server], profile=server, context_window=10)
    with pytest.raises(ContextOverflow):
        person.say("One?")

    assert len(person.simulator.refused) == 1


def test_ten_large_results_at_once_share_what_is_left(begin: Begin) -> None:
    answers = [[call("shell", command=f"head -c 38000 big.txt # {part} {n}") for n in range(10)] for part in range(4)]
    person = begin(Script(*answers, "Done."), context_window=120_000)
    (person.project / "big.txt").write_text("a line of some length\n" * 20_000)
    set_window(person, 120_000)

    done(person, "Look at it.")
    sizes = [request.prompt_tokens for request in person.mainline]
    assert 60_000 < sizes[-1] < 120_000
    done(person, "And now?")


def picture(size: int) -> bytes:
    """A PNG of that many bytes, as far as its header and its end tell."""
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 64, 64)
    return head + b"\0" * (size - len(head) - 12) + b"\0\0\0\0IEND\xaeB`\x82"


def test_images_never_make_a_request_too_large_to_be_sent(begin: Begin) -> None:
    look = [call("read", path=f"{number}.png") for number in range(5)]
    again = [call("read", path=f"{number}.png") for number in range(5, 10)]
    person = begin(Script(look, again, "Done."), body_limit=BODY_LIMIT, context_window=100_000_000)
    for number in range(10):
        (person.project / f"{number}.png").write_bytes(picture(3_400_000))

    done(person, "Look at all of them.")
    body = person.mainline[-1].body
    assert 15_000_000 < len(body) < BODY_LIMIT
    assert body.count(b"an image is left out") == 10 - body.count(b"iVBORw0KGgo") > 0
    done(person, "And now?")
