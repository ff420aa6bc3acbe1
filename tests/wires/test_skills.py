"""A skill called by a person and one called by a model, on each wire, contract and profile."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.speaker import Script, Speaker
from tests.wires.test_sessions import SERVERS, told

Begin = Callable[..., Speaker]

CALL = {"call": "invoke_skill", "input": {"name": "deploy", "task": "once more"}}
ANSWERS = (
    [{"thinking": "Hm."}, {"text": "Hello."}],
    [{"thinking": "A skill."}, {"text": "I follow it."}, {"call": "todo", "input": {"items": []}}],
    "Shipped.",
    [{"thinking": "I take it too."}, CALL],
    "Shipped again.",
)


@pytest.mark.parametrize("server", ["anthropic", *SERVERS])
def test_called_by_a_person_and_by_a_model(server: str, speaker: Begin) -> None:
    model, rules = SERVERS.get(server, ("claude-opus-4-8", {}))
    person = speaker(Script(*ANSWERS), model=model, **rules)
    folder = person.project / ".harness" / "skills" / "deploy"
    person.say("Hello?")
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: deploy\ndescription: Ships it.\n---\nShip $ARGUMENTS with care.\n")

    assert person.answer("/deploy to production") == "Shipped."
    person.come_back()
    assert person.answer("Once more.") == "Shipped again."

    sent = b"".join(block.canonical for block in person.mainline[-1].blocks).decode()
    assert "Ship to production with care." in sent
    assert "Ship once more with care." in sent
    assert sent.index("Ship to production") < sent.index("/deploy to production")
    allowed = told(server) if server in SERVERS else {"first", "hit"}
    assert set(person.verdicts()) <= allowed
