"""A session begun by one build of the program and continued by another: other tools, another system prompt."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.e2e.conftest import Start
from tests.e2e.lab import ROOT, Lab, Script, assert_extends, call, results
from tests.program import changed_program


def newer(folder: Path) -> Path:
    """A copy of the program in which the system prompt, a schema and the set of tools are others."""
    changes = {
        "prompt/system.md": ("You are a coding agent", "You are a much newer coding agent"),
        "tools/glob.py": ('"pattern": {"type": "string"}', '"name_pattern": {"type": "string"}'),
        "tools/grep.py": ('SPEC = ToolSpec(\n    "grep"', 'SPEC = ToolSpec(\n    "search"'),
    }

    def change(old: str, new: str, text: str) -> str:
        assert old in text, f"{old!r} is no longer there to be changed"
        return text.replace(old, new).replace('"required": ["pattern"]', '"required": ["name_pattern"]')

    return changed_program(folder, {name: partial(change, *words) for name, words in changes.items()})


def test_the_first_request_of_a_newer_build_extends_the_last_one(lab: Lab, vendor: Start, tmp_path: Path) -> None:
    look = [call("glob", pattern="*.py"), call("grep", pattern="x")]
    sim = vendor(Script(look, "One.", look, "Two.", "Three."), branches=True)
    (lab.project / "a.py").write_text("x = 1\n")
    first = lab.process("-p", "Look.")
    assert first.code == 0, first.err

    lab.code = newer(tmp_path / "newer")
    second = lab.process("-c", "-p", "Look again.")
    assert second.code == 0, second.err
    requests = list(sim.requests)
    assert_extends(requests)
    for after in requests[1:]:
        assert after.read == after.perfect_read > 0, after.explain
    assert b"much newer" not in requests[-1].body

    # the pinned schemas are another build's: each call gives the model a clear error
    glob, grep = results(requests[-1].json)[-2:]
    assert "The call was not run" in str(glob)
    assert "name_pattern" in str(glob)
    assert "there is no tool 'grep'" in str(grep)
    assert "search" in str(grep)

    # and what it begins itself is its own
    third = lab.process("-p", "Begin.")
    assert third.code == 0, third.err
    assert b"much newer" in sim.requests[-1].body


def test_an_older_build_goes_on_with_what_a_newer_one_began(lab: Lab, vendor: Start, tmp_path: Path) -> None:
    sim = vendor(Script("One.", "Two."), branches=True)
    old = lab.process("-p", "Elsewhere.")
    assert old.code == 0, old.err
    lab.code = newer(tmp_path / "newer")
    begun = lab.process("-p", "Begin.")
    assert begun.code == 0, begun.err
    lab.code = ROOT
    went_on = lab.process("-c", "-p", "Go on.")
    assert went_on.code == 0, went_on.err
    assert_extends(sim.requests[-2:])
    after = sim.requests[-1]
    assert b"much newer" in after.body
    assert after.read == after.perfect_read > 0
