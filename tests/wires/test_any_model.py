"""One session over models of all wires, in any order, with broken answers, pauses and side requests in between."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.simulator import Fault, Received, Simulator, said
from tests.prefix_check import first_moved
from tests.speaker import Speaker
from tests.wires.test_switching import MODELS, READ

Start = Callable[..., Simulator]


def brain(request: dict[str, Any]) -> Any:
    last = said(request)[-1]
    if last.speaker != "user" or "look" not in "".join(last.texts[-1:]):
        return "So it is."
    return [{"thinking": f"thought of {request['model']}"}, {"text": "I read it."}, READ, READ]


@pytest.mark.parametrize("seed", range(6))
def test_any_order_of_models(seed: int, simulator: Start, tmp_path: Path) -> None:
    chance = random.Random(seed)
    main = simulator(brain)
    # each model has its vendor; the two of the Responses wire share one
    rules = {server: given for _, server, given in MODELS.values() if server}
    servers = {name: simulator(brain, clock=main.clock, **given) for name, given in rules.items()}
    names = [model for model, _, _ in MODELS.values()]
    person = Speaker(main, tmp_path, names[0], servers)
    (person.project / "notes.txt").write_text("note\n" * 200)
    try:
        for _ in range(25):
            match chance.choice(["say", "look", "look", "switch", "switch", "break", "aside", "pause", "leave"]):
                case "say":
                    person.say("Is it so?")
                case "look":
                    person.say("Have a look.")
                case "switch":
                    person.come_back(model=chance.choice(names))
                case "break":
                    for one in {main, *servers.values()}:
                        one.fault(Fault("drop", after=chance.randint(1, 6)))
                    person.say("Have a look, again.")
                case "aside":
                    person.aside()
                case "pause":
                    main.clock.advance(chance.choice([10, 200, 290]))
                case _:
                    person.come_back()
    finally:
        person.close()
    check([main, *servers.values()])


def check(vendors: list[Simulator]) -> None:
    last: dict[str, Received] = {}
    for vendor in vendors:
        for request in vendor.requests:
            before = last.get(request.line)
            assert before is None or first_moved(before, request) is None
            if request.kind == "mainline":
                last[request.line] = request
                assert request.read == request.perfect_read, f"{request.model}: {request.explain}"
