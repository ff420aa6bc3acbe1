"""Model A, then B for many turns, then A again: A reads its whole prefix, whatever their wires and vendors are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from harness.simulator import Simulator, said
from tests.speaker import Script, Speaker
from tests.vendors import MODELS, PARTICULAR, SERVERS

ALL = MODELS | PARTICULAR
PAIRS = [*permutations(MODELS, 2), *(pair for name in PARTICULAR for pair in permutations((name, "anthropic")))]

Start = Callable[..., Simulator]

READ = {"call": "read", "input": {"path": "notes.txt"}}


class Turns(Script):
    """The n-th answer, whatever the request."""

    def __call__(self, request: dict[str, Any]) -> Any:
        spoken = said(request)[-1]
        if spoken.speaker != "user" or "look" not in "".join(spoken.texts[-1:]):
            return "So it is."
        return [{"thinking": f"thought of {request['model']}"}, {"text": "I read it."}, READ, READ]


@pytest.fixture
def switcher(simulator: Start, tmp_path: Path) -> Iterator[Callable[[str, str], Speaker]]:
    begun: list[Speaker] = []

    def begin(first: str, second: str) -> Speaker:
        main = simulator(Turns())
        names = {ALL[first].server, ALL[second].server} - {""}
        servers = {name: simulator(Turns(), clock=main.clock, **SERVERS[name]) for name in sorted(names)}
        begun.append(Speaker(main, tmp_path, ALL[first].model, servers))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_back_at_the_first_model_nothing_is_written_again(
    first: str, second: str, switcher: Callable[[str, str], Speaker]
) -> None:
    person = switcher(first, second)
    (person.project / "notes.txt").write_text("".join(f"note {number}\n" for number in range(200)))
    person.say("Have a look.")
    person.say("And another look.")
    before = last(person)
    person.come_back(model=ALL[second].model)
    for words in ("Your turn to look.", "Once more, look.", "Is it so?"):
        person.say(words)
    person.come_back(model=ALL[first].model)
    person.say("Back again.")
    after = last(person)

    assert after.wire == before.wire
    assert after.extends(before)
    assert after.read == after.perfect_read, after.explain
    for request in person.everything:
        assert request.read == request.perfect_read, request.explain
    assert set(person.verdicts()) <= {"first"} | good(first) | good(second), list(person.verdicts())
    model = [record.data["model"] for record in person.records("request")]
    assert model[-1] == person.app.model.id
    assert person.verdicts()[-1] in good(first)
    # thinking goes to its maker only
    for request in person.everything:
        assert set(re.findall(rb"thought of ([^\"]+)", request.body)) <= {request.model.encode()}


def good(name: str) -> set[str]:
    """The verdicts that a later request may get."""
    match name:
        case "no markers, nothing told":
            return {"not told"}
        case "responses before 5.6":
            # reasoning of an earlier turn is left out by the vendor itself
            return {"hit", "vendor stripped"}
        case "gemini, which signs its calls":
            return {"hit", "too short"}
        case _:
            return {"hit"}


def last(person: Speaker) -> Any:
    """The request that was sent last to the model in use."""
    return [request for request in person.everything if request.model == person.app.model.name][-1]
