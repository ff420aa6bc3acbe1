"""Session context: told once, told again when a fact changed, and never otherwise."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import given

from harness.prompt.context import MAX_CHANGES_BYTES, Facts, context_message
from harness.prompt.layers import Layer, session_text

FACTS = Facts(
    today=dt.date(2026, 5, 13), model="claude-sonnet-5-5", os="Linux", cwd="/srv", mode="edit",
    rules={"AGENTS.md": "r1"}, skills={"deploy": "s1", "triage": "s2"},
)  # fmt: skip
DESCRIPTIONS = {"deploy": "Ships it.", "triage": "Sorts it."}
digests = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"))


def text(now: Facts, told: Facts | None) -> str:
    message = context_message(now, told.to_json() if told else {}, DESCRIPTIONS)
    return message.text if message else ""


def test_first_all_facts_are_told_and_nothing_is_announced() -> None:
    assert text(FACTS, None) == (
        "[Session context: Today is 2026-05-13, Wednesday. Current model: claude-sonnet-5-5. OS: Linux. "
        "Working directory: /srv. Permission mode: edit.]"
    )


def test_nothing_is_told_twice() -> None:
    assert text(FACTS, FACTS) == ""


def test_a_new_day_a_model_and_folders_are_told_in_the_headline() -> None:
    later = replace(FACTS, today=dt.date(2026, 5, 14), model="claude-opus-5-5", dirs=("/data",))

    told = text(later, FACTS)

    assert "2026-05-14, Thursday" in told
    assert "claude-opus-5-5" in told
    assert "Also in the workspace: /data." in told


def test_each_change_of_rules_and_skills_is_named() -> None:
    now = replace(FACTS, rules={"AGENTS.md": "r2", "sub/AGENTS.md": "r"}, skills={"deploy": "s9", "zoo": "s3"})

    told = text(now, FACTS)

    assert "Project rules changed: AGENTS.md; read it" in told
    assert "Project rules added: sub/AGENTS.md;" in told
    assert "Skill changed: deploy (Ships it.)" in told
    assert "Skill removed: triage." in told
    assert "Skill added: zoo; invoke_skill can use it." in told


@given(rules=digests, skills=digests, other_rules=digests, other_skills=digests)
def test_told_exactly_when_something_differs(
    rules: dict[str, str], skills: dict[str, str], other_rules: dict[str, str], other_skills: dict[str, str]
) -> None:
    before, now = replace(FACTS, rules=rules, skills=skills), replace(FACTS, rules=other_rules, skills=other_skills)

    assert bool(text(now, before)) == (before != now)
    assert text(now, before) == text(replace(now, skills=dict(reversed(list(other_skills.items())))), before)


def test_the_session_block_is_never_empty_and_keeps_its_order() -> None:
    assert session_text([Layer("Empty", " \n")]) != ""
    assert session_text([Layer("B", "two\n"), Layer("A", " one")]) == "# B\ntwo\n\n# A\none"


def test_thousands_of_skills_that_come_at_once_are_told_in_a_few_kilobytes() -> None:
    many = {f"skill-{number:04}": "1" for number in range(3000)}

    told = text(replace(FACTS, skills=many), FACTS)

    assert len(told.encode()) < MAX_CHANGES_BYTES + 500
    assert "Skill removed: deploy. Skill added: skill-0000;" in told
    # by name: one removed before them, one behind
    assert f"{3001 - told.count('Skill added: ')} more changes of this kind." in told
